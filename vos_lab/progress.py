"""One look for all progress bars: what, how far, how fast, how long still."""

from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], desc: str, unit: str, total: int | None = None) -> Iterable[Item]:
    """tqdm with an ETA, in a notebook or a terminal; short work shows nothing, and a finished bar leaves no line."""
    from tqdm.auto import tqdm

    return tqdm(items, desc=desc, unit=unit, total=total, leave=False, delay=1)
