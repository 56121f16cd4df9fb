"""Plain data over a socket: numbers, text, arrays, clips. Nothing that arrives is ever unpickled or run."""

import base64
import json
import socket
import time
from typing import Any

import numpy as np
import torch

from ..clip import Clip

LIMIT = 2**26  # bytes of one message
DTYPES = {str(np.dtype(name)) for name in ("bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")}


def send(channel: socket.socket, x: Any) -> None:
    data = json.dumps(encode(x)).encode()
    if len(data) > LIMIT:
        raise ValueError(f"{len(data) // 2**20} MB")
    channel.sendall(len(data).to_bytes(8, "big") + data)


def receive(channel: socket.socket, seconds: float | None = None) -> Any:
    """One message. Raises TimeoutError, EOFError where the other side is gone, ValueError for what is no message."""
    deadline = None if seconds is None else time.monotonic() + seconds
    length = int.from_bytes(exactly(channel, 8, deadline), "big")
    if length > LIMIT:
        raise ValueError(f"a message of {length} bytes")
    try:
        return decode(json.loads(exactly(channel, length, deadline)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message: {error}") from None


def exactly(channel: socket.socket, count: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < count:
        if deadline is not None:
            channel.settimeout(max(1e-3, deadline - time.monotonic()))
        more = channel.recv(min(count - len(data), 2**20))
        if not more:
            raise EOFError("the other side is gone")
        data += more
    return bytes(data)


def encode(x: Any) -> Any:
    """What JSON can hold. Of an object of any other class only the name of its class is kept."""
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu().to_dense()
        return {"tensor": encode_array((x.float() if x.dtype == torch.bfloat16 else x).numpy())}
    if isinstance(x, np.ndarray):
        return {"array": encode_array(x)}
    if isinstance(x, np.generic):
        return encode(x.item())
    if isinstance(x, Clip):
        return {"clip": [encode(x.frames), encode(x.masks), str(x.name)]}
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if isinstance(x, list):
        return [encode(item) for item in x]
    if isinstance(x, tuple):
        return {"tuple": [encode(item) for item in x]}
    if isinstance(x, dict):
        return {"dict": [[encode(name), encode(item)] for name, item in x.items()]}
    return {"other": type(x).__name__}


def encode_array(x: np.ndarray) -> dict:
    if str(x.dtype) not in DTYPES:
        raise TypeError(f"an array of {x.dtype}: wanted numbers")
    return {"dtype": str(x.dtype), "shape": list(x.shape), "bytes": base64.b64encode(x.tobytes()).decode()}


def decode(x: Any) -> Any:
    if isinstance(x, str):
        return x.encode("utf-8", "replace").decode()  # halves of characters cannot be written to a file
    if isinstance(x, list):
        return [decode(item) for item in x]
    if not isinstance(x, dict):
        return x
    (form, content), *_ = x.items()
    if form == "tensor":
        return torch.from_numpy(decode_array(content))
    if form == "array":
        return decode_array(content)
    if form == "clip":
        frames, masks, name = map(decode, content)
        return Clip(frames, masks, name)
    if form == "tuple":
        return tuple(decode(item) for item in content)
    if form == "dict":
        return {decode(name): decode(item) for name, item in content}
    return type(decode(content), (), {})()  # stands for an object that could not be sent


def decode_array(x: dict) -> np.ndarray:
    if x["dtype"] not in DTYPES:
        raise ValueError(f"an array of {x['dtype']}")
    return np.frombuffer(base64.b64decode(x["bytes"]), x["dtype"]).reshape(x["shape"]).copy()
