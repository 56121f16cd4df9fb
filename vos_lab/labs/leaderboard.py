"""The leaderboard of lab 4: a function that chooses which cells are remembered is played on clips that it has not seen."""

import csv
import json
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..clip import Clip
from ..datasets.world import World
from ..errors import InputError
from ..memory import CellBudget
from ..metrics import evaluate
from ..models.load import load_model
from ..tracker import Tracker
from .checks import array

SIZE, LENGTH, CELLS = (64, 112), 20, 336  # 112 cells to a frame: the newest frame and room for two more
SECONDS = 20.0  # that choosing may take on one clip


def clip_of(seed: int) -> Clip:
    """Two things leave the frame and come back."""
    return World(seed, leaving=1.0, occlusion=0.0, camera=0.2, similarity=0.3).clip(LENGTH, SIZE, objects=2)


@lru_cache(maxsize=64)
def play(choose: Callable, seed: int) -> float:
    """J&F of a clip tracked with the cells that are chosen. Raises what `choose` raises; InputError for what is no choice."""
    spent = 0.0

    def checked(frames: Tensor, usage: Tensor, room: int) -> Tensor:
        nonlocal spent
        began = time.monotonic()
        output = choose(frames.clone(), usage.clone(), room)
        spent += time.monotonic() - began
        if spent > SECONDS:
            raise InputError("it took too long")
        return numbers_of(output, len(frames), room)

    clip = clip_of(seed)
    masks = Tracker(load_model("stcn-small"), CellBudget(CELLS, checked)).run(clip).masks
    return evaluate(masks, clip.masks).JF


def numbers_of(output, cells: int, room: int) -> Tensor:
    """The numbers of the cells that were chosen. Raises InputError that names the mistake."""
    numbers = array(output)
    if output is None or numbers is None or numbers.ndim != 1:
        raise InputError("wanted a row with the numbers of the cells that stay")
    if numbers.dtype.kind != "f" or (numbers != np.round(numbers)).any():
        raise InputError("these are no numbers of cells: wanted whole ones")
    if len(numbers) == cells and cells > 2 and set(numbers) <= {0.0, 1.0}:
        raise InputError("this marks each cell with true or false: wanted the numbers of those that stay")
    if len(numbers) > room:
        raise InputError("more cells were chosen than there is room for")
    if len(set(numbers)) < len(numbers):
        raise InputError("a cell was chosen twice")
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < cells:
        raise InputError("there is no cell of that number: they count from 0")
    if not len(numbers):
        raise InputError("nothing stays, although there is room")
    return torch.from_numpy(numbers).long()


def write_table(course: Path, lab: str) -> None:
    """leaderboard.csv: student, score, best first, where the lab has scores."""
    scores = []
    for path in course.glob(f"graded/{lab}/*/*.json"):
        tests = json.loads(path.read_text())["tests"].values()
        scores += [(test["score"], path.parent.name) for test in tests if test.get("score") is not None]
    if scores:
        with open(course / "leaderboard.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["place", "student", "score"])
            for place, (score, student) in enumerate(sorted(scores, reverse=True), 1):
                table.writerow([place, student, f"{score:.4f}"])
