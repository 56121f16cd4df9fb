"""faster: a copy of a model that only tracks. It finds the same masks sooner."""

from copy import deepcopy
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import InputError
from ..precision import has_bfloat16
from .backbones import ResNet
from .colour import Colour
from .stcn import STCN
from .xmem import XMem

STRIP = 2**22  # numbers that `Winograd` holds per strip of a picture: 16 MB


DECISIVE = ("key_proj", "shrinkage_proj", "selection_proj", "decoder.pred")  # what is compared, and where the mask's edge falls


def faster(model: Colour | STCN | XMem, precision: str | None = None) -> Colour | STCN | XMem:
    """A copy of an STCN or XMem for tracking alone: it cannot be trained, and later changes of the model do not reach it.
    Of another model, a plain copy.

    precision: "fp32", or "bf16" for masks that differ in few pixels; the model's own unless given. Raises InputError for
    another one, and for bf16 where the hardware does not compute with it.
    """
    device = next(iter([*model.parameters(), *model.buffers()]), torch.zeros(())).device
    if precision is None:
        precision = "bf16" if getattr(model, "precision", "fp32") == "auto" and has_bfloat16(device) else "fp32"
    if precision not in ("fp32", "bf16"):
        raise InputError(f"precision='{precision}' is unknown: choose fp32 or bf16")
    if precision == "bf16" and not has_bfloat16(device):
        raise InputError(f"this {device.type} does not compute in bfloat16: choose precision='fp32'")
    copy = deepcopy(model).eval().requires_grad_(False)
    if not isinstance(copy, (STCN, XMem)):
        return copy
    fold_norms(copy)
    copy.precision = "auto" if precision == "bf16" else "fp32"
    if precision == "bf16":  # stored as they are used, so that they are not rounded again in each frame
        copy.to(torch.bfloat16).to(memory_format=torch.channels_last)
        for name in DECISIVE:
            parent, _, child = name.rpartition(".")
            if child in copy.get_submodule(parent)._modules:
                setattr(copy.get_submodule(parent), child, InFloat32(model.get_submodule(name)))
    elif device.type == "cpu":  # a GPU's library chooses its way of convolution itself
        for encoder in [x for x in copy.modules() if isinstance(x, ResNet)]:
            encoder.to(memory_format=torch.channels_last)
        use_winograd(copy)  # the weights of these convolutions, three quarters of a frame's work, then take 4 times the memory
    return copy


class InFloat32(nn.Module):
    """A convolution with all its digits among others in bfloat16."""

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv = deepcopy(conv).requires_grad_(False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        with torch.autocast(x.device.type, enabled=False):
            return self.conv(x.float())


def fold_norms(network: nn.Module) -> None:
    """Batch norm in evaluation mode is one factor and one offset per channel: they go into the convolution before it."""
    for parent in list(network.modules()):
        for (first, conv), (second, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, first, fuse_conv_bn_eval(conv, norm))
                setattr(parent, second, nn.Identity())


def use_winograd(network: nn.Module, least: int = 128) -> None:
    """In place of the wide 3x3 convolutions outside the encoders; with fewer channels, tiles cost what they save."""
    for name, child in list(network.named_children()):
        if isinstance(child, nn.Conv2d):
            if child.kernel_size == (3, 3) and min(child.in_channels, child.out_channels) >= least:
                setattr(network, name, Winograd(child))
        elif not isinstance(child, ResNet):
            use_winograd(child, least)


class Winograd(nn.Module):
    """A 3x3 convolution with 36 multiplications where the usual way takes 144 (Lavin and Gray 2016, F(4x4, 3x3)).

    As polynomials can be multiplied by multiplying their values at enough points, a tile of 4x4 results comes from the 6x6
    pixels below it by 36 products of transformed pixels and weights, which are matrix products over channels. In float32 it
    agrees with the usual way to about five digits.
    """

    weight: Tensor  # (36,o,c)
    bias: Tensor  # (o,)
    pixels: Tensor  # (36,36)
    results: Tensor  # (16,36)

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        # from and to values at the points 0, 1, -1, 2, -2 and infinity, along one side of a tile
        pixels = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
        pixels += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
        weights = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6]]
        weights += [[1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
        results = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
        both_sides = lambda rows: torch.kron(*2 * [torch.tensor(rows, dtype=torch.float64)])
        flat = conv.weight.detach().double().flatten(2).permute(2, 0, 1)  # (9,o,c)
        transformed = torch.einsum("ij,joc->ioc", both_sides(weights), flat)  # (36,o,c)
        self.register_buffer("weight", transformed.to(conv.weight.dtype).contiguous())
        self.register_buffer("bias", torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach())
        self.register_buffer("pixels", both_sides(pixels).to(conv.weight.dtype))
        self.register_buffer("results", both_sides(results).to(conv.weight.dtype))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        b, c, height, width = x.shape
        rows, columns = -(-height // 4), -(-width // 4)  # of tiles
        x = F.pad(x.contiguous(), (1, 4 * columns + 1 - width, 1, 4 * rows + 1 - height))
        made = x.new_empty(b, len(self.bias), 4 * rows, 4 * columns)
        step = max(1, STRIP // (36 * c * b * columns))  # rows of tiles at a time
        for top in range(0, rows, step):
            strip = x[:, :, 4 * top : 4 * (top + step) + 2]
            tiles = strip.unfold(2, 6, 4).unfold(3, 6, 4).permute(4, 5, 1, 0, 2, 3)  # (6,6,c,b,r,columns)
            r = tiles.shape[4]
            seen = (self.pixels @ tiles.reshape(36, -1)).view(36, c, -1)  # (36,c,b*r*columns)
            tiles = (self.results @ (self.weight @ seen).flatten(1)).view(4, 4, -1, b, r, columns)
            made[:, :, 4 * top : 4 * (top + r)] = (
                tiles.permute(3, 2, 4, 0, 5, 1).flatten(4, 5).flatten(2, 3)
            )  # (b,o,4*r,4*columns)
        return made[:, :, :height, :width] + self.bias[:, None, None]
