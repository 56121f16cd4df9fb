"""Matches, right and wrong."""

import matplotlib.patheffects as effects
import numpy as np
import torch
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from ... import matches
from ...errors import InputError
from ...tracker import Track
from .panels import (
    BLUE,
    PURPLE,
    SERIES,
    VERMILLION,
    WIDTH,
    canvas,
    check_annotated,
    check_frames,
    grid_size,
    labels_of,
    middle,
    named,
    recorded,
    show_picture,
    true_masks,
)

LINES = {  # how a match is drawn
    "right": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "wrong": {"color": VERMILLION, "linestyle": "--", "marker": "X"},
    "not known": {"color": "dimgrey", "linestyle": ":", "marker": "."},
}
KINDS = {  # of false matches: what is said of each, and how it is drawn
    "background_as_foreground": ("background looks at an object", VERMILLION, "///", {"linestyle": "-", "marker": "o"}),
    "foreground_as_background": ("an object looks at background", BLUE, "\\\\\\", {"linestyle": "--", "marker": "s"}),
    "wrong_instance": ("an object looks at another object", PURPLE, "xxx", {"linestyle": "-.", "marker": "^"}),
}
VISIBLE = 0.05  # of false weight, from which a cell is drawn


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

    track: from run(clip, record=True). memory_frame: the oldest unless given. pixels: (x, y) in the cells that ask; unless given,
    `count` cells spread over background and objects. by: what makes a match right, "place" (at most one cell from the true place;
    needs a rendered clip) or "label" (on the same object); "place" where it can be. masks: the true ones; the clip's unless given.
    """
    there = track.memory_frames(frame, object_id)
    clip, memory_frame = recorded(track), there[0] if memory_frame is None else memory_frame
    if memory_frame not in there:
        raise InputError(f"memory_frame={memory_frame} was not in memory when frame {frame} was read: choose of {there}")
    by = by or ("place" if clip.truth is not None else "label")
    if by not in ("place", "label"):
        raise InputError(f"by='{by}' is unknown: choose 'place' or 'label'")
    if by == "place" and clip.truth is None:
        raise InputError("by='place' needs clip.truth, which rendered clips have: choose by='label'")
    masks = true_masks(track, masks)
    check_annotated(masks, [frame, memory_frame])
    labels = labels_of(track, masks)
    cells = spread_over(labels[frame], count) if pixels is None else cells_at(track, pixels)
    if not cells:
        raise InputError("there is no cell to draw from: name some pixels")
    m, at = labels.shape[1], there.index(memory_frame)
    best = track.similarity(frame, object_id)[0, at * m : (at + 1) * m, cells].argmax(0)  # (cells,)
    judge = judged_by_place if by == "place" else judged_by_label
    verdicts = judge(track, labels, frame, memory_frame, cells, best)

    height, width = clip.size
    gap = width // 20
    words = "Solid lines are right, dashed ones wrong, dotted ones cannot be judged. Look for dashed lines that end on a thing of the same looks."
    figure, ax = canvas(ax, (WIDTH, WIDTH * height / (2 * width + gap) + 1.1), words)
    side_by_side = np.full((height, 2 * width + gap, 3), 255, dtype=np.uint8)
    side_by_side[:, :width], side_by_side[:, -width:] = clip.frames[frame], clip.frames[memory_frame]
    show_picture(ax, side_by_side)
    halo = [effects.Stroke(linewidth=3.5, foreground="white"), effects.Normal()]
    for cell, match, verdict in zip(cells, best.tolist(), verdicts):
        (x0, y0), (x1, y1) = middle(track, cell), middle(track, match)
        ax.plot(
            [x0, x1 + width + gap], [y0, y1], linewidth=1.5, markersize=6, path_effects=halo, label=verdict, **LINES[verdict]
        )
    says = {"place": "at the true place", "label": "on the same object"}[by]
    counts = {verdict: verdicts.count(verdict) for verdict in LINES}
    ax.set_title(
        f"frame {frame} (left) looks at frame {memory_frame} (right): {counts['right']} of {counts['right'] + counts['wrong']} "
        f"matches are {says}"
    )
    first = {verdict: ax.lines[verdicts.index(verdict)] for verdict in LINES if counts[verdict]}
    names = [f"{verdict} ({counts[verdict]})" for verdict in first]
    ax.legend(list(first.values()), names, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False, handlelength=4)
    return figure


def cells_at(track: Track, pixels: list[tuple[int, int]]) -> list[int]:
    """The cells that hold these pixels, as numbers row by row."""
    w = grid_size(track)[1]
    return [row * w + column for row, column in (track.cell_at(x, y) for x, y in pixels)]


def spread_over(labels: Tensor, count: int) -> list[int]:
    """About `count` cells, as many of the background as of each object, evenly spaced among those of each."""
    ids = labels[labels >= 0].unique().tolist()
    chosen = []
    for i in ids:
        cells = np.flatnonzero(labels.numpy() == i)
        share = min(len(cells), -(-count // len(ids)))
        chosen += cells[((np.arange(share) + 0.5) * len(cells) / share).astype(int)].tolist()
    return chosen


def judged_by_place(track: Track, labels: Tensor, frame: int, other: int, cells: list[int], best: Tensor) -> list[str]:
    """Right where the match is at most one cell from the true place; not known where the other frame does not show that."""
    centres = matches.cell_centres(track)
    places, visible = track.clip.truth.follow(centres[cells].numpy(), frame, other)
    near = (centres[best] - torch.from_numpy(places)).norm(dim=1) <= track.stride
    return ["not known" if not seen else "right" if good else "wrong" for seen, good in zip(visible, near.tolist())]


def judged_by_label(track: Track, labels: Tensor, frame: int, other: int, cells: list[int], best: Tensor) -> list[str]:
    """Right where the match lies on the same object; not known where one of the two cells is mixed."""
    pairs = zip(labels[frame, cells].tolist(), labels[other, best].tolist())
    return ["not known" if min(here, there) < 0 else "right" if here == there else "wrong" for here, there in pairs]


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
    origins, clip = track.origins(frame, object_id), recorded(track)
    masks = true_masks(track, masks)
    labels = labels_of(track, masks)
    m = labels.shape[1]
    check_annotated(masks, [frame, *(origins // m).unique().tolist()])
    found = matches.false_matches(track.affinity(frame, object_id), labels.flatten()[origins][None], labels[frame][None])
    height, width = clip.size
    words = (
        f"Marked: cells with more than {VISIBLE:.0%} of their weight on the wrong label; the fuller the colour, the more. Look for "
        "patches: single cells at an outline do little harm, a patch on a look-alike becomes a wrong mask."
    )
    figure, ax = canvas(ax, (9, 9 * height / width + 1.4), words)
    show_picture(ax, clip.frames[frame], pale=True)
    legend, half = [], track.stride / 2
    for kind, (name, colour, hatch, _) in KINDS.items():
        weight = getattr(found, kind)[0].nan_to_num(0)  # (m,)
        cells = (weight > VISIBLE).nonzero()[:, 0].tolist()
        squares = [Rectangle((x - half, y - half), track.stride, track.stride) for x, y in (middle(track, c) for c in cells)]
        fill = [(*rgb(colour), 0.25 + 0.65 * float(weight[c])) for c in cells]
        ax.add_collection(PatchCollection(squares, facecolor=fill, edgecolor="black", linewidth=0, hatch=hatch, label=kind))
        legend.append(Patch(facecolor=colour, edgecolor="black", linewidth=0, hatch=hatch, label=f"{name}: {len(cells)} cells"))
    ax.legend(handles=legend, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False)
    ax.set_title(f"false matches in frame {frame}: {found.total.nanmean():.1%} of all weight")
    return figure


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def false_match_timeline(
    track: Track,
    masks: UInt8[np.ndarray, "T H W"] | None = None,
    frames: list[int] | None = None,
    *,
    object_id: int | None = None,
    ax: Axes | None = None,
) -> Figure:
    """How much weight is false in each frame? A line per kind, the mean over the cells that can make that fault.

    track: from run(clip, record=True). masks: the true ones; the clip's unless given. frames: all that read memory unless given.
    """
    masks = true_masks(track, masks)
    frames = list(track.memory) if frames is None else frames
    check_frames(frames, list(track.memory))
    found = {frame: matches.track_matches(track, masks, [frame], object_id) for frame in frames}
    words = (
        "The first line counts over background cells, the others over cells of objects. Look for the frame where a line begins to rise, "
        "and compare it with the frame in which the mask breaks: the matches go first."
    )
    figure, ax = canvas(ax, (WIDTH, 4), words)
    for kind, (name, colour, _, look) in KINDS.items():
        ax.plot(frames, [getattr(found[t], kind) for t in frames], color=colour, label=name, markersize=5, **look)
    ax.set(xlabel="frame", ylabel="share of weight", ylim=(0, None), title=f"false weight in '{track.name}'")
    ax.yaxis.set_major_formatter("{x:.1%}")
    ax.legend()
    ax.grid(alpha=0.3)
    return figure


def reliability(
    tracks: Track | dict[str, Track], frames: list[int] | None = None, *, bins: int = 10, ax: Axes | None = None
) -> Figure:
    """Is a confident match a right one? The share of right matches for each confidence; on the diagonal, both are equal.

    tracks: one, or several by name, recorded, of rendered clips (clip.truth). frames: all that read memory unless given. A match
    is right at most one cell from the true place; its confidence is the weight on it and the 8 cells around it
    (`matches.match_errors`).
    """
    if bins < 1:
        raise InputError(f"bins={bins} holds nothing: give 1 or more")
    words = (
        "Below the diagonal a model is surer than it is right. Larger marks stand for more matches. Look for a line that stays far below the "
        "diagonal on the right: confident and wrong."
    )
    figure, ax = canvas(ax, (7, 6.2), words)
    ax.plot([0, 1], [0, 1], color="grey", linewidth=1, label="as sure as it is right")
    for (name, track), look in zip(named(tracks).items(), SERIES):
        if recorded(track).truth is None:
            raise InputError(
                f"the clip of track '{name}' has no truth: reliability needs a rendered clip, as vl.World().clip()"
            )
        asked = list(track.memory) if frames is None else frames
        check_frames(asked, list(track.memory))
        found = matches.calibration([matches.match_errors(track, track.clip.truth, t) for t in asked], track.stride, bins)
        some = found.count > 0
        x, y, count = found.confidence[some], found.correct[some], found.count[some]
        label = f"{name}: off by {found.error:.2f} on average"
        ax.plot(x, y, **{**look, "marker": ""})
        ax.scatter(x, y, s=20 + 300 * count / count.sum(), color=look["color"], marker=look["marker"], label=label)
    ax.set(
        xlabel="confidence: weight on the best match and around it", ylabel="share of right matches", xlim=(0, 1), ylim=(0, 1)
    )
    ax.set(title="confidence and correctness", aspect="equal")
    ax.legend(loc="upper left")
    ax.grid(alpha=0.3)
    return figure
