"""STCN: space-time correspondence networks (Cheng, Tai and Tang 2021, arXiv 2106.05210).

Two encoders. The key encoder sees the image alone: one key per cell, whatever the objects. The value encoder sees image and
mask: one value per cell and object. Keys decide where to look, values say what was there, and the decoder draws the mask.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..memory import EveryNth, Policy
from .backbones import ResNet
from .blocks import Fusion, ResBlock, Upsample, conv3x3, double


class Features(NamedTuple):
    """What the key encoder says of an image; the strides are 16, 8 and 4 in the published network, 8, 4 and 2 in small ones."""

    key: Float[Tensor, "b ck h w"]
    deep: Float[Tensor, "b c3 h w"]  # f16 in the authors' code
    thin: Float[Tensor, "b cv h w"]  # f16_thin: deep, with as many channels as a value
    middle: Float[Tensor, "b c2 2*h 2*w"]  # f8
    fine: Float[Tensor, "b c1 4*h 4*w"]  # f4


class STCN(nn.Module):
    """The published network by default: 54.4 M parameters.

    single_object: the value encoder takes no mask of the other objects, as in the published first training stage. The last four
    arguments make it smaller; without pooling, cells have 8 pixels instead of 16.
    """

    precision = "fp32"  # or "auto": tracked in bfloat16 where the hardware computes with it
    matching = {"kind": "l2", "top_k": 20}  # options of memory.read at inference
    policy: Policy = EveryNth(5)

    def __init__(
        self,
        key_depth: int = 50,
        value_depth: int = 18,
        key_channels: int = 64,
        value_channels: int = 512,
        single_object: bool = False,
        *,
        key_widths: tuple[int, int, int] = (64, 128, 256),
        value_widths: tuple[int, int, int] = (64, 128, 256),
        decoder_channels: tuple[int, int, int] = (512, 256, 256),
        pool: bool = True,
    ):
        super().__init__()
        self.stride = 16 if pool else 8  # pixels per cell
        self.single_object = single_object
        self.key_encoder = ResNet(key_depth, widths=key_widths, pool=pool)
        fine, middle, deep = self.key_encoder.channels
        self.key_proj = conv3x3(deep, key_channels)
        nn.init.orthogonal_(self.key_proj.weight)
        self.key_proj.bias = nn.Parameter(torch.zeros(key_channels))
        self.key_comp = conv3x3(deep, value_channels)
        backbone = ResNet(value_depth, 4 if single_object else 5, bias=True, widths=value_widths, pool=pool)
        self.value_encoder = ValueEncoder(backbone, deep, value_channels)
        self.decoder = Decoder(value_channels, middle, fine, decoder_channels, self.stride)

    def encode_key(self, image: Float[Tensor, "b 3 H W"]) -> Features:
        """Keys and features of a normalised image whose sides are multiples of the stride."""
        fine, middle, deep = self.key_encoder(image)
        return Features(self.key_proj(deep), deep, self.key_comp(deep), middle, fine)

    def encode_value(
        self, image: Float[Tensor, "b 3 H W"], features: Features, masks: Float[Tensor, "b k H W"]
    ) -> Float[Tensor, "b k cv h w"]:
        """What to remember of each object: its mask, and those of all others together, are seen with the image."""
        b, k = masks.shape[:2]
        seen = masks_planes(image, masks, self.single_object)
        deep = features.deep.repeat_interleave(k, dim=0)  # (b*k,c3,h,w)
        return self.value_encoder(seen, deep).unflatten(0, (b, k))

    def decode(self, readout: Float[Tensor, "b k cv h w"], features: Features) -> Float[Tensor, "b k H W"]:
        """The probability of each object, on its own, at each pixel."""
        b, k = readout.shape[:2]
        thin = features.thin.repeat_interleave(k, dim=0)  # (b*k,cv,h,w)
        return probabilities(self.decoder(readout.flatten(0, 1), thin, features.middle, features.fine), b, k)


class ValueEncoder(nn.Module):
    """Image and masks through a small ResNet, then fused with the key encoder's features of the same image."""

    def __init__(self, backbone: ResNet, deep: int, outputs: int):
        super().__init__()
        self.backbone = backbone
        self.fuser = Fusion(backbone.channels[2] + deep, outputs)

    def forward(self, seen: Float[Tensor, "b inputs H W"], deep: Float[Tensor, "b c3 h w"]) -> Float[Tensor, "b cv h w"]:
        return self.fuser(self.backbone(seen)[2], deep)


class Decoder(nn.Module):
    """From the readout, with the query image's own features, to a mask logit per pixel."""

    def __init__(self, value_channels: int, middle: int, fine: int, channels: tuple[int, int, int], stride: int):
        super().__init__()
        first, second, third = channels
        self.last_zoom = stride // 4
        self.compress = ResBlock(2 * value_channels, first)
        self.up_16_8 = Upsample(middle, first, second)
        self.up_8_4 = Upsample(fine, second, third)
        self.pred = conv3x3(third, 1)

    def forward(
        self,
        readout: Float[Tensor, "bk cv h w"],
        thin: Float[Tensor, "bk cv h w"],
        middle: Float[Tensor, "b c2 2*h 2*w"],
        fine: Float[Tensor, "b c1 4*h 4*w"],
    ) -> Float[Tensor, "bk 1 H W"]:
        x = self.compress(torch.cat([readout, thin], 1))
        x = self.up_16_8(middle, x)
        x = self.up_8_4(fine, x)
        return double(self.pred(F.relu(x)), self.last_zoom)


def masks_planes(
    image: Float[Tensor, "b 3 H W"], masks: Float[Tensor, "b k H W"], single_object: bool = False
) -> Float[Tensor, "bk inputs H W"]:
    """What a value encoder sees of each object: the image, its mask and, unless single_object, all others' together."""
    b, k = masks.shape[:2]
    others = masks.sum(1, keepdim=True) - masks  # (b,k,H,W)
    planes = masks[:, :, None] if single_object else torch.stack([masks, others], 2)  # (b,k,1|2,H,W)
    return torch.cat([image[:, None].expand(b, k, *image.shape[1:]), planes], 2).flatten(0, 1)


def probabilities(logits: Float[Tensor, "bk 1 H W"], b: int, k: int) -> Float[Tensor, "b k H W"]:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # a half-precision sigmoid is 1 from 0.998 on
    return logits.sigmoid().unflatten(0, (b, k)).squeeze(2)
