"""Exercises of notebook 06, false matches."""

import torch
from torch import Tensor

from ... import matches
from ..checks import Exercise, Part

# 06.kinds: what each of five looks is called

KINDS = {
    "a cell of the wall looks at object 1": "background as foreground",
    "a cell of object 1 looks at a look-alike that is in no mask": "foreground as background",
    "a cell of object 2 looks at object 1": "wrong instance",
    "a cell half on object 1, half on the wall, looks at the wall": "not counted",
    "the left foot of object 1 looks at its right foot": "not false by labels",
}


def named_instead(case: str, name: str):
    return lambda: {**KINDS, next(full for full in KINDS if case in full): name}


# 06.false: affinity (n,m), labels (n), (m) -> false mass (m), nan for mixed query cells


def looks(memory_ids: list[int], query_ids: list[int], n: int = 14, m: int = 9):
    def inputs(rng):
        def draw(ids, count):  # each id at least once
            return torch.from_numpy(rng.permutation([*ids, *rng.choice(ids, count - len(ids))])).long()

        affinities = [torch.from_numpy(2 * rng.standard_normal((n, m))).softmax(0).float() for _ in range(3)]
        return [(affinity, draw(memory_ids, n), draw(query_ids, m)) for affinity in affinities]

    return inputs


def false_mass(affinity: Tensor, memory: Tensor, query: Tensor) -> Tensor:
    return matches.false_matches(affinity[None].float(), memory[None], query[None]).total[0]


def mass_where(chosen, mixed=torch.nan):
    """chosen(memory labels (n,1), query labels (m)): which pairs count; mixed: what mixed query cells get."""

    def answer(affinity, memory, query):
        found = (affinity * chosen(memory[:, None], query)).sum(0)
        return found if mixed is None else found.masked_fill(query < 0, mixed)

    return answer


def false_of_the_best(affinity: Tensor, memory: Tensor, query: Tensor) -> Tensor:
    label = memory[affinity.argmax(0)]
    return ((label != query) & (label >= 0)).to(affinity).masked_fill(query < 0, torch.nan)


# 06.pck: centres (m,2), best (m), true places (m,2), visible (m), side of a cell -> share of visible cells at most one cell off


def matched(hidden: float):
    def inputs(rng):
        cases = []
        for _ in range(3):
            centres = torch.tensor([[8.0 * x + 3.5, 8.0 * y + 3.5] for y in range(9) for x in range(16)])  # (144,2): x, y
            places = centres + torch.from_numpy(rng.uniform(-12, 12, (144, 2))).float()
            best = (places + torch.from_numpy(rng.normal(0, 7, (144, 2))).float()).sub(3.5).div(8).round().long()
            best = best[:, 1].clamp(0, 8) * 16 + best[:, 0].clamp(0, 15)
            cases.append((centres, best, places, torch.from_numpy(rng.random(144) >= hidden), 8))
        return cases

    return inputs


def pck(centres, best, places, visible, side):
    return ((centres[best] - places).norm(dim=1) <= side)[visible].double().mean()


# 06.calibration: confidence (n), correct (n) bool, bins -> expected calibration error


def judged(n: int, bins: int, low: float = 0.0):
    def inputs(rng):
        cases = []
        for _ in range(3):
            confidence = torch.from_numpy(rng.uniform(low, 1, n)).float()
            confidence[0] = 1.0  # belongs to the last bin
            cases.append((confidence, torch.from_numpy(rng.random(n)) < 0.2 + 0.5 * confidence.square(), bins))
        return cases

    return inputs


