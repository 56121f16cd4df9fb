"""Plots with matplotlib. Each returns its figure; colours and marks can be read in grey and by colour-blind people."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..clip import Clip
from ..tracker import Track


def affinity_of_pixel(clip: Clip, track: Track, frame: int, x: int, y: int, object_id: int | None = None) -> Figure:
    """Where does the cell that holds pixel (x, y) of `frame` look? Its affinity over each memory frame; all of them sum to 1.

    track: from run(clip, record=True). object_id: whose memory, where objects appeared at different times.
    Look for bright cells on something else than what the marked cell shows: false matches.
    """
    row, column = track.cell_at(x, y)
    memory_frames = track.memory_frames(frame, object_id)
    h, w = track.keys[frame].shape[2:]
    weights = track.affinity(frame, object_id).view(len(memory_frames), h, w, h, w)[..., row, column].numpy()  # (t,h,w)
    height, width = clip.size
    above, left = track.padding
    extent = (-left, w * track.stride - left, h * track.stride - above, -above)

    columns = min(3, 1 + len(memory_frames))
    rows = -(-(1 + len(memory_frames)) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 10 / columns * rows * (height / width) + 0.5 * rows), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(height, 0))
    query, *panels = axes.flat
    query.imshow(clip.frames[frame], extent=(0, width, height, 0))
    corner = (column * track.stride - left, row * track.stride - above)
    for colour, thickness in (("black", 4), ("white", 2)):
        query.add_patch(Rectangle(corner, track.stride, track.stride, fill=False, edgecolor=colour, linewidth=thickness))
    query.set_title(f"query: frame {frame}, the marked cell")
    for ax, t, weight in zip(panels, memory_frames, weights):
        grey = clip.frames[t].mean(-1).astype(np.uint8)
        ax.imshow(grey, cmap="gray", extent=(0, width, height, 0))
        heat = ax.imshow(weight, cmap="cividis", vmin=0, vmax=weights.max(), alpha=0.7, extent=extent, interpolation="nearest")
        ax.set_title(f"memory: frame {t} gets {weight.sum():.0%}")
    figure.colorbar(heat, ax=axes, label="affinity", shrink=0.8)
    return figure
