"""Object-level correspondence."""

import math

import pytest
import torch

from vos_lab.losses import object_correspondence


def scene(b=2, t=3, k=2, c=8, size=6):
    """Keys (b,t,c,h,w) and maps (b,t,k,h,w): object j of a clip fills its own rows with a direction of its own."""
    torch.manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(b, k, c), dim=2)
    maps = torch.zeros(b, t, k, size, size)
    keys = torch.zeros(b, t, c, size, size)
    for j in range(k):
        maps[:, :, j, 2 * j : 2 * j + 2] = 1
        keys[:, :, :, 2 * j : 2 * j + 2] = directions[:, j, None, :, None, None]
    return keys, maps


def test_by_hand():
    """Two objects at right angles, in two frames: e.e+ = 1, e.e- = 0 for each of the two others."""
    keys, maps = torch.zeros(1, 2, 2, 1, 2), torch.zeros(1, 2, 2, 1, 2)
    keys[0, :, 0, 0, 0] = keys[0, :, 1, 0, 1] = 3.0
    maps[0, :, 0, 0, 0] = maps[0, :, 1, 0, 1] = 1.0
    expected = -math.log(math.exp(2) / (math.exp(2) + 2 * math.exp(0)))
    assert object_correspondence(keys, maps, temperature=0.5).item() == pytest.approx(expected, abs=1e-6)


def test_it_falls_when_objects_drift_apart():
    keys, maps = scene()
    alike = keys + 2 * torch.nn.functional.normalize(torch.ones(8), dim=0)[:, None, None]
    assert object_correspondence(keys, maps) < object_correspondence(alike, maps)


def test_order_of_objects_frames_and_clips_is_nothing():
    keys, maps = scene()
    loss = object_correspondence(keys, maps)
    assert torch.allclose(loss, object_correspondence(keys, maps[:, :, [1, 0]]))
    assert torch.allclose(loss, object_correspondence(keys[:, [2, 0, 1]], maps[:, [2, 0, 1]]))
    assert torch.allclose(loss, object_correspondence(keys[[1, 0]], maps[[1, 0]]))


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_length_of_keys_is_nothing(scale):
    keys, maps = scene()
    assert torch.allclose(object_correspondence(scale * keys, maps), object_correspondence(keys, maps))


def test_an_absent_object_leaves_no_trace():
    keys, maps = scene(k=3)
    maps[:, 1, 2] = 0
    longer = torch.cat([maps, torch.zeros_like(maps[:, :, :1])], 2)
    assert torch.equal(object_correspondence(keys, maps), object_correspondence(keys, longer))


@pytest.mark.parametrize("case", ["one object", "one frame", "no object", "constant keys", "zero keys"])
def test_degenerate_input_is_finite_with_finite_gradients(case):
    keys, maps = scene(b=1, k=1 if case == "one object" else 2, t=1 if case == "one frame" else 3)
    maps = maps * 0 if case == "no object" else maps
    keys = {"constant keys": torch.ones_like(keys), "zero keys": torch.zeros_like(keys)}.get(case, keys).requires_grad_()
    loss = object_correspondence(keys, maps)
    loss.backward()
    assert loss.isfinite() and keys.grad.isfinite().all()
    if case in ("one object", "one frame", "no object"):
        assert loss == 0


def test_gradients_are_right():
    keys, maps = scene(b=1, t=2, c=3, size=4)
    keys = (keys + torch.randn_like(keys)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: object_correspondence(x, maps.double()), keys)
