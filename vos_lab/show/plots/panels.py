"""What panels are made of: frames, heat over their cells, marks, captions."""

import textwrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from torch import Tensor

from ...clip import Clip
from ...errors import InputError
from ...masks import object_ids
from ...track import Track

WIDTH = 12  # inches, of a figure as wide as a notebook
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000"
SERIES: list[dict[str, Any]] = 4 * [  # colour, line style and marker of the first line of a plot, of the second, and so on
    {"color": colour, "linestyle": style, "marker": marker, "markersize": 5}
    for colour, style, marker in zip(
        (BLUE, VERMILLION, GREEN, BLACK, PURPLE, ORANGE),
        ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1))),
        "os^Dv*",
    )
]


def caption(figure: Figure, words: str) -> None:
    """Below all panels: what to look for."""
    figure.supxlabel(textwrap.fill(words, int(13.5 * figure.get_figwidth())), x=0.01, ha="left", fontsize=10)


def canvas(ax: Axes | None, size: tuple[float | int, float | int], words: str) -> tuple[Figure, Axes]:
    """A figure of one panel, size in inches (width, height), and its caption; or the panel that is given, as it is."""
    if ax is not None:
        return ax.figure.figure, ax  # the whole figure, where ax stands in a part of it
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    caption(figure, words)
    return figure, ax


def tiles(count: int, size: tuple[int, int], columns: int | None = None, bar: bool = False) -> tuple[Figure, list[Axes]]:
    """Panels for pictures of (H, W) pixels, row by row; those beyond `count` stay empty. bar: room for a colour bar."""
    columns = columns or (count if count < 4 else 2 if count == 4 else 3)
    rows = -(-count // columns)
    width = WIDTH if columns > 1 else 9
    tall = (width - 1.2 * bar) / columns * size[0] / size[1] + 0.3  # inches of a picture and its title
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * tall + 0.6), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    return figure, list(axes.flat)


def show_picture(ax: Axes, picture: UInt8[np.ndarray, "H W 3"], pale: bool = False) -> None:
    """A frame in pixels, (0, 0) its upper left corner. pale: grey and light, to be drawn upon."""
    height, width = picture.shape[:2]
    if ax.get_autoscale_on():  # a magnifier keeps to its part of the frame
        fit_to(ax, (height, width))
    if pale:
        ax.imshow(picture.mean(-1), cmap="gray", vmin=-200, vmax=255, extent=(0, width, height, 0))
    else:
        ax.imshow(picture, extent=(0, width, height, 0))


def fit_to(ax: Axes, size: tuple[int, int]) -> None:
    """A panel that shows a frame of (H, W) pixels and nothing beyond."""
    ax.set_axis_off()
    ax.set(xlim=(0, size[1]), ylim=(size[0], 0))


def show_heat(ax: Axes, heat: Float[np.ndarray, "h w"], track: Track, most: float) -> AxesImage:
    """A number per cell, 0..most, over a frame; cells without any stay clear, so that the frame is seen below."""
    return ax.imshow(
        heat, cmap="cividis", vmin=0, vmax=most, alpha=np.sqrt(np.clip(heat / most, 0, 1)), extent=grid_extent(track)
    )


def grid_extent(track: Track) -> tuple[int, int, int, int]:
    """Left, right, lower, upper edge of the grid of cells, in pixels of the frame."""
    above, left = track.padding
    h, w = track.grid
    return -left, w * track.stride - left, h * track.stride - above, -above


def mark_cell(ax: Axes, row: int, column: int, track: Track) -> None:
    """A frame around one cell, black and white, so that it shows on any ground."""
    above, left = track.padding
    corner, side = (column * track.stride - left, row * track.stride - above), track.stride
    for colour, thickness in (("black", 4), ("white", 2)):
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=thickness))


def middle(track: Track, cell: int) -> tuple[float, float]:
    """(x, y) of the middle of a cell, which is numbered row by row, in pixels of a picture whose corner is (0, 0)."""
    (above, left), (row, column) = track.padding, divmod(cell, track.grid[1])
    return (column + 0.5) * track.stride - left, (row + 0.5) * track.stride - above


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
    ax.add_patch(Rectangle((left, top), side, tall, fill=False, edgecolor="black"))
    return glass


def outline(ax: Axes, ids: UInt8[np.ndarray, "H W"], colour: str = "black", right: int = 0) -> None:
    """A thin line around each object. right: how many pixels to move it."""
    y, x = np.arange(ids.shape[0]) + 0.5, np.arange(ids.shape[1]) + 0.5 + right
    for object_id in object_ids(ids[None]):
        inside = ids == object_id
        if not inside.all():
            ax.contour(x, y, inside, levels=[0.5], colors=colour, linewidths=1)


def recorded(track: Track) -> Clip:
    """The clip of a recorded track."""
    if not track.keys or track.clip is None:
        raise InputError("this track keeps no record: run the tracker with run(clip, record=True)")
    return track.clip


def named(tracks: Track | dict[str, Track]) -> dict[str, Track]:
    """Tracks by name; a single one goes by the name of its clip."""
    if isinstance(tracks, Track):
        return {tracks.name: tracks}
    if not tracks:
        raise InputError("tracks is empty: give a Track, or several by name, as {'before': one, 'after': other}")
    return tracks


def check_frames(frames: list[int], there: list[int] | range) -> None:
    """Raises InputError for frames that are not there."""
    if not len(frames):
        raise InputError("frames is empty: name at least one")
    if missing := [frame for frame in frames if frame not in there]:
        raise InputError(f"frame {missing[0]} is not there: choose of {min(there)}..{max(there)}")


def spread(there: list[int] | range, count: int) -> list[int]:
    """Some of them, evenly spaced, the first and the last among them."""
    if count < 1:
        raise InputError(f"count={count} shows nothing: give 1 or more")
    return [there[i] for i in np.unique(np.linspace(0, len(there) - 1, count).round().astype(int))]


def true_masks(track: Track, masks: UInt8[np.ndarray, "T H W"] | None) -> UInt8[np.ndarray, "T H W"]:
    """Those given, or else those of the track's clip."""
    masks = recorded(track).masks if masks is None else masks
    if masks is None or masks.shape != track.masks.shape:
        raise InputError(f"masks must be the true ones, uint8 {track.masks.shape}: what is false is judged by them")
    return masks


def check_annotated(masks: UInt8[np.ndarray, "T H W"], frames: list[int]) -> None:
    """Raises InputError where a frame has no true mask."""
    if unknown := [frame for frame in frames if (masks[frame] == 255).all()]:
        raise InputError(f"frame {unknown[0]} has no true mask, and is needed to say what is false: annotate it or ask another")


def long_term_share(weights: Float[Tensor, "n"], working: int) -> str:
    """A sentence on the weight beyond the first `working` cells; nothing where there are no others."""
    beyond = len(weights) - working
    if not beyond:
        return ""
    share = weights[working:].sum() / weights.sum()
    return f" Long-term memory ({beyond} single cells, not drawn) holds {share:.0%} of the weight."
