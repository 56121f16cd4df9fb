"""Losses on the mask."""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError


def bootstrapped_cross_entropy(
    logits: Float[Tensor, "b classes H W"],
    target: Int64[Tensor, "b H W"],
    iteration: int,
    start: int = 20_000,
    end: int = 70_000,
    top_p: float = 0.15,
) -> tuple[Float[Tensor, ""], float]:
    """The mean cross-entropy of the hardest pixels, and the fraction of all pixels that these are.

    All pixels before iteration `start`; from there the fraction falls in a straight line to `top_p` at `end`. STCN takes the
    hardest of each sample: call it once per sample (Cheng et al. 2021; the schedule is that of its released code).
    Raises InputError for start after end and top_p outside 0..1.
    """
    if start > end or not 0 < top_p <= 1:
        raise InputError(f"start={start}, end={end}, top_p={top_p}: wanted start not after end, and top_p above 0, up to 1")
    loss = F.cross_entropy(logits, target, reduction="none").flatten()  # (b*H*W,)
    left = min(1.0, max(0.0, (end - iteration) / max(1, end - start)))  # 1 before start, 0 after end
    fraction = top_p + (1 - top_p) * left
    hardest = loss.topk(max(1, int(loss.numel() * fraction)), sorted=False).values
    return hardest.mean(), fraction


def dice(prob: Float[Tensor, "*b H W"], target: Float[Tensor, "*b H W"], smooth: float = 1.0) -> Float[Tensor, ""]:
    """1 - (2 sum(p t) + s) / (sum(p) + sum(t) + s) of each mask, averaged: blind to how large the object is.

    prob, target: in 0..1. smooth keeps it finite where both are empty (Milletari et al. 2016, V-Net).
    """
    overlap, total = (prob * target).sum((-2, -1)), prob.sum((-2, -1)) + target.sum((-2, -1))
    return (1 - (2 * overlap + smooth) / (total + smooth)).mean()
