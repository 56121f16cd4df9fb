"""Numbers over time: scores, costs, losses."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...clip import Clip
from ...draw import colour_of, overlay
from ...errors import InputError
from ...metrics import Scores, evaluate
from ...track import Track
from ...training.log import read_log
from .panels import SERIES, WIDTH, caption, named, show_picture

COSTS = {"accuracy": "J&F", "ms": "milliseconds per frame", "bytes": "megabytes of memory"}


def scores_over_time(clip: Clip, tracks: Track | dict[str, Track]) -> Figure:
    """When does a mask break? J and F of each object in each frame, and the frame with the lowest mean J: found and true.

    tracks: one, or several by name; of several, a line for the mean over the objects of each, and the worst frame of the first.
    """
    if clip.masks is None:
        raise InputError(f"clip '{clip.name}' has no masks to score against: give it true masks")
    tracks = named(tracks)
    scores = {name: evaluate(track.masks, clip.masks) for name, track in tracks.items()}
    first, track = next(iter(tracks.items()))
    j = mean_over_objects(scores[first].j)
    worst = int(np.nanargmin(j))
    size = (WIDTH, 5.6)
    figure, axes = plt.subplot_mosaic(
        [["J", "found"], ["F", "true"]], figsize=size, width_ratios=(1.7, 1), layout="constrained"
    )
    for label, values, look in lines_of(scores):
        for measure in "JF":
            axes[measure].plot(values[measure], label=label, **look)
    for measure, title in (("J", "J: region (1 is perfect)"), ("F", "F: contour (1 is perfect)")):
        axes[measure].axvline(worst, color="black", linewidth=1)
        axes[measure].set(ylim=(0, 1.02), xlim=(0, len(clip) - 1), title=title)
        axes[measure].grid(alpha=0.3)
    axes["F"].set_xlabel("frame")
    axes["J"].legend(loc="lower left")
    for name, masks in (("found", track.masks), ("true", clip.masks)):
        show_picture(axes[name], overlay(clip.frames[worst : worst + 1], masks[worst : worst + 1])[0])
    axes["found"].set_title(f"frame {worst}, the worst{f' of {first}' * (len(tracks) > 1)}: J {j[worst]:.2f}")
    axes["true"].set_title(f"frame {worst}, true masks")
    words = (
        "The upright line marks the worst frame, shown on the right. Look for lines that fall and do not come back: drift. J "
        "that stays high while F falls is a frayed outline."
    )
    caption(figure, words)
    return figure


def lines_of(scores: dict[str, Scores]) -> list[tuple[str, dict[str, np.ndarray], dict]]:
    """Label, J and F over frames, and looks: of each object of one track in its colour, or of each track its objects' mean."""
    if len(scores) > 1:
        means = ({"J": mean_over_objects(one.j), "F": mean_over_objects(one.f)} for one in scores.values())
        return list(zip(scores, means, SERIES))
    (only,) = scores.values()
    rows = zip(only.object_ids, only.j, only.f, SERIES)
    return [(f"object {i}", {"J": j, "F": f}, {**look, "color": np.divide(colour_of(i), 255)}) for i, j, f, look in rows]


def mean_over_objects(values: np.ndarray) -> np.ndarray:
    """The mean of (k,T) over those that are scored; nan in frames where none is."""
    scored = ~np.isnan(values)
    return np.where(scored.any(0), np.nansum(values, 0) / np.maximum(scored.sum(0), 1), np.nan)


def policy_costs(rows: list[dict]) -> Figure:
    """What does a longer memory buy, and cost? Accuracy, time and memory over the length of the clip, a line per policy.

    rows: dicts with policy (a name), length (frames), accuracy (J&F), ms (per frame) and bytes (of memory).
    """
    wanted = ("policy", "length", *COSTS)
    if not rows:
        raise InputError(f"rows is empty: give one dict per policy and length, with {', '.join(wanted)}")
    for row in rows:
        if missing := [name for name in wanted if name not in row]:
            raise InputError(f"a row lacks {', '.join(missing)}: each needs {', '.join(wanted)}")
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 4), layout="constrained")
    for policy, look in zip(dict.fromkeys(row["policy"] for row in rows), SERIES):
        own = sorted((row for row in rows if row["policy"] == policy), key=lambda row: row["length"])
        for ax, name in zip(axes, COSTS):
            unit = 1e6 if name == "bytes" else 1
            ax.plot([row["length"] for row in own], [row[name] / unit for row in own], label=policy, **look)
    for ax, title in zip(axes, COSTS.values()):
        ax.set(xlabel="length of the clip in frames", title=title)
        ax.grid(alpha=0.3)
    axes[0].set_ylim(None, 1)
    for ax in axes[1:]:
        ax.set_ylim(0, None)
    axes[0].legend()
    caption(figure, "Look for a policy whose accuracy stays while its time and memory stay flat: it can go on for ever.")
    return figure


def training_curves(runs: str | Path | dict[str, str | Path], names: list[str] | None = None) -> Figure:
    """How did training go? A panel per quantity of the log, a line per run.

    runs: the folder of one run, or of several by name. names: what of the log to show; the total loss and all validation
    scores unless given.
    """
    if not isinstance(runs, dict):
        runs = {Path(runs).name: runs}
    if not runs:
        raise InputError("runs is empty: give the folder of a run, or several by name")
    logs = {name: read_log(out) for name, out in runs.items()}
    for name, records in logs.items():
        if not records:
            raise InputError(f"{Path(runs[name])} holds no log of a training: give the folder that `train` wrote to")
    there = list(dict.fromkeys(name for records in logs.values() for record in records for name in record if name != "step"))
    names = [name for name in there if name == "total" or name.startswith("J&F")] if names is None else names
    if not names:
        raise InputError(f"names is empty: choose of {', '.join(there)}")
    if unknown := [name for name in names if name not in there]:
        raise InputError(f"the logs hold no {', '.join(unknown)}: choose of {', '.join(there)}")
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 3.6 * rows), squeeze=False, sharex=True, layout="constrained")
    for ax, name in zip(axes.flat, names):
        for (run, records), look in zip(logs.items(), SERIES):
            own = [(record["step"], record[name]) for record in records if name in record]
            if own:
                steps, values = map(np.array, zip(*own))
                draw_curve(ax, steps, values, run, look)
        ax.set(xlabel="step", title="loss (total)" if name == "total" else name)
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    axes[0, 0].legend()
    words = (
        "Thin: as logged; thick: its running mean. Look whether validation still rises while the loss falls; where it does "
        "not, the run learns its samples by heart."
    )
    caption(figure, words)
    return figure


def draw_curve(ax: Axes, steps: np.ndarray, values: np.ndarray, label: str, look: dict, window: int = 9) -> None:
    """Many points as a thin line with its running mean; a few with a mark each."""
    if len(values) < 3 * window:
        ax.plot(steps, values, label=label, **look)
        return
    ax.plot(steps, values, color=look["color"], linewidth=0.8, alpha=0.4)
    mean = np.convolve(values, np.ones(window) / window, "valid")  # only where all `window` values are there
    middles = steps[window // 2 : len(steps) - window // 2]
    ax.plot(middles, mean, label=label, color=look["color"], linestyle=look["linestyle"], linewidth=2)
