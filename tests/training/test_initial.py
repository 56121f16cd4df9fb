"""The weights that a run starts from."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from vos_lab import InputError
from vos_lab.memory.reading import read
from vos_lab.models.presets import build
from vos_lab.training.config import load_config
from vos_lab.training.initial import initial_model


def config(*overrides, name="stcn-static"):
    return load_config(name, list(overrides))


@pytest.fixture
def imagenet(monkeypatch):
    """Random ResNets in place of the download."""
    torch.manual_seed(0)
    nets = {depth: getattr(torchvision.models, f"resnet{depth}")(weights=None).state_dict() for depth in (18, 50)}
    for depth, state in nets.items():
        kind = type(getattr(torchvision.models, f"ResNet{depth}_Weights").IMAGENET1K_V1)
        monkeypatch.setattr(kind, "get_state_dict", lambda self, state=state, **_: dict(state))
    return nets


@pytest.mark.parametrize(("name", "planes"), [("stcn-static", 1), ("stcn-main", 2)])
def test_imagenet_weights_fill_both_encoders(imagenet, name, planes):
    model = initial_model(config("init=imagenet", name=name))
    key, value = model.key_encoder, model.value_encoder.backbone
    for encoder, depth in ((key, 50), (value, 18)):
        for inner in ("layer1.0.conv1.weight", "layer3.1.bn2.running_var", "bn1.weight"):
            assert torch.equal(encoder.state_dict()[inner], imagenet[depth][inner])
    assert torch.equal(key.conv1.weight, imagenet[50]["conv1.weight"])
    assert torch.equal(value.conv1.weight[:, :3], imagenet[18]["conv1.weight"])
    extra = value.conv1.weight[:, 3:].flatten(1)
    assert extra.shape[1] == 49 * planes and torch.allclose(
        extra @ extra.T if planes == 2 else extra.T @ extra, torch.eye(64 if planes == 2 else 49), atol=1e-5
    )
    assert not value.conv1.bias.any()


def test_offline_is_one_sentence(monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("torch.hub.get_dir", lambda: "/nowhere")
    monkeypatch.setattr("os.makedirs", lambda *_, **__: None)
    with pytest.raises(InputError, match="cannot be downloaded here .*go online, or train longer with init=random"):
        initial_model(config())
    assert initial_model(config("init=random")).single_object


def test_imagenet_weights_fit_no_other_width():
    with pytest.raises(InputError, match="fit the widths of the published network alone"):
        initial_model(config("init=imagenet", name="stcn-small"))


def test_the_second_stage_takes_the_first_ones_weights_and_sees_one_plane_more(tmp_path):
    torch.manual_seed(0)
    single = build("stcn-tiny", single_object=True)
    save_file(single.state_dict(), tmp_path / "single.safetensors")
    model = initial_model(config(f"init={tmp_path / 'single.safetensors'}", name="stcn-tiny"))
    first, before = model.value_encoder.backbone.conv1.weight, single.value_encoder.backbone.conv1.weight
    assert torch.equal(first[:, :4], before) and first[:, 4].any()
    assert torch.equal(model.key_proj.weight, single.key_proj.weight)


@torch.no_grad()
def test_an_xmem_begins_as_the_stcn_whose_weights_it_is_given(tmp_path):
    torch.manual_seed(0)
    stcn = build("stcn-small")
    for name, x in stcn.state_dict().items():  # as if trained: biases and running means are not 0
        if x.is_floating_point() and name.endswith(("bias", "running_mean")):
            x.normal_(0, 0.1)
    save_file(stcn.state_dict(), tmp_path / "stcn.safetensors")
    xmem = initial_model(config(f"init={tmp_path}/stcn.safetensors", name="xmem-small")).eval()
    stcn.eval()
    for x in stcn.key_comp.parameters():  # the one part that has no counterpart
        x.zero_()

    image, masks = torch.rand(1, 3, 64, 96), torch.rand(1, 2, 64, 96) / 2
    seen, features = stcn.encode_key(image), xmem.encode_key(image)
    assert torch.allclose(features.key, seen.key, atol=1e-4)
    memory, query, held = torch.rand_like(seen.key).flatten(2), seen.key.flatten(2), torch.rand(1, 2, 4, 96)
    reach = dict(shrinkage=features.shrinkage.flatten(2), selection=features.selection.flatten(2))
    found = read(memory, query, held, kind="anisotropic", **reach)
    assert torch.allclose(found, read(memory, query, held), atol=1e-5)
    value, sensory = xmem.encode_value(image, features, masks, torch.rand(1, 2, 32, 8, 12))
    assert torch.allclose(value, stcn.encode_value(image, seen, masks), atol=1e-4)
    assert torch.allclose(xmem.decode(value, features, sensory)[0], stcn.decode(value, seen), atol=1e-4)


def test_an_stcn_of_other_widths_does_not_fit(tmp_path):
    save_file(build("stcn-tiny").state_dict(), tmp_path / "tiny.safetensors")
    with pytest.raises(InputError, match="does not fit XMem"):
        initial_model(config(f"init={tmp_path}/tiny.safetensors", name="xmem-small"))
