"""The figure of an experiment shows the differences that the table holds."""

import matplotlib
import pytest
from matplotlib import pyplot as plt

from vos_lab import InputError, show
from vos_lab.training.experiment import MEASURES, interval, paired, values

matplotlib.use("Agg")


def rows():
    """Two groups, three clips, two seeds; 'better' is 0.1 above in all clips, 'same' is now above and now below."""
    found = []
    for seed in (0, 1):
        for group in ("world", "real"):
            for clip in range(3):
                base = 0.5 + 0.1 * clip + 0.01 * seed
                wobble = 0.03 * (-1) ** (clip + seed)
                for variant, value in (("masks", base), ("better", base + 0.1 + 0.1 * wobble), ("same", base + wobble)):
                    pck = float("nan") if group == "real" else value
                    row = dict.fromkeys(MEASURES, value) | {"pck": pck}
                    found.append({"variant": variant, "seed": seed, "group": group, "clip": f"{group}-{clip}", **row})
    return found


def test_a_marker_stands_at_the_mean_and_is_filled_where_the_interval_is_clear_of_zero():
    figure = show.differences(rows(), "masks", ("J&F", "pck"))
    jf, pck = figure.axes
    markers = [line for line in jf.lines if line.get_marker() in "os" and len(line.get_xdata()) == 1]
    filled = {round(line.get_xdata()[0], 4): line.get_markerfacecolor() != "white" for line in markers}
    ours, theirs = (values(rows(), "world", variant, "J&F") for variant in ("better", "masks"))
    mean, low, high = interval(paired(ours, theirs))
    assert low > 0 and filled[round(mean, 4)]
    assert len(markers) == 4 and sum(line.get_markerfacecolor() != "white" for line in markers) == 2
    assert len([line for line in pck.lines if len(line.get_xdata()) == 1]) == 2  # real clips have no truth
    assert "2 seeds" in figure._supxlabel.get_text()
    assert jf.yaxis_inverted() and [text.get_text() for text in jf.get_yticklabels()] == ["better", "same"]
    plt.close(figure)


def test_without_a_baseline_there_is_nothing_to_compare():
    with pytest.raises(InputError, match="need the baseline 'none'"):
        show.differences(rows(), "none")
    with pytest.raises(InputError, match="at least one other variant"):
        show.differences([row for row in rows() if row["variant"] == "masks"], "masks")
