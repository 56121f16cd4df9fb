"""Matches, right and wrong."""

from typing import Any

import matplotlib.patheffects as effects
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from ... import matches
from ...errors import InputError
from ...track import Track
from .panels import (
    BLUE,
    PURPLE,
    SERIES,
    VERMILLION,
    WIDTH,
    canvas,
    check_annotated,
    check_frames,
    middle,
    named,
    outline,
    recorded,
    show_picture,
    true_masks,
)

LINES: dict[str, dict[str, Any]] = {  # how a match is drawn
    "right": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "wrong": {"color": VERMILLION, "linestyle": "--", "marker": "X"},
    "not known": {"color": "dimgrey", "linestyle": ":", "marker": "."},
}
KINDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {  # of false matches: what is said of each, and how it is drawn
    "background_as_foreground": ("background looks at an object", VERMILLION, "/////", {"linestyle": "-", "marker": "o"}),
    "foreground_as_background": ("an object looks at background", BLUE, "\\\\\\\\\\", {"linestyle": "--", "marker": "s"}),
    "wrong_instance": ("an object looks at another object", PURPLE, "xxxxx", {"linestyle": "-.", "marker": "^"}),
}
LEAST = 0.05  # of false weight: cells with less are not drawn


def correspondences(
    track: Track,
    frame: int,
    memory_frame: int | None = None,
    pixels: list[tuple[int, int]] | None = None,
    *,
    by: str | None = None,
    count: int = 24,
    object_id: int | None = None,
    masks: UInt8[np.ndarray, "T H W"] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Where do cells of `frame` find their best match in one memory frame? Lines from here (left) to there (right).

    track: from run(clip, record=True). memory_frame: the one that got most of the weight unless given. pixels: (x, y) in the
    cells that ask; unless given, about `count` cells spread over background and objects. by: what makes a match right, "place"
    (at most one cell off; needs clip.truth, and is the rule where that is there) or "label" (the same object). masks: the true
    ones; the clip's unless given.
    """
    there = track.memory_frames(frame, object_id)
    clip, masks = recorded(track), true_masks(track, masks)
    labels = matches.track_labels(track, masks)  # (T,m)
    m = labels.shape[1]
    if memory_frame is None:
        weights = track.affinity(frame, object_id)[0, : len(there) * m].view(len(there), m, m).sum((1, 2))
        memory_frame = there[int(weights.argmax())]
    if memory_frame not in there:
        raise InputError(f"memory_frame={memory_frame} was not in memory when frame {frame} was read: choose of {there}")
    by = by or ("label" if clip.truth is None else "place")
    if by not in JUDGES:
        raise InputError(f"by='{by}' is unknown: choose 'place' or 'label'")
    if by == "place" and clip.truth is None:
        raise InputError("by='place' needs clip.truth, which rendered clips have: choose by='label'")
    check_annotated(masks, [frame, memory_frame])
    if count < 1:
        raise InputError(f"count={count} draws nothing: give 1 or more")
    cells = spread_over(labels[frame], count) if pixels is None else cells_at(track, pixels)
    at = there.index(memory_frame)
    best = track.logits(frame, object_id)[0, at * m : (at + 1) * m, cells].argmax(0)  # (cells,)
    says, judge = JUDGES[by]
    verdicts = judge(track, labels, frame, memory_frame, cells, best)

    height, width = clip.size
    right = width + width // 20  # where the second picture begins
    words = (
        "Solid lines are right, dashed ones wrong, dotted ones cannot be judged; black: the true outlines. Look where dashed "
        "lines end: on something that looks the same?"
    )
    figure, ax = canvas(ax, (WIDTH, WIDTH * height / (right + width) + 1.2), words)
    both = np.full((height, right + width, 3), 255, dtype=np.uint8)
    both[:, :width], both[:, right:] = clip.frames[frame], clip.frames[memory_frame]
    show_picture(ax, both)
    outline(ax, masks[frame])
    outline(ax, masks[memory_frame], right=right)
    halo = [effects.Stroke(linewidth=4, foreground="white"), effects.Normal()]
    for cell, match, verdict in zip(cells, best.tolist(), verdicts):
        (x0, y0), (x1, y1) = middle(track, cell), middle(track, match)
        ax.plot([x0, x1 + right], [y0, y1], linewidth=2, markersize=6, path_effects=halo, **LINES[verdict])
    counts = {verdict: verdicts.count(verdict) for verdict in LINES if verdict in verdicts}
    judged = counts.get("right", 0) + counts.get("wrong", 0)
    title = f"frame {frame} (left) looks at frame {memory_frame} (right)"
    ax.set_title(f"{title}: {counts.get('right', 0)} of {judged} matches are {says}")
    handles = [Line2D([], [], label=f"{verdict} ({number})", **LINES[verdict]) for verdict, number in counts.items()]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False, handlelength=4)
    return figure


def cells_at(track: Track, pixels: list[tuple[int, int]]) -> list[int]:
    """The cells that hold these pixels, as numbers row by row."""
    if not pixels:
        raise InputError("pixels is empty: name at least one (x, y)")
    w = track.grid[1]
    return [row * w + column for row, column in (track.cell_at(x, y) for x, y in pixels)]


def spread_over(labels: Int64[Tensor, "m"], count: int) -> list[int]:
    """About `count` cells, as many of the background as of each object, evenly spaced among those of each."""
    ids = labels[labels >= 0].unique().tolist()
    chosen = []
    for i in ids:
        cells = (labels == i).nonzero()[:, 0].tolist()
        share = min(len(cells), -(-count // len(ids)))
        chosen += [cells[int((k + 0.5) * len(cells) / share)] for k in range(share)]
    return chosen


def judged_by_place(
    track: Track, labels: Int64[Tensor, "T m"], frame: int, other: int, cells: list[int], best: Int64[Tensor, "n"]
) -> list[str]:
    """Right where the match is at most one cell from the true place; not known where the other frame does not show that."""
    centres = matches.cell_centres(track)  # (m,2)
    places, visible = recorded(track).truth.follow(centres[cells].numpy(), frame, other)
    near = (centres[best] - torch.from_numpy(places)).norm(dim=1) <= track.stride
    return ["not known" if not seen else "right" if good else "wrong" for seen, good in zip(visible, near.tolist())]


def judged_by_label(
    track: Track, labels: Int64[Tensor, "T m"], frame: int, other: int, cells: list[int], best: Int64[Tensor, "n"]
) -> list[str]:
    """Right where the match lies on the same object; not known where one of the two cells is mixed."""
    pairs = zip(labels[frame, cells].tolist(), labels[other, best].tolist())
    return ["not known" if min(here, there) < 0 else "right" if here == there else "wrong" for here, there in pairs]


JUDGES = {"place": ("at the true place", judged_by_place), "label": ("on the same object", judged_by_label)}


def false_weight(
    track: Track,
    frame: int,
    masks: UInt8[np.ndarray, "T H W"],
    object_id: int | None,
    affinity: Float[Tensor, "1 n m"] | None = None,
) -> matches.FalseMatches:
    """The false matches of one frame, judged by the true masks of it and of all that it remembers."""
    origins, labels = track.origins(frame, object_id), matches.track_labels(track, masks)  # (n,), (T,m)
    check_annotated(masks, [frame, *(origins // labels.shape[1]).unique().tolist()])
    affinity = track.affinity(frame, object_id) if affinity is None else affinity
    return matches.false_matches(affinity, labels.flatten()[origins][None], labels[frame][None])


def false_match_map(
    track: Track,
    frame: int,
    masks: UInt8[np.ndarray, "T H W"] | None = None,
    *,
    object_id: int | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Which cells of `frame` look at what they are not? Each false kind has a colour and a hatch, the stronger the more weight.

    track: from run(clip, record=True). masks: the true ones; the clip's unless given. object_id: whose memory, where objects
    appeared at different times.
    """
    clip, masks = recorded(track), true_masks(track, masks)
    found = false_weight(track, frame, masks, object_id)
    height, width = clip.size
    words = (
        f"Marked: cells with {LEAST:.0%} or more of their weight on another label, fuller colour for more; black: the true "
        "outlines. Look for patches: single cells at an outline do little harm, a patch becomes a wrong mask."
    )
    figure, ax = canvas(ax, (9, 9 * height / width + 1.5), words)
    show_picture(ax, clip.frames[frame], pale=True)
    outline(ax, masks[frame])
    legend, side = [], track.stride
    for kind, (name, colour, hatch, _) in KINDS.items():
        weight = getattr(found, kind)[0].nan_to_num(0)  # (m,)
        cells = (weight >= LEAST).nonzero()[:, 0].tolist()
        corners = [(x - side / 2, y - side / 2) for x, y in (middle(track, cell) for cell in cells)]
        fill = [to_rgba(colour, 0.25 + 0.65 * weight[cell].item()) for cell in cells]
        squares = [Rectangle(corner, side, side) for corner in corners]
        ax.add_collection(PatchCollection(squares, facecolor=fill, edgecolor="black", linewidth=0, hatch=hatch))
        label = f"{name}: {len(cells)} cells"
        legend.append(Patch(facecolor=to_rgba(colour, 0.9), edgecolor="black", linewidth=0, hatch=hatch, label=label))
    ax.legend(handles=legend, loc="upper left", bbox_to_anchor=(0, 0), frameon=False)
    ax.set_title(f"false matches in frame {frame}: {found.total.nanmean():.1%} of all weight")
    return figure


def false_match_timeline(
    track: Track,
    masks: UInt8[np.ndarray, "T H W"] | None = None,
    frames: list[int] | None = None,
    *,
    object_id: int | None = None,
    ax: Axes | None = None,
) -> Figure:
    """How much weight is false in each frame? A line per kind, the mean over the cells that can make that fault.

    track: from run(clip, record=True). masks: the true ones; the clip's unless given. frames: all that read memory unless
    given. object_id: whose memory, where objects appeared at different times.
    """
    masks = true_masks(track, masks)
    frames = list(track.memory) if frames is None else frames
    check_frames(frames, list(track.memory))
    found = {t: matches.track_matches(track, masks, [t], object_id) for t in frames}
    words = (
        "The first line counts over cells of the background, the others over cells of objects; at grey lines a new frame is "
        "read for the first time. Look for the frame where a line begins to rise: do the masks break there, earlier, or later?"
    )
    figure, ax = canvas(ax, (WIDTH, 4), words)
    for kind, (name, colour, _, look) in KINDS.items():
        ax.plot(frames, [getattr(found[t], kind) for t in frames], color=colour, label=name, markersize=5, **look)
    for t in frames:
        if t - 1 in track.memory and set(track.memory_frames(t, object_id)) - set(track.memory_frames(t - 1, object_id)):
            ax.axvline(t, color="grey", linewidth=1, linestyle=":", zorder=0)
    ax.set(xlabel="frame", ylabel="share of weight", ylim=(0, None), title=f"false weight in '{track.name}'")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend()
    return figure


def reliability(
    tracks: Track | dict[str, Track], frames: list[int] | None = None, *, bins: int = 10, ax: Axes | None = None
) -> Figure:
    """Is a confident match a right one? The share of right matches for each confidence; on the diagonal, both are equal.

    tracks: one, or several by name, recorded, of rendered clips (clip.truth). frames: all that read memory unless given. A
    match is right at most one cell off; its confidence is the weight on it and the 8 cells around it (`matches.match_errors`).
    """
    if bins < 1:
        raise InputError(f"bins={bins} holds nothing: give 1 or more")
    words = (
        "Below the diagonal a model is surer than it is right. Larger marks stand for more matches. Look for a line that stays "
        "far below the diagonal on the right: confident and wrong."
    )
    figure, ax = canvas(ax, (7, 6.4), words)
    ax.plot([0, 1], [0, 1], color="grey", linewidth=1, label="as sure as it is right")
    for (name, track), look in zip(named(tracks).items(), SERIES):
        truth = recorded(track).truth
        if truth is None:
            raise InputError(f"the clip of track '{name}' has no truth: give a track of a rendered clip, as vl.World().clip()")
        asked = list(track.memory) if frames is None else frames
        check_frames(asked, list(track.memory))
        errors = [matches.match_errors(track, truth, t) for t in asked]
        found = matches.calibration(errors, track.stride, bins)
        some = found.cells > 0
        x, y, count = found.confidence[some], found.correct[some], found.cells[some]
        ax.plot(x, y, color=look["color"], linestyle=look["linestyle"])
        label = f"{name}: off by {found.error:.2f} on average"
        ax.scatter(x, y, s=20 + 300 * count / count.sum(), color=look["color"], marker=look["marker"], label=label)
    ax.set(xlabel="confidence: weight on the best match and around it", ylabel="share of right matches")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title="confidence and correctness")
    ax.legend(loc="upper left")
    ax.grid(alpha=0.3)
    return figure
