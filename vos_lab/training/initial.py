"""The weights that a run starts from."""

from pathlib import Path

import torch

from ..errors import InputError
from ..models.load import SHIPPED, load_strictly, read_state, shipped_weights
from ..models.presets import build
from ..models.stcn import STCN
from .config import Config


def initial_model(config: Config) -> STCN:
    """init: random · imagenet (torchvision's ResNets, downloaded) · the name of a model that ships · a file of weights."""
    if config.init == "random":
        return build(config.model)
    if config.init == "imagenet":
        return with_imagenet(build(config.model))
    path = shipped_weights(config.init) if config.init in SHIPPED else Path(config.init)
    model = build(config.model)
    state = read_state(path)
    first = "value_encoder.backbone.conv1.weight"
    if first in state and state[first].shape[1] == 4:  # from single objects to several: a plane more, not seen at first
        state[first] = torch.cat([state[first], torch.zeros_like(state[first][:, :1])], 1)
    load_strictly(model, state, path, {name: name for name in state})
    return model


def with_imagenet(model: STCN) -> STCN:
    """Both encoders from torchvision's ImageNet weights; the value encoder's mask planes keep their random weights."""
    import torchvision

    for encoder, depth in (
        (model.key_encoder, model.key_encoder.depth),
        (model.value_encoder.backbone, model.value_encoder.backbone.depth),
    ):
        name = f"ResNet{depth}_Weights"
        weights = getattr(torchvision.models, name, None)
        if weights is None:
            raise InputError(f"there are no ImageNet weights for a ResNet-{depth}: train this model with init=random")
        try:
            state = weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        except OSError as error:
            raise InputError(
                f"ImageNet weights cannot be downloaded here ({error}): go online, or train longer with init=random"
            ) from None
        own = encoder.state_dict()
        if any(name in own and own[name].shape[2:] != x.shape[2:] for name, x in state.items() if x.dim() == 4):
            raise InputError("ImageNet weights fit the widths of the published network only: use init=random")
        first = own["conv1.weight"]
        state = {name: x for name, x in state.items() if name in own}
        state["conv1.weight"] = torch.cat([state["conv1.weight"], first[:, 3:]], 1)
        encoder.load_state_dict(state, strict=False)  # the biases that STCN adds stay 0
    return model
