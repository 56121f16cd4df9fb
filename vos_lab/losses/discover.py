"""Objects that nobody annotated: regions of the first frame, followed through the clip by their keys. Our own design, like
`objects.py`: Zhang et al. (2023) describe the idea, their code for it is not public."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ..clip import IMAGENET_MEAN, IMAGENET_STD

LEAST_ALIKE = 0.7  # cosine of two pooled keys below which a pair is uncertain
LARGEST, SMALLEST = 0.3, 0.005  # shares of the frame: larger regions are ground or sky, smaller ones no object
MOST = 8  # regions per frame
SCALE = 60  # of felzenszwalb: larger means larger regions


def propose_regions(frames: Float[Tensor, "t 3 H W"], side: int = 64) -> Int64[Tensor, "t h w"]:
    """Numbered regions of even colour and texture in each (normalised) frame, at a size of about `side` pixels; 0 is no region.

    Graph-based segmentation (Felzenszwalb and Huttenlocher 2004) by scikit-image; the largest of suitable size are kept.
    """
    from skimage.segmentation import felzenszwalb

    step = max(1, round(min(frames.shape[2:]) / side))
    mean, std = (torch.tensor(x)[:, None, None] for x in (IMAGENET_MEAN, IMAGENET_STD))
    colours = F.avg_pool2d(frames * std + mean, step).clamp(0, 1).movedim(1, -1).numpy()  # (t,h,w,3)
    found = []
    for frame in colours:
        parts = felzenszwalb(frame, scale=SCALE, sigma=0.6, min_size=20)
        share = np.bincount(parts.ravel()) / parts.size
        suitable = [i for i in np.argsort(-share) if SMALLEST <= share[i] <= LARGEST][:MOST]
        number = np.zeros(len(share), dtype=np.int64)
        number[suitable] = np.arange(1, len(suitable) + 1)
        found.append(number[parts])
    return torch.from_numpy(np.stack(found))


def follow_regions(
    keys: Float[Tensor, "t c h w"], regions: Int64[Tensor, "t h2 w2"], annotated: Float[Tensor, "t h w"]
) -> Float[Tensor, "t k h w"]:
    """Soft maps of the regions of frame 0 through all frames: an all-zero map where none is surely the same.

    Each later frame's regions are assigned one to one so that pooled keys are most alike (Hungarian method). A pair is dropped
    where its cosine is below 0.7 or where either has a better partner. Regions on annotated objects are parts of these: they
    are left out.
    """
    from scipy.optimize import linear_sum_assignment

    t, _, h, w = keys.shape
    maps = [region_maps(r, (h, w), a) for r, a in zip(regions, annotated)]  # each (regions,h,w)
    pooled = [F.normalize(torch.einsum("chw,khw->kc", key, m), dim=1) for key, m in zip(keys, maps)]
    followed = keys.new_zeros(t, len(maps[0]), h, w)
    followed[0] = maps[0]
    for i in range(1, t):
        alike = pooled[0] @ pooled[i].T  # (regions of frame 0, regions of frame i)
        if not alike.numel():
            continue
        worth = alike.where(alike >= LEAST_ALIKE, 0)  # so that one hopeless pair does not push apart a good one
        first, later = (torch.from_numpy(x) for x in linear_sum_assignment(-worth.cpu().numpy()))
        pair = alike[first, later]
        sure = (pair >= LEAST_ALIKE) & (pair >= alike[first].amax(1)) & (pair >= alike[:, later].amax(0))
        followed[i, first[sure.cpu()]] = maps[i][later[sure.cpu()]]
    return followed


def region_maps(
    regions: Int64[Tensor, "h2 w2"], size: tuple[int, int], annotated: Float[Tensor, "h w"]
) -> Float[Tensor, "k h w"]:
    """How much of each cell belongs to each region, 0..1, without regions that overlap annotated objects."""
    one_hot = F.one_hot(regions)[..., 1:].movedim(-1, 0).to(annotated)  # (regions,h2,w2)
    maps = F.adaptive_avg_pool2d(one_hot, size)
    mass = maps.sum((1, 2))
    overlap = (maps * annotated).sum((1, 2)) / mass.clamp(min=1e-6)
    return maps[(overlap < 0.1) & (mass > 0)]
