"""Affinity: where the cells of a frame looked."""

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ...clip import Clip
from ...draw import colour_of, overlay
from ...errors import InputError
from ...tracker import Track
from .panels import (
    WIDTH,
    canvas,
    caption,
    grid_size,
    labels_of,
    long_term_share,
    magnifier,
    mark_cell,
    middle,
    recorded,
    show_heat,
    show_picture,
    tiles,
)


def affinity_of_pixel(clip: Clip, track: Track, frame: int, x: int, y: int, object_id: int | None = None) -> Figure:
    """Where does the cell that holds pixel (x, y) of `frame` look? Its affinity over each memory frame; all of them sum to 1.

    track: from run(clip, record=True). object_id: whose memory, where objects appeared at different times.
    The query frame shows the outlines that were found, each memory frame its best match magnified.
    """
    memory_frames = track.memory_frames(frame, object_id)
    row, column = track.cell_at(x, y)
    h, w = grid_size(track)
    column_of_it = track.affinity(frame, object_id)[0, :, row * w + column]  # (n,), long-term cells last
    weights = column_of_it[: len(memory_frames) * h * w].view(-1, h, w).numpy()  # (t,h,w)
    figure, (query, *views) = tiles(1 + len(memory_frames), 3, clip.size)
    show_picture(query, overlay(clip.frames[frame : frame + 1], track.masks[frame : frame + 1], opacity=0.0)[0])
    mark_cell(query, row, column, track)
    query.set_title(f"frame {frame}: the marked cell asks")
    for ax, t, weight in zip(views, memory_frames, weights):
        show_picture(ax, clip.frames[t], pale=True)
        glass = magnifier(ax, *middle(track, int(weight.argmax())), 11 * track.stride)
        show_picture(glass, clip.frames[t], pale=True)
        for view in (ax, glass):
            heat = show_heat(view, weight, track, weights.max())
        ax.set_title(f"memory, frame {t}: {weight.sum():.0%} of the weight")
    figure.colorbar(heat, ax=[query, *views], label="affinity", shrink=0.7)
    words = "Look for bright cells that lie on something else than the cell that asks: these are false matches."
    caption(figure, words + long_term_share(column_of_it, weights.size))
    return figure


def memory_usage(track: Track, frame: int, object_id: int | None = None) -> Figure:
    """Which memory cells did `frame` use? The weight that each received, summed over all query cells; the mean is m / n.

    track: from run(clip, record=True). object_id: whose memory, where objects appeared at different times.
    """
    memory_frames = track.memory_frames(frame, object_id)
    clip, (h, w) = recorded(track), grid_size(track)
    usage = track.affinity(frame, object_id)[0].sum(1)  # (n,), long-term cells last; they sum to m
    received = usage[: len(memory_frames) * h * w].view(-1, h, w).numpy()  # (t,h,w)
    figure, axes = tiles(len(memory_frames), 3, clip.size)
    for ax, t, weight in zip(axes, memory_frames, received):
        show_picture(ax, clip.frames[t], pale=True)
        heat = show_heat(ax, weight, track, received.max())
        ax.set_title(f"memory, frame {t}: {weight.sum() / (h * w):.0%} of all weight")
    figure.colorbar(heat, ax=axes, label=f"weight from all {h * w} query cells", shrink=0.7)
    falling = usage.sort(descending=True).values.cumsum(0)
    half = int((falling < 0.5 * falling[-1]).sum()) + 1
    words = (
        f"Frame {frame} read these cells. Half of all weight lies on {half} of {len(usage)} memory cells ({half / len(usage):.1%}). "
        "Look for cells that many others use, and for frames that nobody does: memory that could be forgotten."
    )
    caption(figure, words + long_term_share(usage, received.size))
    return figure


