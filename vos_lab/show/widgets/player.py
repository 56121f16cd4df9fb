"""TrackPlayer: a clip with what a tracker found in it, played, and its scores to click on."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import traitlets
from jaxtyping import Float, UInt8
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...clip import Clip
from ...draw import colour_of, overlay
from ...errors import InputError
from ...masks import object_ids
from ...metrics import Scores, evaluate
from ...track import Track
from .base import Widget, jpeg, packed

LIMIT = 20_000_000  # bytes that the player sends at most, about
# of the first object, the second, and so on, round and round; timeline.js has the same
DASHES = ("solid", (0, (6, 3)), (0, (2, 2)), (0, (8, 2, 2, 2)))
Masks = UInt8[np.ndarray, "T H W"]


class TrackPlayer(Widget, script="player.js", needs=("masks.js", "timeline.js")):
    """Play a clip with the masks of one track, or of two side by side; below, J and F of each frame where the truth is known.

    `TrackPlayer(track)` plays a track from run(clip, record=True); `TrackPlayer(clip)` shows the clip's own masks. names: a
    title per track. `frame` is the frame that is shown; it can be set. Above about 20 MB only every n-th frame is sent, and
    the widget says so. Raises InputError for tracks that do not fit the clip.
    """

    about = traitlets.Unicode().tag(sync=True)
    size = traitlets.Tuple().tag(sync=True)  # (H, W)
    fps = traitlets.Float().tag(sync=True)
    length = traitlets.Int().tag(sync=True)  # how many frames the clip has
    shown = traitlets.List().tag(sync=True)  # the numbers of the frames that are sent
    frames = traitlets.List().tag(sync=True)  # of each of these a JPEG
    tracks = traitlets.List().tag(sync=True)  # of each track: name, ids, masks (packed), J and F (per id; None: not scored)
    note = traitlets.Unicode().tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)

    def __init__(self, clip: Clip | Track, *tracks: Track | Clip, names: Sequence[str] = ()):
        if isinstance(clip, Track):
            clip, tracks = clip_of(clip), (clip, *tracks)
        self.clip, self.masks = clip, [masks_for(clip, track) for track in tracks or (clip,)]
        self.scores = [scores_or_none(masks, clip) if tracks else None for masks in self.masks]
        self.names = list(names) or default_names(len(tracks))
        if len(tracks) > 2 or len(self.names) != len(self.masks):
            raise InputError(
                f"got {len(tracks)} tracks and {len(self.names)} names: give one track or two, to be seen side by side, "
                "and no names or one for each"
            )
        shown, note = thinned_out(clip, self.masks, self.scores)
        if tracks and not any(self.scores):
            note = f"{note} There are no scores, since the true masks of later frames are not known.".strip()
        super().__init__(
            about=("The first frame shows the masks that were given. " if tracks else "")
            + "Does the colour stay on its object? Play the clip"
            + (", or click on a curve, which says how well each frame was found." if any(self.scores) else "."),
            size=clip.size,
            fps=float(clip.fps),
            length=len(clip),
            shown=shown,
            frames=[jpeg(clip.frames[t]) for t in shown],
            tracks=[as_sent(*parts, shown) for parts in zip(self.names, self.masks, self.scores)],
            note=note,
            frame=shown[0],
        )

    @property
    def payload(self) -> int:
        """How many bytes the frames and masks take that are sent."""
        return sum(map(len, self.frames)) + sum(len(mask) for track in self.tracks for mask in track["masks"])

    def twin(self) -> Figure:
        """Of each track four frames, the worst among them, and J of all frames."""
        rows = len(self.masks)
        tall = 3 * self.clip.size[0] / self.clip.size[1]  # inches of a frame that is a quarter of 12 inches wide
        figure, axes = plt.subplots(
            2 * rows, 4, figsize=(12, rows * (tall + 2.4)), height_ratios=[tall, 2] * rows, squeeze=False, layout="constrained"
        )
        for row, (name, masks, scores) in enumerate(zip(self.names, self.masks, self.scores)):
            worst = worst_frame(scores.j) if scores else None
            times = np.linspace(0, len(self.clip) - 1, 4).round().astype(int)
            if worst is not None:
                times[np.abs(times - worst)[1:].argmin() + 1] = worst
            for ax, t in zip(axes[2 * row], times):
                ax.imshow(overlay(self.clip.frames[t : t + 1], masks[t : t + 1])[0])
                ax.set_title(f"frame {t}" + (": the worst" if t == worst else ""))
                ax.set_axis_off()
            grid = axes[2 * row + 1, 0].get_gridspec()
            for ax in axes[2 * row + 1]:
                ax.remove()
            if scores:
                draw_curves(figure.add_subplot(grid[2 * row + 1, :]), name, scores, worst)
        return figure


def clip_of(track: Track) -> Clip:
    """The clip that a track was recorded on."""
    if track.clip is None:
        raise InputError(
            "this track does not know its clip: give both, TrackPlayer(clip, track), or run the tracker with record=True"
        )
    return track.clip


def masks_for(clip: Clip, track: Track | Clip) -> Masks:
    """What a track found (or a clip holds), which must have the frames of the clip."""
    masks = getattr(track, "masks", None)
    if masks is None:
        raise InputError("there are no masks to play: give a track from Tracker(model).run(clip), or a clip with masks")
    if masks.shape != clip.frames.shape[:3]:
        raise InputError(
            f"the track's masks are {masks.shape} but the clip is {clip.frames.shape[:3]} (frames, height, width): "
            "give the clip that was tracked"
        )
    return masks


def default_names(tracks: int) -> list[str]:
    return [["the clip's own masks"], ["found by the tracker"], ["first track", "second track"]][min(tracks, 2)]


def scores_or_none(masks: Masks, clip: Clip) -> Scores | None:
    """J and F of each frame, or None where too little of the truth is known for that."""
    try:
        return None if clip.masks is None else evaluate(masks, clip.masks)
    except InputError:
        return None


def worst_frame(scores: Float[np.ndarray, "k T"]) -> int:
    """The frame whose mean over objects is lowest."""
    known = ~np.isnan(scores)
    means = np.where(known, scores, 0).sum(0) / np.maximum(known.sum(0), 1)
    return int(np.where(known.any(0), means, np.inf).argmin())


def thinned_out(clip: Clip, masks: list[Masks], scores: list[Scores | None]) -> tuple[list[int], str]:
    """The frames that fit into LIMIT, the worst ones always among them, and a sentence where that is not all."""
    sample = np.unique(np.linspace(0, len(clip) - 1, 16).round().astype(int))
    weight = np.mean([len(jpeg(clip.frames[t])) + sum(len(packed(each[t])) for each in masks) for t in sample]) * len(clip)
    step = math.ceil(weight / LIMIT)
    if step == 1:
        return list(range(len(clip))), ""
    worst = {worst_frame(values) for each in scores if each for values in (each.j, each.f)}
    note = f"One frame in {step} is shown, and the worst: all {len(clip)} would be {weight / 1e6:.0f} MB, too much for a page."
    return sorted({*range(0, len(clip), step), *worst}), note


def as_sent(name: str, masks: Masks, scores: Scores | None, shown: list[int]) -> dict:
    """A track as player.js expects it."""
    curve = lambda values: [[None if math.isnan(x) else round(float(x), 4) for x in row[shown]] for row in values]
    return {
        "name": name,
        "ids": list(scores.object_ids) if scores else object_ids(masks).tolist(),
        "masks": [packed(masks[t]) for t in shown],
        "J": curve(scores.j) if scores else [],
        "F": curve(scores.f) if scores else [],
    }


def draw_curves(ax: Axes, name: str, scores: Scores, worst: int) -> None:
    """J of each object over the frames, with the worst frame marked."""
    rim = [patheffects.withStroke(linewidth=3.6, foreground="black")]  # so that yellow can be read on white
    for n, (k, j) in enumerate(zip(scores.object_ids, scores.j)):
        colour = np.array(colour_of(k)) / 255
        label = f"object {k}: mean {np.nanmean(j):.2f}" if not np.isnan(j).all() else f"object {k}"
        ax.plot(j, color=colour, linestyle=DASHES[n % 4], linewidth=2, path_effects=rim, label=label)
    ax.axvline(worst, color="black", linewidth=1)
    ax.annotate(f"worst: frame {worst}", (worst, 0.03), (6, 0), textcoords="offset points")
    ax.set(title=f"{name}: J of each frame", xlabel="frame", ylim=(0, 1.02), xlim=(0, scores.j.shape[1] - 1))
    ax.legend(loc="lower left", bbox_to_anchor=(1, 0))