def gaps(confidence: Tensor, correct: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Of each bin: mean confidence minus share correct (nan where it is empty), and how many matches it holds."""
    which = (confidence * bins).long().clamp(max=bins - 1)
    count = which.bincount(minlength=bins)
    total = which.bincount(confidence.double() - correct.double(), bins)
    return total / count, count


def calibration_error(confidence: Tensor, correct: Tensor, bins: int) -> Tensor:
    gap, count = gaps(confidence, correct, bins)
    return (gap.abs() * count).nansum() / len(confidence)


EXERCISES = {
    "kinds": Exercise(
        right=lambda: KINDS,
        parts=[Part("five looks", 3, lambda rng: [()])],
        wrong={
            "the wall is background, so the cell that asks names the kind: background as foreground": named_instead(
                "of the wall looks", "foreground as background"
            ),
            "a look-alike that is in no mask is background, however much it looks like an object": named_instead(
                "look-alike", "wrong instance"
            ),
            "a look-alike that is in no mask is background: looking at it is a false match": named_instead(
                "look-alike", "not false by labels"
            ),
            "both are objects, but two different ones: the readout says the wrong number": named_instead(
                "object 2 looks", "not false by labels"
            ),
            "nothing here looks at background or comes from it: object 2 looks at another object": named_instead(
                "object 2 looks", "background as foreground"
            ),
            "a mixed cell has no label of its own: whatever it looks at, it is left out": named_instead(
                "half", "foreground as background"
            ),
            "a mixed cell is not right either: it is left out": named_instead("half", "not false by labels"),
            "both feet carry the same label: only the true place could tell": named_instead("foot", "wrong instance"),
        },
    ),
    "false": Exercise(
        right=false_mass,
        parts=[
            Part("one object", 1, looks([0, 1], [0, 1])),
            Part("two objects", 1, looks([0, 1, 2], [0, 1, 2])),
            Part("mixed memory cells", 1, looks([-1, 0, 1, 2], [0, 1, 2])),
            Part("mixed query cells", 1, looks([-1, 0, 1, 2], [-1, 0, 1, 2])),
        ],
        wrong={
            "this is the mass on the own label, the part that is right": mass_where(lambda m, q: m == q),
            "mass on mixed memory cells (-1) is of no kind: it must not count as false": mass_where(lambda m, q: m != q),
            "mixed query cells (-1) have no label to be false against: they must be nan": mass_where(
                lambda m, q: (m != q) & (m >= 0), None
            ),
            "mixed query cells must be nan, not 0: a mean would take them for cells without fault": mass_where(
                lambda m, q: (m != q) & (m >= 0), 0.0
            ),
            "an object that looks at another object is missing: compare the ids, not whether there is an object": mass_where(
                lambda m, q: ((m > 0) != (q > 0)) & (m >= 0)
            ),
            "only background that looks at an object is counted: an object that looks at something else is false too": (
                mass_where(lambda m, q: (q == 0) & (m > 0))
            ),
            "only objects that look at something else are counted: background that looks at an object is false too": (
                mass_where(lambda m, q: (q > 0) & (m != q) & (m >= 0))
            ),
            "this asks whether the best match alone is false: wanted is the mass of all memory cells": false_of_the_best,
            "this is a mean: wanted is the sum, since the weights of a query cell already sum to 1": lambda a, m, q: (
                false_mass(a, m, q) / len(m)
            ),
        },
    ),
    "pck": Exercise(
        right=pck,
        parts=[
            Part("all visible", 1, matched(hidden=0.0)),
            Part("some hidden", 2, matched(hidden=0.4)),
        ],
        wrong={
            "hidden cells have no true place to be found: leave them out": lambda c, b, p, v, side: pck(
                c, b, p, torch.ones_like(v), side
            ),
            "hidden cells were counted as wrong: divide by the number of visible ones": lambda c, b, p, v, side: (
                (((c[b] - p).norm(dim=1) <= side) & v).double().mean()
            ),
            "the threshold is one cell, which is `side` pixels, not one pixel": lambda c, b, p, v, side: pck(c, b, p, v, 1),
            "the squared distance was compared with `side`: take the root": lambda c, b, p, v, side: pck(c, b, p, v, side**0.5),
            "this is the share that is wrong": lambda c, b, p, v, side: 1 - pck(c, b, p, v, side),
            "the places were compared with the cells that ask, not with their matches: use centres[best]": (
                lambda c, b, p, v, side: pck(c, torch.arange(len(c)), p, v, side)
            ),
            "x and y were judged one by one: the distance is the root of both squares together": lambda c, b, p, v, side: (
                ((c[b] - p).abs() <= side)[v].double().mean()
            ),
            "this is the mean distance: wanted is the share of matches within one cell": lambda c, b, p, v, side: (
                (c[b] - p).norm(dim=1)[v].mean()
            ),
        },
    ),
    "calibration": Exercise(
        right=calibration_error,
        parts=[
            Part("every bin has matches", 2, judged(n=300, bins=5)),
            Part("empty bins", 1, judged(n=200, bins=10, low=0.45)),
        ],
        wrong={
            "too sure in one bin and too modest in another cancel here: take the absolute value of each bin's gap first": (
                lambda c, r, bins: (c.double().mean() - r.double().mean()).abs()
            ),
            "every bin counts the same here: weigh each by the number of its matches": lambda c, r, bins: (
                gaps(c, r, bins)[0].abs().nanmean()
            ),
            "empty bins give 0 / 0: leave them out": lambda c, r, bins: (
                (gaps(c, r, bins)[0].abs() * gaps(c, r, bins)[1]).sum() / len(c)
            ),
            "this compares each single match with its confidence: a match is right or wrong, only a bin has a share": (
                lambda c, r, bins: (c.double() - r.double()).abs().mean()
            ),
            "gaps were squared: take their absolute value": lambda c, r, bins: (
                (gaps(c, r, bins)[0].square() * gaps(c, r, bins)[1]).nansum() / len(c)
            ),
            "this is the sum over bins: divide by the number of matches": lambda c, r, bins: (
                calibration_error(c, r, bins) * len(c)
            ),
        },
    ),
}
