import json

import numpy as np
import pytest
import torch
from torch import nn

import vos_lab as vl
from vos_lab.models.backbones import ResNet
from vos_lab.models.stcn import STCN


@pytest.fixture(scope="module")
def arrays(reference):
    return np.load(reference / "stcn.npz")


def track(model, frames, first_mask, **options):
    """Probabilities (3,T,H,W) of background and two objects, memory every third frame."""
    masks = torch.from_numpy(np.stack([first_mask == 1, first_mask == 2])).float()
    tracker = vl.Tracker(model, vl.EveryNth(3, **options), top_k=20)
    return torch.stack([tracker.start(frames[0], masks), *(tracker.step(frame) for frame in frames[1:])], 1)


@pytest.mark.parametrize("name, include_last", [("prob", False), ("prob_include_last", True)])
def test_nine_frames_are_tracked_as_by_the_public_implementation(stcn, arrays, name, include_last):
    frames = torch.from_numpy(arrays["frames_8000"]).float() / 8000
    prob = track(stcn, frames, arrays["first_mask"], include_last=include_last)
    expected = torch.from_numpy(arrays[f"{name}_65535"].astype(np.float32)) / 65535
    assert (prob[1:, :, ::2, ::2] - expected).abs().max() < 1e-4


def test_the_previous_frame_in_memory_makes_a_difference(stcn, arrays):
    a, b = (arrays[name].astype(int) for name in ("prob_65535", "prob_include_last_65535"))
    assert np.abs(a - b).max() > 65535 * 1e-3


@pytest.mark.parametrize("name, include_last", [("prob", False), ("prob_include_last", True)])
def test_the_whole_reference(stcn, whole_reference, name, include_last):
    arrays = np.load(whole_reference / "stcn_small.npz")
    frames = torch.from_numpy(arrays["frames"])
    with torch.inference_mode():
        features = stcn.encode_key(frames[:1])
        given = torch.from_numpy(np.stack([arrays["first_mask"] == 1, arrays["first_mask"] == 2])).float()
        soft = vl.soft_aggregate(given).softmax(0)[None, 1:]
        value = stcn.encode_value(frames[:1], features, soft)
    for ours, theirs in [
        (features.key, arrays["key"]),
        (features.thin[:, ::32], arrays["f16_thin"]),
        (features.middle.sum((2, 3)), arrays["f8_sum"]),
        (value[0, :, ::16], arrays["value"][:, :, 0]),
        (track(stcn, frames, arrays["first_mask"], include_last=include_last), arrays[name]),
    ]:
        assert (ours - torch.from_numpy(theirs)).abs().max() < 1e-4


def test_the_published_size():
    with torch.device("meta"):
        model = STCN()
    millions = lambda module: round(sum(p.numel() for p in module.parameters()) / 1e6, 2)
    parts = [
        millions(m) for m in (model, model.key_encoder, model.value_encoder, model.decoder, model.key_comp, model.key_proj)
    ]
    assert parts == [54.43, 8.54, 21.70, 18.88, 4.72, 0.59]


@pytest.mark.parametrize("depth", [18, 50, 101])
def test_backbones_are_torchvisions(depth):
    import torchvision

    torch.manual_seed(0)
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None).eval()
    ours = ResNet(depth).eval()
    state = {name: x for name, x in theirs.state_dict().items() if not name.startswith(("layer4", "fc"))}
    ours.load_state_dict(state, strict=True)
    x = torch.randn(1, 3, 64, 32)
    with torch.inference_mode():
        f4 = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x)))))
        f16 = theirs.layer3(theirs.layer2(f4))
        assert torch.equal(ours(x)[0], f4) and torch.equal(ours(x)[2], f16)
    assert ours.channels == [f4.shape[1], f4.shape[1] * 2, f16.shape[1]]


def test_objects_do_not_depend_on_their_order(stcn, arrays):
    frames = torch.from_numpy(arrays["frames_8000"]).float()[:5] / 8000
    first = arrays["first_mask"]
    prob, swapped = track(stcn, frames, first), track(stcn, frames, np.array([0, 2, 1], np.uint8)[first])
    assert torch.allclose(prob, swapped[[0, 2, 1]], atol=1e-5)


def test_a_single_object_checkpoint_becomes_multi_object_and_does_not_see_the_others(stcn_state, tmp_path, arrays):
    state = dict(stcn_state)
    name = "value_encoder.conv1.weight"
    state[name] = state[name][:, :4].clone()
    torch.save(state, tmp_path / "stcn_s0.pth")
    model = vl.load_model("stcn", weights=tmp_path / "stcn_s0.pth")
    image = torch.from_numpy(arrays["frames_8000"][:1]).float() / 8000
    mask = torch.from_numpy(arrays["first_mask"] == 1).float()[None, None]
    with torch.inference_mode():
        features = model.encode_key(image)
        alone = model.encode_value(image, features, mask)
        beside = model.encode_value(image, features, torch.cat([mask, 1 - mask], 1))[:, :1]
    assert torch.allclose(alone, beside, atol=1e-6)


