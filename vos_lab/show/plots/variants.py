"""Experiments: which variant differs from the baseline, and how sure is that?"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ...errors import InputError
from ...training.experiment import SHOWN, interval, paired, values
from .panels import SERIES, WIDTH, caption

TITLES = {
    "J&F": "J&F",
    "false": "false weight",
    "background_as_foreground": "background as object",
    "foreground_as_background": "object as background",
    "pck": "PCK@1",
}
BETTER = {"J&F": "right", "pck": "right"}  # the side on which a variant is better; of all false weight, the left


def differences(rows: list[dict], baseline: str, measures: tuple[str, ...] = SHOWN) -> Figure:
    """What does each variant change? Its paired difference from the baseline with the 95 % interval, a panel per measure.

    rows: as `training.experiment.read_table` gives them. A marker per group of clips; a variant whose interval touches 0 is not
    known to differ.
    """
    variants = [v for v in dict.fromkeys(row["variant"] for row in rows) if v != baseline]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    if not variants or baseline not in {row["variant"] for row in rows}:
        raise InputError(f"rows need the baseline '{baseline}' and at least one other variant")
    figure, axes = plt.subplots(
        1, len(measures), figsize=(WIDTH, 1.8 + 0.14 * len(variants) * (1 + len(groups))), sharey=True, layout="constrained"
    )
    for ax, name in zip(np.atleast_1d(axes), measures):
        ax.axvline(0, color="grey", linewidth=1)
        for look, (g, group) in zip(SERIES, enumerate(groups)):
            theirs = values(rows, group, baseline, name)
            for v, variant in enumerate(variants):
                pairs = paired(values(rows, group, variant, name), theirs)
                if not pairs.size:  # no truth in these clips, or not run yet
                    continue
                mean, low, high = interval(pairs)
                y = v + (g - (len(groups) - 1) / 2) / (len(groups) + 1)
                sure = low > 0 or high < 0  # filled where the interval is clear of 0
                ax.plot([low, high], [y, y], color=look["color"], linewidth=1.5)
                face = look["color"] if sure else "white"
                label = group if v == 0 else None
                ax.plot(mean, y, look["marker"], color=look["color"], markerfacecolor=face, markersize=6, label=label)
        ax.set_title(f"{TITLES.get(name, name)}\n(better to the {BETTER.get(name, 'left')})", fontsize=10)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:+.2g}" if x else "0"))
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        ax.grid(axis="x", alpha=0.3)
    first = np.atleast_1d(axes)[0]
    first.set_yticks(range(len(variants)), variants)
    first.set_ylim(len(variants) - 0.5, -0.5)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=len(groups), frameon=False)
    seeds = [len({row["seed"] for row in rows if row["variant"] == variant}) for variant in variants]
    many = f"{min(seeds)} to {max(seeds)} seeds" if min(seeds) < max(seeds) else f"{seeds[0]} seed{'s' * (seeds[0] > 1)}"
    words = f"Difference from '{baseline}', clip by clip, {many}; bars: 95 % intervals. Filled: the interval is clear of 0."
    if min(seeds) == 1:
        words += " With one seed the interval speaks of other clips alone, not of other trainings."
    caption(figure, words)
    return figure
