"""Tables of numbers as CSV, written whole or not at all."""

import csv
from collections.abc import Sequence
from pathlib import Path

from .atomic import whole_file


def write_table(path: Path, fields: Sequence[str], rows: list[dict], digits: int | None = None) -> None:
    """One line per row. digits: after the point of each float; all of them unless given."""
    shown = lambda x: f"{x:.{digits}f}" if isinstance(x, float) and digits is not None else x
    with whole_file(path) as draft:
        with open(draft, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields)
            writer.writeheader()
            writer.writerows({name: shown(x) for name, x in row.items()} for row in rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows as they stand there, everything a string; none where there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
