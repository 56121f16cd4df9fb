"""Pictures that answer a question."""

from .plots import affinity_of_pixel
from .training import TrainingPlot

__all__ = ["TrainingPlot", "affinity_of_pixel"]
