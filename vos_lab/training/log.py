"""What a run reports: lines of JSON that a notebook can plot while it runs, and the same for TensorBoard."""

import json
from pathlib import Path

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
        record = {"step": step, **{name: round(x, 6) for name, x in {**means, **values}.items()}}
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
