"""Two ways to the same result, measured in turns in one process."""

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Measured:
    """One way: wall and CPU seconds of each run, least first; memory that its first run took, and what that computed."""

    wall: list[float]
    cpu: list[float]
    bytes: float = float("nan")
    flop: int = 0

    @property
    def seconds(self) -> float:
        return median(self.wall)

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        wall = sorted(self.wall)
        return (wall[3 * (len(wall) - 1) // 4] - wall[(len(wall) - 1) // 4]) / 2 / self.seconds


def in_turns(ways: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, Measured], dict[str, Any]]:
    """Each way once for its memory, operations and result, then all of them in turns; what each measured, and gave."""
    measured, results = {}, {}
    for name, way in ways.items():
        with FlopCounterMode(display=False) as counter:
            results[name], extra = with_peak(way)
        measured[name] = Measured([], [], extra, counter.get_total_flops())
    for _ in range(repeats):
        for name, way in ways.items():
            timed(way, measured[name])
    return measured, results


def timed(way: Callable[[], Any], into: Measured) -> Any:
    """Run once and add the times. CPU seconds tell the ratio on a machine that others use as well."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = way()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    into.wall.append(time.perf_counter() - wall)
    into.cpu.append(time.process_time() - cpu)
    return result


def with_peak(way: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the most bytes that were held above what was held before; nan where the system does not tell.

    On Linux the kernel keeps the peak of the resident set, to the page; a GPU's allocator keeps its own.
    """
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = way()
        return result, float(torch.cuda.max_memory_allocated() - before)
    gc.collect()
    if not (sys.platform == "linux" and CLEAR.exists()):
        return way(), float("nan")
    ctypes.CDLL(None).malloc_trim(0)  # hand back what was freed, or it would serve unseen
    CLEAR.write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    result = way()
    return result, float(resident("VmHWM") - before)


def resident(name: str) -> int:
    """Bytes, from the kernel's own count."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def peaks(device: torch.device, size: int = 2048) -> dict[str, float]:
    """What this machine can do at best: operations per second of a large matrix product, bytes per second of a large copy."""
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    x = torch.randn(2**25, device=device)
    y = torch.empty_like(x)
    low = [m.bfloat16() for m in (a, b)]
    ways = {"fp32": lambda: a @ b, "bf16": lambda: low[0] @ low[1], "copy": lambda: y.copy_(x)}
    measured, _ = in_turns(ways, 5)
    work = {"fp32": 2 * size**3, "bf16": 2 * size**3, "copy": 2 * x.nbytes}
    return {name: work[name] / min(m.wall) for name, m in measured.items()}
