"""Models with and without a prior on where things can be."""

import pytest
import torch

from vos_lab import Tracker, evaluate, load_model
from vos_lab.bench.motion import bench_motion, read_table, stress_clips, summary, variants
from vos_lab.memory import MotionPrior
from vos_lab.models.presets import PRESETS


@pytest.fixture(scope="module")
def groups():
    return stress_clips(1, length=4, size=(48, 80), objects=1)


def test_each_clip_is_tracked_with_and_without(groups, tmp_path):
    colour = load_model("colour")
    table = tmp_path / "motion.csv"
    rows = bench_motion({"colour": colour}, groups, table)
    assert len(rows) == 2 * len(groups) and {row["group"] for row in rows} == set(groups)
    clip = groups["fast"][0]
    found = {row["variant"]: row["J&F"] for row in rows if row["group"] == "fast"}
    for variant, prior in (("colour", None), ("colour + prior", MotionPrior())):
        assert found[variant] == pytest.approx(evaluate(Tracker(colour, prior=prior).run(clip).masks, clip.masks).JF)
    assert read_table(table) == rows
    text = summary(rows)
    assert text.count("colour + prior") == 4 and "leave and return" in text


def test_what_the_table_holds_is_not_run_again(groups, tmp_path, monkeypatch):
    table = tmp_path / "motion.csv"
    rows = bench_motion({"colour": load_model("colour")}, {"fast": groups["fast"]}, table)
    monkeypatch.setattr("vos_lab.bench.motion.Tracker", None)  # nothing can be tracked any more
    assert bench_motion({"colour": load_model("colour")}, {"fast": groups["fast"]}, table) == rows


@torch.no_grad()
def test_a_sensory_memory_is_also_wiped(groups):
    xmem = load_model("xmem-small")
    found = variants("xmem", xmem)
    assert [*found, *variants("colour", load_model("colour"))] == [
        "xmem",
        "xmem + prior",
        "xmem, wiped",
        "colour",
        "colour + prior",
    ]
    features = xmem.encode_key(groups["fast"][0].images(0, 1))
    state = torch.randn_like(xmem.first_sensory(features, 1))
    readout = torch.randn(1, 1, PRESETS["xmem-small"]["value_channels"], *features.key.shape[2:])
    mask = found["xmem, wiped"][0].decode(readout, features, state)[0]
    assert torch.equal(mask, xmem.decode(readout, features, torch.zeros_like(state))[0])
    assert not torch.equal(mask, xmem.decode(readout, features, state)[0])
