"""The weights that a run starts from."""

from pathlib import Path

import torch
from torch import nn

from ..errors import InputError
from ..models.load import SHIPPED, load_strictly, read_state, shipped_weights
from ..models.presets import build
from ..models.stcn import STCN
from ..models.xmem import XMem
from .config import Config


def initial_model(config: Config) -> nn.Module:
    """init: random · imagenet (torchvision's ResNets, downloaded) · the name of a model that ships · a file of weights."""
    if config.init == "random":
        return build(config.model)
    if config.init == "imagenet":
        return with_imagenet(build(config.model))
    path = shipped_weights(config.init) if config.init in SHIPPED else Path(config.init)
    model = build(config.model)
    state = read_state(path)
    first = "value_encoder.backbone.conv1.weight"
    if first in state and state[first].shape[1] == 4:  # from single objects to several: a plane more
        plane = nn.init.orthogonal_(torch.empty_like(state[first][:, :1]))  # as STCN begins its second stage
        state[first] = torch.cat([state[first], plane], 1)
    if config.init_partly:
        own = model.state_dict()
        fitting = {name: x for name, x in state.items() if name in own and own[name].shape == x.shape}
        if not fitting:
            raise InputError(f"{path} has nothing in common with {config.model}: choose another init, or init=random")
        state = {**own, **fitting}
    load_strictly(model, state, path, {name: name for name in state})
    return model


def with_imagenet(model: STCN | XMem) -> STCN | XMem:
    """Both encoders from torchvision's ImageNet weights; the value encoder's mask planes are orthogonal, as STCN begins."""
    import torchvision

    encoders = (model.key_encoder, model.value_encoder.backbone)
    if any(encoder.conv1.out_channels != 64 for encoder in encoders):
        raise InputError("ImageNet weights fit the widths of the published network alone: give init=random")
    for encoder in encoders:
        weights = getattr(torchvision.models, f"ResNet{encoder.depth}_Weights").IMAGENET1K_V1
        try:
            state = weights.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network; or a file that is not the one that was asked for
            raise InputError(
                f"ImageNet weights cannot be downloaded here ({error}): go online, or train longer with init=random"
            ) from None
        own = encoder.state_dict()
        planes = nn.init.orthogonal_(torch.empty_like(own["conv1.weight"][:, 3:])) if encoder is encoders[1] else None
        state = {name: x for name, x in state.items() if name in own}
        if planes is not None:
            state["conv1.weight"] = torch.cat([state["conv1.weight"], planes], 1)
        encoder.load_state_dict(state, strict=False)  # the biases that STCN adds stay 0
    return model
