"""Memory: the one idea of this kit.

    affinity = softmax over memory of a similarity between keys;  readout = values weighted by it

A frame has h*w cells. `m` counts the query cells of the current frame, `n` the memory cells of all remembered frames. Every
model, loss, plot and lab calls these functions; nobody writes the formula a second time.
"""

from .bank import MemoryBank
from .motion import MotionPrior
from .policies import CellBudget, EveryNth, Fifo, FirstAndLast, LongTerm, Policy
from .reading import Kind, affinity, best_cells, read, similarity

__all__ = [
    "CellBudget",
    "EveryNth",
    "Fifo",
    "FirstAndLast",
    "Kind",
    "LongTerm",
    "MemoryBank",
    "MotionPrior",
    "Policy",
    "affinity",
    "best_cells",
    "read",
    "similarity",
]
