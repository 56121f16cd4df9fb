"""What is compared agrees; how long it takes is never tested."""

import numpy as np
import pytest
import torch

import vos_lab as vl
from vos_lab import memory
from vos_lab.bench import growth, measure, profile, speed
from vos_lab.bench.plain import plain_read, plain_scores, plain_tracking
from vos_lab.datasets import samples
from vos_lab.table import read_table

CPU = torch.device("cpu")


@pytest.mark.parametrize("top_k", [None, 5])
def test_reads_agree_on_sharp_keys(top_k):
    torch.manual_seed(0)
    data = 20 * torch.randn(1, 8, 90), 20 * torch.randn(1, 8, 30), torch.randn(1, 2, 6, 90)
    assert (plain_read(*data) - plain_read(*data, top_k=2)).abs().max() < 1, "sharp: few cells weigh anything"
    # logits near a thousand, which float32 holds to 1e-4
    assert (memory.read(*data, top_k=top_k) - plain_read(*data, top_k=top_k)).abs().max() < 2e-4


def test_no_weight_of_a_full_read_is_denormal():
    logits = torch.tensor([[[0.0], [-90.0], [-100.0], [-torch.inf]]])  # (1,n,1); e^-90 and e^-100 are denormal in float32
    weights = memory.reading.exp_below(logits, torch.zeros(1, 1, 1))
    assert (weights >= torch.finfo(torch.float32).tiny).all()
    assert torch.equal(weights / weights.sum(1, keepdim=True) > 1e-20, logits == 0)


def test_the_plain_loop_tracks_as_the_tracker_does():
    clip = samples.load("walk")[:3]
    model = vl.load_model("stcn-small")
    model.precision = "fp32"
    masks = torch.stack([torch.from_numpy(clip.masks[0] == k) for k in (1, 2)]).float()
    tracker = vl.Tracker(model, vl.EveryNth(2))
    ours = [tracker.start(clip.images(0, 1)[0], masks), *(tracker.step(clip.images(t, t + 1)[0]) for t in (1, 2))]
    for a, b in zip(ours, plain_tracking(model, clip.images(), masks, every=2)):
        assert torch.allclose(a, b, atol=1e-3)


def test_scores_are_those_of_the_plain_form():
    truth, prediction = (speed.discs(4, shift, (240, 430)) for shift in (0, 4))
    scores = vl.evaluate(prediction, truth)
    expected = plain_scores(truth, prediction)
    ours = np.stack([scores.j, scores.f], 1)
    assert np.nanmax(np.abs(ours - expected)) < 1e-9 and 0.3 < np.nanmin(ours) < 0.9


def test_each_way_takes_its_turn():
    order = []
    ways = {name: lambda name=name: order.append(name) or torch.ones(4, 4) @ torch.ones(4, 4) for name in "ab"}
    measured, results = measure.in_turns(ways, 3)
    assert "".join(order) == "abababab" and len(measured["a"].wall) == 3
    assert measured["a"].flop == 2 * 4**3 and torch.equal(results["a"], results["b"])


@pytest.mark.skipif(not measure.CLEAR.exists(), reason="the kernel keeps no peak")
def test_memory_that_was_held_for_a_moment_is_seen():
    _, extra = measure.with_peak(lambda: torch.ones(30_000_000).sum())  # 120 MB
    assert 100e6 < extra < 200e6


def test_a_table_is_written_and_printed(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "peaks", lambda device: {"fp32": 1e9, "bf16": 2e9, "copy": 1e9})
    data = tuple(x[..., :200] for x in speed.random_data(1, CPU))
    monkeypatch.setattr(speed, "random_data", lambda frames, device: data)
    text = speed.bench_speed(["read-noise"], 2, 2, tmp_path)
    (line,) = read_table(tmp_path / "speed.csv")
    assert float(line["differ"]) < 1e-5 and float(line["ratio"]) > 0 and "keys of noise" in text
    with pytest.raises(vl.InputError, match="no row reading: choose read"):
        speed.bench_speed(["reading"], 2, 2, tmp_path)


def test_two_ways_that_differ_are_refused():
    once = measure.Measured([1.0], [1.0])
    with pytest.raises(vl.InputError, match="differ by 0.1, allowed is 1e-05"):
        speed.row("read", {"plain": once, "ours": once}, 0.1, 1e-5, (2.0, 3.0))


def test_growth_is_measured_and_drawn(tmp_path, monkeypatch):
    data = tuple(x[..., :200] for x in speed.random_data(1, CPU))
    monkeypatch.setattr(growth, "growth_points", lambda device, largest: (("memory frames", n, data) for n in (1, 2)))
    lines = growth.bench_growth(1, tmp_path)
    assert len(lines) == 8 and (tmp_path / "growth.png").stat().st_size > 1000


def test_the_parts_of_a_frame_add_up(tmp_path, monkeypatch):
    def published(frames, objects, device):
        torch.manual_seed(0)
        return vl.load_model("stcn-tiny", "random"), torch.randn(frames, 3, 32, 48), torch.ones(objects, 32, 48)

    monkeypatch.setattr(profile, "published", published)
    assert "encode_value" in profile.bench_profile(7, tmp_path)
    rows = read_table(tmp_path / "profile.csv")
    ways = {row["way"] for row in rows}
    assert {"plain", "ours, fp32"} <= ways and len(rows) == 5 * len(ways)
    for way in ways:
        shares = [float(row["share"]) for row in rows if row["way"] == way]
        assert min(shares) > 0 and sum(shares) == pytest.approx(1, abs=1e-3), "every part was seen"
