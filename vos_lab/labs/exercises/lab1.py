"""Exercises of lab 1, read the memory. (The wrong answers call nothing that the lab forbids: they are what students write.)"""

import inspect
import math
import sys
from functools import cache

import numpy as np
import torch
from torch import Tensor

import vos_lab as vl
from vos_lab import memory
from vos_lab.errors import InputError
from vos_lab.labs.checks import Exercise, Part, array


def normal(rng: np.random.Generator, *shape: int, size: float = 1.0) -> Tensor:
    return torch.from_numpy(size * rng.standard_normal(shape)).float()


# lab1.similarity: keys (b,c,n), (b,c,m) -> (b,n,m), up to a constant per query cell


def keys(b: int, n: int, m: int, c: int = 10):  # 8 channels would hide a 64 that was written down
    def inputs(rng):
        loud = torch.from_numpy(rng.uniform(0.5, 2, (b, 1, n))).float()  # keys of different lengths
        return [(normal(rng, b, c, n) * loud, normal(rng, b, c, m)) for _ in range(3)]

    return inputs


def differences(output, memory_key: Tensor, query_key: Tensor):
    """A constant per query cell changes no affinity."""
    numbers = array(output)
    return output if numbers is None or numbers.ndim != 3 else numbers - numbers.mean(1, keepdims=True)


def dot(k: Tensor, q: Tensor) -> Tensor:
    return k.transpose(1, 2) @ q


def squared(k: Tensor) -> Tensor:
    return k.square().sum(1).unsqueeze(2)


def l2(k: Tensor, q: Tensor) -> Tensor:
    return (2 * dot(k, q) - squared(k)) / math.sqrt(k.shape[1])


# lab1.softmax: similarity (b,n,m) -> affinity (b,n,m)


def similarities(size: float, n: int = 9, m: int = 6):
    def inputs(rng):
        return [(normal(rng, 2, n, m, size=size) + 40 * size * torch.arange(m),) for _ in range(3)]

    return inputs


def shares(s: Tensor, subtract: Tensor | float) -> Tensor:
    e = (s - subtract).exp()
    return e / e.sum(1, keepdim=True)


# lab1.affinity: similarity (b,n,m), top_k -> affinity (b,n,m)


def with_top_k(*choices: int | None, n: int = 12):
    def inputs(rng):
        return [(normal(rng, 2, n, 7), top_k) for top_k in choices]

    return inputs


def equal_and_far(rng):
    """Cells that are equally similar, of which no more than top_k stay; then similarities of minus some hundreds."""
    return [(normal(rng, 2, 12, 7).round(), 3), (normal(rng, 2, 12, 7, size=30.0) - 400, 3)]


def among_equals(output, similarity: Tensor, top_k: int | None):
    """Which of some equal cells stay is free: what counts is the weight that they have together."""
    numbers, s = array(output), array(similarity)
    if numbers is None or numbers.shape != s.shape:
        return output
    return ((s[:, :, None] == s[:, None]) * numbers[:, None]).sum(2)


def kept(s: Tensor, top_k: int | None, dim: int = 1) -> Tensor:
    """True for the top_k best along dim."""
    count = s.shape[dim] if top_k is None else min(top_k, s.shape[dim])
    return torch.zeros_like(s).scatter(dim, s.topk(count, dim).indices, 1.0).bool()


def only(s: Tensor, keep: Tensor) -> Tensor:
    return s.masked_fill(~keep, -math.inf).softmax(1).nan_to_num(0)


# lab1.readout: affinity (b,n,m), values (b,k,cv,n) -> (b,k,cv,m)


def read_inputs(n: int, m: int, k: int):
    def inputs(rng):
        return [(normal(rng, 2, n, m, size=2.0).softmax(1), normal(rng, 2, k, 4, n)) for _ in range(2)]

    return inputs


def weighted(a: Tensor, v: Tensor) -> Tensor:
    return v @ a.unsqueeze(1)


def turned(a: Tensor, v: Tensor) -> Tensor:
    """The affinity read along the wrong axis; only possible where both are as long."""
    return weighted(a.transpose(1, 2), v) if a.shape[1] == a.shape[2] else torch.zeros(())


# lab1.aggregate: probabilities of each object (k,H,W) -> of background and each object (k+1,H,W)