def test_a_single_object_model_is_the_same_network_with_four_inputs(stcn_state):
    with torch.device("meta"):
        assert STCN(single_object=True).value_encoder.backbone.conv1.in_channels == 4
    torch.manual_seed(0)
    model = STCN(key_depth=18, single_object=True).eval()
    image, masks = torch.randn(1, 3, 32, 32), torch.rand(1, 2, 32, 32)
    with torch.inference_mode():
        features = model.encode_key(image)
        values = model.encode_value(image, features, masks)
        alone = model.encode_value(image, features, masks[:, :1])
    assert torch.allclose(values[:, :1], alone, atol=1e-4 * alone.abs().max().item())


def test_depth_and_widths_are_read_from_the_file(tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    small = STCN(key_depth=18, key_channels=16, value_channels=64)
    save_file(small.state_dict(), tmp_path / "small.safetensors")
    loaded = vl.load_model("stcn", weights=tmp_path / "small.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(small.state_dict().values(), loaded.state_dict().values()))
    assert all(p.requires_grad for p in loaded.parameters()) and not loaded.training


def test_weights_stored_in_half_precision_are_loaded_as_floats(stcn_state, tmp_path):
    torch.save({name: x.half() if x.is_floating_point() else x for name, x in stcn_state.items()}, tmp_path / "half.pth")
    model = vl.load_model("stcn", weights=tmp_path / "half.pth")
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_random_weights_are_asked_for_and_seeded():
    with pytest.raises(vl.InputError, match="needs weights="):
        vl.load_model("stcn")
    before = torch.random.get_rng_state()
    a, b = (vl.load_model("stcn", weights="random") for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters()))
    assert torch.equal(before, torch.random.get_rng_state())


class Harmful:
    def __reduce__(self):
        return (print, ("code in a checkpoint was run",))


def wrong_files(state, folder):
    """name -> (what is saved, what the sentence must say)"""
    missing, extra, shaped = dict(state), dict(state), dict(state)
    del missing["decoder.pred.bias"]
    extra["decoder.pred.scale"] = torch.zeros(1)
    shaped["decoder.pred.weight"] = torch.zeros(2, 256, 3, 3)
    return {
        "missing.pth": (missing, "decoder.pred.bias is missing"),
        "extra.pth": (extra, "decoder.pred.scale is not known"),
        "shaped.pth": (shaped, r"decoder.pred.weight is \(2, 256, 3, 3\), wanted \(1, 256, 3, 3\)"),
        "xmem.pth": ({**state, "key_proj.d_proj.weight": torch.zeros(1)}, "holds XMem weights, not STCN's"),
        "parallel.pth": ({f"module.{name}": x for name, x in state.items()}, "parallel wrapper"),
        "other.pth": (nn.Linear(2, 2).state_dict(), "holds no STCN weights .its names begin weight, bias"),
        "wrapped.pth": ({"network": {"weight": torch.zeros(1)}}, "no raw state dict"),
        "empty.pth": ({}, "no raw state dict"),
        "harmful.pth": (Harmful(), "cannot be read as weights"),
    }


def test_wrong_weights_say_what_differs(stcn_state, tmp_path, capsys):
    for name, (content, sentence) in wrong_files(stcn_state, tmp_path).items():
        torch.save(content, tmp_path / name)
        with pytest.raises(vl.InputError, match=sentence) as error:
            vl.load_model("stcn", weights=tmp_path / name)
        assert name in str(error.value)
    assert capsys.readouterr().out == ""  # no code was run
    (tmp_path / "text.pth").write_text("not a checkpoint")
    (tmp_path / "text.safetensors").write_text("not a checkpoint")
    for name in ("text.pth", "text.safetensors"):
        with pytest.raises(vl.InputError, match="cannot be read as weights"):
            vl.load_model("stcn", weights=tmp_path / name)
    with pytest.raises(vl.InputError, match="does not exist"):
        vl.load_model("stcn", weights=tmp_path / "absent.pth")


def test_unknown_models_are_refused():
    with pytest.raises(vl.InputError, match="choose colour, stcn-small, .*, stcn-tiny-corr, .*, stcn, "):
        vl.load_model("stnc")


def test_the_reference_shapes_are_whole(reference):
    assert len(json.loads((reference / "stcn_state_dict_shapes.json").read_text())) == 405
