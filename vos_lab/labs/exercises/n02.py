"""Exercises of notebook 02, keys and affinity."""

import math

import numpy as np
import torch
from torch import Tensor

from ... import memory
from ..checks import Exercise, Part


def keys(n: int, m: int, b: int = 1, c: int = 8):
    def inputs(rng):
        draw = lambda cells: torch.from_numpy(rng.standard_normal((b, c, cells)) * rng.uniform(0.5, 2, (b, 1, cells))).float()
        return [(draw(n), draw(m)) for _ in range(3)]

    return inputs


# 02.affinity: similarities (n,m), however large -> affinity (n,m)


def similarities(size: float, n: int = 9, m: int = 6):
    def inputs(rng):
        draw = lambda: torch.from_numpy(size * rng.standard_normal((n, m)) + 40 * size * np.arange(m)).float()
        return [(draw(),) for _ in range(3)]

    return inputs


def softmax(s: Tensor, over, subtract: Tensor | int) -> Tensor:
    e = (s - subtract).exp()
    return e / e.sum(over, keepdim=True)


# 02.followers: similarities (n,m) -> of each memory cell, how many query cells have their best match there


def uneven(rng):
    louder = np.append(2 * rng.random(9), -9)[:, None]  # the last cell has no followers
    return [(torch.from_numpy(rng.standard_normal((10, 25)) + louder).float(),) for _ in range(3)]


def followers(s: Tensor) -> Tensor:
    return s.argmax(0).bincount(minlength=s.shape[0])


# 02.twice: all keys twice as long, what does the affinity do?

TWICE = {"l2": "sharper", "dot": "sharper", "cosine": "same"}


EXERCISES = {
    "l2": Exercise(
        right=memory.similarity,
        parts=[
            Part("one clip", 2, keys(n=12, m=7)),
            Part("a batch", 1, keys(n=5, m=6, b=3)),
        ],
        wrong={
            "the term |k|^2 is missing: this is the dot product, twice": lambda k, q: (
                2 * k.transpose(1, 2) @ q / math.sqrt(k.shape[1])
            ),
            "this is the dot product: what remains of -|k - q|^2 has another factor and another term": lambda k, q: (
                k.transpose(1, 2) @ q / math.sqrt(k.shape[1])
            ),
            "divide by the square root of the number of channels, not of cells": lambda k, q: (
                memory.similarity(k, q) * math.sqrt(k.shape[1] / k.shape[2])
            ),
            "the number of channels stands there without its square root": lambda k, q: (
                memory.similarity(k, q) / math.sqrt(k.shape[1])
            ),
            "memory and query are swapped: wanted one row per memory cell, one column per query cell": lambda k, q: (
                memory.similarity(k, q).transpose(1, 2)
            ),
        },
    ),
    "affinity": Exercise(
        right=lambda s: softmax(s, 0, s.amax(0)),
        parts=[
            Part("small similarities", 1, similarities(0.1)),
            Part("large similarities", 2, similarities(30.0)),
        ],
        wrong={
            "the columns must sum to 1: this softmax runs over the query cells, not over memory": lambda s: s.softmax(1),
            "this softmax runs over all pairs at once: every query cell needs a sum of its own": lambda s: (
                s.flatten().softmax(0).view(s.shape)
            ),
            "exp overflows: subtract the maximum first": lambda s: softmax(s, 0, 0),
            "one maximum for all columns: where a whole column lies far below it, exp gives only zeros": lambda s: softmax(
                s, 0, s.max()
            ),
            "subtract the maximum over memory, one per column, not the maximum of each row": lambda s: softmax(
                s, 0, s.amax(1, keepdim=True)
            ),
            "these are the exponentials: divide by their sum over memory": lambda s: (s - s.amax(0)).exp(),
            "divide by the sum of the exponentials, not by that of the similarities": lambda s: s / s.sum(0),
            "this is the logarithm of the affinity": lambda s: s.log_softmax(0),
        },
    ),
    "followers": Exercise(
        right=followers,
        parts=[Part("ten memory cells, 25 query cells", 3, uneven)],
        wrong={
            "this asks each memory cell for its best query cell: argmax over memory is wanted": lambda s: s.argmax(1).bincount(
                minlength=s.shape[0]
            )[: s.shape[0]],
            "memory cells without followers are missing: they count 0": lambda s: s.argmax(0).unique(return_counts=True)[1],
            "the counts after the last cell with followers are missing: bincount needs minlength": lambda s: s.argmax(
                0
            ).bincount(),
            "these are the memory cells that are best; wanted is how often each one is": lambda s: s.argmax(0),
            "this is the share of query cells; wanted is their number": lambda s: followers(s) / s.shape[1],
            "this is the usage, the sum of weights; count whole query cells": lambda s: s.softmax(0).sum(1),
            "these are the least similar memory cells": lambda s: s.argmin(0).bincount(minlength=s.shape[0]),
            "this counts the query cells above 0; the best match is one per query cell": lambda s: (s > 0).sum(1),
        },
    ),
    "twice": Exercise(
        right=lambda: TWICE,
        parts=[Part("all keys twice as long", 3, lambda rng: [()])],
        wrong={
            "l2: a distance doubles too, so its square grows four times": lambda: {**TWICE, "l2": "same"},
            "l2: larger distances let the best match stand out more, not less": lambda: {**TWICE, "l2": "softer"},
            "dot: the product of two keys that double grows four times": lambda: {**TWICE, "dot": "same"},
            "dot: larger differences before a softmax make it sharper, not softer": lambda: {**TWICE, "dot": "softer"},
            "cosine divides by both norms: only directions are left": lambda: {**TWICE, "cosine": "sharper"},
            "cosine divides by both norms; nothing gets softer": lambda: {**TWICE, "cosine": "softer"},
            "length does not drop out of a distance or a product: try it": lambda: {kind: "same" for kind in TWICE},
            "a larger similarity makes a softmax sharper, not softer": lambda: {**TWICE, "l2": "softer", "dot": "softer"},
        },
    ),
}
