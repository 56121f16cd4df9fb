"""Video files: read with decord, written as mp4 (H.264) or gif."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch  # noqa: F401  decord must be loaded after torch: their native libraries clash the other way round
from jaxtyping import UInt8
from PIL import Image

from .atomic import whole_file
from .clip import scaled
from .errors import InputError


def read_video(
    path: str | Path, *, short_side: int | None = None, every: int = 1
) -> tuple[UInt8[np.ndarray, "T H W 3"], float, tuple[int, int], int]:
    """Every n-th frame of a video file: frames, frames per second after thinning, size (H, W) before resizing, and the
    number of frames in the file. Raises InputError where the file is no video or breaks off."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    try:
        with silenced_stderr():
            reader = decord.VideoReader(str(path))
            *full_size, channels = reader[0].shape
            if channels != 3:
                return read_turned_video(path, short_side, every)
            if short_side is not None:
                height, width = scaled(tuple(full_size), short_side)
                reader = decord.VideoReader(str(path), width=width, height=height)
            frames = reader.get_batch(range(0, len(reader), every)).asnumpy()
        return frames, reader.get_avg_fps() / every, tuple(full_size), len(reader)
    except (decord.DECORDError, RuntimeError, IndexError, OSError):
        raise InputError(
            f"{path} cannot be read as a video: it is cut off, damaged or of a kind that decord does not know; "
            "check that it plays to its end, or convert it to H.264 mp4"
        ) from None


def read_turned_video(
    path: str | Path, short_side: int | None, every: int
) -> tuple[UInt8[np.ndarray, "T H W 3"], float, tuple[int, int], int]:
    """The same by FFmpeg, which is slower: of a video to be shown turned by a quarter, as phones write it, decord 0.6 gives
    four channels of muddled pixels."""
    from imageio_ffmpeg import read_frames

    options = ["-fps_mode", "passthrough"]  # each frame once, however long it is shown
    about = next(read_frames(str(path), output_params=options))
    full_size = about["size"][::-1]
    height, width = full_size if short_side is None else scaled(full_size, short_side)
    reader = read_frames(str(path), output_params=[*options, "-vf", f"scale={width}:{height}"])
    next(reader)  # what it knows about the file
    frames = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]
    return np.stack(frames[::every]), about["fps"] / every, full_size, len(frames)


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """FFmpeg and decord write to stderr behind Python's back; our own sentence says what is wrong."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def write_video(path: str | Path, frames: UInt8[np.ndarray, "T H W 3"], fps: float = 24.0) -> None:
    """Write .mp4 (H.264) or .gif; nothing is left behind if it fails. Odd sides of an mp4 gain a black row or column."""
    path = Path(path)
    write = {".mp4": write_mp4, ".gif": write_gif}.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path} ends in '{path.suffix}': videos are written as .mp4 or .gif")
    if not fps > 0:
        raise InputError(f"fps={fps} shows no frame: give more than 0 frames per second")
    with whole_file(path) as draft:
        write(draft, frames, fps)


def write_gif(path: Path, frames: UInt8[np.ndarray, "T H W 3"], fps: float) -> None:
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)


def write_mp4(path: Path, frames: UInt8[np.ndarray, "T H W 3"], fps: float) -> None:
    from imageio_ffmpeg import get_ffmpeg_exe

    height, width = frames.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]  # H.264 stores colour at half resolution and so wants even sides
    h264 = ["-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    command = [get_ffmpeg_exe(), "-y", "-loglevel", "error", *raw, *even, *h264, str(path)]
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log) as ffmpeg:
        try:
            for frame in frames:
                ffmpeg.stdin.write(np.ascontiguousarray(frame))
            ffmpeg.stdin.close()
        except BrokenPipeError:  # ffmpeg has given up; its code and its log say why
            pass
        if code := ffmpeg.wait():
            log.seek(0)
            said = log.read().decode(errors="replace").strip()[-200:] or f"ffmpeg ended with {code}"
            raise OSError(f"{path.name} could not be written: {said}")
