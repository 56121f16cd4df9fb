"""Soft aggregation: from objects that know nothing of each other to one distribution per pixel."""

import torch
from jaxtyping import Float
from torch import Tensor


def soft_aggregate(prob: Float[Tensor, "..."], dim: int = 0) -> Float[Tensor, "..."]:
    """Logits with background first, from the k objects' own probabilities along `dim`; their softmax is over k+1 classes.

    p0 = prod(1 - p_i) is the probability that no object is there; logit = log(p / (1 - p)) (Oh et al. 2018, RGMP).
    """
    prob = prob.to(torch.promote_types(prob.dtype, torch.float32))  # in half precision 1 - 1e-7 is 1, and its logit infinite
    background = (1 - prob).prod(dim, keepdim=True)
    p = torch.cat([background, prob], dim).clamp(1e-7, 1 - 1e-7)
    return torch.log(p / (1 - p))
