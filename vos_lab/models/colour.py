"""A matcher that needs no training: keys are what a cell looks like, values are the mask itself.

The baseline of the first lessons. It finds what is coloured like the object, and its false matches are plain to see.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..clip import IMAGENET_MEAN, IMAGENET_STD
from ..memory import EveryNth


class Features(NamedTuple):
    """Hand-made keys; nothing else is needed to draw the mask."""

    key: Float[Tensor, "b c h w"]


class Colour(nn.Module):
    """Keys: CIELAB colour, its surroundings, edge directions and place. Values: the share of the cell that the mask covers."""

    stride = 4
    matching = {"kind": "l2", "top_k": 20}
    policy = EveryNth(5, include_last=True)

    def __init__(self, colour: float = 1.0, context: float = 1.0, edges: float = 1.0, place: float = 1.0, sharp: float = 8.0):
        super().__init__()
        self.weights = (colour, context, edges, place, sharp)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def encode_key(self, image: Float[Tensor, "b 3 H W"]) -> Features:
        colour, context, edges, place, sharp = self.weights
        lab = cielab((image * self.std + self.mean).clamp(0, 1))  # (b,3,H,W)
        cells = F.avg_pool2d(lab, self.stride)  # (b,3,h,w)
        around = F.avg_pool2d(cells, 5, stride=1, padding=2, count_include_pad=False)
        around2 = F.avg_pool2d(cells, 11, stride=1, padding=5, count_include_pad=False)
        grad = F.pad(lab[:, :1], (1, 1, 1, 1), mode="replicate")
        dx, dy = (grad[:, :, 1:-1, 2:] - grad[:, :, 1:-1, :-2]), (grad[:, :, 2:, 1:-1] - grad[:, :, :-2, 1:-1])
        angle = torch.atan2(dy, dx)
        mag = (dx.square() + dy.square()).sqrt()
        hog = torch.cat([mag * F.relu(torch.cos(angle - a)) ** 2 for a in torch.arange(8) * torch.pi / 4], 1)
        hog = F.avg_pool2d(F.avg_pool2d(hog, self.stride), 3, stride=1, padding=1)
        hog = hog / (hog.norm(dim=1, keepdim=True) + 0.05)
        h, w = cells.shape[2:]
        y = torch.linspace(0, h / w, h, device=image.device)[:, None].expand(h, w)
        x = torch.linspace(0, 1, w, device=image.device)[None].expand(h, w)
        xy = torch.stack([x, y])[None].expand(len(image), 2, h, w)
        key = torch.cat([colour * cells, context * around, context * around2, edges * hog, place * xy], 1)
        return Features(key * sharp)

    def encode_value(
        self, image: Float[Tensor, "b 3 H W"], features: Features, masks: Float[Tensor, "b k H W"]
    ) -> Float[Tensor, "b k 1 h w"]:
        return F.avg_pool2d(masks, self.stride).unsqueeze(2)

    def decode(self, readout: Float[Tensor, "b k 1 h w"], features: Features) -> Float[Tensor, "b k H W"]:
        return F.interpolate(readout.squeeze(2), scale_factor=self.stride, mode="bilinear", align_corners=False).clamp(0, 1)


def cielab(rgb: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
    """sRGB in 0..1 to CIELAB (D65 white), divided by 100: distances are about as large as they look."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = linear.new_tensor(
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    )
    white = linear.new_tensor([0.95047, 1.0, 1.08883])
    xyz = torch.einsum("ij,bjhw->bihw", to_xyz, linear) / white[:, None, None]
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-8) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1) / 100
