"""The weights that a run starts from."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..models.load import SHIPPED, load_strictly, read_state, shipped_weights
from ..models.presets import build
from ..models.stcn import STCN
from ..models.xmem import XMem
from .config import Config


def initial_model(config: Config) -> nn.Module:
    """init: random · imagenet (torchvision's ResNets, downloaded) · the name of a model that ships · a file of weights.

    An XMem can begin with the weights of an STCN of the same widths: see `begun_as_stcn`.
    """
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
    own = model.state_dict()
    same_widths = all(x.shape == own[name].shape for name, x in state.items() if name in own)
    if isinstance(model, XMem) and "key_comp.weight" in state and same_widths:
        state = begun_as_stcn(model, state)
    load_strictly(model, state, path, {name: name for name in state})
    return model


def begun_as_stcn(model: XMem, stcn: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with which an XMem starts as a trained STCN of the same widths (its state dict), and learns the rest from there.

    Keys, affinity, values and the way from readout to mask are STCN's. Selection (1/2) and shrinkage (2) cancel out, the second
    half of the decoder's fusion does nothing, and sensory memory is seen with weight 0. Lost is key_comp: the decoder does not
    see the query's deep features until it learns to.
    """
    state = {name: stcn.get(name, x).clone() for name, x in model.state_dict().items()}
    fuser = "decoder.fuser"
    gates = (f"{fuser}.attention.channel.2", f"{fuser}.attention.spatial")
    for part in ("shrinkage_proj", "selection_proj", *gates, f"{fuser}.block2.conv2"):
        state[f"{part}.weight"].zero_()
        state[f"{part}.bias"].zero_()
    state["shrinkage_proj.bias"] += 1  # squared, and 1 more: 2

    # XMem's value encoder has no biases before its batch norms; the norms' running means can hold them ...
    for name, bias in stcn.items():
        if name.startswith("value_encoder.backbone") and name.endswith("bias") and name not in state:
            norm = name.replace("conv", "bn").replace("downsample.0", "downsample.1").replace("bias", "running_mean")
            state[norm] -= bias
    # ... and its fusion takes the image's features first, the backbone's second.
    deep, value = model.key_proj.in_channels, len(stcn["key_comp.weight"])
    for part in ("conv1", "shortcut"):
        name = f"value_encoder.fuser.block1.{part}.weight"
        state[name] = state[name].roll(deep, dims=1)

    # The decoder's first block takes deep features, readout, sensory memory; STCN's takes the readout and key_comp's features.
    for part in ("conv1", "conv2", "shortcut"):
        state[f"{fuser}.block1.{part}.bias"] = stcn[f"decoder.compress.{part}.bias"].clone()
    state[f"{fuser}.block1.conv2.weight"] = stcn["decoder.compress.conv2.weight"].clone()
    for part in ("conv1", "shortcut"):
        weight = state[f"{fuser}.block1.{part}.weight"].zero_()
        weight[:, deep : deep + value] = stcn[f"decoder.compress.{part}.weight"][:, :value]
    for part in ("conv2", "shortcut"):  # what comes after adds the attention, 1/2 * 1/2 of it
        state[f"{fuser}.block1.{part}.weight"] /= 1.25
        state[f"{fuser}.block1.{part}.bias"] /= 1.25
    return state


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