def probabilities(certain: bool):
    def inputs(rng):
        calls = [torch.from_numpy(rng.uniform(0.05, 0.95, (k, 5, 6))).float() for k in (2, 3)]
        for prob in calls if certain else []:
            prob[:, 0] = 0  # no object at all
            prob[0, 1] = 1  # one object for certain
            prob[:, 2] = 1  # each for certain
        return [(prob,) for prob in calls]

    return inputs


def with_background(p: Tensor, background: Tensor, odds: bool = True, least: float = 1e-7) -> Tensor:
    p = torch.cat([background, p]).clamp(least, 1 - least)
    p = p / (1 - p) if odds else p
    return p / p.sum(0)


def nobody(p: Tensor) -> Tensor:
    return (1 - p).prod(0, keepdim=True)


# lab1.read: keys, values, top_k -> readout


def memories(*choices: int | None, n: int = 24):
    def inputs(rng):
        calls = []
        for top_k in choices:
            k, q = normal(rng, 2, 8, n), normal(rng, 2, 8, n)
            calls.append((k, q, normal(rng, 2, 3, 4, n), top_k))
        return calls

    return inputs


def best(k: Tensor, q: Tensor, top_k: int | None) -> Tensor:
    return only(l2(k, q), kept(l2(k, q), top_k))


# lab1.track: clip, of which only the first mask is known -> masks (T,H,W)


def short_clips(rng):
    return [(short_clip(int(rng.integers(1000))),)]


def watched(answer, clip: vl.Clip):
    """An answer's masks. Raises InputError where the tracker read with its own function on the way, not with the student's."""
    own, before, calls = inspect.unwrap(memory.read).__code__, sys.getprofile(), []
    sys.setprofile(lambda frame, event, _: calls.append(event) if frame.f_code is own else None)  # of this thread alone
    try:
        masks = answer(clip)
    finally:
        sys.setprofile(before)
    if calls:
        raise InputError("this was tracked with the reading of vos_lab: give the tracker your own")
    return masks


@cache
def short_clip(seed: int) -> vl.Clip:
    clip = vl.World(seed=seed, similarity=0.8).clip(length=9, size=(64, 112), objects=2)
    masks = clip.masks.copy()
    masks[1:] = 255
    return vl.Clip(clip.frames, masks, f"hidden {seed}")


def tracked(clip: vl.Clip, policy: memory.Policy, name: str = "stcn-small") -> np.ndarray:
    return masks_of(clip.frames.tobytes(), clip.masks.tobytes(), clip.frames.shape, policy, name)


@cache  # a class of a thousand is judged by the same few tracks
def masks_of(frames: bytes, masks: bytes, shape: tuple, policy: memory.Policy, name: str) -> np.ndarray:
    frames, masks = np.frombuffer(frames, np.uint8).reshape(shape), np.frombuffer(masks, np.uint8).reshape(shape[:3])
    return vl.Tracker(vl.load_model(name), policy, read=own_read).run(vl.Clip(frames.copy(), masks.copy())).masks


def own_read(k: Tensor, q: Tensor, values: Tensor, top_k: int | None = None, **kind) -> Tensor:
    return weighted(best(k, q, top_k), values)


def by_blocks(output, clip: vl.Clip) -> np.ndarray:
    """The share of each id in each block of 16x16 pixels: a pixel more or less does not matter."""
    numbers = array(output)
    if numbers is None or numbers.shape != clip.masks.shape:
        raise InputError(f"wanted the masks of the whole clip: object ids of shape {clip.masks.shape}")
    blocks = numbers.reshape(len(numbers), 4, 16, 7, 16)
    return np.stack([(blocks == i).mean((2, 4)) for i in (0, 1, 2)])


