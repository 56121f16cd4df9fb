"""Exercises of notebook 09, object-level correspondence."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import Exercise, Part
from .n08 import normal

# 09.pool: keys (t,c,h,w), maps (t,k,h,w) -> one embedding of length 1 per frame and object, (t,k,c); 0 where it is absent


def frames(absent: bool):
    def inputs(rng):
        calls = []
        for t, k in ((3, 2), (2, 4), (4, 3)):
            keys = normal(rng, t, 6, 5, 7) * torch.from_numpy(rng.uniform(0.3, 3, (t, 1, 5, 7))).float() + normal(
                rng, 1, 6, 1, 1
            )
            maps = torch.from_numpy(rng.uniform(-1, 1, (t, k, 5, 7))).float().clamp(min=0)
            if absent:
                maps[t - 1, k - 1] = 0
            calls.append((keys, maps))
        return calls

    return inputs


def pool(keys: Tensor, maps: Tensor) -> Tensor:
    return F.normalize(weighted(keys, maps), dim=2)


def weighted(keys: Tensor, maps: Tensor) -> Tensor:
    return torch.einsum("tchw,tkhw->tkc", keys, maps) / maps.sum((2, 3)).clamp(min=1e-6).unsqueeze(2)


def loudest(keys: Tensor, maps: Tensor) -> Tensor:
    return F.normalize((keys[:, None] * maps[:, :, None]).amax((3, 4)), dim=2)


# 09.infonce: embeddings (n,c), which object each is (n), temperature -> the loss


def embeddings(numbers: list[list[int]]):
    def inputs(rng):
        return [
            (F.normalize(normal(rng, len(ids), 5) + normal(rng, 9, 5)[ids], dim=1), torch.tensor(ids), heat)
            for ids, heat in zip(numbers, (0.1, 0.2, 0.5))
        ]

    return inputs


def infonce(e: Tensor, number: Tensor, heat: float, against: str = "others", itself: bool = False, **options) -> Tensor:
    return averaged(*pair_losses(e, number, heat, against, itself), **options)


def pair_losses(e: Tensor, number: Tensor, heat: float, against: str = "others", itself: bool = False):
    """The loss of each pair (n,n), and which pairs count. against: what stands below the fraction line beside the positive."""
    alike = e @ e.T / heat
    same = number[:, None] == number
    me = torch.eye(len(number), dtype=torch.bool)
    left_out = {"others": same, "all but itself": me, "all": torch.zeros_like(me)}[against]
    negatives = alike.masked_fill(left_out, -torch.inf).logsumexp(1, keepdim=True)
    below = torch.logaddexp(alike, negatives) if against == "others" else negatives
    return below - alike, same if itself else same & ~me


def averaged(loss: Tensor, counted: Tensor, how: str = "pairs") -> Tensor:
    if how == "pairs":
        return loss[counted].mean()
    rows = counted.any(1)
    each = loss.masked_fill(~counted, 0).sum(1) / counted.sum(1).clamp(min=1)
    return each[rows].mean() if how == "rows" else loss[counted].sum()


def without_positive(e: Tensor, number: Tensor, heat: float) -> Tensor:
    alike = e @ e.T / heat
    same = number[:, None] == number
    others = alike.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
    return (others - alike)[same & ~torch.eye(len(number), dtype=torch.bool)].mean()


def together(e: Tensor, number: Tensor, heat: float) -> Tensor:
    """-log of the whole mass on positives."""
    alike = e @ e.T / heat
    same = number[:, None] == number
    me = torch.eye(len(number), dtype=torch.bool)
    mass = alike.masked_fill(~same | me, -torch.inf).logsumexp(1) - alike.masked_fill(me, -torch.inf).logsumexp(1)
    return -mass[(same & ~me).any(1)].mean()


# 09.match: cosines (n,m) of regions of frame 0 and of a later frame -> of each region of frame 0 the later one, or -1


def similar(rng):
    """The last call holds two traps: pairs that choose each other without being the best assignment (the first two), or without
    being much alike (the last two)."""
    calls = []
    for n, m in ((6, 6), (5, 7), (7, 5)):
        alike = torch.from_numpy(rng.uniform(0.2, 0.9, (n, m))).float()
        for i, j in enumerate(rng.permutation(min(n, m))[:4]):
            alike[i, j] = 0.95 + 0.01 * float(rng.random())
        alike[0, :] *= 0.6  # nothing like it: uncertain
        calls.append((alike, 0.7))
    trap = [[0.95, 0.92, 0.1, 0.1], [0.90, 0.1, 0.2, 0.1], [0.2, 0.3, 0.8, 0.2], [0.1, 0.2, 0.1, 0.6]]
    calls.append((torch.tensor(trap), 0.7))
    return calls


def match(alike: Tensor, least: float, sure: bool = True, floor: bool = True, best: bool = True, most: bool = True) -> Tensor:
    from scipy.optimize import linear_sum_assignment

    worth = alike.where(alike >= least, 0)
    first, later = (torch.from_numpy(x) for x in linear_sum_assignment(worth.numpy(), maximize=most))
    pair = alike[first, later]
    kept = torch.ones_like(pair, dtype=torch.bool)
    if sure and floor:
        kept &= pair >= least
    if sure and best:
        kept &= (pair >= alike[first].amax(1)) & (pair >= alike[:, later].amax(0))
    found = torch.full((len(alike),), -1)
    found[first[kept]] = later[kept]
    return found


def each_for_itself(alike: Tensor, least: float) -> Tensor:
    return alike.argmax(1).masked_fill(alike.amax(1) < least, -1)


def mutual(alike: Tensor, least: float) -> Tensor:
    later = alike.argmax(1)
    back = alike.argmax(0)[later] == torch.arange(len(alike))
    return later.masked_fill(~back | (alike.amax(1) < least), -1)


def other_way(alike: Tensor, least: float) -> Tensor:
    return match(alike.T.contiguous(), least)


# 09.margin: embeddings of an object and of its double, (t,c) each -> how much more the object is like itself at other times


def twins(rng):
    calls = []
    for t in (3, 4, 6):
        middle = normal(rng, 1, 8)
        calls.append(tuple(F.normalize(middle + size * normal(rng, t, 8), dim=1) for size in (0.5, 0.8)))
    return calls


def other_times(t: int) -> Tensor:
    return ~torch.eye(t, dtype=torch.bool)


def margin(own: Tensor, double: Tensor) -> Tensor:
    apart = other_times(len(own))
    return (own @ own.T)[apart].mean() - (own @ double.T)[apart].mean()


def distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b)[other_times(len(a))].mean()


EXERCISES = {
    "pool": Exercise(
        right=pool,
        parts=[Part("objects that are there", 2, frames(False)), Part("one that is absent", 1, frames(True))],
        wrong={
            "the mean key has no length 1 yet: divide by its norm": weighted,
            "the norm runs over channels, not over objects": lambda keys, maps: F.normalize(weighted(keys, maps), dim=1),
            "the mean comes before the norm: here each cell was set to length 1 first": lambda keys, maps: pool(
                F.normalize(keys, dim=1), maps
            ),
            "a cell counts by its share of the object: here every cell that the map touches counts in full": (
                lambda keys, maps: pool(keys, (maps > 0).float())
            ),
            "this is the mean over the box of all cells: the map is missing": lambda keys, maps: pool(
                keys, torch.ones_like(maps)
            ),
            "a share above one half is not a whole: keep the map soft": lambda keys, maps: pool(keys, (maps > 0.5).float()),
            "this is the largest number of each channel: take the weighted mean": loudest,
            "one embedding per frame is wanted: this one is pooled over time as well": lambda keys, maps: pool(
                keys.mean(0, keepdim=True).expand_as(keys), maps
            ),
            "an absent object divides 0 by 0: give it zeros": lambda keys, maps: F.normalize(
                torch.einsum("tchw,tkhw->tkc", keys, maps) / maps.sum((2, 3)).unsqueeze(2), dim=2
            ),
        },
    ),
    "infonce": Exercise(
        right=infonce,
        parts=[
            Part("objects that show several times", 3, embeddings([[0, 0, 1, 1], [0, 0, 0, 1, 1, 2, 2], [3, 1, 1, 3, 3]])),
            Part("one that shows once", 1, embeddings([[0, 0, 1], [2, 0, 0, 0, 1, 1]])),
        ],
        wrong={
            "the temperature is missing": lambda e, number, heat: infonce(e, number, 1.0),
            "divide by the temperature: a low one makes the softmax sharp": lambda e, number, heat: infonce(
                e, number, 1 / heat
            ),
            "an embedding is not its own positive: leave out the pair with itself": lambda *a: infonce(*a, itself=True),
            "the other times of the same object stand among the negatives: below the line only e+ and other objects": (
                lambda *a: infonce(*a, against="all but itself")
            ),
            "the embedding itself stands among the negatives": lambda *a: infonce(*a, against="all"),
            "the positive is missing below the fraction line": without_positive,
            "each pair has its own fraction: here all positives of an embedding share one": together,
            "the mean is over pairs: here an object that shows often counts no more than one that shows twice": lambda *a: (
                infonce(*a, how="rows")
            ),
            "this is the sum over the pairs: take the mean": lambda *a: infonce(*a, how="sum"),
            "the sign is wrong: minus the logarithm": lambda *a: -infonce(*a),
            "same and other are swapped": lambda e, number, heat: averaged(
                pair_losses(e, number, heat)[0], number[:, None] != number
            ),
        },
    ),
    "match": Exercise(
        right=match,
        parts=[Part("regions of two frames", 3, similar)],
        wrong={
            "each region chose for itself: two of them may have taken the same one": each_for_itself,
            "the assignment makes the sum small: give it minus the cosines, or maximize=True": lambda *a: match(*a, most=False),
            "pairs below the threshold must go, also where both choose each other: -1": lambda *a: match(*a, floor=False),
            "a pair must go where either side has a better partner": lambda *a: match(*a, best=False),
            "nothing was dropped: uncertain pairs are worse than none": lambda *a: match(*a, sure=False),
            "these are pairs that choose each other; they must also be pairs of the best assignment": mutual,
            "this gives each later region its first one: it is the other way round": other_way,
        },
    ),
    "margin": Exercise(
        right=margin,
        parts=[Part("an object and its double", 3, twins)],
        wrong={
            "an embedding compared with itself gives 1: leave out pairs of the same frame": lambda own, double: (
                (own @ own.T).mean() - (own @ double.T)[other_times(len(own))].mean()
            ),
            "leave out the same frame for the double as well: both means must compare like with like": lambda own, double: (
                (own @ own.T)[other_times(len(own))].mean() - (own @ double.T).mean()
            ),
            "other frames are wanted: here the object is compared with its double in the same frame": lambda own, double: (
                (own @ own.T)[other_times(len(own))].mean() - (own * double).sum(1).mean()
            ),
            "only neighbouring frames were compared: take all pairs of frames": lambda own, double: (
                (own[:-1] * own[1:]).sum(1).mean() - (own[:-1] * double[1:]).sum(1).mean()
            ),
            "the sign is wrong: more like itself must be positive": lambda own, double: -margin(own, double),
            "these are distances; wanted is the cosine": lambda own, double: distance(own, own) - distance(own, double),
            "this is the quotient: take the difference": lambda own, double: (
                (own @ own.T)[other_times(len(own))].mean() / (own @ double.T)[other_times(len(own))].mean()
            ),
        },
    ),
}
