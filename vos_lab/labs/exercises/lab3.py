"""Exercises of lab 3, teach the correspondence. (The wrong answers are what students write: they call no loss of vos_lab.)"""

import copy
import math
import threading

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor
from torch.nn import functional as F

from vos_lab import memory
from vos_lab.errors import InputError
from vos_lab.labs.checks import Exercise, Part, array
from vos_lab.losses.pixel import to_view2


def normal(rng: np.random.Generator, *shape: int, size: float = 1.0) -> Tensor:
    return torch.from_numpy(size * rng.standard_normal(shape)).float()


# lab3.describe: keys (t,c,h,w), those of the anchors' frame (c,h,w), anchors (a) -> similarities (t,a,h*w)


def described(t: int, c: int = 6, h: int = 4, w: int = 5, a: int = 7):
    def inputs(rng):
        loud = torch.from_numpy(rng.uniform(0.5, 2, (3, 1, h, w))).float()  # keys of different lengths
        frames = [(normal(rng, t, c, h, w), normal(rng, c, h, w) * loud[i]) for i in range(3)]
        return [(*keys, torch.from_numpy(rng.permutation(h * w)[:a].copy())) for keys in frames]

    return inputs


def differences(output, *arguments):
    """A constant per cell changes no softmax over anchors."""
    numbers = array(output)
    return output if numbers is None or numbers.ndim != 3 else numbers - numbers.mean(1, keepdims=True)


def to_anchors(keys: Tensor, first: Tensor, anchors: Tensor) -> Tensor:
    return compare(keys, first.flatten(1)[:, anchors])


def compare(keys: Tensor, rows: Tensor) -> Tensor:
    """keys (t,c,h,w), rows (c,a) or (t,c,a) -> (t,a,h*w)."""
    return memory.similarity(rows.expand(len(keys), -1, -1), keys.flatten(2))


# lab3.pseudo_labels: similarities of view 2 with the anchors (t,a,m) -> label (t,m), weight (t,m)


def similarities(size: float, t: int = 4, a: int = 6, m: int = 9):
    return lambda rng: [(normal(rng, t, a, m, size=size),) for _ in range(3)]


def labelled(seen: Tensor, dim: int = 1) -> tuple[Tensor, Tensor]:
    weight, label = seen.softmax(dim).max(dim)
    return label, weight


# lab3.temporal_loss: similarities of view 1 (t,a,m), label (t,m), weight (t,m) -> the loss


def taught(size: float):
    def inputs(rng):
        calls = []
        for t, a, m in ((3, 6, 10), (4, 5, 7), (5, 8, 6)):
            label = torch.from_numpy(rng.integers(0, a, (t, m)))
            weight = torch.from_numpy(rng.uniform(0.1, 1, (t, m)) * rng.uniform(0.3, 1, (t, 1))).float()
            calls.append((normal(rng, t, a, m, size=size), label, weight))
        return calls

    return inputs


def errors(says: Tensor, label: Tensor) -> Tensor:
    return F.cross_entropy(says, label, reduction="none")  # (t,m)


def weighed(error: Tensor, weight: Tensor, frames: slice = slice(1, None)) -> Tensor:
    return (weight * error)[frames].sum() / weight[frames].sum()


def shares(says: Tensor, label: Tensor) -> Tensor:
    return says.softmax(1).gather(1, label.unsqueeze(1)).squeeze(1)  # (t,m)


# lab3.temporal: keys of view 1 and view 2 (t,c,h,w), theta (1,2,3), anchors (a) -> the loss, its gradients for both views


def two_views(rng):
    calls = []
    for t, flip in ((3, 1), (2, -1), (4, -1)):
        side, shift = rng.uniform(0.6, 0.75), rng.uniform(0.05, 0.2, 2)
        theta = torch.tensor([[[flip * side, 0, shift[0]], [0, side, -shift[1]]]]).float()
        anchors = torch.from_numpy(rng.permutation(30)[:6].copy())
        calls.append((normal(rng, t, 8, 5, 6, size=2.0), normal(rng, t, 8, 5, 6, size=2.0), theta, anchors))
    return calls