EXERCISES = {
    "similarity": Exercise(
        right=memory.similarity,
        parts=[Part("one clip", 2, keys(1, 12, 7)), Part("a batch", 1, keys(3, 5, 6))],
        seen=differences,
        wrong={
            "the length of the memory keys does not count here: this is a product of keys, twice": lambda k, q: (
                2 * dot(k, q) / math.sqrt(k.shape[1])
            ),
            "this is the dot product: a loud cell would be everybody's match": lambda k, q: dot(k, q) / math.sqrt(k.shape[1]),
            "the term |k|^2 has the wrong sign": lambda k, q: (2 * dot(k, q) + squared(k)) / math.sqrt(k.shape[1]),
            "multiply |k - q|^2 out once more: a factor is missing": lambda k, q: (
                (dot(k, q) - squared(k)) / math.sqrt(k.shape[1])
            ),
            "this is the distance, which is large where keys differ: a similarity is large where they agree": lambda k, q: (
                -l2(k, q)
            ),
            "this is the distance itself; the formula has its square": lambda k, q: (
                -torch.cdist(k.transpose(1, 2), q.transpose(1, 2)) / math.sqrt(k.shape[1])
            ),
            "the division by the square root of c is missing": lambda k, q: l2(k, q) * math.sqrt(k.shape[1]),
            "this divides by c, not by its square root": lambda k, q: l2(k, q) / math.sqrt(k.shape[1]),
            "this divides by the square root of the number of memory cells, not of channels": lambda k, q: (
                l2(k, q) * math.sqrt(k.shape[1] / k.shape[2])
            ),
            "rows and columns are swapped: wanted a row per memory cell, a column per query cell": lambda k, q: l2(
                k, q
            ).transpose(1, 2),
            "the keys were normalised first: their lengths are lost": lambda k, q: l2(
                k / k.norm(dim=1, keepdim=True), q / q.norm(dim=1, keepdim=True)
            ),
            "square each channel's difference before you add them up": lambda k, q: (
                -(k[:, :, :, None] - q[:, :, None]).sum(1).square() / math.sqrt(k.shape[1])
            ),
            "c is 64 here, whatever the keys have: read it from their shape": lambda k, q: (
                l2(k, q) * math.sqrt(k.shape[1] / 64)
            ),
            "only the first clip of the batch is there": lambda k, q: l2(k[:1], q[:1]),
            "all clips are compared with the memory of the first": lambda k, q: l2(k[:1].expand_as(k), q),
        },
    ),
    "softmax": Exercise(
        right=memory.affinity,
        parts=[Part("small similarities", 2, similarities(0.1)), Part("large similarities", 1, similarities(30.0))],
        wrong={
            "the columns do not sum to 1: this softmax runs over the query cells": lambda s: s.softmax(2),
            "this softmax runs over the clips of the batch": lambda s: s.softmax(0),
            "this softmax runs over all pairs at once: each query cell needs a sum of its own": lambda s: (
                s.flatten(1).softmax(1).view(s.shape)
            ),
            "exp overflows: the largest number must be taken away first": lambda s: shares(s, 0.0),
            "one maximum for all columns: a column that lies far below it becomes 0 / 0": lambda s: shares(s, s.max()),
            "nan was made 0, and that exp overflows is not mended: these columns are empty, or have lost their best cells": (
                lambda s: shares(s, 0.0).nan_to_num(0)
            ),
            "exp of a similarity that was clamped: beyond the bound all cells are alike": lambda s: shares(
                s.clamp(-80, 80), 0.0
            ),
            "what is taken away must be one number for the whole column: here each row loses its own": lambda s: shares(
                s, s.amax(2, keepdim=True)
            ),
            "the similarities were divided by a number: that changes how far they lie apart": lambda s: (
                s / s.abs().max()
            ).softmax(1),
            "the weights of all clips together sum to 1: each clip has a memory of its own": lambda s: (
                s.flatten(0, 1).softmax(0).view(s.shape)
            ),
            "these are the exponentials: each column must still be divided by something": lambda s: (
                s - s.amax(1, keepdim=True)
            ).exp(),
            "this is the logarithm of the affinity": lambda s: s.log_softmax(1),
            "all weight lies on the best cell: that is a maximum, not a softmax": lambda s: kept(s, 1).float(),
            "the similarities are divided by their sum, without exp": lambda s: s / s.sum(1, keepdim=True),
        },
    ),
    "affinity": Exercise(
        right=memory.affinity,
        parts=[
            Part("some cells", 2, with_top_k(1, 3, 5)),
            Part("equal cells, and cells far below 0", 1, equal_and_far),
            Part("all cells", 1, with_top_k(None, 50, n=30)),
        ],
        seen=among_equals,
        wrong={
            "the weights that are kept do not sum to 1": lambda s, top_k: s.softmax(1) * kept(s, top_k),
            "top_k is not heeded: all memory cells have weight": lambda s, top_k: s.softmax(1),
            "cells that are left out still have weight: this number is not below all similarities": lambda s, top_k: (
                s.masked_fill(~kept(s, top_k), -100.0).softmax(1)
            ),
            "a similarity of 0 is not a weight of 0: the cells that are left out still have weight": lambda s, top_k: (
                s * kept(s, top_k)
            ).softmax(1),
            "this keeps the best query cells of each memory cell": lambda s, top_k: only(s, kept(s, top_k, dim=2)),
            "this keeps the worst cells": lambda s, top_k: only(s, kept(-s, top_k)),
            "this keeps one cell too many": lambda s, top_k: only(s, kept(s, top_k and top_k + 1)),
            "equally similar cells: more than top_k are kept": lambda s, top_k: only(
                s, s >= s.topk(min(top_k or s.shape[1], s.shape[1]), 1).values[:, -1:]
            ),
            "top_k is None: all cells stay, not some usual number": lambda s, top_k: only(s, kept(s, top_k or 20)),
            "top_k may be larger than the number of query cells: what there is to choose from are memory cells": (
                lambda s, top_k: only(s, kept(s, top_k and min(top_k, s.shape[2])))
            ),
            "the softmax was taken twice": lambda s, top_k: only(s.softmax(1), kept(s, top_k)),
            "each cell that is kept has the same weight": lambda s, top_k: kept(s, top_k) / kept(s, top_k).sum(1, keepdim=True),
            "this keeps the best pairs of the whole clip, not of each query cell": lambda s, top_k: only(
                s, kept(s.flatten(1), top_k and top_k * s.shape[2]).view(s.shape)
            ),
            "the softmax of what is kept runs over the query cells": lambda s, top_k: (
                s.masked_fill(~kept(s, top_k), -math.inf).softmax(2).nan_to_num(0)
            ),
        },
    ),
    "readout": Exercise(
        right=weighted,
        parts=[Part("one object", 1, read_inputs(9, 9, 1)), Part("three objects", 2, read_inputs(10, 6, 3))],
        wrong={
            "the affinity is read along the wrong axis: its columns belong to query cells": turned,
            "only the first object is there": lambda a, v: weighted(a, v)[:, :1],
            "the objects are added up: each keeps a readout of its own": lambda a, v: weighted(a, v).sum(1),
            "each query cell takes the value of its best memory cell only: all are weighted": lambda a, v: weighted(
                kept(a, 1).float(), v
            ),
            "the weights are not used: this is the mean of all values": lambda a, v: weighted(
                torch.full_like(a, 1 / a.shape[1]), v
            ),
            "the weights sum to 1 already: there is nothing to divide by": lambda a, v: weighted(a, v) / a.shape[1],
            "channels and cells are swapped: wanted (b,k,cv,m)": lambda a, v: weighted(a, v).transpose(2, 3),
            "the weights were normalised once more, over the query cells": lambda a, v: weighted(a / a.sum(2, keepdim=True), v),
            "objects and channels are mixed up: one axis holds both, and a view takes them apart in another order": (
                lambda a, v: (v.flatten(1, 2) @ a).view(len(v), v.shape[2], v.shape[1], -1).transpose(1, 2)
            ),
            "the shape is right and the order is not: reshape cuts a row of numbers anew, it swaps no axes": lambda a, v: (
                weighted(a, v).movedim(3, 1).reshape(*v.shape[:3], -1)
            ),
        },
    ),
    "aggregate": Exercise(
        right=lambda p: with_background(p, nobody(p)),
        parts=[Part("two and three objects", 2, probabilities(False)), Part("certain pixels", 1, probabilities(True))],
        wrong={
            "background: 1 minus the sum can be below 0; each object says on its own that it is not there": lambda p: (
                with_background(p, 1 - p.sum(0, keepdim=True))
            ),
            "background: all objects have a say, not only the most probable one": lambda p: with_background(
                p, 1 - p.amax(0, keepdim=True)
            ),
            "the background comes first": lambda p: with_background(p, nobody(p)).roll(-1, 0),
            "the probabilities are divided by their sum: turn them into odds first": lambda p: with_background(
                p, nobody(p), odds=False
            ),
            "a softmax wants logarithms (of odds), not probabilities": lambda p: torch.cat([nobody(p), p]).softmax(0),
            "background: this is the probability that not all objects are there at once": lambda p: with_background(
                p, 1 - p.prod(0, keepdim=True)
            ),
            "a softmax wants logarithms of the odds, not the odds": lambda p: (
                (x := torch.cat([nobody(p), p]).clamp(1e-7, 1 - 1e-7)) / (1 - x)
            ).softmax(0),
            "the odds of the background are missing in the sum": lambda p: (
                (x := torch.cat([nobody(p), p]).clamp(1e-7, 1 - 1e-7)) / (1 - x) / (x / (1 - x))[1:].sum(0)
            ),
            "the background is missing": lambda p: (p / (1 - p)) / (p / (1 - p)).sum(0),
            "these are the odds: they do not sum to 1 yet": lambda p: (
                (x := torch.cat([nobody(p), p]).clamp(1e-7, 1 - 1e-7)) / (1 - x)
            ),
            "these are logits: wanted probabilities, which sum to 1": lambda p: torch.cat([nobody(p), p]).logit(1e-7),
            "a certain pixel has infinite odds: keep the probabilities away from 0 and 1": lambda p: with_background(
                p, nobody(p), least=0.0
            ),
            "nan was made 0: so an object that is certain has lost its pixel": lambda p: with_background(
                p, nobody(p), least=0.0
            ).nan_to_num(0),
            "a certain pixel is not certain any more: it was kept too far away from 0 and 1": lambda p: with_background(
                p.clamp(0.01, 0.99), nobody(p.clamp(0.01, 0.99))
            ),
        },
    ),
    "read": Exercise(
        right=lambda k, q, v, top_k: memory.read(k, q, v, top_k=top_k),
        parts=[Part("all of memory", 1, memories(None)), Part("the best cells", 1, memories(1, 4))],
        wrong={
            "top_k is not passed on": lambda k, q, v, top_k: weighted(best(k, q, None), v),
            "the best memory cell alone is read, whatever top_k says": lambda k, q, v, top_k: weighted(best(k, q, 1), v),
            "top_k is None: all of memory is read, not some usual number": lambda k, q, v, top_k: weighted(
                best(k, q, top_k or 20), v
            ),
            "memory and query are swapped": lambda k, q, v, top_k: weighted(best(q, k, top_k), v),
            "here each memory cell has shared out its weight among query cells: it is the other way round": (
                lambda k, q, v, top_k: weighted(best(q, k, top_k).transpose(1, 2), v)
            ),
            "the softmax was taken twice": lambda k, q, v, top_k: weighted(only(l2(k, q).softmax(1), kept(l2(k, q), top_k)), v),
            "the affinity is read along the wrong axis": lambda k, q, v, top_k: weighted(best(k, q, top_k).transpose(1, 2), v),
            "the similarity itself weighs the values: it is no affinity yet": lambda k, q, v, top_k: weighted(l2(k, q), v),
            "the values of the objects are mixed: each object is read on its own": lambda k, q, v, top_k: weighted(
                best(k, q, top_k), v
            ).mean(1, keepdim=True),
            "the keys were normalised on the way": lambda k, q, v, top_k: weighted(
                best(k / k.norm(dim=1, keepdim=True), q / q.norm(dim=1, keepdim=True), top_k), v
            ),
        },
    ),
    "track": Exercise(
        right=lambda clip: tracked(clip, vl.EveryNth(5)),
        parts=[Part("a hidden clip", 2, short_clips)],
        tolerance=0.04,
        seen=by_blocks,
        ask=watched,
        wrong={
            "every frame is remembered: the memory wanted takes every fifth": lambda clip: tracked(clip, vl.EveryNth(1)),
            "the memory forgets the first frame, the only one whose mask is true": lambda clip: tracked(clip, vl.Fifo(1)),
            "the memory holds the first and the last frame: wanted is every fifth": lambda clip: tracked(
                clip, vl.FirstAndLast()
            ),
            "this is the first mask in every frame: nothing was followed": lambda clip: np.repeat(
                clip.masks[:1], len(clip), axis=0
            ),
            "these are the masks that were given, void from the second frame on": lambda clip: clip.masks,
            "all objects have one id: the masks of a track hold an id for each": lambda clip: (
                tracked(clip, vl.EveryNth(5)) > 0
            ).astype(np.uint8),
            "this is another model: wanted is stcn-small": lambda clip: tracked(clip, vl.EveryNth(5), "colour"),
        },
    ),
}
