"""Exercises of notebook 11, long videos."""

import math

import numpy as np
import torch

from ...memory import LongTerm, similarity
from ..checks import Exercise, Part
from .n08 import normal

# 11.expand: memory keys (c,n), query keys (c,m), shrinkage (n), selection (c,m) -> anisotropic similarity (n,m)


def keys(c: int, n: int, m: int, loud: float = 1.0):
    def inputs(rng):
        reach, choice = rng.uniform(1, 4, n), rng.uniform(0.05, 1, (c, m))
        return [
            (loud * normal(rng, c, n), normal(rng, c, m), torch.from_numpy(reach).float(), torch.from_numpy(choice).float())
        ]

    return inputs


def anisotropic(k, q, s, e):
    return similarity(k[None], q[None], "anisotropic", shrinkage=s[None, None], selection=e[None])[0]


def ones(x):
    return torch.ones_like(x)


def mean_selection(e):
    """The same weights for all query cells."""
    return e.mean(1, keepdim=True).expand_as(e)


def without_query_norm(k, q, s, e):
    """What l2 may leave out and this may not."""
    return anisotropic(k, q, s, e) + s[:, None] * (e * q.square()).sum(0) / math.sqrt(len(k))


# 11.evict: usage (n), reads (n), most -> True for the cells that stay


