"""A training, seen while it runs."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import nn

from ..clip import Clip
from ..draw import overlay
from ..metrics import evaluate
from ..tracker import Tracker


class TrainingPlot:
    """Loss, J on a clip, and the mask in its last frame, drawn anew while a training runs: `train(config, out, watch=plot)`.

    every: steps from one look at the clip to the next (each tracks it once). After training, `figure` holds the last picture.
    """

    def __init__(self, clip: Clip, every: int = 50):
        self.clip, self.every = clip, every
        self.losses: list[tuple[int, float]] = []
        self.scores: list[tuple[int, float]] = []  # J of the clip
        self.masks = np.zeros_like(clip.masks)
        self.figure: Figure | None = None
        self.place = None  # where in the notebook the picture stands

    def __call__(self, record: dict[str, float | int], model: nn.Module) -> None:
        if "total" in record:
            self.losses.append((record["step"], record["total"]))
        if record["step"] >= len(self.scores) * self.every:
            self.masks = Tracker(model).run(self.clip).masks
            self.scores.append((record["step"], evaluate(self.masks, self.clip.masks).J["mean"]))
        self.draw()

    def draw(self) -> None:
        """The figure so far, in place of the one before."""
        from IPython.display import display

        figure, (loss, score, frame) = plt.subplots(1, 3, figsize=(12, 2.8), width_ratios=(1, 1, 1.5), layout="constrained")
        loss.plot(*zip(*self.losses), color="black")
        loss.set(xlabel="step", title="loss", ylim=(0, None))
        score.plot(*zip(*self.scores), color="black", marker="o", markersize=3)
        score.set(xlabel="step", title=f"J on '{self.clip.name}'", ylim=(0, 1))
        frame.imshow(overlay(self.clip.frames[-1:], self.masks[-1:])[0])
        frame.set_title(f"its last frame, at step {self.scores[-1][0]}")
        frame.set_axis_off()
        plt.close(figure)  # or the notebook would show it once more at the end of the cell
        self.figure = figure
        if self.place is None:
            self.place = display(figure, display_id=True)
        else:
            self.place.update(figure)
