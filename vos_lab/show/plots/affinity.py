"""Affinity: where the cells of a frame looked."""

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from ... import matches
from ...clip import Clip
from ...draw import colour_of, overlay
from ...errors import InputError
from ...track import Track
from .panels import (
    WIDTH,
    canvas,
    caption,
    fit_to,
    grid_extent,
    long_term_share,
    magnifier,
    mark_cell,
    middle,
    outline,
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
    h, w = track.grid
    column_of_it = track.affinity(frame, object_id)[0, :, row * w + column]  # (n,), long-term cells last
    weights = column_of_it[: len(memory_frames) * h * w].view(-1, h, w).numpy()  # (t,h,w)
    most = max(float(weights.max()), 1e-12)
    figure, axes = tiles(1 + len(memory_frames), clip.size, bar=True)
    query, *views = axes
    show_picture(query, overlay(clip.frames[frame : frame + 1], track.masks[frame : frame + 1], opacity=0.0)[0])
    mark_cell(query, row, column, track)
    query.set_title(f"frame {frame}: the marked cell asks")
    for ax, t, weight in zip(views, memory_frames, weights):
        show_picture(ax, clip.frames[t], pale=True)
        outline(ax, track.masks[t])
        heat = show_heat(ax, weight, track, most)
        if weight.sum() > 0.005:  # a frame without weight has no best match to look at
            glass = magnifier(ax, *middle(track, int(weight.argmax())), 11 * track.stride)
            show_picture(glass, clip.frames[t], pale=True)
            outline(glass, track.masks[t])
            show_heat(glass, weight, track, most)
        ax.set_title(f"memory, frame {t}: {weight.sum():.0%} of the weight")
    figure.colorbar(heat, ax=axes, label="affinity", shrink=0.7)
    words = (
        "White and black: the outlines found; a large box shows what is in the small one, magnified. Look for bright cells "
        "that lie on something else than the cell that asks: these are false matches."
    )
    caption(figure, words + long_term_share(column_of_it, weights.size))
    return figure


def memory_usage(track: Track, frame: int, object_id: int | None = None) -> Figure:
    """Which memory cells did `frame` use? The weight that each received, summed over all m query cells; all of it sums to m.

    track: from run(clip, record=True). object_id: whose memory, where objects appeared at different times.
    """
    memory_frames = track.memory_frames(frame, object_id)
    clip, (h, w) = recorded(track), track.grid
    usage = track.affinity(frame, object_id)[0].sum(1)  # (n,), long-term cells last
    received = usage[: len(memory_frames) * h * w].view(-1, h, w).numpy()  # (t,h,w)
    norm = PowerNorm(0.5, 0, max(float(received.max()), 1e-12))  # most cells receive little: show them, too
    figure, axes = tiles(len(memory_frames), clip.size, bar=True)
    for ax, t, weight in zip(axes, memory_frames, received):
        fit_to(ax, clip.size)
        heat = ax.imshow(weight, cmap="cividis", norm=norm, extent=grid_extent(track), interpolation="nearest")
        outline(ax, track.masks[t], colour="white")
        ax.set_title(f"memory, frame {t}: {weight.sum() / (h * w):.0%} of all weight")
    figure.colorbar(heat, ax=axes, label="weight received (1: all that one query cell gives)")
    falling = usage.sort(descending=True).values.cumsum(0)
    half = int((falling < falling[-1] / 2).sum()) + 1
    words = (
        f"Frame {frame} read these cells; half of the weight is on {half / len(usage):.1%} of them; white: the outlines found. "
        "Look for cells that many others use, and for frames without much weight: memory that could be forgotten."
    )
    caption(figure, words + long_term_share(usage, received.size))
    return figure


def affinity_matrix(
    track: Track, frame: int, object_id: int | None = None, *, most: int = 400, ax: Axes | None = None
) -> Figure:
    """The whole affinity of `frame`: a row per memory cell, frame by frame, a column per query cell, both ordered by object.

    track: from run(clip, record=True). object_id: whose memory, where objects appeared at different times. Objects are those of
    the clip's masks where they are known, otherwise those found. More than `most` rows or columns are drawn as means of blocks.
    """
    if most < 1:
        raise InputError(f"most={most} leaves nothing to draw: give 1 or more")
    affinity, origins = track.affinity(frame, object_id)[0], track.origins(frame, object_id)  # (n,m), (n,)
    n, m = affinity.shape
    memory_frames, labels = track.memory_frames(frame, object_id), matches.track_labels(track, best_known_masks(track))
    memory_labels, query_labels = labels.flatten()[origins], labels[frame]  # (n,), (m,)
    block = torch.arange(n).div(m, rounding_mode="floor").clamp(max=len(memory_frames))  # (n,), long-term cells last
    rows, columns = by_object(block, memory_labels), by_object(torch.zeros_like(query_labels), query_labels)
    tall, wide = -(-n // most), -(-m // most)
    drawn = block_means(affinity[rows][:, columns].numpy(), tall, wide)

    words = (
        "Each column says where one query cell looked; the strips say to which object its column and each row belong. Look for "
        "weight where the two strips differ: false matches."
    )
    figure, ax = canvas(ax, (WIDTH, 9), words)
    extent = (0, drawn.shape[1] * wide, drawn.shape[0] * tall, 0)
    norm = PowerNorm(0.3, 0, drawn.max())  # most blocks hold little: show them, too
    heat = ax.imshow(drawn, cmap="cividis", norm=norm, extent=extent, aspect="auto", interpolation="nearest")
    ax.set(xlim=(-0.03 * m, m), ylim=(n, -0.03 * n))
    strip(ax, memory_labels[rows].numpy(), -0.03 * m, 0.02 * m, along="rows")
    strip(ax, query_labels[columns].numpy(), -0.03 * n, 0.02 * n, along="columns")
    sizes = torch.bincount(block)
    edges = sizes.cumsum(0)
    for edge in edges[:-1].tolist():
        ax.axhline(edge, color="white", linewidth=2)
    names = [f"frame {t}" for t in memory_frames] + [f"{size} long-\nterm cells" for size in sizes[len(memory_frames) :]]
    shares = [part.sum() / m for part in affinity.split(sizes.tolist())]
    ax.set_yticks((edges - sizes / 2).tolist(), [f"{name}\n{share:.0%} of weight" for name, share in zip(names, shares)])
    pixel = f", drawn as means of blocks of {tall} x {wide}" if tall * wide > 1 else ""
    ax.set_title(f"affinity of {n} memory cells (rows) x {m} query cells (columns){pixel}")
    ax.set_xticks([])
    ax.set_xlabel(f"query cells of frame {frame}", loc="left")
    each = "affinity, mean of block" if pixel else "affinity"
    figure.colorbar(heat, ax=ax, label=f"{each} (scale stretched where it is small)", aspect=40, pad=0.01)
    there = sorted({*memory_labels.tolist(), *query_labels.tolist()}, key=lambda i: (i < 0, i))
    handles = [Patch(**look_of(i), label={0: "background", -1: "mixed cells"}.get(i, f"object {i}")) for i in there]
    ax.legend(handles=handles, loc="upper right", bbox_to_anchor=(1, 0), ncols=len(handles), frameon=False)
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


def strip(ax: Axes, labels: Int64[np.ndarray, "n"], place: float, thickness: float, along: str) -> None:
    """Beside the matrix, the object of each row or column, in its colour."""
    begins = np.flatnonzero(np.diff(labels, prepend=-2)).tolist()
    for begin, end in zip(begins, [*begins[1:], len(labels)]):
        look = look_of(int(labels[begin]))
        if along == "rows":
            ax.add_patch(Rectangle((place, begin), thickness, end - begin, **look))
        else:
            ax.add_patch(Rectangle((begin, place), end - begin, thickness, **look))
            ax.axvline(begin, color="white", linewidth=1, linestyle=":")


def look_of(label: int) -> dict:
    """How a strip shows an object, background (0) or mixed cells (-1)."""
    if label < 0:
        return {"facecolor": "white", "hatch": "xxxx", "edgecolor": "grey", "linewidth": 0}
    colour = tuple(x / 255 for x in colour_of(label)) if label else "lightgrey"
    return {"facecolor": colour, "edgecolor": "black", "linewidth": 0.5}
