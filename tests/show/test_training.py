"""The picture of a training that runs."""

import numpy as np
import pytest

from vos_lab import Clip, InputError, World, load_model
from vos_lab.show import TrainingPlot


@pytest.fixture
def shown(monkeypatch):
    """What would stand in the notebook: a list of the figures, each of which replaced the one before."""
    figures = []

    class Place:
        def update(self, figure):
            figures.append(figure)

    monkeypatch.setattr("IPython.display.display", lambda figure, display_id: figures.append(figure) or Place())
    return figures


def test_it_draws_the_losses_so_far_and_scores_the_clip_now_and_then(shown):
    clip = World(seed=1).clip(4, (64, 96), objects=1)
    plot, model = TrainingPlot(clip, every=20), load_model("colour")
    for step in range(10, 60, 10):
        plot({"step": step, "total": 1 / step}, model)
    plot({"step": 50, "J&F world": 0.5}, model)
    assert [step for step, _ in plot.losses] == [10, 20, 30, 40, 50]
    assert [step for step, _ in plot.scores] == [10, 20, 40]
    assert len(shown) == 6 and plot.figure is shown[-1]
    line = plot.figure.axes[0].lines[0]
    assert np.allclose(line.get_ydata(), [1 / step for step in range(10, 60, 10)])
    assert plot.figure.axes[1].lines[0].get_xdata().tolist() == [10, 20, 40]


def test_a_clip_without_masks_is_refused_before_the_training_begins():
    clip = World(seed=1).clip(4, (64, 96), objects=1)
    with pytest.raises(InputError, match="has no masks"):
        TrainingPlot(Clip(clip.frames))
