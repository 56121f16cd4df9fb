"""What is a false match? A query cell that looks at memory cells of another label than its own."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from .errors import InputError


class FalseMatches(NamedTuple):
    """Affinity mass per query cell, 0..1, that lies on another label; nan where the query cell is mixed.

    background_as_foreground: background looks at an object · foreground_as_background: an object looks at background ·
    wrong_instance: an object looks at another object · total: all three.
    """

    total: Float[Tensor, "b m"]
    background_as_foreground: Float[Tensor, "b m"]
    foreground_as_background: Float[Tensor, "b m"]
    wrong_instance: Float[Tensor, "b m"]


def false_matches(
    affinity: Float[Tensor, "b n m"], memory_labels: Integer[Tensor, "b n"], query_labels: Integer[Tensor, "b m"]
) -> FalseMatches:
    """The mass of each query cell on memory cells of another label, by kind.

    labels: object id per cell, 0 background, -1 where a cell is mixed. What lies on mixed memory cells is of no kind.
    """
    on_background = mass(affinity, memory_labels == 0)  # (b,m)
    on_objects = mass(affinity, memory_labels > 0)
    on_own = torch.stack([mass(a, m == q) for a, m, q in zip(affinity, memory_labels.unsqueeze(2), query_labels)])
    query, background, mixed = query_labels > 0, query_labels == 0, query_labels < 0
    zero = torch.zeros_like(on_objects)
    kinds = [
        torch.where(background, on_objects, zero),
        torch.where(query, on_background, zero),
        torch.where(query, on_objects - on_own, zero).clamp(min=0),
    ]
    return FalseMatches(*(kind.masked_fill(mixed, torch.nan) for kind in (sum(kinds), *kinds)))


def mass(affinity: Float[Tensor, "*b n m"], chosen: Tensor) -> Float[Tensor, "*b m"]:
    """The affinity of each query cell that lies on the chosen memory cells; chosen: (n), or (n,m) for each query cell."""
    chosen = chosen if chosen.shape == affinity.shape else chosen.unsqueeze(-1)
    return (affinity * chosen).sum(-2)


def cell_labels(masks: Integer[Tensor, "*b H W"], stride: int, purity: float = 0.75) -> Integer[Tensor, "*b m"]:
    """The object id of each cell of stride x stride pixels, row by row; -1 where less than `purity` of it has one id.

    Void (255) is an id of no cell: where it is the majority, the cell is mixed.
    """
    if masks.shape[-1] % stride or masks.shape[-2] % stride:
        raise InputError(f"masks of {tuple(masks.shape[-2:])} pixels do not divide into cells of {stride}: pad them first")
    pixels = masks.unfold(-2, stride, stride).unfold(-2, stride, stride).flatten(-2)  # (*b,h,w,stride*stride)
    label = pixels.mode(-1).values
    share = (pixels == label.unsqueeze(-1)).float().mean(-1)
    return torch.where((share >= purity) & (label != 255), label.long(), -1).flatten(-2)
