"""Pictures that answer a question: plots (matplotlib) and widgets (anywidget). Each loads when first used."""

from ..lazy import lazy
from .plots import __all__ as PLOTS

HOMES = {
    **dict.fromkeys(PLOTS, "plots"),
    "TrainingPlot": "training",
    "AffinityExplorer": "widgets.explorer",
    "FalseMatchAtlas": "widgets.atlas",
    "MemorySurgery": "widgets.surgery",
    "MaskPainter": "widgets.painter",
    "TrackPlayer": "widgets.player",
    "TrainingMonitor": "widgets.monitor",
    "export": "page",
}

__getattr__, __dir__, __all__ = lazy(__name__, HOMES, ("plots",))
