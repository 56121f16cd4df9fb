"""XMem (Cheng and Schwing 2022, arXiv 2207.07115), written so that it can be read beside stcn.py.

What is new: a key says how far its influence reaches (shrinkage) and which channels matter to its query (selection); a sensory
memory runs along with each object, frame by frame; and the policy `LongTerm` keeps memory from growing.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..memory import LongTerm, Policy
from .backbones import ResNet
from .blocks import Fusion, Upsample, conv3x3, double
from .stcn import masks_planes, probabilities


class XMemFeatures(NamedTuple):
    """What the key encoder says of an image; the strides are 16, 8 and 4 in the published network, 8, 4 and 2 in small ones."""

    key: Float[Tensor, "b ck h w"]
    shrinkage: Float[Tensor, "b 1 h w"]  # 1 or more: how fast similarity falls with distance from this cell, as memory
    selection: Float[Tensor, "b ck h w"]  # 0..1: how much each channel counts for this cell, as query
    deep: Float[Tensor, "b c3 h w"]  # f16 in the authors' code
    middle: Float[Tensor, "b c2 2*h 2*w"]  # f8
    fine: Float[Tensor, "b c1 4*h 4*w"]  # f4


class XMem(nn.Module):
    """The published network by default: 62.2 M parameters. single_object and the last four arguments are as STCN's."""

    precision = "fp32"  # or "auto": tracked in bfloat16 where the hardware computes with it
    matching = {"kind": "anisotropic", "top_k": 30}
    policy: Policy = LongTerm()

    def __init__(
        self,
        key_depth: int = 50,
        value_depth: int = 18,
        key_channels: int = 64,
        value_channels: int = 512,
        sensory_channels: int = 64,
        single_object: bool = False,
        *,
        key_widths: tuple[int, int, int] = (64, 128, 256),
        value_widths: tuple[int, int, int] = (64, 128, 256),
        decoder_channels: tuple[int, int, int] = (512, 256, 256),
        pool: bool = True,
    ):
        super().__init__()
        self.stride = 16 if pool else 8  # pixels per cell
        self.sensory_channels = sensory_channels
        self.single_object = single_object
        self.key_encoder = ResNet(key_depth, widths=key_widths, pool=pool)
        fine, middle, deep = self.key_encoder.channels
        self.key_proj = conv3x3(deep, key_channels)
        self.shrinkage_proj = conv3x3(deep, 1)
        self.selection_proj = conv3x3(deep, key_channels)
        nn.init.orthogonal_(self.key_proj.weight)
        self.key_proj.bias = nn.Parameter(torch.zeros(key_channels))
        backbone = ResNet(value_depth, 4 if single_object else 5, widths=value_widths, pool=pool)
        self.value_encoder = ValueEncoder(backbone, deep, value_channels, sensory_channels)
        self.decoder = Decoder(deep, middle, fine, value_channels, sensory_channels, decoder_channels, self.stride)

    def encode_key(self, image: Float[Tensor, "b 3 H W"]) -> XMemFeatures:
        """Keys and features of a normalised image whose sides are multiples of the stride."""
        fine, middle, deep = self.key_encoder(image)
        shrinkage = self.shrinkage_proj(deep).square() + 1
        return XMemFeatures(self.key_proj(deep), shrinkage, self.selection_proj(deep).sigmoid(), deep, middle, fine)

    def first_sensory(self, features: XMemFeatures, objects: int) -> Float[Tensor, "b k cs h w"]:
        """Nothing sensed yet."""
        b, _, h, w = features.key.shape
        return features.key.new_zeros(b, objects, self.sensory_channels, h, w)

    def encode_value(
        self,
        image: Float[Tensor, "b 3 H W"],
        features: XMemFeatures,
        masks: Float[Tensor, "b k H W"],
        sensory: Float[Tensor, "b k cs h w"],
    ) -> tuple[Float[Tensor, "b k cv h w"], Float[Tensor, "b k cs h w"]]:
        """What to remember of each object, and its sensory memory after this deep update."""
        b, k = masks.shape[:2]
        deep = features.deep.repeat_interleave(k, dim=0)  # (b*k,c3,h,w)
        value, sensory = self.value_encoder(masks_planes(image, masks, self.single_object), deep, sensory.flatten(0, 1))
        return value.unflatten(0, (b, k)), sensory.unflatten(0, (b, k))

    def decode(
        self, readout: Float[Tensor, "b k cv h w"], features: XMemFeatures, sensory: Float[Tensor, "b k cs h w"]
    ) -> tuple[Float[Tensor, "b k H W"], Float[Tensor, "b k cs h w"]]:
        """The probability of each object, on its own, at each pixel, and its sensory memory after this frame."""
        b, k = readout.shape[:2]
        deep = features.deep.repeat_interleave(k, dim=0)  # (b*k,c3,h,w)
        logits, sensory = self.decoder(readout.flatten(0, 1), sensory.flatten(0, 1), deep, features.middle, features.fine)
        return probabilities(logits, b, k), sensory.unflatten(0, (b, k))


