"""Exercises of lab 2, whose fault is a false match? (The wrong answers call nothing that the lab forbids.)"""

import math

import numpy as np
import torch
from torch import Tensor

from vos_lab import matches, memory
from vos_lab.labs.checks import Exercise, Part, array

# lab2.label_cells: mask (H,W) of ids, side of a cell -> label per cell (h*w), -1 where it is mixed


def masks(*ids: int, side: int):
    """Cells of one id, of three quarters (rounded down), of a pixel less, of little more than half, and of three ids."""

    def inputs(rng):
        full, h, w = side * side, 5, 7
        shares = [(most, full - most) for most in (3 * full // 4, 3 * full // 4 - 1, 9 * full // 16)]
        shares = [(full,), *shares, (full // 2, full // 4, full - full // 2 - full // 4)]
        calls = []
        for _ in range(2):
            kinds = rng.permutation([0, *rng.integers(0, len(shares), h * w - 6), *range(len(shares))])
            cells = []
            for kind in kinds:
                there = np.repeat(rng.choice(ids, len(shares[kind]), replace=False), shares[kind])
                cells.append(rng.permutation(there).reshape(side, side))
            mask = np.stack(cells).reshape(h, w, side, side).swapaxes(1, 2).reshape(h * side, w * side)
            calls.append((torch.from_numpy(mask).long(), side))
        return calls

    return inputs


def pixels(mask: Tensor, side: int) -> Tensor:
    """The pixels of each cell, row by row: (h*w, side*side)."""
    return mask.unfold(0, side, side).unfold(1, side, side).flatten(2).flatten(0, 1)


def voted(cells: Tensor, least: float | int = 0.75, mixed: int = -1, void: int = 255) -> Tensor:
    """The id of most pixels of each cell, where it has at least this share; `void` is the id that is none."""
    label = cells.mode(1).values
    share = (cells == label[:, None]).float().mean(1)
    return torch.where((share >= least) & (label != void), label, mixed)


def without_void(cells: Tensor) -> Tensor:
    """Void pixels do not vote."""
    known = [cell[cell != 255][None] for cell in cells]
    return torch.cat([voted(cell) if cell.numel() else torch.tensor([-1]) for cell in known])


def any_object(cells: Tensor) -> Tensor:
    """A cell is pure where three quarters of it are objects, whichever."""
    share = ((cells > 0) & (cells < 255)).float().mean(1)
    label = cells.mode(1).values
    return torch.where((share >= 0.75) | (share <= 0.25), label, -1)


# lab2.by_kind: affinity (n,m), memory labels (n), query labels (m) -> false weight (3,m)


def looks(memory_ids: list[int], query_ids: list[int], n: int = 16, m: int = 11):
    def inputs(rng):
        def draw(ids, count):  # each id at least once
            return torch.from_numpy(rng.permutation([*ids, *rng.choice(ids, count - len(ids))])).long()

        affinities = [torch.from_numpy(2 * rng.standard_normal((n, m))).softmax(0).float() for _ in range(3)]
        return [(affinity, draw(memory_ids, n), draw(query_ids, m)) for affinity in affinities]

    return inputs


def three_kinds(affinity: Tensor, memory_labels: Tensor, query_labels: Tensor) -> Tensor:
    found = matches.false_matches(affinity[None].float(), memory_labels[None], query_labels[None])
    return torch.stack(found[1:])[:, 0]  # (3,m)


def objects(labels: Tensor) -> Tensor:
    return labels > 0


def background(labels: Tensor) -> Tensor:
    return labels == 0


def counted(a: Tensor, m: Tensor, q: Tensor, thing=objects, ground=background, own=False, mixed=torch.nan) -> Tensor:
    """The three kinds; thing, ground: which labels are objects and background; own: an object's look at itself counts too."""
    m = m[:, None]
    other = (m != q) | own
    rows = [(a * thing(m)).sum(0) * ground(q), (a * ground(m)).sum(0) * thing(q), (a * thing(m) * other).sum(0) * thing(q)]
    return torch.stack(rows).masked_fill(q < 0, mixed)


def best_only(a: Tensor) -> Tensor:
    return torch.zeros_like(a).scatter(0, a.argmax(0, keepdim=True), 1.0)


def as_objects_too(labels: Tensor) -> Tensor:
    return labels != 0


def as_background_too(labels: Tensor) -> Tensor:
    return labels <= 0


# lab2.rates: false weight (t,3,m), query labels (t,m) -> mean of each kind over the cells that can make the fault (3)


def frames_of(ids: list[int], t: int, m: int = 14):
    def inputs(rng):
        calls = []
        for _ in range(2):
            chance = rng.dirichlet(np.ones(len(ids)), t)  # frames differ in how many cells are of objects
            labels = np.stack([rng.permutation([*ids, *rng.choice(ids, m - len(ids), p=p)]) for p in chance])
            false = rng.uniform(0, 1 / 2, (t, 3, m)) * (rng.random((t, 3, m)) < 0.7)
            can = np.stack([labels == 0, labels > 0, labels > 0], 1)
            false = np.where(labels[:, None] < 0, np.nan, false * can)
            calls.append((torch.from_numpy(false).float(), torch.from_numpy(labels).long()))
        return calls

    return inputs


def means(false: Tensor, labels: Tensor, least: int = 0) -> Tensor:
    """Over all cells that can make the fault, of all frames together."""
    cells = [(labels == 0).sum(), (labels > 0).sum(), (labels > 0).sum()]
    return false.nansum((0, 2)) / torch.stack(cells).clamp(min=least)


# lab2.similarity: keys (b,c,n), (b,c,m), kind -> (b,n,m), up to a constant per query cell


def keys(kind: str, b: int = 2, n: int = 12, m: int = 7, c: int = 10):
    def inputs(rng):
        calls = []
        for _ in range(2):
            k, q = (torch.from_numpy(rng.standard_normal((b, c, size)) * rng.uniform(0.5, 2, (b, 1, size))) for size in (n, m))
            calls.append((k.float(), q.float(), kind))
        return calls

    return inputs


def differences(output, memory_key: Tensor, query_key: Tensor, kind: str):
    """A constant per query cell changes no affinity."""
    numbers = array(output)
    return output if numbers is None or numbers.ndim != 3 else numbers - numbers.mean(1, keepdims=True)


def one_long(k: Tensor) -> Tensor:
    return k / k.norm(dim=1, keepdim=True)


def by_kind_of_similarity(k: Tensor, q: Tensor, kind: str, **mistake: Tensor) -> Tensor:
    """mistake: what stands in the place of the similarity of a kind."""
    dot = k.transpose(1, 2) @ q
    right = {
        "dot": dot / math.sqrt(k.shape[1]),
        "cosine": one_long(k).transpose(1, 2) @ one_long(q),
        "l2": (2 * dot - k.square().sum(1)[:, :, None]) / math.sqrt(k.shape[1]),
    }
    return {**right, **mistake}[kind]


# lab2.false_weight: keys, labels, kind, temperature -> the mean false weight of the pure query cells


def scenes(*options: tuple[str, float], n: int = 60, m: int = 24, c: int = 8):
    def inputs(rng):
        calls = []
        for kind, temperature in options:
            looks_like = rng.standard_normal((3, c))  # what background and both objects look like
            of_memory, of_query = rng.integers(-1, 3, n), rng.integers(-1, 3, m)
            k, q = (looks_like[of].T + rng.normal(0, 0.8, (c, len(of))) for of in (of_memory, of_query))
            k, q = (torch.from_numpy(x)[None].float() for x in (k * rng.uniform(0.7, 1.4, n), q))
            calls.append((k, q, torch.from_numpy(of_memory).long(), torch.from_numpy(of_query).long(), kind, temperature))
        return calls

    return inputs


def total_false(
    k: Tensor,
    q: Tensor,
    memory_labels: Tensor,
    query_labels: Tensor,
    kind: str,
    temperature: float,
    top_k: int | None = 20,
    thing=objects,
) -> Tensor:
    """Of each query cell, (m); nan where it is mixed."""
    weights = memory.affinity(by_kind_of_similarity(k, q, kind), top_k, float(temperature))[0]
    return counted(weights, memory_labels, query_labels, thing).sum(0)


# lab2.blame: affinity (n,m), memory labels true and as drawn (n), query labels true and as drawn (m) -> whose fault (m)


def verdicts(ids: list[int], n: int = 18, m: int = 90, exact: bool = False):
    """exact: weights of eighths, so that often just half of them lies on a label."""

    def inputs(rng):
        calls = []
        for _ in range(3):
            true, query = (rng.permutation([*ids, *rng.choice(ids, count - len(ids))]) for count in (n, m))
            told, drawn = (np.where(rng.random(len(x)) < 0.4, rng.integers(0, 3, len(x)), x).clip(0) for x in (true, query))
            drawn = np.where(rng.random(m) < 0.4, (query + 1) % 3, drawn)
            right = 2.0 * (true[:, None] == query) * (rng.random(m) < 0.7)
            a = torch.from_numpy(right + rng.standard_normal((n, m))).softmax(0).float()
            if exact:
                a = torch.from_numpy(rng.multinomial(8, a.T.double() / a.T.double().sum(1, keepdim=True)).T / 8).float()
            calls.append((a, *(torch.from_numpy(x).long() for x in (true, told, query, drawn))))
        return calls

    return inputs


def on_label(a: Tensor, labels: Tensor, wanted: Tensor, others: bool = False) -> Tensor:
    """Whether at least half of the weight of each query cell lies on this label, or on the others."""
    return (a * ((labels[:, None] == wanted) != others)).sum(0) >= 0.5


def heaviest(a: Tensor, labels: Tensor) -> Tensor:
    """The label on which most of the weight of each query cell lies."""
    ids = labels.unique()
    return ids[torch.stack([(a * (labels == i)[:, None]).sum(0) for i in ids]).argmax(0)]


def verdict(drawn_rightly: Tensor, looked: Tensor, told: Tensor, query: Tensor, faults=(0, 1, 2, 3, -1)) -> Tensor:
    """faults: the numbers for right, matching, memory, decoder, mixed."""
    right, matching, of_memory, decoder, mixed = map(torch.tensor, faults)
    fault = torch.where(looked, torch.where(told, decoder, of_memory), matching)
    return torch.where(query < 0, mixed, torch.where(drawn_rightly, right, fault))


def blamed(a: Tensor, true: Tensor, told: Tensor, query: Tensor, drawn: Tensor, faults=(0, 1, 2, 3, -1)) -> Tensor:
    return verdict(drawn == query, on_label(a, true, query), on_label(a, told, query), query, faults)


# lab2.which_kind, lab2.whose_fault: what was seen in each of three prepared failures (failures.py; a test measures them)


def name_of_kind(failure: str, **instead: str) -> str:
    kinds = {"A": "foreground as background", "B": "hardly any", "C": "wrong instance"}
    return {**kinds, **instead}[failure]


def name_of_fault(failure: str, **instead: str) -> str:
    faults = {"A": "matching", "B": "memory", "C": "matching"}
    return {**faults, **instead}[failure]


def each_failure(points: int):
    return [Part(f"failure {name}", points, lambda rng, name=name: [(name,)]) for name in "ABC"]


EXERCISES = {
    "label_cells": Exercise(
        right=lambda mask, side: matches.cell_labels(mask, side),
        parts=[
            Part("two objects", 1, masks(0, 1, 2, side=4)),
            Part("other objects, other cells", 1, masks(0, 3, 7, 12, side=5)),
            Part("void pixels", 1, masks(0, 1, 255, side=8)),
        ],
        wrong={
            "cells on an outline have no label of their own: where fewer than three quarters agree, -1": lambda mask, side: (
                voted(pixels(mask, side), least=0)
            ),
            "exactly three quarters are enough": lambda mask, side: voted(pixels(mask, side), least=0.7501),
            "mixed cells are not background: they are -1": lambda mask, side: voted(pixels(mask, side), mixed=0),
            "one pixel does not speak for its cell: count them all": lambda mask, side: pixels(mask, side)[:, 0],
            "a few pixels of an object do not make the cell the object's: count them": lambda mask, side: pixels(
                mask, side
            ).amax(1),
            "two objects do not make one pure cell: each id counts on its own": lambda mask, side: any_object(
                pixels(mask, side)
            ),
            "the cells are in the wrong order: wanted row by row": lambda mask, side: (
                voted(pixels(mask, side)).view(len(mask) // side, -1).T.flatten()
            ),
            "wanted is a row of labels (h*w), not a picture of them": lambda mask, side: voted(pixels(mask, side)).view(
                len(mask) // side, -1
            ),
            "of 25 pixels, 18 are fewer than three quarters: the number was rounded down": lambda mask, side: voted(
                pixels(mask, side), least=int(0.75 * side * side) / side**2
            ),
            "some ids are missing: they may be any numbers, with gaps between them": lambda mask, side: torch.where(
                (found := voted(pixels(mask, side))) < 4, found, -1
            ),
            "void is not background: a cell that is mostly void is mixed": lambda mask, side: voted(
                pixels(torch.where(mask == 255, 0, mask), side)
            ),
            "void (255) is no label: a cell that is mostly void is mixed": lambda mask, side: voted(
                pixels(mask, side), void=-2
            ),
            "void pixels are pixels of the cell as well: left out, the rest looks purer than it is": lambda mask, side: (
                without_void(pixels(mask, side))
            ),
        },
    ),
    "by_kind": Exercise(
        right=three_kinds,
        parts=[
            Part("background and one object", 1, looks([0, 1], [0, 1])),
            Part("three objects", 2, looks([0, 1, 2, 3], [0, 1, 2, 3])),
            Part("mixed cells", 1, looks([-1, 0, 1, 2], [-1, 0, 1, 2])),
        ],
        wrong={
            "the first two kinds are swapped: the cell that asks comes first in the name": lambda a, m, q: counted(a, m, q)[
                [1, 0, 2]
            ],
            "a look at the own object is no fault: a wrong instance has another id": lambda a, m, q: counted(a, m, q, own=True),
            "objects that look at another object are missing": lambda a, m, q: torch.cat(
                [counted(a, m, q)[:2], 0 * counted(a, m, q)[2:]]
            ),
            "weight on another object is no weight on background: it was counted in both kinds": lambda a, m, q: torch.stack(
                [counted(a, m, q)[0], counted(a, m, q)[1:].sum(0), counted(a, m, q)[2]]
            ),
            "only where the best match lies is asked here: all weights count": lambda a, m, q: counted(best_only(a), m, q),
            "the weights of a query cell sum to 1 already: there is nothing to divide by": lambda a, m, q: (
                counted(a, m, q) / len(m)
            ),
            "there may be more than two objects: another object is any other id": lambda a, m, q: torch.cat(
                [counted(a, m, q)[:2], ((a * (m[:, None] == 3 - q)).sum(0) * objects(q)).masked_fill(q < 0, torch.nan)[None]]
            ),
            "a fault that a cell cannot make is 0: nan is for mixed cells alone": lambda a, m, q: torch.stack(
                [row.masked_fill(~can, torch.nan) for row, can in zip(counted(a, m, q), (q == 0, q > 0, q > 0))]
            ),
            "weight that is neither on background nor on the own label may lie on mixed cells, and is then of no kind": (
                lambda a, m, q: torch.cat([counted(a, m, q)[:2], counted(a, m, q, as_objects_too)[2:]])
            ),
            "the weight on mixed cells was shared out among the others: leave it where it is": lambda a, m, q: counted(
                a / a[m >= 0].sum(0), m, q
            ),
            "wanted is a row per kind, a column per query cell": lambda a, m, q: counted(a, m, q).T,
            "a mixed query cell has no label to be false against: nan, not 0": lambda a, m, q: counted(a, m, q, mixed=0.0),
            "a mixed cell (-1) is no object, whichever side it is on": lambda a, m, q: counted(a, m, q, as_objects_too),
            "a mixed cell (-1) is no background, whichever side it is on": lambda a, m, q: counted(
                a, m, q, ground=as_background_too
            ),
        },
    ),
    "rates": Exercise(
        right=means,
        parts=[
            Part("one frame", 1, frames_of([-1, 0, 0, 1, 2], 1)),
            Part("several frames", 1, lambda rng: frames_of([0, 1, 2], 4)(rng) + frames_of([-1, 0, 1, 2], 4)(rng)),
            Part("no object in sight", 1, frames_of([-1, 0], 1)),
        ],
        wrong={
            "without cells there is no mean: a rate of 0 would say that they made no fault": lambda false, labels: means(
                false, labels, least=1
            ),
            "this is the mean over all pure cells: of each kind, only the cells count that can make that fault": (
                lambda false, labels: false.nansum((0, 2)) / (labels >= 0).sum()
            ),
            "one nan makes the mean nan: leave the mixed cells out": lambda false, labels: false.mean((0, 2)),
            "mixed cells are counted: they can make no fault": lambda false, labels: false.nan_to_num(0).mean((0, 2)),
            "this is the sum, which grows with every cell: divide it": lambda false, labels: false.nansum((0, 2)),
            "this is the mean over the cells that are at fault: the others, which could have been, count too": (
                lambda false, labels: false.nansum((0, 2)) / (false > 0).sum((0, 2))
            ),
            "frames and kinds are mixed up: reshape swaps no axes": lambda false, labels: torch.stack(
                [row[can.flatten()].mean() for row, can in zip(false.reshape(3, -1), (labels == 0, labels > 0, labels > 0))]
            ),
            "only the first frame counts here": lambda false, labels: means(false[:1], labels[:1]),
            "a mixed cell (-1) is no cell of an object": lambda false, labels: (
                false.nansum((0, 2)) / torch.stack([(labels == 0).sum(), (labels != 0).sum(), (labels != 0).sum()])
            ),
            "divided by the cells of the other side: background makes the first fault, objects make the other two": (
                lambda false, labels: (
                    false.nansum((0, 2)) / torch.stack([(labels > 0).sum(), (labels == 0).sum(), (labels == 0).sum()])
                )
            ),
            "this is the mean of the frames' means, in which a frame with few cells counts as much as one with many": (
                lambda false, labels: torch.stack([means(f[None], of[None]) for f, of in zip(false, labels)]).mean(0)
            ),
        },
    ),
    "similarity": Exercise(
        right=lambda k, q, kind: memory.similarity(k, q, kind),
        parts=[Part("dot", 1, keys("dot")), Part("cosine", 1, keys("cosine")), Part("l2", 1, keys("l2"))],
        seen=differences,
        wrong={
            "dot: the division by the square root of c is missing": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, dot=k.transpose(1, 2) @ q
            ),
            "dot: this divides by c, not by its square root": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, dot=k.transpose(1, 2) @ q / k.shape[1]
            ),
            "kind is not heeded: this is the dot product": lambda k, q, kind: by_kind_of_similarity(k, q, "dot"),
            "cosine: this is another kind: is its name the one that you ask for?": lambda k, q, kind: by_kind_of_similarity(
                k, q, "l2" if kind == "cosine" else kind
            ),
            "l2: these keys were normalised, which is for the cosine alone": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, l2=by_kind_of_similarity(one_long(k), one_long(q), "l2")
            ),
            "the length of the query key is still in it: it makes the softmax of loud query cells sharper": (
                lambda k, q, kind: by_kind_of_similarity(k, q, kind, cosine=one_long(k).transpose(1, 2) @ q)
            ),
            "the length of the memory key is still in it": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, cosine=k.transpose(1, 2) @ one_long(q)
            ),
            "a cosine lies between -1 and 1: there is nothing more to divide by": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, cosine=one_long(k).transpose(1, 2) @ one_long(q) / math.sqrt(k.shape[1])
            ),
            "the keys were normalised along the wrong axis: each cell's key gets length 1": lambda k, q, kind: (
                by_kind_of_similarity(
                    k,
                    q,
                    kind,
                    cosine=(k / k.norm(dim=2, keepdim=True)).transpose(1, 2) @ (q / q.norm(dim=2, keepdim=True)),
                )
            ),
            "l2: the term |k|^2 has the wrong sign": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, l2=(2 * (k.transpose(1, 2) @ q) + k.square().sum(1)[:, :, None]) / math.sqrt(k.shape[1])
            ),
            "l2: this is the distance, which is large where keys differ": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, l2=-by_kind_of_similarity(k, q, "l2")
            ),
            "l2: this is the distance itself; the formula has its square": lambda k, q, kind: by_kind_of_similarity(
                k, q, kind, l2=-torch.cdist(k.transpose(1, 2), q.transpose(1, 2)) / math.sqrt(k.shape[1])
            ),
        },
    ),
    "false_weight": Exercise(
        right=lambda k, q, memory_labels, query_labels, kind, temperature: total_false(
            k, q, memory_labels, query_labels, kind, temperature
        ).nanmean(),
        parts=[
            Part("three similarities", 2, scenes(("dot", 1.0), ("cosine", 1.0), ("l2", 1.0))),
            Part("temperature", 1, scenes(("l2", 3.0), ("cosine", 0.1))),
        ],
        wrong={
            "one nan makes the mean nan: leave the mixed query cells out": lambda k, q, of_k, of_q, kind, temperature: (
                total_false(k, q, of_k, of_q, kind, temperature).mean()
            ),
            "mixed query cells were counted as cells without fault: leave them out": (
                lambda k, q, of_k, of_q, kind, temperature: (
                    total_false(k, q, of_k, of_q, kind, temperature).nan_to_num(0).mean()
                )
            ),
            "top_k is missing: all of memory has weight here": lambda k, q, of_k, of_q, kind, temperature: total_false(
                k, q, of_k, of_q, kind, temperature, top_k=None
            ).nanmean(),
            "weight on mixed memory cells is not on a wrong label: it is of no kind": (
                lambda k, q, of_k, of_q, kind, temperature: total_false(
                    k, q, of_k, of_q, kind, temperature, thing=as_objects_too
                ).nanmean()
            ),
            "the kinds are added up: this is their mean": lambda k, q, of_k, of_q, kind, temperature: (
                total_false(k, q, of_k, of_q, kind, temperature).nanmean() / 3
            ),
            "these are the three rates, added up: each is a mean over other cells": (
                lambda k, q, of_k, of_q, kind, temperature: sum(
                    total_false(k, q, of_k, of_q, kind, temperature)[cells].mean() for cells in (of_q == 0, of_q > 0)
                )
            ),
            "cells of the background count as well": lambda k, q, of_k, of_q, kind, temperature: total_false(
                k, q, of_k, of_q, kind, temperature
            )[of_q > 0].mean(),
            "this is the weight that is right, or on mixed cells": lambda k, q, of_k, of_q, kind, temperature: (
                1 - total_false(k, q, of_k, of_q, kind, temperature).nanmean()
            ),
            "this is a sum over the query cells: wanted is their mean": lambda k, q, of_k, of_q, kind, temperature: total_false(
                k, q, of_k, of_q, kind, temperature
            ).nansum(),
            "kind is not heeded: each time this is l2": lambda k, q, of_k, of_q, kind, temperature: total_false(
                k, q, of_k, of_q, "l2", temperature
            ).nanmean(),
            "the temperature is not heeded": lambda k, q, of_k, of_q, kind, temperature: total_false(
                k, q, of_k, of_q, kind, 1.0
            ).nanmean(),
            "the temperature divides twice: vl.memory.affinity does it already": lambda k, q, of_k, of_q, kind, temperature: (
                total_false(k, q, of_k, of_q, kind, temperature**2).nanmean()
            ),
            "the temperature divides the similarity, it does not multiply it: small is sharp": (
                lambda k, q, of_k, of_q, kind, temperature: total_false(k, q, of_k, of_q, kind, 1 / temperature).nanmean()
            ),
        },
    ),
    "blame": Exercise(
        right=blamed,
        parts=[
            Part("pure cells", 2, verdicts([0, 1, 2])),
            Part("half of the weight", 1, verdicts([0, 1, 2], exact=True)),
            Part("mixed cells", 1, verdicts([-1, -1, 0, 1, 2])),
        ],
        wrong={
            "ask where a cell looked before you ask what it was told there": lambda a, true, told, query, drawn: torch.where(
                (query >= 0) & (drawn != query) & ~on_label(a, told, query), 2, blamed(a, true, told, query, drawn)
            ),
            "a cell that is drawn rightly needs nobody to blame: 0": lambda a, true, told, query, drawn: blamed(
                a, true, told, query, torch.full_like(drawn, -2)
            ),
            "memory and decoder are swapped": lambda a, true, told, query, drawn: blamed(
                a, true, told, query, drawn, faults=(0, 1, 3, 2, -1)
            ),
            "the best match alone is asked: at least half of the whole weight decides": lambda a, true, told, query, drawn: (
                blamed(best_only(a), true, told, query, drawn)
            ),
            "whether a look was right is judged by what is truly there, not by what memory says of it": (
                lambda a, true, told, query, drawn: blamed(a, told, told, query, drawn)
            ),
            "what memory says is judged by the true label of the query cell, not by the mask that was drawn": (
                lambda a, true, told, query, drawn: verdict(
                    drawn == query, on_label(a, true, query), on_label(a, told, drawn), query
                )
            ),
            "half of the weight is enough: a look need not be free of all fault": lambda a, true, told, query, drawn: verdict(
                drawn == query, (a * (true[:, None] != query)).sum(0) < 0.01, on_label(a, told, query), query
            ),
            "just half of the weight is not less than half": lambda a, true, told, query, drawn: verdict(
                drawn == query, ~on_label(a, true, query, others=True), ~on_label(a, told, query, others=True), query
            ),
            "the label with the most weight may have less than half of it": lambda a, true, told, query, drawn: verdict(
                drawn == query, heaviest(a, true) == query, heaviest(a, told) == query, query
            ),
            "memory: what was drawn with the true label counts, whatever is truly there": lambda a, true, told, query, drawn: (
                blamed(a, true, torch.where(told == true, told, -1), query, drawn)
            ),
            "weight on mixed memory cells is weight as well: half is half of all": lambda a, true, told, query, drawn: verdict(
                drawn == query,
                on_label(a / a[true >= 0].sum(0), true, query),
                on_label(a, told, query),
                query,
            ),
            "mixed query cells were asked like all others: -1": lambda a, true, told, query, drawn: verdict(
                drawn == query, on_label(a, true, query), on_label(a, told, query), torch.zeros_like(query)
            ),
            "a mixed query cell has no true label: -1": lambda a, true, told, query, drawn: blamed(
                a, true, told, query, drawn, faults=(0, 1, 2, 3, 0)
            ),
            "a mixed query cell has no true label, so it cannot have looked at the wrong one: -1": (
                lambda a, true, told, query, drawn: torch.where(query < 0, 1, blamed(a, true, told, query, drawn))
            ),
        },
    ),
    "which_kind": Exercise(
        right=name_of_kind,
        parts=each_failure(1),
        wrong={
            "A: what asks comes first in the name, and here it is not background that asks": lambda failure: name_of_kind(
                failure, A="background as foreground"
            ),
            "A: the weight does not lie on another object": lambda failure: name_of_kind(failure, A="wrong instance"),
            "A: more than half of the weight of object cells is false: read the rates again": lambda failure: name_of_kind(
                failure, A="hardly any"
            ),
            "B: a hole in the mask is not a false match: read the rates, not the mask": lambda failure: name_of_kind(
                failure, B="foreground as background"
            ),
            "B: the rate of this kind is next to nothing: read the rates again": lambda failure: name_of_kind(
                failure, B="background as foreground"
            ),
            "B: no object looks at the other one here: read the rates again": lambda failure: name_of_kind(
                failure, B="wrong instance"
            ),
            "C: what the cells look at is in a mask: it is not background": lambda failure: name_of_kind(
                failure, C="foreground as background"
            ),
            "C: what asks comes first in the name, and background has next to no fault here": lambda failure: name_of_kind(
                failure, C="background as foreground"
            ),
            "C: more than half of the weight of object cells is false: read the rates again": lambda failure: name_of_kind(
                failure, C="hardly any"
            ),
        },
    ),
    "whose_fault": Exercise(
        right=name_of_fault,
        parts=each_failure(1),
        wrong={
            "A: memory holds true masks alone: it told no lie": lambda failure: name_of_fault(failure, A="memory"),
            "A: the decoder was told the wrong label: count the verdicts of the wrong cells": lambda failure: name_of_fault(
                failure, A="decoder"
            ),
            "B: nearly all cells look at their own label: the fault lies behind the look": lambda failure: name_of_fault(
                failure, B="matching"
            ),
            "B: the decoder did as it was told: count the verdicts of the wrong cells": lambda failure: name_of_fault(
                failure, B="decoder"
            ),
            "C: memory holds true masks alone: the label that was read belongs to the cell that was looked at": (
                lambda failure: name_of_fault(failure, C="memory")
            ),
            "C: the decoder drew what it read: count the verdicts of the wrong cells": lambda failure: name_of_fault(
                failure, C="decoder"
            ),
        },
    ),
}