def counters(ties: bool):
    def inputs(rng):
        calls = []
        for n, most in ((12, 8), (30, 11), (9, 9), (9, 20)):
            usage, reads = rng.uniform(0.1, 9, n), rng.integers(1, 40, n).astype(float)
            if ties:
                usage[: n // 2], reads[: n // 2] = 0.0, rng.integers(1, 40, n // 2)  # never used, some of them read often
            calls.append((torch.from_numpy(usage).float(), torch.from_numpy(reads).float(), most))
        return calls

    return inputs


def staying(usage, reads, most, score=lambda usage, reads: usage / reads, largest=False, ties=True):
    score, spare = score(usage, reads), len(usage) - most
    if spare <= 0:
        return torch.ones(len(usage), dtype=torch.bool)
    going = score.topk(spare, largest=largest)
    if ties:
        return score < going.values[-1] if largest else score > going.values[-1]
    return torch.ones(len(usage), dtype=torch.bool).scatter(0, going.indices, False)


# 11.held: length, cells per frame, every, min_working, max_working, prototypes -> cells in memory when the last frame is read


def held(length, cells, every, least, most, prototypes, per=lambda frames: 1, working=True, long_term=True, dropped=0):
    """per: how often `prototypes` cells are kept when these frames leave; dropped: of the frames that stay."""
    policy, frames, kept = LongTerm(every, least, most), [], 0
    for t in range(length - 1):
        before, frames = [*frames, t], policy.keep([*frames, t])
        leaving = [f for f in before[:-1] if f not in frames]
        kept += per(leaving) * prototypes if leaving else 0
    return working * max(0, len(frames) - dropped) * cells + long_term * kept


# 11.prior: places (n,2), grid (m,2), age (n), sigma, growth -> log-prior (n,m)


def moves(growths):
    def inputs(rng):
        grid = np.stack(np.meshgrid(np.arange(4), np.arange(6), indexing="ij"), 2).reshape(-1, 2)
        calls = []
        for sigma, growth in zip((4.0, 2.0), growths):
            places, age = rng.uniform(0, 5, (7, 2)), rng.integers(1, 30, 7)
            calls.append((*(torch.from_numpy(x).float() for x in (places, grid, age)), sigma, growth))
        return calls

    return inputs


def log_prior(places, grid, age, sigma, growth, spread=lambda age, sigma, growth: sigma + growth * age, power=2, half=2):
    distance = (places[:, None] - grid).square().sum(2)  # (n,m)
    return -distance / (half * spread(age, sigma, growth)[:, None] ** power)


EXERCISES = {
    "expand": Exercise(
        right=anisotropic,
        parts=[Part("a few cells", 2, keys(8, 12, 7)), Part("loud keys", 1, keys(32, 20, 9, loud=3.0))],
        wrong={
            "|q|^2 is missing: each memory cell scales it by its own shrinkage, so the softmax sees it": without_query_norm,
            "the shrinkage is not used: it multiplies each memory cell's row": lambda k, q, s, e: anisotropic(k, q, ones(s), e),
            "the selection is not used: each query cell weighs the channels": lambda k, q, s, e: anisotropic(k, q, s, ones(e)),
            "divided by the shrinkage: wanted a product, so that a large one reaches less far": lambda k, q, s, e: anisotropic(
                k, q, 1 / s, e
            ),
            "the selection is squared: it multiplies the squared difference once": lambda k, q, s, e: anisotropic(
                k, q, s, e.square()
            ),
            "all query cells weigh the channels alike: the selection is (c,m), a weight per channel and query cell": (
                lambda k, q, s, e: anisotropic(k, q, s, mean_selection(e))
            ),
            "the sign is turned: the farther, the less alike": lambda k, q, s, e: -anisotropic(k, q, s, e),
            "not divided by the square root of the number of channels": lambda k, q, s, e: (
                anisotropic(k, q, s, e) * math.sqrt(len(k))
            ),
            "shape (m,n), wanted (n,m): a row per memory cell": lambda k, q, s, e: anisotropic(k, q, s, e).T,
        },
    ),
    "evict": Exercise(
        right=staying,
        parts=[Part("all different", 2, counters(ties=False)), Part("some that tie", 1, counters(ties=True))],
        wrong={
            "sorted by usage alone: an old cell had more reads to gather it in, so divide by reads": lambda u, r, most: staying(
                u, r, most, score=lambda usage, reads: usage
            ),
            "those used most were forgotten: wanted those used least": lambda u, r, most: staying(u, r, most, largest=True),
            "True is for the cells that stay": lambda u, r, most: ~staying(u, r, most),
            "of cells that tie some stay and some go: all that are used as little as the last that goes, go": (
                lambda u, r, most: staying(u, r, most, ties=False)
            ),
            "one cell too few stays": lambda u, r, most: staying(u, r, most - 1),
        },
    ),
    "held": Exercise(
        right=held,
        parts=[
            Part(
                "one consolidation", 2, lambda rng: [(32, 180, 5, 3, 6, 128), (27, 180, 5, 3, 6, 128), (26, 180, 5, 3, 6, 128)]
            ),
            Part("longer", 1, lambda rng: [(2000, 180, 5, 3, 6, 128), (501, 1620, 5, 5, 10, 128), (90, 240, 3, 2, 7, 64)]),
        ],
        tolerance=1e-9,
        wrong={
            "long-term memory is missing: each consolidation adds `prototypes` cells": lambda *x: held(*x, long_term=False),
            "working memory is missing: whole frames, `cells` each": lambda *x: held(*x, working=False),
            "the last frame is counted: it is remembered only after it was read": lambda length, *x: held(length + 1, *x),
            "`prototypes` cells are kept per consolidation, not per frame that leaves": lambda *x: held(*x, per=len),
            "the first frame stays in working memory as well": lambda *x: held(*x, dropped=1),
            "every frame enters: only each `every`-th does": lambda length, cells, every, *x: held(length, cells, 1, *x),
            "nothing leaves: at max_working frames, only the first and the last min_working - 1 stay": (
                lambda length, cells, every, *x: ((length - 2) // every + 1) * cells
            ),
        },
    ),
    "prior": Exercise(
        right=log_prior,
        parts=[Part("it does not widen", 1, moves((0.0, 0.0))), Part("it widens with age", 2, moves((0.5, 1.0)))],
        wrong={
            "the growth is not used: sigma grows by it with each frame of age": lambda p, g, a, s, w: log_prior(p, g, a, s, 0),
            "sigma is not squared": lambda *x: log_prior(*x, power=1),
            "the 2 under the fraction line is missing": lambda *x: log_prior(*x, half=1),
            "this is the Gaussian itself, wanted its logarithm": lambda *x: log_prior(*x).exp(),
            "the sign is turned: far cells must lose": lambda *x: -log_prior(*x),
            "the distance is not squared": lambda p, g, a, s, w: (
                -(-log_prior(p, g, a, s, w) * 2 * (s + w * a[:, None]) ** 2).sqrt() / (2 * (s + w * a[:, None]) ** 2)
            ),
            "sigma^2 and growth * age were added: wanted sigma + growth * age, then the square": lambda *x: log_prior(
                *x, spread=lambda age, sigma, growth: (sigma**2 + growth * age).sqrt()
            ),
            "shape (m,n), wanted (n,m): a row per memory cell": lambda *x: log_prior(*x).T,
        },
    ),
}
