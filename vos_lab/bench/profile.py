"""Where the time of a tracked frame goes, before and after: `vos-lab bench profile`."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from ..memory import MemoryBank
from ..metrics import text_table
from ..models import faster
from ..precision import has_bfloat16
from ..progress import progress
from ..table import write_table
from ..tracker import Tracker
from . import plain
from .speed import published

FIELDS = ("way", "part", "seconds", "share")
PARTS = ("encode_key", "read", "decode", "encode_value")


def bench_profile(frames: int, out: Path) -> str:
    """Mean seconds per frame in each part of STCN at 480p, one object: OUT/profile.csv, and as text."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, images, masks = published(frames, 1, device)
    lines = profile("plain", model, plain, "plain_read", plain.plain_tracking(model, images, masks), frames)
    for precision in ["fp32", "bf16"] if has_bfloat16(device) else ["fp32"]:
        copy = faster(model, precision)
        lines += profile(f"ours, {precision}", copy, MemoryBank, "read", tracking(copy, images, masks), frames)
    write_table(out / "profile.csv", FIELDS, lines, digits=5)
    return text_table(list(FIELDS), [[line[name] for name in FIELDS] for line in lines])


def tracking(model: torch.nn.Module, images: torch.Tensor, masks: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tracker as an iterator over frames, like `plain_tracking`."""
    tracker = Tracker(model)
    yield tracker.start(images[0], masks)
    for image in images[1:]:
        yield tracker.step(image)


def profile(way: str, model: torch.nn.Module, reads: Any, name: str, track: Iterator, frames: int) -> list[dict]:
    """A row for each part of the frames that `track` yields, and one for the rest. It reads memory by reads.name."""
    spent: dict[str, float] = defaultdict(float)
    with ExitStack() as stack:
        for owner, method, part in [(reads, name, "read"), *((model, x, x) for x in PARTS if x != "read")]:
            stack.enter_context(patch.object(owner, method, clocked(getattr(owner, method), part, spent)))
        next(track), next(track)  # not timed: the first frame, whose mask is given, and the first of each kind of work
        spent.clear()
        began = now()
        for _ in progress(range(2, frames), desc=way, unit="frame"):
            next(track)
        total = now() - began
    spent["all else"] = total - sum(spent.values())
    return [
        {"way": way, "part": part, "seconds": spent[part] / (frames - 2), "share": spent[part] / total}
        for part in (*PARTS, "all else")
    ]


def clocked(function: Callable, part: str, spent: dict[str, float]) -> Callable:
    """The function, its seconds added to spent[part]."""

    def run(*args, **kwargs):
        began = now()
        result = function(*args, **kwargs)
        spent[part] += now() - began
        return result

    return run


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
