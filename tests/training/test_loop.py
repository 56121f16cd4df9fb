"""The loop: it learns, survives what happens to long runs, and does the same on two processes as on one."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from vos_lab import InputError, Tracker, evaluate, load_model
from vos_lab.models.presets import build
from vos_lab.training import checkpoint
from vos_lab.training.config import load_config
from vos_lab.training.log import read_log
from vos_lab.training.loop import learning_rate, train
from vos_lab.training.rollout import Rollout
from vos_lab.training.validation import validation_clips

FIRST = "{data: {photos: 1}, steps: 6, batch: 4, size: 64}"
SECOND = "{data: {photos: 1}, steps: 6, batch: 2, frames: 4, size: 64, objects: 1}"
SMALL = ["rendered={photos: 4}", "rendered_length=6", "rendered_size=48", "validation_worlds=0", "validation_clips=[]"]
SHORT = ["init=random", f"stages=[{FIRST}, {SECOND}]", *SMALL, "log_every=3", "checkpoint_every=2"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


DRAWN = "temporal=0.2"  # a loss that draws random numbers of its own: views and anchors


def tiny(*overrides):
    return load_config("stcn-tiny", [*SHORT, "workers=0", *overrides])


def command(out, *overrides, config="stcn-small", launcher=()):
    return [sys.executable, *launcher, "-m", "vos_lab.training", "train", config, *SHORT, *overrides, "--out", str(out)]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without_times(out):
    return [{name: x for name, x in line.items() if name != "seconds"} for line in read_log(out)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The shipped config of stcn-small, with its own workers, precision and averaging, on a few small samples."""
    out = tmp_path_factory.mktemp("run") / "undisturbed"
    subprocess.run(command(out, DRAWN), check=True, capture_output=True)
    return out


