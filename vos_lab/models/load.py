"""load_model: models by name, weights from files that others published."""

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..shipped import DATA
from .backbones import DEPTHS
from .colour import Colour
from .presets import PRESETS, build
from .stcn import STCN
from .xmem import XMem

# weights that ship -> the preset that they are of; -corr was trained as its twin was, with losses on the correspondence
SHIPPED = {
    "stcn-small": "stcn-small",
    "stcn-small-davis": "stcn-small",
    "stcn-small-davis-corr": "stcn-small",
    "stcn-tiny": "stcn-tiny",
    "xmem-small": "xmem-small",
    "stcn-tiny-masks": "stcn-tiny",
    "stcn-tiny-corr": "stcn-tiny",
    "xmem-small-masks": "xmem-small",
    "xmem-small-corr": "xmem-small",
}
SHIPPED_WEIGHTS = DATA / "weights"

# Names in the published checkpoints -> names here. First match wins per rule; rules apply in turn.
STCN_NAMES = [
    (r"^key_encoder\.res2\.", "key_encoder.layer1."),
    (r"^value_encoder\.(conv1|bn1|layer)", r"value_encoder.backbone.\1"),
    (r"^key_proj\.key_proj\.", "key_proj."),
    (r"\.(block1|block2|compress|out_conv)\.downsample\.", r".\1.shortcut."),
    (r"\.ChannelGate\.mlp\.1\.", ".channel.0."),
    (r"\.ChannelGate\.mlp\.3\.", ".channel.2."),
    (r"\.SpatialGate\.spatial\.conv\.", ".spatial."),
]

XMEM_NAMES = [
    *STCN_NAMES,
    (r"^key_proj\.d_proj\.", "shrinkage_proj."),
    (r"^key_proj\.e_proj\.", "selection_proj."),
    (r"^decoder\.hidden_update\.transform\.", "decoder.sensory.transform."),
    (r"^decoder\.hidden_update\.g16_conv\.", "decoder.see_coarse."),
    (r"^decoder\.hidden_update\.g8_conv\.", "decoder.see_middle."),
    (r"^decoder\.hidden_update\.g4_conv\.", "decoder.see_fine."),
    (r"^value_encoder\.hidden_reinforce\.", "value_encoder.sensory."),
]

NAMES = {"stcn": STCN_NAMES, "xmem": XMEM_NAMES}
PUBLISHED: dict[str, type[STCN] | type[XMem]] = {"stcn": STCN, "xmem": XMem}
TITLES = {"stcn": "STCN", "xmem": "XMem"}


def load_model(name: str, weights: str | Path | None = None, device: str | torch.device = "cpu") -> Colour | STCN | XMem:
    """A model in evaluation mode.

    name: "colour" (nothing trained), "stcn" and "xmem" (the published networks), or one whose weights ship (SHIPPED:
    "stcn-small" and others). weights: a file, .pth or .safetensors, loaded strictly ("stcn", "xmem": a
    published state dict; the others: what `vos-lab train` wrote), or "random" for seeded random weights. Raises InputError
    where file and model do not fit, and where weights that ship were changed.
    """
    preset = SHIPPED.get(name, name)
    model: Colour | STCN | XMem
    if name == "colour":
        if weights is not None:
            raise InputError("the model 'colour' has no weights: leave out weights=")
        model = Colour()
    elif preset not in PRESETS:
        raise InputError(f"there is no model '{name}': choose colour, {', '.join(dict.fromkeys([*SHIPPED, *PRESETS]))}")
    elif weights == "random":
        model = random_model(preset)
    elif weights is None and name not in SHIPPED:
        source = f"of {name}.pth, which its authors publish," if name in PUBLISHED else "that `vos-lab train` wrote"
        raise InputError(f"the model '{name}' needs weights= (--weights): the path {source} or 'random' to look at its parts")
    else:
        path = shipped_weights(name) if weights is None else Path(weights)
        model = published(path, preset) if preset in PUBLISHED else trained(path, preset)
    if getattr(model, "precision", "fp32") == "auto":
        model.to(memory_format=torch.channels_last)  # convolutions are faster that way
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(
            f"the device '{device}' cannot be used here ({reason}): choose cpu, or cuda where there is a GPU"
        ) from None


