"""Exercises of notebook 04, values, decoder and many objects."""

import torch
from torch.nn import functional as F

from ...models.aggregate import soft_aggregate
from ..checks import Exercise, Part


def own_probabilities(objects: int):
    return lambda rng: [(torch.from_numpy(rng.uniform(0.02, 0.98, (objects, 3, 4))).float(),) for _ in range(3)]


def odds_shared(background, prob):
    """Softmax of the log-odds of the background and of each object."""
    p = torch.cat([background, prob])
    return (p / (1 - p)) / (p / (1 - p)).sum(0)


def masks_of_ids(objects: int, stride: int):
    """Random blocks of ids 0..objects that do not fall together with the cells."""

    def inputs(rng):
        blocks = rng.integers(0, objects + 1, (6, 8)).repeat(3, axis=0).repeat(3, axis=1)
        ids = torch.from_numpy(blocks[: 18 // stride * stride, : 24 // stride * stride])
        return [(ids, objects, stride)]

    return inputs


def planes(ids, objects, first=1):
    """One mask per object: (k,H,W)."""
    return torch.stack([(ids == i).float() for i in range(first, objects + 1)])


def copied_labels(ids, objects, stride):
    """The share of each cell that each object covers, (k, h*w)."""
    return F.avg_pool2d(planes(ids, objects), stride).flatten(1)


def labelled_similarities(rng):
    """Similarities (n,m) with labels of the memory and the query cells; -1 is mixed."""
    cases = []
    for _ in range(3):
        memory_labels = torch.from_numpy(rng.permutation([0, 0, 0, 1, 1, 1, 2, 2, -1, -1]))
        query_labels = torch.from_numpy(rng.permutation([0, 0, 1, 1, 2, -1]))
        cases.append((torch.from_numpy(rng.standard_normal((10, 6))).float(), memory_labels, query_labels))
    return cases


def is_false(memory_labels, query_labels):
    """Which pairs (n,m) are false matches: both cells are pure, and their labels differ."""
    return (memory_labels[:, None] != query_labels) & (memory_labels[:, None] >= 0) & (query_labels >= 0)


def without_false_matches(similarity, memory_labels, query_labels):
    return similarity.masked_fill(is_false(memory_labels, query_labels), -torch.inf).softmax(0)


def numbers_in_memory(frames, cells, objects, key_channels, value_channels):
    return frames * cells * (key_channels + objects * value_channels)


EXERCISES = {
    "soft_aggregate": Exercise(
        right=lambda prob: soft_aggregate(prob).softmax(0),
        parts=[Part("one object", 1, own_probabilities(1)), Part("three objects", 2, own_probabilities(3))],
        wrong={
            "the probabilities were divided by their sum: it is their odds p / (1 - p) that are": lambda p: (
                torch.cat([(1 - p).prod(0, keepdim=True), p]) / ((1 - p).prod(0) + p.sum(0))
            ),
            "the softmax is taken of the probabilities: it has to be taken of their log-odds": lambda p: torch.cat(
                [(1 - p).prod(0, keepdim=True), p]
            ).softmax(0),
            "the background is not 1 minus the largest probability: no object is there if each is absent": lambda p: (
                odds_shared(1 - p.amax(0, keepdim=True), p)
            ),
            "the background is not 1 minus the sum of the probabilities: the objects may sum to more than 1": lambda p: (
                odds_shared((1 - p.sum(0, keepdim=True)).clamp(1e-7, 1 - 1e-7), p)
            ),
            "the background comes last: it belongs first": lambda p: soft_aggregate(p).softmax(0).roll(-1, 0),
            "these are the log-odds: take their softmax": lambda p: soft_aggregate(p),
        },
    ),
    "copied_labels": Exercise(
        right=copied_labels,
        parts=[
            Part("two objects", 2, masks_of_ids(objects=2, stride=4)),
            Part("cells of another size", 1, masks_of_ids(objects=3, stride=6)),
        ],
        wrong={
            "the middle pixel decides for the whole cell: wanted the share of the cell that is covered": lambda ids, k, s: (
                planes(ids, k)[:, s // 2 :: s, s // 2 :: s].flatten(1)
            ),
            "one pixel is enough to fill the cell: wanted the share that is covered, a mean and not a maximum": (
                lambda ids, k, s: F.max_pool2d(planes(ids, k), s).flatten(1)
            ),
            "pixels were counted: divide by the number of pixels in a cell": lambda ids, k, s: copied_labels(ids, k, s) * s * s,
            "the background is no object: leave its plane out": lambda ids, k, s: F.avg_pool2d(
                planes(ids, k, first=0), s
            ).flatten(1),
            "the cells run down the columns: wanted row by row": lambda ids, k, s: (
                F.avg_pool2d(planes(ids, k), s).transpose(1, 2).flatten(1)
            ),
            "the ids themselves were averaged: each object needs a plane of zeros and ones": lambda ids, k, s: (
                F.avg_pool2d(ids[None].float(), s).flatten(1).expand(k, -1)
            ),
        },
    ),
    "without_false_matches": Exercise(
        right=without_false_matches,
        parts=[Part("ten memory cells, six query cells", 3, labelled_similarities)],
        wrong={
            "the columns no longer sum to 1: forbid before the softmax": lambda s, m, q: s.softmax(0).masked_fill(
                is_false(m, q), 0
            ),
            "a similarity of 0 does not forbid, since exp(0) is 1: give minus infinity": lambda s, m, q: s.masked_fill(
                is_false(m, q), 0
            ).softmax(0),
            "mixed memory cells are of no kind: they stay allowed": lambda s, m, q: s.masked_fill(
                (m[:, None] != q) & (q >= 0), -torch.inf
            ).softmax(0),
            "for a mixed query cell nothing is false: it may look anywhere": lambda s, m, q: s.masked_fill(
                (m[:, None] != q) & (m[:, None] >= 0), -torch.inf
            ).softmax(0),
            "the right matches were forbidden and the false ones kept": lambda s, m, q: s.masked_fill(
                (m[:, None] == q) & (q >= 0), -torch.inf
            ).softmax(0),
            "only object against background was forbidden: an object that looks at another object is false as well": (
                lambda s, m, q: s.masked_fill(is_false(m.clamp(max=1), q.clamp(max=1)), -torch.inf).softmax(0)
            ),
            "the softmax runs over the query cells": lambda s, m, q: s.masked_fill(is_false(m, q), -torch.inf).softmax(1),
        },
    ),
    "numbers_in_memory": Exercise(
        right=numbers_in_memory,
        parts=[
            Part("two objects", 1, lambda rng: [(5, 1620, 2, 64, 96), (9, 576, 2, 32, 64)]),
            Part("seven objects", 1, lambda rng: [(3, 1620, 7, 64, 512)]),
        ],
        wrong={
            "keys know nothing of objects: they are remembered once, not once per object": lambda t, n, k, ck, cv: (
                t * n * k * (ck + cv)
            ),
            "each object has values of its own": lambda t, n, k, ck, cv: t * n * (ck + cv),
            "the keys are remembered as well": lambda t, n, k, ck, cv: t * n * k * cv,
            "the background has no values of its own: it is what no object is": lambda t, n, k, ck, cv: (
                t * n * (ck + (k + 1) * cv)
            ),
            "these are the numbers of one frame": lambda t, n, k, ck, cv: n * (ck + k * cv),
        },
    ),
}
