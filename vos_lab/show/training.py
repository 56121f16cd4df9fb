"""A training, seen while it runs."""

import itertools
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from ..clip import Clip
from ..draw import overlay
from ..metrics import evaluate
from ..models import AnyModel
from ..tracker import Tracker


class TrainingPlot:
    """Loss, J on a clip, and the mask in its last frame, drawn anew while a training runs: `train(config, out, watch=plot)`.

    every: steps from one look at the clip to the next (each tracks it once). After training, `figure` holds the last picture.
    """

    def __init__(self, clip: Clip, every: int = 50):
        self.clip, self.every = clip, every
        self.losses: list[Sequence[float | int]] = []  # (step, value)
        self.scores: list[Sequence[float | int]] = []  # J of the clip
        self.masks = np.zeros_like(clip.known_masks)
        self.figure: Figure | None = None
        self.place = None  # where in the notebook the picture stands

    def __call__(self, record: dict[str, float | int], model: AnyModel) -> None:
        if "total" in record:
            self.losses.append((record["step"], record["total"]))
        if record["step"] >= len(self.scores) * self.every:
            self.masks = Tracker(model).run(self.clip).masks
            self.scores.append((record["step"], evaluate(self.masks, self.clip.known_masks).J["mean"]))
        self.draw()

    def draw(self) -> None:
        """The figure so far, in place of the one before."""
        from IPython.display import display

        picture = overlay(self.clip.frames[-1:], self.masks[-1:])[0]
        title = f"its last frame, at step {self.scores[-1][0]}"
        figure = training_figure(self.losses, {f"J on '{self.clip.name}'": self.scores}, picture, title)
        self.figure = figure
        if self.place is None:
            self.place = display(figure, display_id=True)
        else:
            self.place.update(figure)


def training_figure(
    losses: list[Sequence[float | int]],
    scores: dict[str, list[Sequence[float | int]]],
    picture: UInt8[np.ndarray, "H W 3"] | None,
    title: str,
) -> Figure:
    """Loss, scores and a sample frame side by side; points are (step, value). The figure is closed: it shows itself once."""
    figure, (loss, score, frame) = plt.subplots(1, 3, figsize=(12, 2.8), width_ratios=(1, 1, 1.5), layout="constrained")
    if losses:
        loss.plot(*zip(*losses), color="black")
    loss.set(xlabel="step", title="loss", ylim=(0, None))
    for (name, points), line in zip(scores.items(), itertools.cycle(("-", "--", ":"))):
        if points:
            score.plot(*zip(*points), line, color="black", marker="o", markersize=3, label=name)
    score.set(xlabel="step", title=next(iter(scores), "no score yet"), ylim=(0, 1))
    if len(scores) > 1:
        score.set_title("scores")
        score.legend(fontsize=9)
    if picture is not None:
        frame.imshow(picture)
    frame.set_title(title)
    frame.set_axis_off()
    plt.close(figure)  # or the notebook would show it once more at the end of the cell
    return figure
