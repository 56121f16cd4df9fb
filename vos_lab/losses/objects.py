"""Correspondence between objects: our own design, from the description in Zhang et al. 2023 (arXiv 2304.06211).

The paper pools the keys of each object to one vector per frame and contrasts them; its code for this part is not public.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def object_correspondence(
    keys: Float[Tensor, "b t c h w"], object_maps: Float[Tensor, "b t k h w"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    """InfoNCE: an object must be more like itself at other times than like any other object of the clip and the batch.

    e = the mean key over the object's map, normalised. For e and each e+ of the same object in another frame:
    -log exp(e.e+ / temperature) / (exp(e.e+ / temperature) + sum over other objects of exp(e.e- / temperature)), averaged.
    object_maps: soft, 0..1; all 0 where the object is absent. 0 where no object shows twice or no other object shows.
    """
    b, t = keys.shape[:2]
    k = object_maps.shape[2]
    shown = (object_maps.sum((3, 4)) > 0).flatten()  # (b*t*k,)
    pooled = torch.einsum("btchw,btkhw->btkc", keys, object_maps).flatten(0, 2)[shown]  # sums point where means do
    embedding = F.normalize(pooled, dim=1, eps=1e-6)  # (n,c)
    number = torch.arange(k, device=keys.device) + k * torch.arange(b, device=keys.device)[:, None, None]  # (b,1,k)
    number = number.expand(b, t, k).flatten()[shown]  # (n,): which object it is
    alike = embedding @ embedding.T / temperature  # (n,n)
    same = number[:, None] == number
    positive = same & ~torch.eye(len(number), dtype=torch.bool, device=keys.device)
    if not positive.any() or same.all():  # nothing shows twice, or nothing beside it
        return (keys * 0).sum()
    others = alike.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)  # (n,1)
    return (torch.logaddexp(alike, others) - alike)[positive].mean()