def affinity_matrix(
    track: Track, frame: int, object_id: int | None = None, *, most: int = 640, ax: Axes | None = None
) -> Figure:
    """The whole affinity of `frame`: a row per memory cell, frame by frame, a column per query cell, both ordered by object.

    track: from run(clip, record=True). object_id: whose memory, where objects appeared at different times. Objects are those of
    the clip's masks where they are known, otherwise those found. A matrix of more than `most` rows or columns is drawn as
    means over blocks.
    """
    affinity, origins = track.affinity(frame, object_id)[0], track.origins(frame, object_id)  # (n,m), (n,)
    if most < 1:
        raise InputError(f"most={most} leaves nothing to draw: give 1 or more")
    n, m = affinity.shape
    memory_frames, labels = track.memory_frames(frame, object_id), labels_of(track, best_known_masks(track))
    block = torch.arange(n).div(m, rounding_mode="floor").clamp(max=len(memory_frames))  # (n,) long-term cells come last
    rows, columns = by_object(block, labels.flatten()[origins]), by_object(torch.zeros(m, dtype=torch.int64), labels[frame])
    tall, wide = -(-n // most), -(-m // most)
    drawn = block_means(affinity[rows][:, columns].numpy(), tall, wide)
    words = (
        "Each column says where one query cell looked. Order in every block: background, then the objects, then mixed cells, as the "
        "strips at the edges show. Look for weight where the strip on the left differs from the one above: false matches."
    )
    figure, ax = canvas(ax, (WIDTH, 9), words)
    extent = (0, drawn.shape[1] * wide, drawn.shape[0] * tall, 0)
    heat = ax.imshow(
        drawn, cmap="cividis", norm=PowerNorm(0.3, 0, drawn.max()), extent=extent, aspect="auto", interpolation="none"
    )
    ax.set(xlim=(-0.03 * m, m), ylim=(n, -0.03 * n), xticks=[0, m])
    strip(ax, labels.flatten()[origins][rows].numpy(), (-0.03 * m, 0.02 * m), along="rows")
    strip(ax, labels[frame][columns].numpy(), (-0.03 * n, 0.02 * n), along="columns")
    sizes = torch.bincount(block)
    edges = sizes.cumsum(0)
    for edge in edges[:-1]:
        ax.axhline(edge, color="white", linewidth=1.5)
    names = [f"frame {t}" for t in memory_frames] + [f"long-term,\n{size} cells" for size in sizes[len(memory_frames) :]]
    ax.set_yticks((edges - sizes / 2).tolist(), names)
    ax.set(xlabel=f"query cells of frame {frame}", ylabel="memory cells")
    pixel = f", drawn as means over blocks of {tall} x {wide}" if tall * wide > 1 else ""
    ax.set_title(f"affinity: {n} memory cells x {m} query cells{pixel}")
    figure.colorbar(heat, ax=ax, label="affinity (mean of block)" if pixel else "affinity")
    return figure


def best_known_masks(track: Track) -> UInt8[np.ndarray, "T H W"]:
    """The clip's masks, and in frames that are not annotated those found."""
    clip = recorded(track)
    if clip.masks is None:
        return track.masks
    return np.where(clip.annotated[:, None, None], clip.masks, track.masks)


def by_object(block: Int64[Tensor, "n"], labels: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """The order of cells by block, within it by label, mixed cells (-1) last, otherwise as they were."""
    return torch.argsort(block * 256 + labels.where(labels >= 0, 255), stable=True)


def block_means(matrix: Float[np.ndarray, "n m"], tall: int, wide: int) -> Float[np.ndarray, "n2 m2"]:
    """The mean of each block of tall x wide entries; those at the lower and right edge may be smaller."""
    n, m = matrix.shape
    sums = np.add.reduceat(np.add.reduceat(matrix, np.arange(0, n, tall), 0), np.arange(0, m, wide), 1)
    heights = np.minimum(tall, n - np.arange(0, n, tall))
    widths = np.minimum(wide, m - np.arange(0, m, wide))
    return sums / (heights[:, None] * widths)


def strip(ax: Axes, labels: Int64[np.ndarray, "n"], place: tuple[float, float], along: str) -> None:
    """Beside the matrix, the object of each row or column, in its colour. place: where the strip begins, and how thick it is."""
    begins = np.flatnonzero(np.diff(labels, prepend=-2))
    for begin, end in zip(begins, [*begins[1:], len(labels)]):
        corner, width, height = (place[0], begin), place[1], end - begin
        if along == "columns":
            corner, width, height = corner[::-1], height, width
        ax.add_patch(Rectangle(corner, width, height, **look_of(int(labels[begin]))))


def look_of(label: int) -> dict:
    """How a strip shows an object, background (0) or mixed cells (-1)."""
    if label < 0:
        return {"facecolor": "white", "hatch": "xxxx", "edgecolor": "grey", "linewidth": 0}
    colour = tuple(x / 255 for x in colour_of(label)) if label else "lightgrey"
    return {"facecolor": colour, "edgecolor": "black", "linewidth": 0.5}
