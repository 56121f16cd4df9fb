"""What a read costs as memory, objects and frames grow: `vos-lab bench growth`."""

from collections.abc import Iterator
from pathlib import Path

import torch

from .. import memory
from ..atomic import whole_file
from ..progress import progress
from ..table import read_table, write_table
from .measure import in_turns
from .plain import plain_read
from .speed import read_data

GROWTH = ("kind", "size", "way", "seconds", "mb")


def growth_points(device: torch.device, largest: float) -> Iterator[tuple[str, float, tuple, dict]]:
    """What grows, how far, and the data: memory frames, objects, lines of the frame; one object of 64 channels, 4 frames."""
    narrow = {"objects": 1, "channels": 64}
    for frames in (1, 2, 5, 10, 20, 50, 100):
        if frames <= largest:
            yield "memory frames", frames, read_data(frames, device, **narrow)
    for objects in (1, 2, 5, 10):
        if objects <= largest:
            yield "objects", objects, read_data(4, device, objects=objects, channels=64)
    for side in (240, 480, 720, 1080):
        if side <= 10.8 * largest:
            grid = side // 16, -(-side * 16 // 9 // 16)
            yield "lines", side, read_data(4, device, grid=grid, **narrow)


def bench_growth(repeats: int, out: Path, largest: int = 100) -> list[dict]:
    """How time and extra memory of a read grow: rows to OUT/growth.csv, and OUT/growth.png. Plain: up to 20 memory frames."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lines = []
    ways = {
        "plain, full": (plain_read, None),
        "full": (memory.read, None),
        "plain, top-k": (plain_read, 20),
        "top-k": (memory.read, 20),
    }
    for kind, size, data in progress(growth_points(device, largest), desc="growth", unit="point"):
        runs = {
            name: lambda way=way, top_k=top_k, data=data: way(*data, top_k=top_k)
            for name, (way, top_k) in ways.items()
            if way is memory.read or data[0].shape[2] * data[1].shape[2] < 6e7
        }
        with torch.no_grad():
            measured, results = in_turns(runs, repeats)
        for name, m in measured.items():
            extra = (m.bytes - results[name].nbytes) / 1e6
            lines.append({"kind": kind, "size": size, "way": name, "seconds": m.seconds, "mb": extra})
        write_table(out / "growth.csv", GROWTH, lines, digits=5)
    return draw_growth(out)


def draw_growth(out: Path) -> list[dict]:
    """OUT/growth.png from OUT/growth.csv."""
    from ..show.plots import read_growth

    lines = [
        {**line, **{name: float(line[name]) for name in ("size", "seconds", "mb")}} for line in read_table(out / "growth.csv")
    ]
    with whole_file(out / "growth.png") as draft:
        read_growth(lines).savefig(draft, dpi=100)
    return lines