class SensoryCell(nn.Module):
    """One step of the sensory memory: forget some, take up some, both by gates (as in a GRU)."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.transform = conv3x3(inputs + channels, 3 * channels)

    def forward(self, x: Float[Tensor, "b c h w"], sensory: Float[Tensor, "b cs h w"]) -> Float[Tensor, "b cs h w"]:
        forget, update, new = self.transform(torch.cat([x, sensory], 1)).chunk(3, dim=1)
        forget, update = forget.sigmoid(), update.sigmoid()
        return forget * sensory * (1 - update) + update * new.tanh()


class ValueEncoder(nn.Module):
    """As STCN's, but image features come first in the fusion; the value also updates the sensory memory (the deep update)."""

    def __init__(self, backbone: ResNet, deep: int, outputs: int, sensory: int):
        super().__init__()
        self.backbone = backbone
        self.fuser = Fusion(deep + backbone.channels[2], outputs)
        self.sensory = SensoryCell(outputs, sensory)

    def forward(
        self, seen: Float[Tensor, "b inputs H W"], deep: Float[Tensor, "b c3 h w"], sensory: Float[Tensor, "b cs h w"]
    ) -> tuple[Float[Tensor, "b cv h w"], Float[Tensor, "b cs h w"]]:
        value = self.fuser(deep, self.backbone(seen)[2])
        return value, self.sensory(value, sensory)


class Decoder(nn.Module):
    """As STCN's, but the readout is fused with the sensory memory and the image's own features by attention."""

    def __init__(
        self, deep: int, middle: int, fine: int, value: int, sensory: int, channels: tuple[int, int, int], stride: int
    ):
        super().__init__()
        first, second, third = channels
        self.last_zoom = stride // 4
        self.fuser = Fusion(deep + value + sensory, first)
        self.up_16_8 = Upsample(middle, first, second)
        self.up_8_4 = Upsample(fine, second, third)
        self.pred = conv3x3(third, 1)
        mixed = third  # 256 in the published network
        self.see_coarse = nn.Conv2d(first, mixed, 1)
        self.see_middle = nn.Conv2d(second, mixed, 1)
        self.see_fine = nn.Conv2d(third + 1, mixed, 1)  # with the mask's logit
        self.sensory = SensoryCell(mixed, sensory)

    def forward(
        self,
        readout: Float[Tensor, "bk cv h w"],
        sensory: Float[Tensor, "bk cs h w"],
        deep: Float[Tensor, "bk c3 h w"],
        middle: Float[Tensor, "b c2 2*h 2*w"],
        fine: Float[Tensor, "b c1 4*h 4*w"],
    ) -> tuple[Float[Tensor, "bk 1 H W"], Float[Tensor, "bk cs h w"]]:
        coarse = self.fuser(deep, torch.cat([readout, sensory], 1))
        half = self.up_16_8(middle, coarse)
        quarter = self.up_8_4(fine, half)
        logit = self.pred(F.relu(quarter))
        seen = self.see_coarse(coarse) + self.see_middle(F.avg_pool2d(half, 2))
        seen = seen + self.see_fine(F.avg_pool2d(torch.cat([quarter, logit], 1), 4))
        return double(logit, self.last_zoom), self.sensory(seen, sensory)
