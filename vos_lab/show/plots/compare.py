"""Two models, the same question."""

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from ... import matches
from ...errors import InputError
from ...tracker import Track
from .panels import (
    WIDTH,
    caption,
    check_annotated,
    grid_size,
    labels_of,
    magnifier,
    mark_cell,
    middle,
    recorded,
    show_heat,
    show_picture,
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
    answers = {name: Answers(track, frame, masks, object_id) for name, track in tracks.items()}
    tall = WIDTH / 3 * clip.size[0] / clip.size[1] + 0.5
    figure, axes = plt.subplots(len(pixels), 3, figsize=(WIDTH, len(pixels) * tall + 0.6), squeeze=False, layout="constrained")
    for (x, y), (query, *views) in zip(pixels, axes):
        show_picture(query, clip.frames[frame])
        mark_cell(query, *one.cell_at(x, y), one)
        query.set_title(f"frame {frame}: the cell at ({x}, {y}) asks", fontsize=10)
        for ax, (name, answer) in zip(views, answers.items()):
            answer.draw(ax, name, x, y)
    caption(
        figure,
        "The same cell asks both models; of memory you see the frame that got most of the weight, its best match magnified. Look for a bright "
        "cell that moved from a look-alike to the thing itself: false weight falls.",
    )
    return figure


class Answers:
    """What one model says to the cells of a frame."""

    def __init__(self, track: Track, frame: int, masks: UInt8[np.ndarray, "T H W"] | None, object_id: int | None):
        self.track, self.memory_frames = track, track.memory_frames(frame, object_id)
        origins, masks = track.origins(frame, object_id), true_masks(track, masks)
        labels = labels_of(track, masks)
        check_annotated(masks, [frame, *(origins // labels.shape[1]).unique().tolist()])
        self.affinity = track.affinity(frame, object_id)  # (1,n,m)
        memory_labels, query_labels = labels.flatten()[origins][None], labels[frame][None]
        self.false = matches.false_matches(self.affinity, memory_labels, query_labels).total[0]  # (m,)

    def draw(self, ax, name: str, x: int, y: int) -> None:
        """The memory frame that holds most of what the cell at (x, y) looked at."""
        track, (h, w) = self.track, grid_size(self.track)
        row, column = track.cell_at(x, y)
        cell = row * w + column
        weights = self.affinity[0, : len(self.memory_frames) * h * w, cell].view(-1, h, w).numpy()  # (t,h,w)
        at = int(weights.sum((1, 2)).argmax())
        t, weight = self.memory_frames[at], weights[at]
        show_picture(ax, track.clip.frames[t], pale=True)
        glass = magnifier(ax, *middle(track, int(weight.argmax())), 11 * track.stride)
        show_picture(glass, track.clip.frames[t], pale=True)
        for view in (ax, glass):
            show_heat(view, weight, track, weight.max())
        false = "not defined, a mixed cell" if self.false[cell].isnan() else f"{self.false[cell]:.0%}"
        ax.set_title(f"{name}: {weight.sum():.0%} on frame {t} · false weight {false}", fontsize=10)
