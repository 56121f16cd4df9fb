"""What a run reports: lines of JSON that a notebook can plot while it runs, and the same for TensorBoard."""

import json
import time
from pathlib import Path
from typing import NamedTuple

from ..atomic import whole_file


class Log:
    """out/log.jsonl and out/tensorboard. Records beyond step `done`, which a killed run wrote after its last checkpoint, go."""

    def __init__(self, out: Path, done: int, state: dict | None = None, active: bool = True):
        self.path, self.active = out / "log.jsonl", active
        self.sums, self.count = (dict(state["sums"]), state["count"]) if state else ({}, 0)
        if not active:
            return
        from torch.utils.tensorboard import SummaryWriter

        kept = [line for line in read_log(out) if line["step"] <= done]
        with whole_file(self.path) as draft:
            draft.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self.board = SummaryWriter(str(out / "tensorboard"), purge_step=done + 1)

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error) -> None:
        if self.active:
            self.board.close()

    def state(self) -> dict:
        """The losses since the last record, for a checkpoint."""
        return {"sums": self.sums, "count": self.count}

    def add(self, losses: dict[str, float]) -> None:
        """The losses of one step; what is written is their mean."""
        self.sums = {name: self.sums.get(name, 0.0) + x for name, x in losses.items()}
        self.count += 1

    def write(self, step: int, **values: float | int) -> dict[str, float | int]:
        """One record: the step, the mean losses since the last record, and these values."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        digits = lambda x: x if isinstance(x, int) else float(f"{x:.6g}")
        record = {"step": step, **{name: digits(x) for name, x in {**means, **values}.items()}}
        if self.active:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            for name, x in record.items():
                self.board.add_scalar(name, x, step)
            self.board.flush()
        return record


def read_log(out: str | Path) -> list[dict[str, float | int]]:
    """The records of a run so far; a last line that is still being written is left out."""
    path, records = Path(out) / "log.jsonl", []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return records


class Tail:
    """Reads a run's log as it grows, from another process as well: a look costs a stat, and the new lines alone are read."""

    def __init__(self, out: str | Path):
        self.path, self.records = Path(out) / "log.jsonl", []
        self._file, self._read = None, 0  # which file it was, and how many bytes of it are read

    def look(self) -> bool:
        """Take in what is new; whether there was anything. A run that went on rewrites its log: then all is read anew."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False
        if now.st_ino != self._file or now.st_size < self._read:
            self._file, self._read, self.records = now.st_ino, 0, []
        if now.st_size == self._read:
            return False
        with open(self.path, "rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]  # the last line may still be being written
        lines = [line for line in whole.split(b"\n") if line]
        self._read += len(whole) + 1 if whole else 0
        self.records += map(json.loads, lines)
        return bool(lines)


class Progress(NamedTuple):
    """Where a run is. state: waiting, running, stalled or ended · left: seconds, where it is running and that can be told."""

    state: str
    step: int
    steps: int
    seconds_per_step: float | None
    left: float | None
    silent: float  # seconds since the run last wrote anything

    def __str__(self) -> str:
        at = f"step {self.step} of {self.steps}"
        if self.state == "waiting":
            return "Waiting for the run to write its first losses (clips are rendered before the first step)."
        if self.state == "ended":
            return f"Ended: all {self.steps} steps are done."
        if self.state == "stalled":
            return (
                f"Stalled or stopped at {at}: nothing new for {duration(self.silent)}. "
                "The same command goes on from the last checkpoint."
            )
        if self.left is None:
            return f"Running: {at}."
        return f"Running: {at}, about {duration(self.left)} left ({self.seconds_per_step:.2g} s per step)."


def progress_of(out: str | Path, records: list[dict], steps: int, now: float | None = None) -> Progress:
    """Where the run in the folder `out` is, by its records and by when its files were last written."""
    out, now = Path(out), time.time() if now is None else now
    written = [path.stat().st_mtime for path in out.glob("*") if path.is_file()]
    silent = now - max(written, default=now)
    timed = [(record["step"], record["seconds"]) for record in records if "seconds" in record][-6:]
    if not timed:
        return Progress("waiting" if silent < 1800 else "stalled", 0, steps, None, None, silent)
    step = records[-1]["step"]
    (first, began), (last, ended) = timed[0], timed[-1]
    pace = (ended - began) / (last - first) if last > first else None
    if step >= steps:
        return Progress("ended", step, steps, pace, 0.0, silent)
    gap = timed[-1][1] - timed[-2][1] if len(timed) > 1 else ended
    state = "running" if silent < max(60.0, 5 * gap) else "stalled"  # a validation may take some records' time
    left = max(0.0, pace * (steps - step) - silent) if pace is not None and state == "running" else None
    return Progress(state, step, steps, pace, left, silent)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
