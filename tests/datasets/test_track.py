"""Tracking a whole data set: clip by clip, resumable, and the same on any number of processes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fake_trees import davis_2017

from vos_lab import InputError, Tracker, World, load_model
from vos_lab.clip import mask_paths
from vos_lab.datasets import DAVIS, track
from vos_lab.masks import read_masks
from vos_lab.memory import MotionPrior


def masks_in(folder):
    return {clip.name: np.stack(read_masks(mask_paths(clip))) for clip in sorted(folder.iterdir()) if clip.is_dir()}


@pytest.fixture
def davis(tmp_path):
    return davis_2017(tmp_path / "davis")


def test_every_clip_is_tracked_as_it_is_alone(davis, tmp_path):
    track.track_dataset("davis-2017", davis, tmp_path / "out", model="colour", split="train")
    found, source = masks_in(tmp_path / "out"), DAVIS(davis)
    assert list(found) == sorted(source.names)
    for name, masks in found.items():
        assert (masks == Tracker(load_model("colour")).run(source[name]).masks).all()


def test_clips_that_are_there_are_kept_and_others_of_another_model_are_refused(davis, tmp_path, capsys):
    out = tmp_path / "out"
    track.track_dataset("davis-2017", davis, out, model="colour", split="train", clips=["pigs"])
    first = (out / "pigs" / "00001.png").stat().st_mtime_ns
    track.track_dataset("davis-2017", davis, out, model="colour", split="train")
    assert (out / "pigs" / "00001.png").stat().st_mtime_ns == first and (out / "bear").is_dir()
    assert "2 clips in" in capsys.readouterr().out
    with pytest.raises(InputError, match="holds masks of 'davis-2017 colour': choose another --out"):
        track.track_dataset("davis-2017", davis, out, model="stcn-tiny", weights="random", split="train")
    with pytest.raises(InputError, match="holds masks of 'davis-2017 colour': choose another --out"):
        track.track_dataset("davis-2017", davis, out, model="colour", split="train", prior=MotionPrior())


def test_two_processes_find_what_one_finds(davis, tmp_path):
    arguments = ["track", "davis-2017", "--split", "train", "--root", str(davis), "--model", "colour", "--out"]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "-m", "vos_lab.training", *arguments, str(tmp_path / "two")]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=300)
    track.track_dataset("davis-2017", davis, tmp_path / "one", model="colour", split="train")
    one, two = masks_in(tmp_path / "one"), masks_in(tmp_path / "two")
    assert one.keys() == two.keys() and all((one[name] == two[name]).all() for name in one)


def test_held_out_worlds_are_rendered_once(tmp_path, monkeypatch):
    monkeypatch.setattr(World, "clip", lambda self, _=World.clip: _(self, 3, (32, 48), name=f"world-{self.seed}"))
    assert len(track.held_out_worlds(tmp_path, count=2)) == 2
    monkeypatch.setattr(World, "clip", lambda self: pytest.fail("rendered again"))
    assert track.held_out_worlds(tmp_path, count=2)["world-1"].frames.shape == (3, 32, 48, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ducks",), "no data set 'ducks' to track: choose davis-2016"),
        (("davis-2017", "test"), "has no year=2017, split=.test."),
        (("davis-2017", "train", ["cow"]), "2 clips, and none is called cow: choose from bear, pigs"),
    ],
)
def test_what_cannot_be_tracked_is_one_sentence(davis, tmp_path, arguments, sentence, as_user):
    dataset, split, clips = (*arguments, None, None)[:3]
    with pytest.raises(InputError, match=sentence):
        track.track_dataset(dataset, davis, tmp_path / "out", "colour", None, split, clips)