def with_gradients(answer):
    """An answer -> a function that also gives the gradients of its loss."""

    def both(key1: Tensor, key2: Tensor, theta: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key1, key2 = key1.clone().requires_grad_(), key2.clone().requires_grad_()
        loss = answer(key1, key2, theta, anchors)
        loss.backward()
        zero = torch.zeros_like(key1)
        return loss.detach(), zero if key1.grad is None else key1.grad, zero if key2.grad is None else key2.grad

    return both


def seen_by_view1(key1: Tensor, theta: Tensor, anchors: Tensor, turned: bool = False) -> Tensor:
    """Similarities of view 1 with its anchors, where the cells of view 2 look: (t,a,m)."""
    h, w = key1.shape[2:]
    return moved(to_anchors(key1, key1[0], anchors), theta, (w, h) if turned else (h, w))


def moved(x: Tensor, theta: Tensor, grid: tuple[int, int]) -> Tensor:
    """What cells hold (t,a,m), to the grid of view 2."""
    return to_view2(x.unflatten(2, grid), theta.expand(len(x), -1, -1)).flatten(2)


def both_views(key1: Tensor, key2: Tensor, theta: Tensor, anchors: Tensor) -> Tensor:
    return taught_by(to_anchors(key2.detach(), key1[0].detach(), anchors), seen_by_view1(key1, theta, anchors))


def taught_by(seen: Tensor, says: Tensor) -> Tensor:
    label, weight = labelled(seen)
    return weighed(errors(says, label), weight)


# lab3.embed: keys (b,t,c,h,w), maps (b,t,1+k,h,w), background first -> embedding (n,c), number (n)


def objects(absent: bool):
    def inputs(rng):
        calls = []
        for b, t, k in ((1, 3, 2), (2, 2, 3), (3, 3, 1)):
            loud = torch.from_numpy(rng.uniform(0.3, 3, (b, t, 1, 4, 5))).float()
            keys = normal(rng, b, t, 6, 4, 5) * loud + normal(rng, b, 1, 6, 1, 1)
            maps = torch.from_numpy(rng.dirichlet(0.5 * np.ones(1 + k), (b, t, 4, 5))).float().movedim(-1, 2).contiguous()
            maps = maps * (maps > 0.1)  # not everything is everywhere
            maps = maps / maps.sum(2, keepdim=True)
            if absent:
                give(maps[b - 1, t - 1], k, 0, left=0.0)  # an object is not there
                give(maps[0, 1], k, 0, left=0.4)  # of another there is less than a cell
                give(maps[0, 0], 0, 1, left=0.0)  # and here is no background
            calls.append((keys, maps))
        return calls

    return inputs


def give(maps: Tensor, one: int, other: int, left: float) -> None:
    """A thing keeps `left` cells of its map (1+k,h,w); another one gets the rest."""
    share = 0.0 if left == 0 else left / maps[one].sum()
    maps[other] += (1 - share) * maps[one]
    maps[one] *= share


def renumbered(output, keys: Tensor, maps: Tensor):
    """Which embeddings are of one object: 0, 1, 2 ... in the order in which they come, -1 for the background."""
    if not isinstance(output, (tuple, list)) or len(output) != 2:
        raise InputError("wanted two things: the embeddings (n,c) and their numbers (n)")
    number = array(output[1])
    if number is None or number.ndim != 1:
        raise InputError("the second output holds a whole number for each embedding: wanted shape (n,)")
    order = {name: i for i, name in enumerate(dict.fromkeys(number[number >= 0].tolist()))}
    return output[0], np.array([order.get(name, -1.0) for name in number.tolist()])


def pooled(keys: Tensor, maps: Tensor) -> Tensor:
    return torch.einsum("btchw,btkhw->btkc", keys, maps) / maps.sum((3, 4)).clamp(min=1e-6).unsqueeze(3)


def numbers(maps: Tensor) -> Tensor:
    """(b,t,1+k): -1, then numbers that no other clip has."""
    b, t, k = maps.shape[:3]
    number = torch.arange(k) - 1 + (k - 1) * torch.arange(b)[:, None]  # (b,1+k)
    number[:, 0] = -1
    return number[:, None].expand(b, t, k)


def rows(embedding: Tensor, number: Tensor, shown: Tensor, unit: bool = True) -> tuple[Tensor, Tensor]:
    """embedding (b,t,k,c), number and shown (b,t,k) -> those that show, (n,c) and (n)."""
    embedding = embedding.flatten(0, 2)[shown.flatten()]
    return F.normalize(embedding, dim=1) if unit else embedding, number.flatten()[shown.flatten()]


def shown(maps: Tensor) -> Tensor:
    return maps.sum((3, 4)) > 0


def in_rows(keys: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    return rows(pooled(keys, maps), numbers(maps), shown(maps))


# lab3.object_loss: embedding (n,c), number (n), temperature -> the loss


def embeddings(each: list[list[int]]):
    def inputs(rng):
        calls = []
        for ids, heat in zip(each, (0.1, 0.2, 0.5)):
            middle = normal(rng, 9, 5)
            calls.append((F.normalize(normal(rng, len(ids), 5) + middle[ids], dim=1), torch.tensor(ids), heat))
        return calls

    return inputs


def info_nce(
    e: Tensor, number: Tensor, heat: float, against: str = "others", own: bool = False, sky: str = "negative"
) -> Tensor:
    """against: what stands below the line beside the positive · own: a pair with itself counts · sky: what background is."""
    alike = e @ e.T / heat
    same, me, back = number[:, None] == number, torch.eye(len(number), dtype=torch.bool), number < 0
    left_out = {"others": same, "all but itself": me, "all": torch.zeros_like(me)}[against]
    if sky == "nothing":
        left_out = left_out | back
    negatives = alike.masked_fill(left_out, -torch.inf).logsumexp(1, keepdim=True)
    below = torch.logaddexp(alike, negatives) if against == "others" else negatives
    counted = (same if own else same & ~me) & (torch.ones_like(same) if sky == "object" else ~back[:, None])
    return (below - alike)[counted]


def each_alone(e: Tensor, number: Tensor, heat: float) -> Tensor:
    """The mean over rows of their means over pairs."""
    counted = number[(number[:, None] == number).sum(1) > 1]
    row = counted[counted >= 0]
    loss, ends = info_nce(e, number, heat), [int((number == i).sum()) - 1 for i in row]
    return torch.stack([part.mean() for part in loss.split(ends)]).mean()


def without_positive(e: Tensor, number: Tensor, heat: float) -> Tensor:
    alike = e @ e.T / heat
    same = number[:, None] == number
    others = alike.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
    return (others - alike)[same & ~torch.eye(len(number), dtype=torch.bool) & (number >= 0)[:, None]].mean()


def once(e: Tensor, number: Tensor, heat: float) -> Tensor:
    """Each pair in one order only, the earlier embedding first."""
    first, second = ((number[:, None] == number) & ~torch.eye(len(number), dtype=torch.bool)).nonzero().T
    return info_nce(e, number, heat)[(first < second)[number[first] >= 0]].mean()


def inside(e: Tensor, number: Tensor, heat: float) -> Tensor:
    """The positives of an embedding are added up before the logarithm."""
    alike, same = e @ e.T / heat, number[:, None] == number
    own = same & ~torch.eye(len(number), dtype=torch.bool)
    positives, others = (alike.masked_fill(~x, -torch.inf).logsumexp(1) for x in (own, ~same))
    return (torch.logaddexp(positives, others) - positives)[own.any(1) & (number >= 0)].mean()


def without_singles(e: Tensor, number: Tensor, heat: float) -> Tensor:
    often = ((number[:, None] == number).sum(1) > 1) | (number < 0)
    return info_nce(e[often], number[often], heat).mean()


def swapped(e: Tensor, number: Tensor, heat: float) -> Tensor:
    """The pair of different objects on top, the same object below."""
    alike = e @ e.T / heat
    same = number[:, None] == number
    own = alike.masked_fill(~same | torch.eye(len(number), dtype=torch.bool), -torch.inf).logsumexp(1, keepdim=True)
    return (torch.logaddexp(alike, own) - alike)[~same & (number >= 0)[:, None]].mean()


# lab3.train_twins: the weights of a model of one row (4), steps, two seeds -> what each twin saw and became, see `rehearsed`


def small_models(*steps: int, apart: int = 0):
    """apart: how much the seeds of the two runs differ."""

    def inputs(rng):
        seeds = [int(rng.integers(1, 1000)) for _ in steps]
        return [(normal(rng, 4), count, (seed, seed + apart)) for count, seed in zip(steps, seeds)]

    return inputs


ALONE = threading.RLock()  # PyTorch's random numbers are one stream, and submissions are judged side by side


def rehearsed(answer):
    """An answer -> the same twice on a small model: the batches of each twin, its weights, and the start's afterwards."""

    def rehearsal(weight: Tensor, steps: int, seeds: tuple[int, int]) -> tuple[list, list, Tensor]:
        with ALONE:
            start = torch.nn.Linear(4, 1, bias=False)
        start.weight.data[0] = weight.clone()
        batches, ends = [], []
        for i, seed in enumerate(seeds):
            saw = [], []
            with ALONE:
                torch.manual_seed(i)  # what was drawn before must not matter
                pair = answer(start, small_losses(*saw), lambda: torch.randn(4), steps, seed)
            batches.append([torch.stack([torch.zeros(4), *x])[1:] for x in saw])
            ends.append([twin.weight[0].detach().clone() for twin in pair])
        return batches, ends, start.weight[0].detach()

    return rehearsal


def small_losses(first: list, second: list) -> list:
    """Two losses that write down the batches; the second draws random numbers of its own, as views and anchors are drawn."""

    def plain(model, batch):
        first.append(batch.clone())
        return (model(batch) - 1).square().sum()

    def with_more(model, batch):
        second.append(batch.clone())
        torch.rand(3)
        return (model(batch) - 1).square().sum() + model(batch.abs()).abs().sum()

    return [plain, with_more]


def fairness(output, weight: Tensor, steps: int, seeds: tuple[int, int]) -> dict:
    """What can be said of two twins whatever batches were drawn."""
    try:
        batches, ends, start = output
        counts = np.array([[len(array(saw)) for saw in run] for run in batches])  # (2,2): in each run, of each loss
        ends, start = array(torch.stack([torch.stack(list(pair)) for pair in ends])), array(start)
        if ends.shape != (2, 2, 4) or counts.shape != (2, 2) or start is None:
            raise ValueError
    except (TypeError, ValueError, RuntimeError):
        raise InputError("wanted a list of the two trained models, in the order of the losses") from None
    if counts.any() and (counts == 0).any(1).all():
        raise InputError("both twins were trained with one and the same loss")
    if (counts != steps).any():
        raise InputError("each loss is asked once in each step, `steps` times in all: here one was asked more often or less")
    batches = np.stack([[array(saw) for saw in run] for run in batches])  # (2,2,steps,4)
    lead_to = lambda **mistake: [trained(weight, run, **mistake) for run in batches]  # (2,2,4)
    is_so = {
        "the start, which is to stay as it is": np.allclose(start, weight),
        "the first batch, which is to be the same for both": np.allclose(batches[:, 0, 0], batches[:, 1, 0]),
        "the batches, which are to be the same for both": np.allclose(batches[:, 0], batches[:, 1]),
        "the batches, which the seed is to decide": np.allclose(*batches) == (seeds[0] == seeds[1]),
        "the batches, which differ from step to step": not np.allclose(batches[:, :, 0], batches[:, :, 1]),
    }
    ends_like = {
        "the weights that these batches lead to": lead_to(),
        "as if gradients piled up": lead_to(zero=False),
        "as if the optimizer were a new one in each step": lead_to(anew=True),
        "as if the second went on from the first": lead_to(goes_on=True),
        "as if nothing were learned": np.broadcast_to(weight, ends.shape),
        "as if the two were swapped": np.array(lead_to())[:, ::-1],
    }
    ends_like = {name: np.allclose(ends, wanted, atol=1e-5) for name, wanted in ends_like.items()}
    if all(is_so.values()) and not any(ends_like.values()):
        raise InputError("the weights are not those to which these batches lead, with `optimizer_of` and the losses as given")
    return {name: float(answer) for name, answer in {**is_so, **ends_like}.items()}


def trained(weight: Tensor, run: np.ndarray, zero: bool = True, anew: bool = False, goes_on: bool = False) -> list[np.ndarray]:
    """The weights of both twins after their batches (2,steps,4), with a mistake where an option says so."""
    with ALONE:
        model, found = torch.nn.Linear(4, 1, bias=False), []
        for loss, batches in zip(small_losses([], []), torch.from_numpy(run).float()):
            if not (goes_on and found):
                model.weight.data[0] = weight.float().clone()
            model.weight.grad, optimizer = None, optimizer_of(model)
            for batch in batches:
                optimizer = optimizer_of(model) if anew else optimizer
                if zero:
                    optimizer.zero_grad()
                loss(model, batch).backward()
                optimizer.step()
            found.append(model.weight[0].detach().numpy().copy())
    return found


def optimizer_of(model) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=2e-3)


def twins(start, losses, sample, steps, seed, fresh=True, per_step=True, seeded=True, zero=True, anew=False, of_start=False):
    """Trains them, with a mistake where an option says so."""
    found = []
    for loss in losses:
        model = copy.deepcopy(start) if fresh else start
        optimizer = optimizer_of(start if of_start else model)
        for step in range(steps):
            optimizer = optimizer_of(model) if anew else optimizer
            if seeded and (per_step or not step):
                torch.manual_seed(seed + (step if per_step != "same" else 0))
            batch = sample()
            value = loss(model, batch)
            if zero:
                optimizer.zero_grad()
            value.backward()
            optimizer.step()
        found.append(model)
    return found


def unseeded(start, losses, sample, steps, seed):
    """The same batches for both, and others on another day."""
    drawn = iter([sample() for _ in range(steps)] * 2)
    return twins(start, losses, lambda: next(drawn), steps, seed, seeded=False)


def one_after_the_other(start, losses, sample, steps, seed):
    """The second twin goes on from the first."""
    first = twins(start, losses[:1], sample, steps, seed)[0]
    return [first, twins(first, losses[1:], sample, steps, seed)[0]]


# lab3.difference: scores without and with (clips,), NaN where a clip has none -> mean, low and high end of the 95 % interval


def scores(clips: int, missing: int):
    def inputs(rng):
        calls = []
        for effect in (0.04, -0.03, 0.01):
            without = rng.uniform(0.2, 0.8, clips)
            with_it = without + rng.normal(effect, 0.05, clips)
            places = rng.permutation(clips)[:missing]
            without[places[::2]] = np.nan
            with_it[places[1::2]] = np.nan
            calls.append((without, with_it))
        return calls

    return inputs


def known(without, with_it) -> np.ndarray:
    d = np.asarray(with_it) - np.asarray(without)
    return d[~np.isnan(d)]


def interval(d, count=None, quantile=0.975, ddof=1, freedom=1, per=np.sqrt) -> tuple[float, float, float]:
    n = len(d) if count is None else count
    half = student.ppf(quantile, n - freedom) * np.std(d, ddof=ddof) / per(n)
    return np.mean(d), np.mean(d) - half, np.mean(d) + half


def unpaired(without, with_it, freedom=lambda n: 2 * n - 2) -> tuple[float, float, float]:
    both = ~np.isnan(np.asarray(without) + np.asarray(with_it))
    a, b = np.asarray(without)[both], np.asarray(with_it)[both]
    half = student.ppf(0.975, freedom(len(a))) * np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return b.mean() - a.mean(), b.mean() - a.mean() - half, b.mean() - a.mean() + half


def each_for_itself(without, with_it) -> tuple[float, float, float]:
    """The difference of the means, each over the clips that it has."""
    mean = np.nanmean(with_it) - np.nanmean(without)
    half = interval(known(without, with_it))[2] - interval(known(without, with_it))[0]
    return mean, mean - half, mean + half


def normal_interval(d) -> tuple[float, float, float]:
    half = 1.96 * np.std(d, ddof=1) / np.sqrt(len(d))
    return np.mean(d), np.mean(d) - half, np.mean(d) + half


EXERCISES = {
    "describe": Exercise(
        right=to_anchors,
        parts=[Part("frames of view 1 and of view 2", 3, described(3))],
        seen=differences,
        wrong={
            "the anchors are cells of `first`: here each frame is compared with cells of its own": lambda keys, first, at: (
                compare(keys, keys.flatten(2)[:, :, at])
            ),
            "the anchors are cells of `first`, not of the first of the frames that are described": lambda keys, first, at: (
                to_anchors(keys, keys[0], at)
            ),
            "the anchors are the cells that are named, not the first cells of the frame": lambda keys, first, anchors: compare(
                keys, first.flatten(1)[:, : len(anchors)]
            ),
            "cells are numbered row by row: the number is row * w + column": lambda keys, first, anchors: compare(
                keys, first.transpose(1, 2).flatten(1)[:, anchors]
            ),
            "rows and columns are swapped: wanted a row per anchor, a column per cell": lambda *a: to_anchors(*a).transpose(
                1, 2
            ),
            "this is the dot product: a loud anchor would be everybody's": lambda keys, first, anchors: (
                first.flatten(1)[:, anchors].T @ keys.flatten(2) / math.sqrt(keys.shape[1])
            ),
            "the rows are in another order than the anchors that were given": lambda keys, first, anchors: to_anchors(
                keys, first, anchors.sort().values
            ),
            "the length of the anchors is lost: they are the memory, and the cells ask": lambda keys, first, anchors: (
                memory.similarity(keys.flatten(2), first.flatten(1)[:, anchors].expand(len(keys), -1, -1)).transpose(1, 2)
            ),
            "this is the distance, which is large where keys differ: a similarity is large where they agree": lambda *a: (
                -to_anchors(*a)
            ),
            "this is a softmax already: wanted are the similarities": lambda *a: to_anchors(*a).softmax(1),
            "the frames are shifted by one: place t describes frame t": lambda *a: to_anchors(*a).roll(1, 0),
            "the square root of the number of channels is missing": lambda keys, *a: (
                to_anchors(keys, *a) * math.sqrt(keys.shape[1])
            ),
        },
    ),
    "pseudo_labels": Exercise(
        right=labelled,
        parts=[Part("small similarities", 2, similarities(1.0)), Part("large similarities", 1, similarities(100.0))],
        wrong={
            "each cell chooses an anchor: here each anchor has chosen a cell": lambda seen: labelled(seen, 2),
            "this is the least similar anchor": lambda seen: (seen.argmin(1), seen.softmax(1).amin(1)),
            "the weight is the label's share of a softmax, not the similarity itself": lambda seen: (
                seen.argmax(1),
                seen.amax(1),
            ),
            "the softmax runs over anchors, not over cells": lambda seen: (
                seen.argmax(1),
                seen.softmax(2).gather(1, seen.argmax(1, keepdim=True))[:, 0],
            ),
            "the weight is a share among the cells of a frame: wanted is one among the anchors": lambda seen: (
                seen.argmax(1),
                seen.softmax(2).amax(1),
            ),
            "the weight is the lead over the second anchor: wanted is the label's own share": lambda seen: (
                seen.argmax(1),
                seen.softmax(1).sort(1).values.diff(dim=1)[:, -1],
            ),
            "the weights of a frame were made to sum to 1: each is a share in its own cell": lambda seen: (
                seen.argmax(1),
                F.normalize(seen.softmax(1).amax(1), p=1, dim=1),
            ),
            "one maximum for all cells: a cell that lies far below it becomes 0 / 0": lambda seen: (
                seen.argmax(1),
                (e := (seen - seen.max()).exp()).amax(1) / e.sum(1),
            ),
            "all weights are 1: a label counts by how sure it is": lambda seen: (seen.argmax(1), torch.ones_like(seen[:, 0])),
            "these are the labels of the frame before": lambda seen: tuple(x.roll(1, 0) for x in labelled(seen)),
            "label and weight are swapped: the label comes first": lambda seen: labelled(seen)[::-1],
            "exp overflows: take the largest number away first, or let torch.softmax do it": lambda seen: (
                seen.argmax(1),
                (seen.exp() / seen.exp().sum(1, keepdim=True)).gather(1, seen.argmax(1, keepdim=True))[:, 0],
            ),
            "the same label for all frames: each frame has its own": lambda seen: labelled(seen[:1].expand_as(seen)),
        },
    ),
    "temporal_loss": Exercise(
        right=lambda says, label, weight: weighed(errors(says, label), weight),
        parts=[Part("small similarities", 3, taught(1.5)), Part("labels that view 1 holds for impossible", 1, taught(300.0))],
        wrong={
            "frame 0 is counted: the anchors lie in it": lambda says, label, weight: weighed(
                errors(says, label), weight, slice(None)
            ),
            "the weights of frame 0 stand below the line: it counts neither above nor below": lambda says, label, weight: (
                (weight * errors(says, label))[1:].sum() / weight.sum()
            ),
            "the last frame is left out: it is the first that does not count": lambda says, label, weight: weighed(
                errors(says, label), weight, slice(0, -1)
            ),
            "this is the mean of the frames' means: a frame with sure labels counts more": lambda says, label, weight: (
                torch.stack([weighed(*frame, slice(None)) for frame in zip(errors(says, label)[1:], weight[1:])]).mean()
            ),
            "the weights are not heeded: a sure label must count more": lambda says, label, weight: errors(says, label)[
                1:
            ].mean(),
            "divide by the sum of the weights, not by the number of cells": lambda says, label, weight: (
                weight * errors(says, label)
            )[1:].mean(),
            "this is the sum: divide by the sum of the weights": lambda says, label, weight: (weight * errors(says, label))[
                1:
            ].sum(),
            "the softmax runs over anchors, not over cells": lambda says, label, weight: weighed(
                -says.log_softmax(2).gather(1, label.unsqueeze(1))[:, 0], weight
            ),
            "the labels are those of the frame before": lambda says, label, weight: weighed(
                errors(says, label.roll(1, 0)), weight
            ),
            "the labels are right and the weights are those of the frame before": lambda says, label, weight: weighed(
                errors(says, label)[1:], weight[:-1], slice(None)
            ),
            "this is the share that the labels get: take minus its logarithm, before the mean": lambda says, label, weight: (
                weighed(shares(says, label), weight)
            ),
            "the logarithm comes after the mean: take it before": lambda says, label, weight: (
                -(weighed(shares(says, label), weight).log())
            ),
            "the sign is wrong: minus the logarithm": lambda says, label, weight: -weighed(errors(says, label), weight),
            "the logarithm of a share that was rounded to 0: take log_softmax, which does both at once": lambda s, label, w: (
                weighed(-shares(s, label).log(), w)
            ),
            "a number inside the logarithm keeps it finite, and makes all labels that are held for impossible alike": (
                lambda says, label, weight: weighed(-(shares(says, label) + 1e-8).log(), weight)
            ),
        },
    ),
    "temporal": Exercise(
        right=with_gradients(both_views),
        parts=[Part("the loss and what its gradient reaches", 3, two_views)],
        wrong={
            "a gradient passes through the weights into view 2, which could then doubt what view 1 gets wrong": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    to_anchors(key2, key1[0], anchors), seen_by_view1(key1, theta, anchors)
                )
            ),
            "view 2 gets no gradient, and still one passes through the weights: the anchors are keys as well": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    to_anchors(key2.detach(), key1[0], anchors), seen_by_view1(key1, theta, anchors)
                )
            ),
            "view 1 taught itself: the labels come from view 2": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    seen_by_view1(key1, theta, anchors).detach(), seen_by_view1(key1, theta, anchors)
                )
            ),
            "view 1 was not brought to the grid of view 2: place i must be the same place in both": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    to_anchors(key2, key1[0], anchors).detach(), to_anchors(key1, key1[0], anchors)
                )
            ),
            "rows and columns of the grid are swapped: unflatten wants the rows first": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    to_anchors(key2, key1[0], anchors).detach(), seen_by_view1(key1, theta, anchors, turned=True)
                )
            ),
            "the labels were moved, and lay on the grid of view 2 already: view 1 is to be brought there": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    moved(to_anchors(key2, key1[0], anchors), theta, key1.shape[2:]).detach(),
                    to_anchors(key1, key1[0], anchors),
                )
            ),
            "the anchors were moved as well: they are cells of view 1 as it is": with_gradients(
                lambda key1, key2, theta, anchors: both_views(
                    moved(key1.flatten(2), theta, key1.shape[2:]).view(key1.shape), key2, torch.eye(2, 3)[None], anchors
                )
            ),
            "view 2 was compared with cells of its own: both views need the anchors of view 1": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    to_anchors(key2, key2[0], anchors).detach(), seen_by_view1(key1, theta, anchors)
                )
            ),
            "teacher and pupil are swapped: view 2 names the labels, view 1 learns them": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    seen_by_view1(key1, theta, anchors).detach(), to_anchors(key2, key1[0], anchors)
                )
            ),
            "the loss is right, and no gradient reaches the anchors: they are trained as well": with_gradients(
                lambda key1, key2, theta, anchors: taught_by(
                    to_anchors(key2, key1[0], anchors).detach(),
                    to_view2(
                        to_anchors(key1, key1[0].detach(), anchors).unflatten(2, key1.shape[2:]),
                        theta.expand(len(key1), -1, -1),
                    ).flatten(2),
                )
            ),
        },
    ),
    "embed": Exercise(
        right=in_rows,
        parts=[Part("things that are there", 2, objects(False)), Part("absent ones, and a very small one", 1, objects(True))],
        seen=renumbered,
        wrong={
            "an embedding has length 1: divide the mean key by its norm, or the products are no cosines": lambda keys, maps: (
                rows(pooled(keys, maps), numbers(maps), shown(maps), unit=False)
            ),
            "the mean comes before the norm: here each cell was set to length 1 first": lambda keys, maps: in_rows(
                F.normalize(keys, dim=2), maps
            ),
            "a share above one half is not a whole: keep the maps soft": lambda keys, maps: rows(
                pooled(keys, (maps > 0.5).float()), numbers(maps), shown(maps)
            ),
            "this is the mean over all cells of the frame: the maps are missing": lambda keys, maps: rows(
                pooled(keys, torch.ones_like(maps)), numbers(maps), shown(maps)
            ),
            "a cell that a thing only touches is not wholly its own: keep the maps soft": lambda keys, maps: rows(
                pooled(keys, (maps > 0).float()), numbers(maps), shown(maps)
            ),
            "the rows are in another order: clip, frame, and then background and objects": lambda keys, maps: rows(
                *(x.transpose(1, 2) for x in (pooled(keys, maps), numbers(maps), shown(maps)))
            ),
            "two objects of different clips have the same number": lambda keys, maps: rows(
                pooled(keys, maps),
                torch.where(numbers(maps) < 0, -1, (torch.arange(len(maps))[:, None] + torch.arange(maps.shape[2]))[:, None]),
                shown(maps),
            ),
            "objects of different clips have one number: they would count as the same object": lambda keys, maps: rows(
                pooled(keys, maps), (torch.arange(maps.shape[2]) - 1).expand(maps.shape[:3]), shown(maps)
            ),
            "an object has another number in each frame: it would have no positive": lambda keys, maps: rows(
                pooled(keys, maps),
                torch.where(numbers(maps) < 0, -1, torch.arange(numbers(maps).numel()).view(maps.shape[:3])),
                shown(maps),
            ),
            "the background has the number -1: here it counts as an object": lambda keys, maps: rows(
                pooled(keys, maps), numbers(maps) + maps.shape[2] * (1 + torch.arange(len(maps)))[:, None, None], shown(maps)
            ),
            "an object that is absent has no embedding: leave its row out": lambda keys, maps: rows(
                pooled(keys, maps), numbers(maps), torch.ones_like(shown(maps))
            ),
            "a thing of less than one cell has an embedding as well: only where its map is all 0 has it none": (
                lambda keys, maps: rows(pooled(keys, maps), numbers(maps), maps.sum((3, 4)) >= 1)
            ),
            "where there is no background, it has no row either": lambda keys, maps: rows(
                pooled(keys, maps), numbers(maps), shown(maps) | (numbers(maps) < 0)
            ),
            "an object that is absent from one frame keeps its rows in the others": lambda keys, maps: rows(
                pooled(keys, maps), numbers(maps), shown(maps).all(1, keepdim=True).expand(maps.shape[:3])
            ),
            "the background is missing: it is a row as well, of number -1": lambda keys, maps: rows(
                pooled(keys, maps), numbers(maps), shown(maps) & (numbers(maps) >= 0)
            ),
        },
    ),
    "object_loss": Exercise(
        right=lambda e, number, heat: info_nce(e, number, heat).mean(),
        parts=[
            Part("objects alone", 3, embeddings([[0, 0, 1, 1], [0, 0, 0, 1, 1, 2, 2, 4], [3, 1, 1, 3, 3]])),
            Part(
                "and the background", 1, embeddings([[-1, 0, 1, -1, 0, 1], [-1, 0, -1, 0, 0, -1], [-1, 2, 3, -1, 2, 3, -1, 3]])
            ),
        ],
        wrong={
            "the temperature is missing": lambda e, number, heat: info_nce(e, number, 1.0).mean(),
            "divide by the temperature: a low one makes the softmax sharp": lambda e, number, heat: info_nce(
                e, number, 1 / heat
            ).mean(),
            "an embedding is not its own positive: leave out the pair with itself": lambda *a: info_nce(*a, own=True).mean(),
            "positives stand among the negatives: below the line only e+ and what is not this object": lambda *a: info_nce(
                *a, against="all but itself"
            ).mean(),
            "the embedding itself stands among the negatives": lambda *a: info_nce(*a, against="all").mean(),
            "the positive is missing below the fraction line": without_positive,
            "the mean is over pairs: here an object that shows often counts no more than one that shows twice": each_alone,
            "this is the sum over the pairs: take the mean": lambda *a: info_nce(*a).sum(),
            "the sign is wrong: minus the logarithm": lambda *a: -info_nce(*a).mean(),
            "same and other are swapped": swapped,
            "a pair counts in both orders: each of the two has negatives of its own": once,
            "each positive has a fraction and a logarithm of its own: here they are added up inside": inside,
            "an object that shows once is a negative of the others all the same": without_singles,
            "the temperature is 0.1 here, whatever is given": lambda e, number, heat: info_nce(e, number, 0.1).mean(),
            "the background is no object: it is a negative, and never has a positive": lambda *a: info_nce(
                *a, sky="object"
            ).mean(),
            "the background is left out: it is a negative of every object": lambda *a: info_nce(*a, sky="nothing").mean(),
        },
    ),
    "train_twins": Exercise(
        right=rehearsed(twins),
        parts=[
            Part("two fair twins", 3, small_models(3, 5)),
            Part("another seed, other batches", 1, small_models(4, apart=50)),
        ],
        seen=fairness,
        wrong={
            "the start itself was trained: train copies of it": rehearsed(lambda *a: twins(*a, fresh=False)),
            "the second twin goes on from the first: both begin at the start": rehearsed(one_after_the_other),
            "the second twin saw other batches: the seed was set once, and both draw from it": rehearsed(
                lambda start, losses, sample, steps, seed: (
                    torch.manual_seed(seed),
                    twins(start, losses, sample, steps, seed, seeded=False),
                )[1]
            ),
            "the second twin saw other batches from the second step on: its loss draws random numbers, too": rehearsed(
                lambda *a: twins(*a, per_step=False)
            ),
            "the seed is not used: nobody could repeat this": rehearsed(unseeded),
            "the seed is not used: this is always the same one": rehearsed(
                lambda start, losses, sample, steps, seed: twins(start, losses, sample, steps, 0)
            ),
            "each step has a new optimizer: AdamW remembers the steps before": rehearsed(lambda *a: twins(*a, anew=True)),
            "the twins have learned nothing: whose weights does the optimizer change?": rehearsed(
                lambda *a: twins(*a, of_start=True)
            ),
            "every step sees the same batch: the seed was set to the same number each time": rehearsed(
                lambda *a: twins(*a, per_step="same")
            ),
            "gradients pile up from step to step: set them to zero": rehearsed(lambda *a: twins(*a, zero=False)),
            "both twins were trained with one and the same loss": rehearsed(
                lambda start, losses, *rest: twins(start, losses[:1] * 2, *rest)
            ),
            "each loss is asked once in each step, `steps` times in all: here one was asked more often or less": rehearsed(
                lambda start, losses, sample, steps, seed: twins(start, losses, sample, steps - 1, seed)
            ),
            "the twins are in the wrong order: that of the losses is wanted": rehearsed(lambda *a: twins(*a)[::-1]),
        },
    ),
    "difference": Exercise(
        right=lambda without, with_it: interval(known(without, with_it)),
        parts=[Part("twelve clips", 2, scores(12, 0)), Part("some clips have no score", 1, scores(15, 6))],
        tolerance=1e-5,
        wrong={
            "this interval is unpaired: take the difference on each clip first": unpaired,
            "two variances were added up: take the difference on each clip, which has one": lambda without, with_it: unpaired(
                without, with_it, freedom=lambda n: n - 1
            ),
            "the ends are swapped: low comes before high": lambda a, b: interval(known(a, b), quantile=0.025),
            "the sign is wrong: positive where the twin *with* the loss scores more": lambda without, with_it: interval(
                known(with_it, without)
            ),
            "1.96 is for very many clips: with few, the quantile of t with n - 1 degrees of freedom is larger": lambda a, b: (
                normal_interval(known(a, b))
            ),
            "the standard deviation divides by n - 1 (ddof=1), since the mean was taken from the same numbers": lambda a, b: (
                interval(known(a, b), ddof=0)
            ),
            "divide the standard deviation by the square root of n: the mean is surer than a single clip": lambda a, b: (
                interval(known(a, b), per=lambda n: 1)
            ),
            "95 % leave 2.5 % on each side: the quantile is at 0.975": lambda a, b: interval(known(a, b), quantile=0.95),
            "n clips have n - 1 degrees of freedom": lambda a, b: interval(known(a, b), freedom=0),
            "a clip without a score was counted in n": lambda a, b: interval(known(a, b), count=len(a)),
            "a clip without a score is not one without a difference: leave it out": lambda a, b: interval(
                np.nan_to_num(np.asarray(b) - np.asarray(a))
            ),
            "a clip that one twin has no score for must be left out for both": each_for_itself,
        },
    ),
}
