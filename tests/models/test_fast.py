"""A copy that only tracks, against the model that it was copied from."""

import pytest
import torch
from torch import nn

import vos_lab as vl
from vos_lab.models import faster
from vos_lab.models.fast import Winograd
from vos_lab.precision import has_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (9, 14), (30, 54)])
@pytest.mark.parametrize("bias", [True, False])
def test_winograd_is_the_convolution(size, bias, monkeypatch):
    monkeypatch.setattr("vos_lab.models.fast.STRIP", 3000)  # several strips
    torch.manual_seed(0)
    conv = nn.Conv2d(7, 5, 3, padding=1, bias=bias)
    x = torch.randn(2, 7, *size)
    assert torch.allclose(Winograd(conv)(x), conv(x), atol=1e-4)
    assert torch.allclose(Winograd(conv.double())(x.double()), conv(x.double()), atol=1e-12)


def with_statistics(name):
    """A small model whose batch norms have seen something: folded wrongly, it would find something else."""
    model = vl.load_model(name, weights="random")
    torch.manual_seed(1)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for x in (norm.weight, norm.running_var):
                nn.init.uniform_(x, 0.5, 2)
            for x in (norm.bias, norm.running_mean):
                nn.init.normal_(x, std=0.3)
    model.precision = "fp32"
    return model


@pytest.mark.parametrize("name", ["stcn-small", "xmem-small"])
def test_the_copy_sees_what_the_model_sees(name):
    model = with_statistics(name)
    image = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        ours, plain = (m.encode_key(image) for m in (faster(model), model))
    for a, b in zip(ours, plain):
        assert torch.allclose(a, b, atol=1e-4 * b.abs().max())
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()), "the model itself stays as it was"


def test_wide_decoders_go_by_winograd_and_decode_the_same():
    torch.manual_seed(0)
    model = vl.models.stcn.STCN(
        10, 10, 8, 16, key_widths=(16, 32, 128), value_widths=(8, 8, 8), decoder_channels=(128, 128, 128)
    )
    copy = faster(model.eval())
    assert sum(isinstance(m, Winograd) for m in copy.modules()) == 5
    image, readout = torch.randn(1, 3, 32, 48), torch.randn(1, 3, 16, 2, 3)
    with torch.no_grad():
        ours, plain = (m.decode(readout, m.encode_key(image)) for m in (copy, model))
    assert torch.allclose(ours, plain, atol=1e-4)


def test_objects_decoded_together_are_those_decoded_one_by_one():
    model = with_statistics("stcn-small")
    images, readout = torch.randn(2, 3, 32, 48), torch.randn(2, 3, 96, 4, 6)
    with torch.no_grad():
        features = model.encode_key(images)
        together = model.decode(readout, features)
        for k in range(3):
            assert torch.allclose(model.decode(readout[:, k : k + 1], features)[:, 0], together[:, k], atol=1e-5)


@pytest.mark.parametrize(
    "precision", ["fp32", pytest.param("bf16", marks=pytest.mark.skipif(not has_bfloat16(CPU), reason="no bfloat16"))]
)
def test_masks_agree(precision):
    clip = vl.datasets.samples.load("walk")[:3]
    model = vl.load_model("stcn-small")
    model.precision = "fp32"
    plain, ours = (vl.Tracker(m).run(clip).masks for m in (model, faster(model, precision)))
    assert (plain == ours).mean() >= (0.9999 if precision == "fp32" else 0.998)


def test_another_precision_is_refused():
    with pytest.raises(vl.InputError, match="choose fp32 or bf16"):
        faster(vl.load_model("stcn-tiny", "random"), "int8")


@pytest.mark.parametrize("precision", [None, "fp32", "bf16"])
def test_a_model_that_is_no_network_stays_as_it_is(precision):
    if precision == "bf16" and not has_bfloat16(CPU):
        pytest.skip("no bfloat16")
    clip = vl.datasets.samples.load("walk")[:3]
    model = vl.load_model("colour")
    assert (vl.Tracker(faster(model, precision)).run(clip).masks == vl.Tracker(model).run(clip).masks).all()
