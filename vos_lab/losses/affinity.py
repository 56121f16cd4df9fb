"""A loss on where the model looks."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor


def affinity_supervision(
    affinity: Float[Tensor, "b n m"], memory_labels: Integer[Tensor, "b n"], query_labels: Integer[Tensor, "b m"]
) -> Float[Tensor, ""]:
    """-log of the affinity mass that falls on memory cells of the query cell's own label, averaged over query cells.

    labels: object id per cell, -1 where a cell holds several. Query cells that are mixed, or whose label memory does not hold,
    are left out; so are mixed memory cells: the mass is taken among the others. 0 where no query cell is left.
    """
    known = memory_labels >= 0  # (b,n)
    same = (memory_labels.unsqueeze(2) == query_labels.unsqueeze(1)) & known.unsqueeze(2)  # (b,n,m)
    right = (affinity * same).sum(1)  # (b,m)
    total = (affinity * known.unsqueeze(2)).sum(1)  # (b,m)
    counted = (query_labels >= 0) & same.any(1)
    tiny = torch.finfo(affinity.dtype).tiny
    loss = -(right.clamp(min=tiny).log() - total.clamp(min=tiny).log())  # (b,m)
    return loss.masked_fill(~counted, 0).sum() / counted.sum().clamp(min=1)
