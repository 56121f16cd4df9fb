"""Correspondence losses in training: views whose relation is known, weights, ramp, the head that is dropped."""

import pytest
import torch
from rollouts import config, samples

from vos_lab.losses.discover import propose_regions
from vos_lab.models.presets import build
from vos_lab.training.correspondence import object_maps, ramp, second_view
from vos_lab.training.rollout import Rollout

ALL = dict(temporal=0.2, cross_view=0.04, object_level=0.1)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(1)
    return build("stcn-tiny").eval()


@pytest.mark.parametrize("half", [False, True])
def test_theta_says_where_view_2_came_from(half):
    """A frame whose colours are its own coordinates: view 2 shows exactly where theta says that it looks."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 65)[:-1] + 1 / 64, torch.linspace(-1, 1, 65)[:-1] + 1 / 64, indexing="ij")
    frames = torch.stack([x, y, torch.ones_like(x)])[None, None].expand(32, 2, 3, 64, 64).contiguous()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        seen, theta = second_view(frames)
    points = torch.stack([x, y, torch.ones_like(x)]).flatten(1)  # (3,64*64), of view 2
    there = (theta @ points).unflatten(2, (64, 64))  # (32,2,64,64), in view 1
    inner = slice(4, -4)  # beyond the edge, its pixels are repeated
    for t in range(2):
        assert torch.allclose(seen[:, t, :2, inner, inner], there[:, :, inner, inner], atol=1e-5)
    sides = theta[:, 0, 0].abs()
    assert (theta[:, 0, 0] < 0).float().mean() == pytest.approx(0.5, abs=0.3)
    assert sides.min() >= 0.5**0.5 and sides.max() <= 1 and sides.std() > 0.03


@pytest.mark.parametrize("projection", [False, True])
def test_each_loss_is_there_where_its_weight_is_and_reaches_the_key_encoder(tiny, projection):
    frames, masks, objects = samples(b=2, t=3, size=64)
    regions = torch.stack([propose_regions(clip) for clip in frames])
    for name, weight in ALL.items():
        tiny.zero_grad()
        torch.manual_seed(0)
        settings = config(projection=projection, discovered=True, **{name: weight})
        rollout = Rollout(tiny, settings)
        losses = rollout(frames, masks, objects, regions)
        values = losses._asdict()
        on = {"temporal", "cross_view"} if name in ("temporal", "cross_view") else {name}
        assert {other for other in ALL if values[other] > 0} == on
        assert torch.allclose(losses.total, losses.cross_entropy + weight * values[name])
        (weight * values[name]).backward()
        assert next(tiny.key_encoder.parameters()).grad.any()
        key_head = tiny.key_proj.weight.grad
        if projection:  # the tracker's own keys are left to the masks
            assert key_head is None or not key_head.any()
            assert rollout.correspondence.head.weight.grad.any()
        else:
            assert key_head.any()
    tiny.zero_grad(set_to_none=True)


def test_discovered_objects_change_the_object_level(tiny):
    frames, masks, objects = samples(b=2, t=2, size=64)
    regions = torch.zeros(2, 2, 64, 64, dtype=torch.int64)
    regions[:, :, 40:60, 40:60] = 1
    with torch.no_grad():
        batch = (frames, masks, objects, regions)
        alone, beside = (Rollout(tiny, config(object_level=1.0, discovered=d))(*batch).object_level for d in (False, True))
    assert alone != beside


def test_maps_say_how_much_of_a_cell_is_an_object():
    masks = torch.zeros(1, 1, 16, 16, dtype=torch.int64)
    masks[0, 0, :4, :8] = 2
    maps = object_maps(masks, 8)
    assert maps.shape == (1, 1, 2, 2, 2) and maps[0, 0, 1].tolist() == [[0.5, 0], [0, 0]] and not maps[0, 0, 0].any()


def test_the_ramp_rises_from_nothing_to_all(tiny):
    assert [ramp(step, 10, 20) for step in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    assert [ramp(step, 0, 0) for step in (0, 5)] == [1, 1]
    frames, masks, objects = samples(b=1, t=2)
    rollout = Rollout(tiny, config(affinity=1.0, ramp=[10, 20]))
    with torch.no_grad():
        before, after = (rollout(frames, masks, objects, step=step) for step in (0, 20))
    assert before.total == before.cross_entropy and torch.allclose(after.total, after.cross_entropy + after.affinity)


@pytest.mark.parametrize("case", ["one object", "no object", "one colour", "all mixed"])
def test_degenerate_samples_are_finite(tiny, case):
    frames, masks, objects = samples(b=2, t=2, size=64)
    if case == "one object":
        masks[masks == 2], objects = 0, torch.ones_like(objects)
    if case == "no object":
        masks, objects = torch.zeros_like(masks), torch.zeros_like(objects)
    if case == "one colour":
        frames = torch.zeros_like(frames)
    if case == "all mixed":
        masks = (torch.arange(64) % 2).expand_as(masks).contiguous()
    rollout = Rollout(tiny, config(dice=1.0, affinity=1.0, **ALL))
    losses = rollout(frames, masks, objects)
    losses.total.backward()
    assert all(loss.isfinite() for loss in losses)
    assert all(p.grad.isfinite().all() for p in rollout.parameters() if p.grad is not None)
    tiny.zero_grad(set_to_none=True)


def test_all_losses_in_bfloat16_leave_batch_norms_statistics_to_the_frames_themselves():
    frames, masks, objects = samples(b=2, t=3, size=64)
    regions = torch.stack([propose_regions(clip) for clip in frames])

    def statistics(**weights):
        torch.manual_seed(0)
        rollout = Rollout(build("stcn-tiny").train(), config(discovered=True, **weights))
        with torch.autocast("cpu", torch.bfloat16):
            losses = rollout(frames, masks, objects, regions)
        assert all(loss.isfinite() for loss in losses)
        return rollout.model.key_encoder.bn1.running_mean

    assert torch.equal(statistics(), statistics(**ALL))
