"""Plots with matplotlib. Each returns its figure; colours and marks can be read in grey and by colour-blind people."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..clip import Clip
from ..draw import overlay
from ..tracker import Track


def affinity_of_pixel(clip: Clip, track: Track, frame: int, x: int, y: int, object_id: int | None = None) -> Figure:
    """Where does the cell that holds pixel (x, y) of `frame` look? Its affinity over each memory frame; all of them sum to 1.

    track: from run(clip, record=True). object_id: whose memory, where objects appeared at different times.
    The query frame shows the outlines that were found, each memory frame its best match magnified.
    Look for bright cells on something else than what asks: false matches.
    """
    row, column = track.cell_at(x, y)
    memory_frames = track.memory_frames(frame, object_id)
    h, w = track.keys[frame].shape[2:]
    column_of_it = track.affinity(frame, object_id)[0, :, row * w + column]  # (n,), long-term cells last
    weights = column_of_it[: len(memory_frames) * h * w].view(-1, h, w).numpy()  # (t,h,w)
    height, width = clip.size
    above, left = track.padding
    extent = (-left, w * track.stride - left, h * track.stride - above, -above)

    columns = min(3, 1 + len(memory_frames))
    rows = -(-(1 + len(memory_frames)) // columns)
    tall = 12 / columns * height / width + 0.4  # inches per row
    figure, axes = plt.subplots(rows, columns, figsize=(12, rows * tall), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(height, 0))
    query, *panels = axes.flat
    found = overlay(clip.frames[frame : frame + 1], track.masks[frame : frame + 1], opacity=0.0)[0]  # outlines only
    query.imshow(found, extent=(0, width, height, 0))
    mark_cell(query, row, column, track)
    query.set_title(f"frame {frame}: the marked cell asks")
    for ax, t, weight in zip(panels, memory_frames, weights):
        best_row, best_column = divmod(int(weight.argmax()), w)
        glass = magnifier(
            ax, (best_column + 0.5) * track.stride - left, (best_row + 0.5) * track.stride - above, 11 * track.stride
        )
        for view in (ax, glass):
            view.imshow(clip.frames[t].mean(-1), cmap="gray", vmin=-200, vmax=255, extent=(0, width, height, 0))
            # cells without weight stay clear, so that the frame is seen below
            visible = np.sqrt(weight / weights.max())
            heat = view.imshow(weight, cmap="cividis", vmin=0, vmax=weights.max(), alpha=visible, extent=extent)
        ax.set_title(f"memory, frame {t}: {weight.sum():.0%} of the weight")
    figure.colorbar(heat, ax=axes, label="affinity", shrink=0.7)
    return figure


def mark_cell(ax: Axes, row: int, column: int, track: Track) -> None:
    """A frame around one cell, black and white, so that it shows on any ground."""
    above, left = track.padding
    corner, side = (column * track.stride - left, row * track.stride - above), track.stride
    for colour, thickness in (("black", 4), ("white", 2)):
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=thickness))


def magnifier(ax: Axes, x: float, y: float, side: int) -> Axes:
    """A second view of the `side` pixels around (x, y), in the half of the picture where it hides the least."""
    width, height = ax.get_xlim()[1], ax.get_ylim()[0]
    share_w, share_h = 0.45, 0.96
    glass = ax.inset_axes((0.01 if x > width / 2 else 0.54, 0.02, share_w, share_h))
    tall = side * share_h * height / (share_w * width)  # as tall as it must be for square pixels
    # around the place, but not beyond the frame
    left, top = np.clip(x - side / 2, 0, max(0, width - side)), np.clip(y - tall / 2, 0, max(0, height - tall))
    glass.set(xlim=(left, left + side), ylim=(top + tall, top), xticks=[], yticks=[])
    glass.set_autoscale_on(False)
    ax.indicate_inset_zoom(glass, edgecolor="black", alpha=1)
    return glass
