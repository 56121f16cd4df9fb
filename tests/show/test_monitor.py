"""A training seen from its folder, without a browser."""

import json
import os
import threading
import time

import matplotlib
import pytest
import torch

import vos_lab as vl
from vos_lab.models.presets import build
from vos_lab.show import TrainingMonitor
from vos_lab.training import load_config
from vos_lab.training.log import Tail, progress_of, read_log

matplotlib.use("Agg")


def write(folder, *records, mode="a", end="\n"):
    with open(folder / "log.jsonl", mode) as file:
        file.write("".join(json.dumps(record) + "\n" for record in records[:-1]) + json.dumps(records[-1]) + end)


def record(step, seconds=None):
    return {"step": step, "total": 1 / step, "lr": 1e-3, "seconds": step * 0.5 if seconds is None else seconds}


@pytest.fixture
def run(tmp_path):
    config = load_config("stcn-tiny", ["stages.0.steps=60", "stages.1.steps=40"])
    config.save(tmp_path / "config.yaml")
    return tmp_path


def test_the_tail_reads_what_read_log_reads_line_by_line(run):
    tail = Tail(run)
    assert not tail.look() and tail.records == []
    write(run, record(10), record(20), end="")
    assert tail.look() and [r["step"] for r in tail.records] == [10]  # the last line is still being written
    assert not tail.look()
    with open(run / "log.jsonl", "a") as file:
        file.write("\n")
    assert tail.look() and tail.records == read_log(run)
    new = run / "new"
    new.write_text(json.dumps(record(10)) + "\n" + json.dumps(record(15)) + "\n")
    new.replace(run / "log.jsonl")  # as a run does that goes on
    assert tail.look() and [r["step"] for r in tail.records] == [10, 15]


def test_it_says_in_words_how_the_run_is(run):
    monitor = TrainingMonitor(run)
    assert monitor.state == "waiting" and monitor.words.startswith("Waiting")
    write(run, record(10), record(20), record(30), {"step": 30, "J&F world": 0.25})
    now = monitor.look()
    assert (now.state, now.step, now.steps) == ("running", 30, 100) and now.left == pytest.approx(35, abs=2)
    assert "step 30 of 100, about 3" in monitor.words and "(0.5 s per step)" in monitor.words
    assert monitor.losses == [[10, 0.1], [20, 0.05], [30, 1 / 30]] and monitor.scores == {"J&F world": [[30, 0.25]]}
    later = time.time() + 300
    assert progress_of(run, monitor.tail.records, 100, now=later).state == "stalled"
    assert "nothing new for 5 minutes" in str(progress_of(run, monitor.tail.records, 100, now=later))
    write(run, record(100))
    assert monitor.look().state == "ended" and monitor.words == "Ended: all 100 steps are done."
    matplotlib.pyplot.close(monitor.twin())
    monitor.close()


def test_it_looks_only_while_open_and_leaves_no_thread(run):
    before = threading.active_count()
    monitor = TrainingMonitor(run, every=0.02)
    write(run, record(10))
    assert monitor.losses == [] and threading.active_count() == before
    monitor._asked(None, {"ask": "open"}, [])
    for _ in range(200):
        if monitor.losses:
            break
        time.sleep(0.02)
    assert monitor.losses == [[10, 0.1]] and threading.active_count() == before + 1
    monitor._asked(None, {"ask": "leave"}, [])
    assert threading.active_count() == before
    monitor.watch()
    monitor.close()
    assert threading.active_count() == before


def test_the_sample_is_of_the_newest_weights(run):
    clip = vl.World(seed=1).clip(4, (64, 96), objects=1)
    monitor = TrainingMonitor(run, clip)
    monitor.draw_sample()
    monitor.wait()
    assert "no weights yet" in monitor.sample["words"]
    torch.manual_seed(0)
    model = build("stcn-tiny")
    state = {f"module.{name}": x for name, x in model.state_dict().items()} | {"n_averaged": torch.tensor(1)}
    torch.save({"step": 20, "average": state, "rollout": {}}, run / "checkpoint.pt")
    monitor.draw_sample()
    monitor.wait()
    own = vl.evaluate(vl.Tracker(model.eval()).run(clip).masks, clip.masks).JF
    assert monitor.sample["words"].startswith(f"step 20: J&F {own:.2f}") and monitor.sample["picture"][:2] == b"\xff\xd8"
    torch.save(
        {"step": 30, "average": None, "rollout": {f"model.{k}": x for k, x in model.state_dict().items()}},
        run / "checkpoint.pt",
    )
    monitor.draw_sample()
    monitor.wait()
    assert monitor.sample["words"].startswith("step 30")
    monitor.close()


def test_long_logs_are_drawn_with_few_points(run):
    write(run, *(record(step) for step in range(1, 3001)))
    monitor = TrainingMonitor(run)
    assert 300 <= len(monitor.losses) <= 400 and os.path.getsize(run / "log.jsonl") > 1e5
    with pytest.raises(vl.InputError, match="is a file: give the folder"):
        TrainingMonitor(run / "log.jsonl")
