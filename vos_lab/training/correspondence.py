"""Training the matching itself, beside the masks (Zhang et al. 2023, arXiv 2304.06211): what the losses on keys are fed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from ..losses import object_correspondence, pixel_correspondence
from ..losses.discover import follow_regions
from ..models.blocks import conv3x3
from ..models.stcn import STCN, Features
from ..models.xmem import XMem, XMemFeatures
from .config import Config


class Correspondence(nn.Module):
    """Losses on the keys alone; nothing of this is needed at run time.

    With projection=true they act on a second head beside the key's, as in the released code, which is dropped after training;
    otherwise on the keys that the tracker matches with.
    """

    def __init__(self, model: STCN | XMem, config: Config):
        super().__init__()
        self.config = config
        self.head = None
        if config.projection:
            self.head = conv3x3(model.key_proj.in_channels, model.key_proj.out_channels)
            nn.init.orthogonal_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(
        self,
        model: STCN | XMem,
        frames: Float[Tensor, "b t 3 H W"],
        features: Features | XMemFeatures,
        masks: Int64[Tensor, "b t H W"],
        regions: Int64[Tensor, "b t h2 w2"] | None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
        """The temporal, the cross-view and the object-level loss, unweighted. features: each (b,t,...).

        0 where the weight is 0 (the first two come together).
        """
        keys = self.keys(features)  # (b,t,c,h,w)
        temporal = cross_view = object_level = keys.new_zeros(())
        pixel_level = bool(self.config.temporal or self.config.cross_view)
        if pixel_level:
            seen, theta = second_view(frames)
            keys2 = self.view2_keys(model, seen)
        with torch.autocast(frames.device.type, enabled=False):  # distances of keys need all their digits
            if pixel_level:
                temporal, cross_view, *_ = pixel_correspondence(keys, keys2, theta)
            if self.config.object_level:
                object_level = object_correspondence(keys, self.maps(keys, masks, regions, model.stride))
        return temporal, cross_view, object_level

    def maps(
        self,
        keys: Float[Tensor, "b t c h w"],
        masks: Int64[Tensor, "b t H W"],
        regions: Int64[Tensor, "b t h2 w2"] | None,
        stride: int,
    ) -> Float[Tensor, "b t k h w"]:
        """Of annotated objects and, where the config says so, of those that are discovered."""
        maps = object_maps(masks, stride)  # (b,t,k,h,w)
        if self.config.discovered:
            found = [follow_regions(*clip) for clip in zip(keys.detach(), regions, maps.sum(2))]  # each (t,_,h,w)
            most = max(x.shape[1] for x in found)
            found = torch.stack([F.pad(x, (0, 0, 0, 0, 0, most - x.shape[1])) for x in found])  # (b,t,most,h,w)
            maps = torch.cat([maps, found], 2)
        return maps

    def keys(self, features: Features | XMemFeatures) -> Float[Tensor, "b t c h w"]:
        if self.head is None:
            return features.key.float()
        b, t = features.deep.shape[:2]
        return self.head(features.deep.flatten(0, 1)).float().unflatten(0, (b, t))

    def view2_keys(self, model: STCN | XMem, frames: Float[Tensor, "b t 3 H W"]) -> Float[Tensor, "b t c h w"]:
        """Only frame 0 of view 2 is trained; the others give pseudo-labels. Batch norm's running statistics, which the tracker
        will use, do not see view 2: it would shift them, whatever the loss does."""
        with still_statistics(model):
            first = self.encode(model, frames[:, :1])
            with torch.no_grad():
                rest = self.encode(model, frames[:, 1:])
        return torch.cat([first, rest], 1)

    def encode(self, model: STCN | XMem, frames: Float[Tensor, "b t 3 H W"]) -> Float[Tensor, "b t c h w"]:
        images = frames.flatten(0, 1)
        if self.config.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.keys(per_frame(model.encode_key(images), len(frames)))


def per_frame(features: Features | XMemFeatures, b: int) -> Features | XMemFeatures:
    """Features of b*t images as (b,t,...)."""
    return features._make(x.unflatten(0, (b, -1)) for x in features)


def second_view(
    frames: Float[Tensor, "b t 3 H W"], smallest: float = 0.5
) -> tuple[Float[Tensor, "b t 3 H W"], Float[Tensor, "b 2 3"]]:
    """The same clips, flipped (half of them) and cropped to 0.5..1 of their area, and the map theta from view 2 to view 1.

    One draw for all frames of a clip. theta is affine, in the coordinates -1..1 of `affine_grid`.
    """
    b, t = frames.shape[:2]
    side = (smallest + (1 - smallest) * torch.rand(b)).sqrt()
    flip = torch.where(torch.rand(b) < 0.5, -1.0, 1.0)
    x, y = (1 - side) * (2 * torch.rand(2, b) - 1)  # of the crop's middle
    zero = torch.zeros(b)
    theta = torch.stack([torch.stack([flip * side, zero, x], 1), torch.stack([zero, side, y], 1)], 1).to(frames)  # (b,2,3)
    images = frames.flatten(0, 1)
    with torch.autocast(frames.device.type, enabled=False):  # or the view would lie beside its theta
        where = F.affine_grid(theta.repeat_interleave(t, 0), list(images.shape), align_corners=False)
        seen = F.grid_sample(images, where, padding_mode="border", align_corners=False)
    return seen.unflatten(0, (b, t)), theta


@contextmanager
def still_statistics(model: nn.Module) -> Iterator[None]:
    """Batch norm normalises by the batch, as in training, but its running statistics stay as they are."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum


def object_maps(masks: Int64[Tensor, "b t H W"], stride: int) -> Float[Tensor, "b t k h w"]:
    """How much of each cell belongs to each annotated object, 0..1."""
    one_hot = F.one_hot(masks, max(2, int(masks.max()) + 1))[..., 1:].movedim(-1, 2).float()  # (b,t,k,H,W)
    return F.avg_pool2d(one_hot.flatten(0, 1), stride).unflatten(0, masks.shape[:2])


def ramp(step: int, start: int, end: int) -> float:
    """From 0 at step `start` to 1 at step `end`."""
    return min(1.0, max(0.0, (step - start) / (end - start))) if end > start else float(step >= start)
