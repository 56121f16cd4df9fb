"""The weights that a run starts from."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from vos_lab import InputError
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


def test_a_part_of_another_network_can_be_taken_over(tmp_path):
    torch.manual_seed(0)
    stcn, random = build("stcn-small").state_dict(), build("xmem-small").state_dict()
    save_file({name: x for name, x in stcn.items()}, tmp_path / "stcn.safetensors")
    torch.manual_seed(0)
    state = initial_model(config(f"init={tmp_path}/stcn.safetensors", "init_partly=true", name="xmem-small")).state_dict()
    shared = {name for name in state if name in stcn and stcn[name].shape == state[name].shape}
    assert {"key_proj.weight", "key_encoder.conv1.weight", "decoder.pred.weight"} <= shared < set(random)
    assert all(torch.equal(state[name], stcn[name]) for name in shared)
    with pytest.raises(InputError, match="does not fit XMem"):
        initial_model(config(f"init={tmp_path}/stcn.safetensors", "init_partly=false", name="xmem-small"))
    save_file({"else": torch.zeros(1)}, tmp_path / "else.safetensors")
    with pytest.raises(InputError, match="has nothing in common with xmem-small"):
        initial_model(config(f"init={tmp_path}/else.safetensors", "init_partly=true", name="xmem-small"))
