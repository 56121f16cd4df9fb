"""How the cost of a read grows."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ...errors import InputError
from .panels import SERIES, WIDTH, caption

KINDS = {"memory frames": "frames in memory", "objects": "objects", "lines": "lines of the frame (16:9)"}


def read_growth(rows: list[dict]) -> Figure:
    """How do time and extra memory of a read grow with the memory, the objects and the resolution? Steepness in the legend.

    rows: dicts with kind ("memory frames", "objects" or "lines"), size, way (a name), seconds and mb (extra memory).
    """
    if not rows:
        raise InputError("rows is empty: give one dict per kind, size and way, with seconds and mb")
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    ways = list(dict.fromkeys(row["way"] for row in rows))
    figure, axes = plt.subplots(2, len(kinds), figsize=(WIDTH, 7), squeeze=False, layout="constrained", sharex="col")
    for column, kind in zip(axes.T, kinds):
        for ax, name in zip(column, ("seconds", "mb")):
            for way, look in zip(ways, SERIES):
                own = sorted(
                    (row["size"], row[name]) for row in rows if row["kind"] == kind and row["way"] == way and row[name] > 0
                )
                if own:
                    x, y = np.array(own).T
                    ax.plot(x, y, label=f"{way}: {steepness(x, y)}", **look)
            ax.set(xscale="log", yscale="log")
            ax.grid(alpha=0.3)
            ax.legend(fontsize=9)
        sizes = sorted({row["size"] for row in rows if row["kind"] == kind})
        column[1].set_xticks(sizes, [f"{size:g}" for size in sizes])
        column[1].minorticks_off()
        column[1].set_xlabel(KINDS[kind])
    axes[0, 0].set_ylabel("seconds per read")
    axes[1, 0].set_ylabel("megabytes beside the result")
    words = (
        "Both axes are logarithmic, so a power is a straight line; ^1 is proportional, ^0 flat. Look for time that grows no "
        "faster than what is remembered, and for memory that stays flat where the plain form's grows."
    )
    caption(figure, words)
    return figure


def steepness(x: np.ndarray, y: np.ndarray) -> str:
    """The power of the size by which y grows, over the last three sizes."""
    return f"^{np.polyfit(np.log(x[-3:]), np.log(y[-3:]), 1)[0]:.1f}" if len(x) > 1 else "-"
