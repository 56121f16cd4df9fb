"""STCN: space-time correspondence networks (Cheng, Tai and Tang 2021, arXiv 2106.05210).

Two encoders. The key encoder sees the image alone: one key per cell, whatever the objects. The value encoder sees image and
mask: one value per cell and object. Keys decide where to look, values say what was there, and the decoder draws the mask.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..memory import EveryNth
from .backbones import ResNet
from .blocks import Fusion, ResBlock, Upsample, conv3x3, double


class Features(NamedTuple):
    """What the key encoder says of an image."""

    key: Float[Tensor, "b ck h w"]
    f16: Float[Tensor, "b c16 h w"]
    f16_thin: Float[Tensor, "b cv h w"]
    f8: Float[Tensor, "b c8 2*h 2*w"]
    f4: Float[Tensor, "b c4 4*h 4*w"]


class STCN(nn.Module):
    """The published network by default: 54.4 M parameters.

    single_object: the value encoder takes no mask of the other objects, as in the published first training stage.
    """

    stride = 16  # pixels per cell
    matching = {"kind": "l2", "top_k": 20}  # options of memory.read at inference
    policy = EveryNth(5)

    def __init__(
        self,
        key_depth: int = 50,
        value_depth: int = 18,
        key_channels: int = 64,
        value_channels: int = 512,
        single_object: bool = False,
    ):
        super().__init__()
        self.single_object = single_object
        self.key_encoder = ResNet(key_depth)
        c4, c8, c16 = self.key_encoder.channels
        self.key_proj = conv3x3(c16, key_channels)
        nn.init.orthogonal_(self.key_proj.weight)
        nn.init.zeros_(self.key_proj.bias)
        self.key_comp = conv3x3(c16, value_channels)
        self.value_encoder = ValueEncoder(value_depth, c16, value_channels, inputs=4 if single_object else 5)
        self.decoder = Decoder(value_channels, c8, c4)

    def encode_key(self, image: Float[Tensor, "b 3 H W"]) -> Features:
        """Keys and features of a normalised image whose sides are multiples of the stride."""
        f4, f8, f16 = self.key_encoder(image)
        return Features(self.key_proj(f16), f16, self.key_comp(f16), f8, f4)

    def encode_value(
        self, image: Float[Tensor, "b 3 H W"], features: Features, masks: Float[Tensor, "b k H W"]
    ) -> Float[Tensor, "b k cv h w"]:
        """What to remember of each object: its mask, and those of all others together, are seen with the image."""
        b, k = masks.shape[:2]
        others = masks.sum(1, keepdim=True) - masks  # (b,k,H,W)
        planes = masks[:, :, None] if self.single_object else torch.stack([masks, others], 2)  # (b,k,1|2,H,W)
        seen = torch.cat([image[:, None].expand(b, k, *image.shape[1:]), planes], 2)  # (b,k,4|5,H,W)
        f16 = features.f16.repeat_interleave(k, dim=0)  # (b*k,c16,h,w)
        return self.value_encoder(seen.flatten(0, 1), f16).unflatten(0, (b, k))

    def decode(self, readout: Float[Tensor, "b k cv h w"], features: Features) -> Float[Tensor, "b k H W"]:
        """The probability of each object, on its own, at each pixel."""
        b, k = readout.shape[:2]
        thin, f8, f4 = (x.repeat_interleave(k, dim=0) for x in (features.f16_thin, features.f8, features.f4))
        return self.decoder(readout.flatten(0, 1), thin, f8, f4).sigmoid().unflatten(0, (b, k)).squeeze(2)


class ValueEncoder(nn.Module):
    """Image and masks through a small ResNet, then fused with the key encoder's features of the same image."""

    def __init__(self, depth: int, c16: int, outputs: int, inputs: int):
        super().__init__()
        self.backbone = ResNet(depth, inputs, bias=True)
        self.fuser = Fusion(self.backbone.channels[2] + c16, outputs)

    def forward(self, seen: Float[Tensor, "b inputs H W"], f16: Float[Tensor, "b c16 h w"]) -> Float[Tensor, "b cv h w"]:
        return self.fuser(self.backbone(seen)[2], f16)


class Decoder(nn.Module):
    """From the readout at stride 16, with the query image's own features, to a mask logit per pixel."""

    def __init__(self, value_channels: int, c8: int, c4: int):
        super().__init__()
        self.compress = ResBlock(2 * value_channels, 512)
        self.up_16_8 = Upsample(c8, 512, 256)
        self.up_8_4 = Upsample(c4, 256, 256)
        self.pred = conv3x3(256, 1)

    def forward(
        self,
        readout: Float[Tensor, "b cv h w"],
        f16_thin: Float[Tensor, "b cv h w"],
        f8: Float[Tensor, "b c8 2*h 2*w"],
        f4: Float[Tensor, "b c4 4*h 4*w"],
    ) -> Float[Tensor, "b 1 H W"]:
        x = self.compress(torch.cat([readout, f16_thin], 1))
        x = self.up_16_8(f8, x)
        x = self.up_8_4(f4, x)
        return double(self.pred(F.relu(x)), 4)
