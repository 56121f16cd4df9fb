"""Exercises of notebook 03, reading memory."""

import torch

from ... import memory
from ..checks import Exercise, Part


def similarities(n: int, m: int, b: int = 1, scale: float = 3.0):
    return lambda rng: [(torch.from_numpy(scale * rng.standard_normal((b, n, m))).float(),) for _ in range(3)]


def similarities_and_k(n: int, m: int, k: int, b: int = 1):
    return lambda rng: [(similarity, k) for (similarity,) in similarities(n, m, b)(rng)]


def affinities_and_share(n: int, m: int, share: float):
    return lambda rng: [(s.softmax(1), share) for (s,) in similarities(n, m, b=2, scale=1.5)(rng)]


def values_and_affinities(b: int, objects: int):
    def inputs(rng):
        values = torch.from_numpy(rng.standard_normal((b, objects, 4, 9))).float()
        return [(values, s.softmax(1)) for (s,) in similarities(n=9, m=7, b=b)(rng)]

    return inputs


def softmax_of_the_best(similarity, k, rest, dim=1, largest=True):
    """Softmax over memory after all but the k best along dim were replaced by `rest`."""
    best = similarity.topk(min(k, similarity.shape[dim]), dim=dim, largest=largest)
    kept = torch.full_like(similarity, rest).scatter(dim, best.indices, best.values.to(similarity))
    return kept.softmax(1)


def kept_without_renormalising(similarity, k):
    return similarity.softmax(1) * (memory.affinity(similarity, top_k=k) > 0)


def best_value_alone(values, affinity):
    """The value of each query cell's best memory cell."""
    best = affinity.argmax(1)  # (b,m)
    return torch.stack([value[:, :, which] for value, which in zip(values, best)])


def cells_needed(affinity, share):
    """How many memory cells, best first, it takes until their weights sum to at least `share`."""
    gathered = affinity.sort(dim=1, descending=True).values.cumsum(1)  # (b,n,m)
    return (gathered < share).sum(1) + 1


EXERCISES = {
    "affinity": Exercise(
        right=memory.affinity,
        parts=[
            Part("a batch", 2, similarities(n=9, m=6, b=2)),
            Part("large similarities", 1, similarities(n=9, m=6, scale=1000.0)),
        ],
        wrong={
            "the softmax runs over the query cells: each row sums to 1, wanted each column": lambda s: s.softmax(2),
            "the softmax runs over memory and query cells together: each query cell needs weights of its own": lambda s: (
                s.flatten(1).softmax(1).view_as(s)
            ),
            "exp is missing: similarities were divided by their sum": lambda s: s / s.sum(1, keepdim=True),
            "the weights are not divided by their sum": lambda s: (s - s.amax(1, keepdim=True)).exp(),
            "exp overflows: subtract the largest similarity of each column first": lambda s: (
                s.exp() / s.exp().sum(1, keepdim=True)
            ),
            "only the best memory cell counts: this is an argmax, not a softmax": lambda s: memory.affinity(s, top_k=1),
        },
    ),
    "top_k": Exercise(
        right=lambda similarity, k: memory.affinity(similarity, top_k=k),
        parts=[
            Part("3 of 12", 2, similarities_and_k(n=12, m=8, k=3)),
            Part("a batch", 1, similarities_and_k(n=12, m=8, k=5, b=2)),
            Part("fewer cells than k", 1, similarities_and_k(n=4, m=8, k=6)),
        ],
        wrong={
            "the columns no longer sum to 1: divide by what is left, or take the softmax of the k best alone": (
                kept_without_renormalising
            ),
            "the other cells must not get a similarity of 0, since exp(0) is 1: give them minus infinity": lambda s, k: (
                softmax_of_the_best(s, k, rest=0.0)
            ),
            "these are the k worst memory cells": lambda s, k: softmax_of_the_best(s, k, rest=-torch.inf, largest=False),
            "the k best query cells of each memory cell were kept: wanted the k best memory cells of each query cell": (
                lambda s, k: softmax_of_the_best(s, k, rest=-torch.inf, dim=2).nan_to_num(0)
            ),
            "one cell too many is kept": lambda s, k: memory.affinity(s, top_k=k + 1),
            "the k best cells all weigh the same: their similarities still count": lambda s, k: (
                (memory.affinity(s, top_k=k) > 0) / float(min(k, s.shape[1]))
            ),
        },
    ),
    "readout": Exercise(
        right=lambda values, affinity: values @ affinity.unsqueeze(1),
        parts=[
            Part("one object", 1, values_and_affinities(b=1, objects=1)),
            Part("three objects", 1, values_and_affinities(b=1, objects=3)),
            Part("a batch", 1, values_and_affinities(b=2, objects=3)),
        ],
        wrong={
            "the weights are not used: this is the plain mean of all values": lambda v, a: v.mean(3, keepdim=True).expand(
                *v.shape[:3], a.shape[2]
            ),
            "only the best memory cell is read: wanted the sum of all values, each with its weight": best_value_alone,
            "a mean was taken where a sum is wanted: the weights sum to 1 already": lambda v, a: (
                v @ a.unsqueeze(1) / v.shape[3]
            ),
            "all objects read the first object's values": lambda v, a: (v[:, :1] @ a.unsqueeze(1)).expand(
                *v.shape[:3], a.shape[2]
            ),
            "the objects were added up: each has a readout of its own": lambda v, a: (
                (v @ a.unsqueeze(1)).sum(1, keepdim=True).expand(*v.shape[:3], a.shape[2])
            ),
            "every clip of the batch is read with the first clip's affinity": lambda v, a: v @ a[:1].unsqueeze(1),
        },
    ),
    "cells_needed": Exercise(
        right=cells_needed,
        parts=[
            Part("nine tenths", 2, affinities_and_share(n=12, m=8, share=0.9)),
            Part("one half", 1, affinities_and_share(n=12, m=8, share=0.5)),
        ],
        wrong={
            "one too few: the cell with which the share is reached counts as well": lambda a, share: cells_needed(a, share) - 1,
            "the weights were added up smallest first: begin with the largest": lambda a, share: (
                (a.sort(dim=1).values.cumsum(1) < share).sum(1) + 1
            ),
            "the weights were not sorted: begin with the largest": lambda a, share: (a.cumsum(1) < share).sum(1) + 1,
            "these are the cells whose own weight is above the share: it is their sum that has to reach it": lambda a, share: (
                a > share
            ).sum(1),
            "the sum runs over the query cells: wanted, for each query cell, over memory": lambda a, share: (
                (a.sort(dim=2, descending=True).values.cumsum(2) < share).sum(1) + 1
            ),
        },
    ),
}
