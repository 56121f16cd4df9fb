"""What to remember: policies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from ..errors import InputError
from .bank import MemoryBank


@runtime_checkable
class Policy(Protocol):
    """Decides what to remember. One that has a method `forget(bank, staying)` as well decides how the others are forgotten."""

    def keep(self, frames: list[int]) -> list[int]:
        """Given the remembered frames, oldest first, and the new frame at the end: those that stay."""


@dataclass(frozen=True)
class EveryNth:
    """Remember the first frame, and all whose number is a multiple of n, for ever (STCN: n = 5). With include_last also the
    previous frame."""

    every: int = 5
    include_last: bool = False

    def __post_init__(self) -> None:
        at_least_one(every=self.every)

    def keep(self, frames: list[int]) -> list[int]:
        first, new = frames[0], frames[-1]
        return [f for f in frames if f == first or f % self.every == 0 or (self.include_last and f == new)]


@dataclass(frozen=True)
class Fifo:
    """A queue of fixed length: every n-th frame enters, the oldest leaves, the first frame too."""

    size: int = 5
    every: int = 1

    def __post_init__(self) -> None:
        at_least_one(size=self.size, every=self.every)

    def keep(self, frames: list[int]) -> list[int]:
        first, new = frames[0], frames[-1]
        queue = frames if new == first or new % self.every == 0 else frames[:-1]
        return queue[-self.size :]


@dataclass(frozen=True)
class FirstAndLast:
    """Remember the first frame, whose mask is given, and the previous one."""

    def keep(self, frames: list[int]) -> list[int]:
        return sorted({frames[0], frames[-1]})


@dataclass(frozen=True)
class LongTerm:
    """XMem's policy (Cheng and Schwing 2022): memory that does not grow, and that forgets little.

    Every n-th frame enters working memory. When it holds max_working frames, the first and the last min_working - 1 stay; of
    the others, the `prototypes` cells that were used most are kept as long-term memory, each with the values of all that is
    like it. Long-term memory holds at most max_long_term cells: those least used go.
    """

    every: int = 5
    min_working: int = 5
    max_working: int = 10
    prototypes: int = 128
    max_long_term: int = 10_000

    def __post_init__(self) -> None:
        at_least_one(every=self.every, prototypes=self.prototypes)
        if not 2 <= self.min_working < self.max_working:
            raise InputError(
                f"min_working={self.min_working}, max_working={self.max_working}: wanted 2 or more, and fewer than max_working"
            )
        if self.max_long_term < self.prototypes:
            raise InputError(f"max_long_term={self.max_long_term} must hold at least prototypes={self.prototypes} cells")

    def keep(self, frames: list[int]) -> list[int]:
        *before, new = frames
        if before and new - before[-1] < self.every:
            return before
        return frames if len(frames) < self.max_working else [frames[0], *frames[1 - self.min_working :]]

    def forget(self, bank: MemoryBank, staying: list[int]) -> None:
        """What leaves working memory is consolidated first."""
        leaving = [frame for frame in bank.frames if frame not in staying]
        if leaving:
            bank.evict(self.max_long_term - self.prototypes)
            bank.consolidate(leaving, self.prototypes)
        bank.keep(staying)


@dataclass(frozen=True)
class CellBudget:
    """Remember single cells, never more than `cells`, those of the newest frame among them.

    choose(frames, usage, room) -> the numbers of the cells that stay, at most `room`. frames (n): the frame that each comes
    from · usage (n): the affinity it was given, per read. Raises InputError where it chooses too many or what is not there.
    """

    cells: int
    choose: Callable

    def keep(self, frames: list[int]) -> list[int]:
        return frames[-1:]

    def forget(self, bank: MemoryBank, staying: list[int]) -> None:
        if not bank.slots:  # nothing is remembered yet
            return
        per_frame = bank.cells["working"] // len(bank.slots)
        origin, room = bank.content("origin"), self.cells - per_frame
        if room < 0:
            raise InputError(f"cells={self.cells} do not hold a frame, which has {per_frame}: give more, or smaller frames")
        chosen = torch.as_tensor(self.choose(origin // per_frame, bank.content("usage") / bank.content("reads"), room))
        if len(chosen) > room or len(chosen.unique()) < len(chosen):
            raise InputError(f"{len(chosen)} cells were chosen: choose at most {room}, each once")
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(origin):
            raise InputError(
                f"cells {chosen.min()} to {chosen.max()} were chosen: they have the numbers 0 to {len(origin) - 1}"
            )
        bank.keep_cells(chosen.long())


def at_least_one(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise InputError(f"{name}={number} remembers nothing: give 1 or more")
