"""The small models are the same classes with other numbers."""

import pytest
import torch

from vos_lab import InputError, Tracker
from vos_lab.models.presets import build
from vos_lab.models.stcn import STCN
from vos_lab.precision import fast, has_bfloat16


@pytest.mark.parametrize(("name", "most"), [("stcn-small", 3_000_000), ("stcn-tiny", 500_000)])
def test_small_presets_are_stcn_with_cells_of_8_pixels(name, most):
    model = build(name).eval()
    assert type(model) is STCN and sum(p.numel() for p in model.parameters()) <= most and model.stride == 8
    with torch.inference_mode():
        features = model.encode_key(torch.randn(2, 3, 48, 64))
        values = model.encode_value(torch.randn(2, 3, 48, 64), features, torch.rand(2, 3, 48, 64))
        assert features.key.shape[2:] == (6, 8) and values.shape[:2] == (2, 3) and values.shape[3:] == (6, 8)
        prob = model.decode(values, features)
    assert prob.shape == (2, 3, 48, 64) and 0 <= prob.min() and prob.max() <= 1


def test_a_frame_of_240p_has_as_many_cells_as_480p_has_for_the_published_model():
    with torch.device("meta"):
        small = build("stcn-tiny").encode_key(torch.zeros(1, 3, 240, 432)).key
        published = STCN(key_depth=18).encode_key(torch.zeros(1, 3, 480, 864)).key
    assert small.shape[2:] == published.shape[2:] == (30, 54)


def test_unknown_presets_are_named():
    with pytest.raises(InputError, match="no preset 'stcn-huge': choose stcn, "):
        build("stcn-huge")


def test_bfloat16_changes_masks_by_little_and_the_published_model_not_at_all():
    torch.manual_seed(0)
    model, frames = build("stcn-tiny").eval(), torch.randn(4, 3, 48, 64)
    mask = torch.zeros(1, 48, 64)
    mask[0, 10:30, 20:40] = 1
    found = {}
    for precision in ("fp32", "auto"):
        model.precision = precision
        tracker = Tracker(model)
        tracker.start(frames[0], mask)
        found[precision] = torch.stack([tracker.step(frame) for frame in frames[1:]])
        assert tracker._features.key.dtype == torch.float32
    assert (found["fp32"] - found["auto"]).abs().max() < 0.05
    if has_bfloat16(torch.device("cpu")):
        assert not torch.equal(found["fp32"], found["auto"])
        with fast(model, torch.device("cpu")):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert STCN.precision == "fp32" and build("stcn-tiny").precision == "auto"
