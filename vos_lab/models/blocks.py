"""The building blocks that STCN and XMem share. No normalisation in any of them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)


class ResBlock(nn.Module):
    """shortcut(x) + conv(relu(conv(relu(x)))); the shortcut is a convolution where the number of channels changes."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.shortcut = nn.Identity() if inputs == outputs else conv3x3(inputs, outputs)

    def forward(self, x: Float[Tensor, "b inputs h w"]) -> Float[Tensor, "b outputs h w"]:
        return self.shortcut(x) + self.conv2(F.relu(self.conv1(F.relu(x))))


class CBAM(nn.Module):
    """Attention over channels, then over places: two sigmoid gates (Woo et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        self.channel = nn.Sequential(
            nn.Linear(channels, channels // reduction), nn.ReLU(), nn.Linear(channels // reduction, channels)
        )
        self.spatial = nn.Conv2d(2, 1, kernel_size=7, padding=3)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        which = self.channel(x.mean((2, 3))) + self.channel(x.amax((2, 3)))  # (b,c)
        x = x * which.sigmoid()[:, :, None, None]
        where = self.spatial(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1))  # (b,1,h,w)
        return x * where.sigmoid()


class Fusion(nn.Module):
    """Mix two feature maps into one: a ResBlock, attention, a ResBlock."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.block1 = ResBlock(inputs, outputs)
        self.attention = CBAM(outputs)
        self.block2 = ResBlock(outputs, outputs)

    def forward(self, first: Float[Tensor, "b c1 h w"], second: Float[Tensor, "b c2 h w"]) -> Float[Tensor, "b c h w"]:
        x = self.block1(torch.cat([first, second], 1))
        return self.block2(x + self.attention(x))


class Upsample(nn.Module):
    """Twice the resolution: add the encoder's finer features to the coarse ones, then a ResBlock.

    The k objects of an image lie one after the other in `coarse`; they share `fine`, which is convolved once.
    """

    def __init__(self, skip_channels: int, inputs: int, outputs: int):
        super().__init__()
        self.skip_conv = conv3x3(skip_channels, inputs)
        self.out_conv = ResBlock(inputs, outputs)

    def forward(self, fine: Float[Tensor, "b s H W"], coarse: Float[Tensor, "bk c h w"]) -> Float[Tensor, "bk o H W"]:
        skip = self.skip_conv(fine)[:, None]  # (b,1,c,H,W)
        return self.out_conv((skip + double(coarse).unflatten(0, (len(fine), -1))).flatten(0, 1))


def double(x: Float[Tensor, "b c h w"], times: int = 2) -> Float[Tensor, "b c H W"]:
    """Bilinear upsampling."""
    return F.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)