def killed_and_resumed(out, at_steps):
    """kill -9 when the log reaches each of these steps, then the same command again until it ends."""
    for step in at_steps:
        run = subprocess.Popen(command(out, DRAWN), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while run.poll() is None and max((line["step"] for line in read_log(out)), default=0) < step:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    subprocess.run(command(out, DRAWN), check=True, capture_output=True)


def test_a_killed_run_ends_with_the_very_same_weights(undisturbed, tmp_path):
    out = tmp_path / "killed"
    killed_and_resumed(out, [3, 9])
    for name in ("stcn-small.safetensors", "checkpoint.pt"):
        assert (out / name).is_file()
    assert same(load_file(undisturbed / "stcn-small.safetensors"), load_file(out / "stcn-small.safetensors"))
    one, other = (checkpoint.load(run / "checkpoint.pt") for run in (undisturbed, out))
    assert same(one["rollout"], other["rollout"]) and same(one["average"], other["average"])
    assert without_times(undisturbed) == without_times(out)  # and the log has no line twice


@pytest.mark.long
def test_kills_at_any_moment(undisturbed, tmp_path):
    """A hundred kills at random times, in the middle of steps and of writing."""
    import random

    began = time.monotonic()
    subprocess.run(command(tmp_path / "timed", DRAWN), check=True, capture_output=True)
    whole = time.monotonic() - began
    moments = random.Random(0)
    truth = load_file(undisturbed / "stcn-small.safetensors")
    kills = 0
    for attempt in range(1000):
        out = tmp_path / f"run-{attempt}"
        while not (out / "stcn-small.json").exists():
            again = command(out, DRAWN, "checkpoint_every=1")
            run = subprocess.Popen(again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                run.wait(timeout=whole * moments.uniform(0.3, 1.3))
                assert run.returncode == 0
                whole *= 0.95  # as many ends as kills, however busy the machine is by now
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
                kills += 1
                whole *= 1.05
        assert same(truth, load_file(out / "stcn-small.safetensors"))
        if kills >= 100:
            break


def test_the_result_is_what_the_command_says(undisturbed):
    facts = json.loads((undisturbed / "stcn-small.json").read_text())
    assert facts["steps"] == 12 and facts["samples"] == 6 * 4 + 6 * 2 and facts["parameters"] < 3_000_000
    assert load_config(undisturbed / "config.yaml") == load_config("stcn-small", [*SHORT, DRAWN])
    assert [line["step"] for line in read_log(undisturbed)] == [3, 6, 9, 12]
    assert any((undisturbed / "tensorboard").iterdir())
    state = load_file(undisturbed / "stcn-small.safetensors")
    assert {x.dtype for x in state.values() if x.is_floating_point()} == {torch.float16}
    model = load_model("stcn-small", weights=undisturbed / "stcn-small.safetensors")
    average = checkpoint.load(undisturbed / "checkpoint.pt")["average"]
    name = "decoder.pred.weight"
    assert torch.equal(model.state_dict()[name].half(), average[f"module.{name}"].half())


def test_it_learns(tmp_path):
    stages = "stages=[{data: {photos: 1}, steps: 60, batch: 4, size: 48, objects: 1}]"
    train(tiny(stages, "log_every=10", "checkpoint_every=60", "warmup=0"), tmp_path / "run")
    losses = [line["cross_entropy"] for line in read_log(tmp_path / "run")]
    assert losses[-1] < 0.6 * losses[0]


def test_two_processes_do_what_one_does(tmp_path):
    """Batch norm would see half a batch on each of two. With its statistics frozen, as in the published recipe, the loss of
    each sample is its own, and the mean over processes is the same up to rounding."""
    options = ["freeze_norm=true", "precision=fp32", "workers=0", "optimizer=adam", "warmup=0", "schedule=drops", "ema=0"]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    run = partial(
        subprocess.run, check=True, capture_output=True, timeout=300, env={**os.environ, "ACCELERATE_USE_CPU": "true"}
    )
    run(command(tmp_path / "one", *options, config="stcn-tiny"))
    run(command(tmp_path / "two", *options, config="stcn-tiny", launcher=launcher))
    one, two = (checkpoint.load(tmp_path / run / "checkpoint.pt")["rollout"] for run in ("one", "two"))
    torch.manual_seed(tiny(*options).seed)
    before = {f"model.{name}": x for name, x in build("stcn-tiny").state_dict().items()}
    moved = torch.cat([(one[name] - before[name]).flatten() for name in one if one[name].is_floating_point()])
    apart = torch.cat([(one[name] - two[name]).flatten() for name in one if one[name].is_floating_point()])
    assert "2 x" in (tmp_path / "two" / "stcn-tiny.json").read_text()
    assert moved.norm() > 0 and apart.norm() < 0.01 * moved.norm()


def test_accumulated_parts_are_one_batch(tmp_path):
    options = ["freeze_norm=true", "precision=fp32", "ema=0", "optimizer=adam", "clip_gradient=0"]
    states = []
    for parts in (1, 2):
        train(tiny(*options, f"accumulate={parts}"), tmp_path / str(parts))
        states.append(checkpoint.load(tmp_path / str(parts) / "checkpoint.pt")["optimizer"]["state"])
    first, second = (torch.cat([s["exp_avg"].flatten() for s in state.values()]) for state in states)
    assert (first - second).norm() < 0.02 * first.norm()


def test_ctrl_c_waits_for_the_step_and_the_run_goes_on(tmp_path):
    out = tmp_path / "run"

    def interrupt(record, model):
        if record["step"] == 6:
            os.kill(os.getpid(), signal.SIGINT)

    config = tiny("checkpoint_every=100")
    with pytest.raises(InputError, match="stopped after step 7 of 12; the same command goes on"):
        train(config, out, watch=interrupt)
    assert checkpoint.load(out / "checkpoint.pt")["step"] == 7 and not (out / "stcn-tiny.safetensors").exists()
    train(config, out)
    train(config, tmp_path / "whole")
    assert same(load_file(out / "stcn-tiny.safetensors"), load_file(tmp_path / "whole" / "stcn-tiny.safetensors"))


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run_before_it_reaches_the_weights(tmp_path, poison):
    forward = Rollout.forward

    def poisoned(self, *batch, step=0):
        losses = forward(self, *batch, step=step)
        if step == 5 and poison == "gradient":  # a finite loss whose gradient is not
            losses.total.register_hook(lambda gradient: gradient * float("inf"))
        return losses._replace(total=losses.total * float("nan")) if step == 5 and poison == "loss" else losses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rollout, "forward", poisoned)
        with pytest.raises(InputError, match="at step 5: lower lr="):
            train(tiny("checkpoint_every=1"), tmp_path / "run")
    state = checkpoint.load(tmp_path / "run" / "checkpoint.pt")
    assert state["step"] == 5 and all(x.isfinite().all() for x in state["rollout"].values())


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path):
    """The limit on file sizes stands for the disk's end."""
    resource = pytest.importorskip("resource")  # not on Windows
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"step": 7, "x": torch.zeros(10)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(InputError, match="could not be written .*make room and start again.*whole: step 7"):
            checkpoint.save(path, {"step": 8, "x": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoint.load(path)["step"] == 7 and [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_drafts_of_a_killed_run_are_swept_away_and_junk_is_named(tmp_path):
    checkpoint.save(tmp_path / "checkpoint.pt", {"step": 1})
    for name in (".checkpoint.123.part.pt", ".log.123.part.jsonl"):
        (tmp_path / name).write_bytes(b"half")
    checkpoint.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    (tmp_path / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(InputError, match="is no checkpoint .*delete it"):
        checkpoint.load(tmp_path / "checkpoint.pt")


def test_a_folder_belongs_to_one_run(tmp_path):
    config = tiny("stages=[{data: {photos: 1}, steps: 2, batch: 2, size: 32}]")
    train(config, tmp_path / "run")
    config.workers = 1  # another machine
    train(config, tmp_path / "run")
    with pytest.raises(InputError, match="holds a run with other settings .*lr: .* -> 0.5"):
        config.lr = 0.5
        train(config, tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        train(config, tmp_path / "file")


def test_validation_scores_the_clips_that_it_is_told_to(tmp_path):
    path = train(tiny("validation_worlds=2", "validate_every=6"), tmp_path / "run")
    found = [line["J&F world"] for line in read_log(tmp_path / "run") if "J&F world" in line]
    scores = [
        evaluate(Tracker(load_model("stcn-tiny", weights=path)).run(clip).masks, clip.masks).JF
        for clip in validation_clips(tiny("validation_worlds=2"))["world"]
    ]
    assert len(found) == 2 and found[-1] == pytest.approx(sum(scores) / 2, abs=0.02)  # weights are stored in half precision


def test_the_learning_rate_warms_up_and_falls():
    config = load_config("stcn-tiny", [*SHORT, "lr=1.0", "warmup=4", "schedule=cosine"])
    rates = [learning_rate(config, step) for step in range(13)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0] and rates[4] == 1.0 and rates[8] == pytest.approx(0.5) and rates[12] == 0
    config.warmup, config.schedule, config.lr_drops = 0, "drops", [3, 9]
    assert [learning_rate(config, step) for step in (2, 3, 9)] == pytest.approx([1.0, 0.1, 0.01])
