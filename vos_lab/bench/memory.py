"""What remembering costs and gives: policies over long videos, as `vos-lab bench memory` measures them."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import nn

from ..atomic import whole_file
from ..clip import Clip
from ..errors import InputError
from ..memory import EveryNth, Fifo, FirstAndLast, LongTerm, Policy
from ..metrics import contour_accuracy, region_similarity
from ..progress import progress
from ..tracker import Tracker

LENGTHS = (50, 100, 200, 500, 1000, 2000, 5000)  # frames after which a row is written
BOUNDED = {
    "Fifo(5)": Fifo(5, every=5),
    "FirstAndLast": FirstAndLast(),
    "LongTerm": LongTerm(every=5, min_working=3, max_working=6),
}
GROWING = {"EveryNth(1)": EveryNth(1)}
FIELDS = ("policy", "length", "accuracy", "ms", "bytes", "working", "long_term", "age", "resident")


def forth_and_back(clip: Clip, length: int) -> Iterator[int]:
    """Frame numbers 0, 1, ..., last, ..., 1, 0, 1, ...: a short clip as a long one, without a cut in it."""
    period = max(1, 2 * len(clip) - 2)
    for t in range(length):
        place = t % period
        yield place if place < len(clip) else period - place


def run_policy(model: nn.Module, policy: Policy, clip: Clip, lengths: tuple[int, ...], name: str) -> list[dict]:
    """Track the clip forth and back; a row at each of these lengths (frames).

    accuracy: mean J&F of all frames so far · ms: mean per frame since the row before, F not counted · bytes and cells of the
    bank, age: mean of its cells, in frames · resident: bytes of the whole process.
    """
    ids = [int(i) for i in clip.object_ids]
    if clip.masks is None or not ids or set(np.unique(clip.masks[0])) - {0} != set(ids):
        raise InputError(f"clip '{clip.name}' must show all its objects, with masks, in its first frame")
    tracker = Tracker(model, policy)
    images = clip.images()
    rows, scores, seconds, before = [], [], 0.0, 0
    for t, place in enumerate(progress(forth_and_back(clip, max(lengths)), desc=name, total=max(lengths), unit="frame")):
        began = time.perf_counter()
        if t == 0:
            given = torch.from_numpy(np.stack([clip.masks[0] == i for i in ids])).float()
            prob = tracker.start(images[0], given, ids)
        else:
            prob = tracker.step(images[place])
        found = prob.max(0).indices.cpu().numpy()
        seconds += time.perf_counter() - began
        if t:
            scores.append(np.mean([frame_score(clip.masks[place] == i, found == 1 + n) for n, i in enumerate(ids)]))
        if t + 1 in lengths:
            bank = tracker.groups[0].bank
            cells = bank.cells
            frames_of = bank.content("origin") // (cells["working"] // len(bank.slots))  # of each cell
            age = t - frames_of.float().mean().item()
            row = dict(policy=name, length=t + 1, accuracy=float(np.mean(scores)), ms=1000 * seconds / (t + 1 - before))
            held = dict(bytes=bank.bytes, working=cells["working"], long_term=cells["long-term"], age=age)
            rows.append({**row, **held, "resident": psutil.Process().memory_info().rss})
            seconds, before = 0.0, t + 1
    return rows


def frame_score(truth: np.ndarray, found: np.ndarray) -> float:
    """J&F of one object in one frame."""
    return float(region_similarity(truth[None], found[None])[0] + contour_accuracy(truth[None], found[None])[0]) / 2


def bench_memory(model: nn.Module, clip: Clip, length: int, growing: int, out: Path) -> list[dict]:
    """All policies on this clip: rows to OUT/memory.csv, policy by policy, and the figure to OUT/memory.png.

    length: frames for the policies whose memory is bounded; growing: for the one that remembers every frame.
    """
    table = out / "memory.csv"
    rows = read_rows(table) if table.exists() else []
    for policies, most in ((BOUNDED, length), (GROWING, growing)):
        lengths = tuple(sorted({*(n for n in LENGTHS if n < most), most}))
        for name, policy in policies.items():
            if name not in [row["policy"] for row in rows]:
                rows += run_policy(model, policy, clip, lengths, name)
                write_rows(table, rows)
    from ..show.plots import policy_costs

    with whole_file(out / "memory.png") as draft:
        policy_costs(rows).savefig(draft, dpi=100)
    return rows


def write_rows(path: Path, rows: list[dict]) -> None:
    with whole_file(path) as draft:
        with open(draft, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows({name: f"{x:.4f}" if isinstance(x, float) else x for name, x in row.items()} for row in rows)


def read_rows(path: Path) -> list[dict]:
    """The rows of such a table, numbers as numbers."""
    with open(path, newline="", encoding="utf-8") as file:
        return [{name: x if name == "policy" else float(x) for name, x in row.items()} for row in csv.DictReader(file)]