def shipped_weights(name: str) -> Path:
    """The file of weights that ship under this name, its SHA-256 checked."""
    path = SHIPPED_WEIGHTS / f"{name}.safetensors"
    if name not in SHIPPED:
        raise InputError(f"no weights ship for '{name}': choose {', '.join(SHIPPED)}, or give the path of a file")
    if not path.is_file():
        raise InputError(f"{path} is missing: clone the repository again, or give weights= (--weights) a path")
    lines = (SHIPPED_WEIGHTS / "SHA256SUMS").read_text().splitlines()
    listed = {file: digest for digest, file in map(str.split, lines)}
    if hashlib.sha256(path.read_bytes()).hexdigest() != listed[path.name]:
        raise InputError(f"{path} is not the file that ships (its SHA-256 differs): fetch it again, or name it with weights=")
    return path


def random_model(preset: str, seed: int = 0) -> STCN | XMem:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(preset)


def trained(path: Path, preset: str) -> STCN | XMem:
    """A file that `vos-lab train` wrote."""
    state = read_state(path)
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        model = build(preset)
    load_strictly(model, state, path, {name: name for name in state})
    return model


def published(path: Path, kind: str) -> STCN | XMem:
    """The published layout of "stcn" or "xmem"; depth and widths are read from the file."""
    in_file = read_state(path)
    is_xmem = "key_proj.d_proj.weight" in in_file
    if any(name.startswith("module.") for name in in_file):
        raise InputError(f"{path} was saved from a parallel wrapper ('module.' in its names): save model.module.state_dict()")
    if is_xmem != (kind == "xmem") and "key_proj.key_proj.weight" in in_file:
        other = "xmem" if is_xmem else "stcn"
        raise InputError(f"{path} holds {TITLES[other]} weights, not {TITLES[kind]}'s: load it as '{other}'")
    names = {rename(name, NAMES[kind]): name for name in in_file}  # ours -> the file's
    state = {ours: in_file[theirs] for ours, theirs in names.items()}
    try:
        blocks = {name.split(".")[2] for name in state if name.startswith("key_encoder.layer3.")}
        depth = {counts[2]: depth for depth, (_, counts) in DEPTHS.items()}[len(blocks)]
        size: dict[str, Any] = dict(key_depth=depth, key_channels=state["key_proj.weight"].shape[0])
        if kind == "stcn":
            size["value_channels"] = state["key_comp.weight"].shape[0]
        else:
            size["value_channels"] = state["value_encoder.fuser.block2.conv2.weight"].shape[0]
            size["sensory_channels"] = state["decoder.sensory.transform.weight"].shape[0] // 3
        first = state["value_encoder.backbone.conv1.weight"]  # (64,4|5,7,7)
    except KeyError:
        begin = ", ".join(list(in_file)[:3])
        raise InputError(
            f"{path} holds no {TITLES[kind]} weights (its names begin {begin}): give a published {kind}.pth"
        ) from None
    if first.shape[1] == 4:  # trained on single objects: a fifth input, the other objects' masks, that it does not see
        state["value_encoder.backbone.conv1.weight"] = torch.cat([first, torch.zeros_like(first[:, :1])], 1)
    with torch.device("meta"):
        model = PUBLISHED[kind](**size)
    load_strictly(model, state, path, names)
    return model


def read_state(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a checkpoint; no code in it is run."""
    if not path.is_file():
        raise InputError(
            f"{path} {'is a folder' if path.is_dir() else 'does not exist'}: give a weights file, .pth or .safetensors"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own family of errors, pickle's included
        raise InputError(
            f"{path} cannot be read as weights ({type(error).__name__}): give a state dict, .pth or .safetensors"
        ) from None
    if not isinstance(state, dict) or not state or not all(isinstance(x, Tensor) for x in state.values()):
        raise InputError(f"{path} holds no raw state dict (names with tensors): save model.state_dict() alone")
    return {name: x.float() if x.is_floating_point() else x for name, x in state.items()}  # half is for storing


def rename(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def load_strictly(model: nn.Module, state: dict[str, Tensor], path: Path, names: dict[str, str]) -> None:
    """Every name once, every shape equal; else an error that lists the differences. names: as they stand in the file."""
    wanted = model.state_dict()
    differences = [f"{name} is missing" for name in wanted if name not in state]
    differences += [f"{names[name]} is not known" for name in state if name not in wanted]
    differences += [
        f"{names[name]} is {tuple(state[name].shape)}, wanted {tuple(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise InputError(f"{path} does not fit {type(model).__name__}: {'; '.join(differences[:5])}{more}")
    model.load_state_dict(state, strict=True, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
