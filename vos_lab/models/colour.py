"""A matcher that needs no training: keys are what a cell looks like, values are the mask itself.

The baseline of the first lessons. It finds whatever is coloured like the object, and its false matches are plain to see.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..clip import IMAGENET_MEAN, IMAGENET_STD
from ..memory import FirstAndLast


class Features(NamedTuple):
    """Hand-made keys, and the colours from which the mask's edge is drawn."""

    key: Float[Tensor, "b c h w"]
    lab: Float[Tensor, "b 3 H W"]
    cells: Float[Tensor, "b 3 h w"]


class Colour(nn.Module):
    """Keys: CIELAB colour of the cell and of its surroundings, edge directions, place. Value: the share that the mask covers.

    The numbers weigh these against each other; `sharp` scales them all, so that a better match takes more of the weight.
    """

    precision = "fp32"
    stride = 8  # pixels per cell
    matching = {"kind": "l2", "top_k": 20}
    policy = FirstAndLast()
    mean: Tensor
    std: Tensor

    def __init__(self, surroundings: float = 1.0, edges: float = 1.0, place: float = 0.5, sharp: float = 32.0):
        super().__init__()
        self.surroundings, self.edges, self.place, self.sharp = surroundings, edges, place, sharp
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def encode_key(self, image: Float[Tensor, "b 3 H W"]) -> Features:
        lab = cielab((image * self.std + self.mean).clamp(0, 1))  # (b,3,H,W)
        cells = F.avg_pool2d(lab, self.stride)  # (b,3,h,w)
        around = F.avg_pool2d(cells, 5, stride=1, padding=2, count_include_pad=False)  # (b,3,h,w)
        edges = F.avg_pool2d(edge_strength(lab[:, :1]), self.stride)  # (b,4,h,w)
        place = places(cells)  # (b,2,h,w)
        key = torch.cat([cells, self.surroundings * around, self.edges * edges, self.place * place], 1)  # (b,12,h,w)
        return Features(self.sharp * key, lab, cells)

    def encode_value(
        self, image: Float[Tensor, "b 3 H W"], features: Features, masks: Float[Tensor, "b k H W"]
    ) -> Float[Tensor, "b k 1 h w"]:
        return F.avg_pool2d(masks, self.stride).unsqueeze(2)

    def decode(self, readout: Float[Tensor, "b k 1 h w"], features: Features) -> Float[Tensor, "b k H W"]:
        """Each pixel asks the 3x3 cells around it, and trusts those that are near and of its colour.

        An affinity once more, of a pixel with nine cells; the s*s pixels of a cell are called p.
        """
        s = self.stride
        pixels = F.pixel_unshuffle(features.lab, s).unflatten(1, (3, 1, s * s))  # (b,3,1,p,h,w)
        unlike = (pixels - around9(features.cells).unsqueeze(3)).square().sum(1)  # (b,9,p,h,w)
        similarity = -100 * unlike - distances(s).to(unlike)[:, :, None, None]  # (b,9,p,h,w)
        prob = torch.einsum("bnphw,bknhw->bkphw", similarity.softmax(1), around9(readout.squeeze(2)))  # (b,k,p,h,w)
        return F.pixel_shuffle(prob.flatten(1, 2), s).clamp(0, 1)  # (b,k,H,W)


def cielab(rgb: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
    """sRGB in 0..1 to CIELAB (D65 white) divided by 100: distances are about as large as they look."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = rgb.new_tensor([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    white = rgb.new_tensor([0.95047, 1.0, 1.08883])[:, None, None]
    xyz = torch.einsum("ij,bjhw->bihw", to_xyz, linear) / white
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-8) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1) / 100


def edge_strength(light: Float[Tensor, "b 1 H W"]) -> Float[Tensor, "b 4 H W"]:
    """How strongly lightness changes along four directions, 45 degrees apart."""
    padded = F.pad(light, (1, 1, 1, 1), mode="replicate")
    dx = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    dy = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    angle = torch.arange(4).to(light)[:, None, None] * torch.pi / 4
    return (dx * angle.cos() + dy * angle.sin()).abs()


def places(cells: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 h w"]:
    """x and y of each cell, in widths of the frame."""
    b, _, h, w = cells.shape
    y, x = torch.meshgrid(torch.arange(h).to(cells), torch.arange(w).to(cells), indexing="ij")
    return (torch.stack([x, y]) / w).expand(b, 2, h, w)


def around9(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 9 h w"]:
    """Each cell and its eight neighbours; at the border a cell stands in for its missing neighbour."""
    b, c, h, w = x.shape
    return F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3).view(b, c, 9, h, w)


def distances(stride: int) -> Float[Tensor, "9 p"]:
    """Squared distance, in cells, from each pixel of a cell to the centres of the 3x3 cells around it."""
    pixel = (torch.arange(stride) + 0.5) / stride - 0.5  # from the cell's own centre
    one_axis = (torch.arange(3)[:, None] - 1 - pixel).square()  # (3,s)
    return (one_axis[:, None, :, None] + one_axis[None, :, None, :]).reshape(9, -1)  # (3,3,s,s) -> (9,p)
