"""Video files: read with decord, written as mp4 (H.264) or gif."""

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

    decord.logging.set_level(decord.logging.QUIET)  # FFmpeg's own words come on top of ours otherwise
    try:
        reader = decord.VideoReader(str(path))
        full_size = reader[0].shape[:2]
        if short_side is not None:
            height, width = scaled(full_size, short_side)
            reader = decord.VideoReader(str(path), width=width, height=height)
        frames = reader.get_batch(range(0, len(reader), every)).asnumpy()
        return frames, reader.get_avg_fps() / every, full_size, len(reader)
    except (decord.DECORDError, RuntimeError, IndexError):
        raise InputError(
            f"{path} cannot be read as a video: it is cut off, damaged or of a kind that decord does not know; "
            "check that it plays to its end, or convert it to H.264 mp4"
        ) from None


def write_video(path: str | Path, frames: UInt8[np.ndarray, "T H W 3"], fps: float = 24.0) -> None:
    """Write .mp4 or .gif; nothing is left behind if it fails."""
    path = Path(path)
    if path.suffix.lower() not in (".mp4", ".gif"):
        raise InputError(f"{path} ends in '{path.suffix}': videos are written as .mp4 or .gif")
    with whole_file(path) as draft:
        if path.suffix.lower() == ".gif":
            first, *rest = [Image.fromarray(frame) for frame in frames]
            first.save(draft, format="GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
            return
        import imageio_ffmpeg

        # H.264 stores colour at half resolution and so wants even sides: repeat the last row or column where needed.
        height, width = frames.shape[1:3]
        even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        size = (even.shape[2], even.shape[1])
        writer = imageio_ffmpeg.write_frames(str(draft), size, fps=fps, codec="libx264", quality=8, macro_block_size=1)
        writer.send(None)
        for frame in even:
            writer.send(np.ascontiguousarray(frame))
        writer.close()
