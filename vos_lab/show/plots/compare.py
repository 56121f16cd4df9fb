"""Two models, the same question."""

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import InputError
from ...track import Track
from .matches import false_weight
from .panels import (
    caption,
    magnifier,
    mark_cell,
    middle,
    outline,
    recorded,
    show_heat,
    show_picture,
    tiles,
    true_masks,
)


def before_after(
    tracks: dict[str, Track],
    frame: int,
    pixels: list[tuple[int, int]],
    masks: UInt8[np.ndarray, "T H W"] | None = None,
    *,
    object_id: int | None = None,
) -> Figure:
    """Where do two models look, asked by the same cells? A row per pixel (x, y): the cell that asks, then each model's answer.

    tracks: two by name, {"before": one, "after": other}, recorded on the same clip. Of memory, the frame is shown in which the
    model found the most weight. masks: the true ones, which say what is false; the clip's unless given.
    """
    if len(tracks) != 2:
        raise InputError(f"tracks must be two by name, as {{'before': one, 'after': other}}, got {len(tracks)}")
    one, other = tracks.values()
    clip = recorded(one)
    if not np.array_equal(recorded(other).frames, clip.frames):
        raise InputError(f"the tracks show two different clips, '{one.name}' and '{other.name}': run both models on one clip")
    if not pixels:
        raise InputError("pixels is empty: name at least one (x, y)")
    answers = {name: Answer(track, frame, masks, object_id) for name, track in tracks.items()}
    figure, axes = tiles(3 * len(pixels), clip.size, columns=3)
    for i, (x, y) in enumerate(pixels):
        query, *views = axes[3 * i : 3 * i + 3]
        show_picture(query, clip.frames[frame])
        mark_cell(query, *one.cell_at(x, y), one)
        query.set_title(f"frame {frame}: the cell at ({x}, {y}) asks", fontsize=10)
        for ax, (name, answer) in zip(views, answers.items()):
            answer.draw(ax, name, x, y)
    words = (
        "The same cell asks both models; of memory you see the frame that got most of the weight, its best match magnified, "
        "and the true outlines. Look for bright cells that moved from something else to the thing itself: false weight falls."
    )
    caption(figure, words)
    return figure


class Answer:
    """Where one model looked from a frame, and how much of that is false."""

    def __init__(self, track: Track, frame: int, masks: UInt8[np.ndarray, "T H W"] | None, object_id: int | None):
        self.track, self.frames = track, recorded(track).frames
        self.memory_frames = track.memory_frames(frame, object_id)
        self.masks = true_masks(track, masks)
        self.affinity = track.affinity(frame, object_id)  # (1,n,m)
        self.false = false_weight(track, frame, self.masks, object_id, self.affinity).total[0]  # (m,)

    def draw(self, ax: Axes, name: str, x: int, y: int) -> None:
        """The memory frame that holds most of what the cell at (x, y) looked at."""
        track, (h, w) = self.track, self.track.grid
        row, column = track.cell_at(x, y)
        cell = row * w + column
        weights = self.affinity[0, : len(self.memory_frames) * h * w, cell].view(-1, h, w).numpy()  # (t,h,w)
        at = int(weights.sum((1, 2)).argmax())
        t, weight = self.memory_frames[at], weights[at]
        show_picture(ax, self.frames[t], pale=True)
        glass = magnifier(ax, *middle(track, int(weight.argmax())), 11 * track.stride)
        show_picture(glass, self.frames[t], pale=True)
        for view in (ax, glass):
            outline(view, self.masks[t])
            show_heat(view, weight, track, max(float(weight.max()), 1e-12))
        false = "not defined, a mixed cell" if self.false[cell].isnan() else f"{self.false[cell]:.0%}"
        between = ": " if len(name) < 16 else ":\n"  # a long name would run out of the picture
        ax.set_title(f"{name}{between}{weight.sum():.0%} on frame {t} · false weight {false}", fontsize=10)
