"""What remembering costs and gives: policies over long videos, as `vos-lab bench memory` measures them."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch

from ..atomic import whole_file
from ..clip import Clip
from ..errors import InputError
from ..memory import EveryNth, Fifo, FirstAndLast, Policy
from ..metrics import frame_score
from ..models import AnyModel
from ..models.presets import LONG
from ..progress import progress
from ..table import read_table, write_table
from ..tracker import Tracker

LENGTHS = (50, 100, 200, 500, 1000, 2000, 5000)  # frames after which a row is written
BOUNDED = {
    "Fifo(5)": Fifo(5, every=5),
    "FirstAndLast": FirstAndLast(),
    "LongTerm": LONG,
}
GROWING = {"EveryNth(1)": EveryNth(1)}
FIELDS = ("policy", "length", "accuracy", "ms", "bytes", "working", "long_term", "age", "resident")


def forth_and_back(clip: Clip, length: int) -> Iterator[int]:
    """Frame numbers 0, 1, ..., last, ..., 1, 0, 1, ...: a short clip as a long one, without a cut in it."""
    period = max(1, 2 * len(clip) - 2)
    for t in range(length):
        place = t % period
        yield place if place < len(clip) else period - place


def run_policy(model: AnyModel, policy: Policy, clip: Clip, lengths: tuple[int, ...], name: str) -> list[dict]:
    """Track the clip forth and back; a row at each of these lengths (frames).

    accuracy: mean J&F of all frames so far · ms: processor time, all threads, mean per frame since the row before, F not
    counted · bytes and cells of the bank, age: mean of its cells, in frames · resident: bytes of the whole process.
    """
    ids = [int(i) for i in clip.object_ids]
    if clip.masks is None or not ids or set(np.unique(clip.masks[0])) - {0} != set(ids):
        raise InputError(f"clip '{clip.name}' must show all its objects, with masks, in its first frame")
    tracker = Tracker(model, policy)
    images = clip.images()
    rows, scores, seconds, before = [], [], 0.0, 0
    for t, place in enumerate(progress(forth_and_back(clip, max(lengths)), desc=name, total=max(lengths), unit="frame")):
        began = time.process_time()  # of this process alone: other programs do not count
        if t == 0:
            given = torch.from_numpy(np.stack([clip.masks[0] == i for i in ids])).float()
            prob = tracker.start(images[0], given, ids)
        else:
            prob = tracker.step(images[place])
        found = prob.max(0).indices.cpu().numpy()
        seconds += time.process_time() - began
        if t:
            numbers = np.arange(1, 1 + len(ids))[:, None, None]
            truth = clip.masks[place] == np.array(ids)[:, None, None]
            scores.append(frame_score(truth, found == numbers))
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


def bench_memory(model: AnyModel, clip: Clip, length: int, growing: int, out: Path) -> list[dict]:
    """All policies on this clip: rows to OUT/memory.csv, policy by policy, and the figure to OUT/memory.png.

    length: frames for the policies whose memory is bounded; growing: for the one that remembers every frame.
    """
    table = out / "memory.csv"
    rows = read_rows(table)
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
    write_table(path, FIELDS, rows, digits=4)


def read_rows(path: Path) -> list[dict]:
    """The rows of such a table, numbers as numbers."""
    number = lambda x: int(x) if x.isdigit() else float(x)
    return [{name: x if name == "policy" else number(x) for name, x in row.items()} for row in read_table(path)]
