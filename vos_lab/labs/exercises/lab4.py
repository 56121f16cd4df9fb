"""Exercises of lab 4, remember less, remember longer. (The wrong answers call nothing that the lab forbids.)"""

import numpy as np
import torch
from torch import Tensor

from vos_lab.errors import InputError
from vos_lab.labs.checks import Exercise, Part, array
from vos_lab.labs.leaderboard import numbers_of, play

# lab4.queue, lab4.first_and_last: frames in memory, the new one at the end, and numbers -> frames that stay. Asked for frame
# after frame: the history tells more than one step.


def history(keep, options: dict, start: int, length: int) -> dict[str, str]:
    """What is in memory when each frame is read, of a clip whose first frame with an object is `start`."""
    found, frames = {}, []
    asked = ", ".join(f"{name} {value}" for name, value in options.items())
    for t in range(start + 1, length):
        offered = [*frames, t - 1]
        staying = array(keep(given := [*offered], *options.values()))
        if given != offered:
            raise InputError("changes its inputs in place: work on a copy")
        if staying is None or staying.ndim != 1:
            raise InputError("wanted a list of the frames that stay")
        if set(staying) - set(offered):
            raise InputError("a frame stays that was not in memory")
        found[f"{asked}, memory when frame {t} is read"] = str(sorted(map(int, staying)))
        frames = sorted({int(frame) for frame in staying})
    return found


def queue_of(frames: list[int], size: int, every: int) -> list[int]:
    first, new = frames[0], frames[-1]
    return (frames if new == first or new % every == 0 else frames[:-1])[-size:]


def first_and_newest(frames: list[int], size: int) -> list[int]:
    others = frames[1:]
    return [frames[0], *others[max(0, len(others) - size + 1) :]]


# lab4.usage: affinities of the frames that read, (n_i,m), with more memory cells later -> usage per read (n)


def reads(*frames: int, cells: int = 6, m: int = 9):
    """frames: how many are in memory at each read."""

    def inputs(rng):
        def draw(n):  # with cells at which nobody looks, as top-k leaves them
            logits = torch.from_numpy(2 * rng.standard_normal((n, m)))
            return logits.index_fill(0, torch.from_numpy(rng.permutation(n)[: n // 3]), -torch.inf).softmax(0).float()

        return [([draw(cells * count) for count in frames],) for _ in range(2)]

    return inputs


def added(affinities: list[Tensor], what=lambda a: a.sum(1), at_end: bool = True) -> tuple[Tensor, Tensor]:
    """What each cell of the last memory was given, and how often it was read. at_end: where new cells come in."""
    n = len(affinities[-1])
    given, count = torch.zeros(n).double(), torch.zeros(n).double()
    for affinity in affinities:
        there = slice(0, len(affinity)) if at_end else slice(n - len(affinity), n)
        given[there] += what(affinity)
        count[there] += 1
    return given, count


def per_read(affinities: list[Tensor], **mistake) -> Tensor:
    given, count = added(affinities, **mistake)
    return given / count


def looked_at_most(affinity: Tensor) -> Tensor:
    return affinity.argmax(0).bincount(minlength=len(affinity)).double()


# lab4.most_used: usage (n), count -> numbers of the cells (count), in any order


def used(*counts: int, n: int = 12):
    def inputs(rng):
        return [(torch.from_numpy(rng.permutation(n) + rng.uniform(0, 0.5, n)).float(), count) for count in counts]

    return inputs


def rarely_used(*counts: int, n: int = 12):
    """Many cells are used equally, and many not at all."""
    return lambda rng: [(torch.from_numpy(rng.permutation([0.0, 0.5, 2.0, 2.0] * (n // 4))).float(), count) for count in counts]


def any_order(output, usage: Tensor, count: int):
    """Which of equally used cells are chosen is free: what counts is how much all of them are used."""
    numbers = array(output)
    if numbers is not None and not numbers.size:
        return numbers
    return np.sort(array(usage)[numbers_of(output, len(usage), len(usage)).numpy()])


def best_first(usage: Tensor, count: int) -> Tensor:
    return usage.argsort(descending=True)[:count]


# lab4.prototypes: keys (c,n), values (k,cv,n), chosen (p) -> values of the prototypes (k,cv,p)


def candidates(objects: int, c: int = 6, n: int = 30, p: int = 4):
    def inputs(rng):
        calls = []
        for _ in range(2):
            key, value = 0.8 * rng.standard_normal((c, n)), rng.standard_normal((objects, 3, n))
            calls.append(
                (torch.from_numpy(key).float(), torch.from_numpy(value).float(), torch.from_numpy(rng.permutation(n)[:p]))
            )
        return calls

    return inputs


def nearness(key: Tensor, chosen: Tensor) -> Tensor:
    """Minus the squared distance of each cell from each prototype, over the square root of c: (n,p)."""
    return -(key[:, :, None] - key[:, None, chosen]).square().sum(0) / len(key) ** 0.5


def mean_values(value: Tensor, weights: Tensor) -> Tensor:
    return value @ weights


# lab4.remember: frames (n), usage (n), room -> numbers of the cells that stay. As asked once, and played on hidden clips.


def memories(*rooms: int, cells: int = 8):
    def inputs(rng):
        calls = []
        for room in rooms:
            frames = np.sort(rng.choice([0, 0, 0, 3, 5, 6], 4 * cells))
            frames[:cells] = 0
            calls.append((torch.from_numpy(frames), torch.from_numpy(rng.uniform(0, 3, 4 * cells)).float(), room))
        return calls

    return inputs


CLIPS = 2


def hidden_clips(than: str):
    """Clips in which it matters what is forgotten: the first frame and the newest cells follow better than a queue."""

    def inputs(rng):
        seeds = []
        while len(seeds) < CLIPS:
            seed = int(rng.integers(10_000))
            if play(first_then_newest, seed) > play(newest, seed) + 0.05:
                seeds.append(seed)
        return [(than, tuple(seeds))]

    return inputs


def asked(answer, *arguments):
    """One choice, or the mean J&F of several clips beside that of another policy."""
    if len(arguments) == 3:
        frames, usage, room = arguments
        return numbers_of(answer(frames, usage, room), len(frames), room)
    than, seeds = arguments
    return mean_score(answer, seeds), mean_score(newest if than == "queue" else first_then_newest, seeds)


def mean_score(choose, seeds: tuple) -> float:
    return float(np.mean([play(choose, seed) for seed in seeds]))


def judged(output, *arguments) -> str:
    if len(arguments) == 3:
        return "kept to the rules"
    (found, other), (than, _) = output, arguments
    if than == "queue" and found < other + 0.03:
        raise InputError("no better than a queue of the newest cells: what does that forget, of which the mask was given?")
    if than != "queue" and found < other - 0.02:
        raise InputError("worse than the first frame and the newest cells together")
    return "good enough"


def newest(frames: Tensor, usage: Tensor, room: int) -> Tensor:
    return frames.argsort(stable=True)[-room:]


def first_then_newest(frames: Tensor, usage: Tensor, room: int) -> Tensor:
    order = torch.where(frames == frames.min(), frames.max() + 1, frames)
    return order.argsort(stable=True, descending=True)[:room]


def on_the_leaderboard(answer, rng) -> float | None:
    try:
        return mean_score(answer, hidden_clips("")(rng)[0][1])
    except Exception:  # what is wrong has been said
        return None


EXERCISES = {
    "queue": Exercise(
        right=queue_of,
        parts=[
            Part("every frame", 2, lambda rng: [(dict(size=size, every=1), 0, 3 * size + 3) for size in (3, 1, 4)]),
            Part("every n-th frame", 1, lambda rng: [(dict(size=2, every=3), 0, 16), (dict(size=3, every=5), 2, 24)]),
        ],
        ask=lambda keep, options, start, length: history(keep, options, start, length),
        wrong={
            "nothing new comes in: when the queue is full, the oldest leaves": lambda frames, size, every: queue_of(
                frames, len(frames), every
            )[:size],
            "a queue forgets the first frame like any other": lambda frames, size, every: first_and_newest(
                queue_of(frames, len(frames), every), size
            ),
            "one frame too many stays": lambda frames, size, every: queue_of(frames, size + 1, every),
            "a frame that does not enter must not push another one out": lambda frames, size, every: queue_of(
                frames[-size:], size, every
            ),
            "one frame too few stays": lambda frames, size, every: queue_of(frames, size, every)[
                1 if len(frames) > size else 0 :
            ],
            "nothing is ever forgotten": lambda frames, size, every: queue_of(frames, len(frames), every),
            "every is not heeded: each frame enters": lambda frames, size, every: frames[-size:],
            "a frame that has entered stays until the queue is full: here the first one is thrown out at once": (
                lambda frames, size, every: (
                    frames if len(frames) == 1 else [frame for frame in frames if frame % every == 0][-size:]
                )
            ),
            "the number of the frame itself decides, not how far it lies from another one": lambda frames, size, every: (
                frames if (frames[-1] - frames[0]) % every == 0 else frames[:-1]
            )[-size:],
            "the very first frame enters whatever its number: an object may appear late": lambda frames, size, every: [
                frame for frame in frames if frame % every == 0
            ][-size:],
        },
    ),
    "first_and_last": Exercise(
        right=first_and_newest,
        parts=[
            Part("several frames", 1, lambda rng: [(dict(size=3), 0, 9), (dict(size=2), 3, 12), (dict(size=5), 0, 14)]),
            Part("one frame", 1, lambda rng: [(dict(size=1), 0, 7)]),
        ],
        ask=lambda keep, options, start, length: history(keep, options, start, length),
        wrong={
            "the first frame is forgotten": lambda frames, size: frames[-size:],
            "one frame too many stays: the first one counts": lambda frames, size: first_and_newest(frames, size + 1),
            "nothing new comes in: wanted the newest beside the first": lambda frames, size: frames[:size],
            "the newest frame is left out": lambda frames, size: first_and_newest(frames[:-1] or frames, size),
            "a frame stays twice": lambda frames, size: [frames[0], *frames[-(size - 1) :]] if size > 1 else frames[:1],
            "only the first frame and the last stay: there is room for more": lambda frames, size: first_and_newest(
                frames, min(size, 2)
            ),
            "with size 1 everything stays: what does a slice from -0 on hold?": lambda frames, size: (
                frames if len(frames) <= size else [frames[0], *frames[-(size - 1) :]]
            ),
        },
    ),
    "usage": Exercise(
        right=per_read,
        parts=[Part("one read", 1, reads(2)), Part("memory that grows", 3, reads(1, 1, 2, 3))],
        wrong={
            "this is the sum over memory, which is 1 for each query cell: add up what each memory cell was given": (
                lambda affinities: affinities[-1].sum(0)
            ),
            "this is the mean over the query cells: add them up": lambda affinities: per_read(
                affinities, what=lambda a: a.mean(1)
            ),
            "the largest weight alone counts here: add them up": lambda affinities: per_read(
                affinities, what=lambda a: a.amax(1)
            ),
            "this counts how often a cell is the best match: its weights count": lambda affinities: per_read(
                affinities, what=looked_at_most
            ),
            "a read counts for all cells that were there, also for one at which nobody looked": lambda affinities: (
                added(affinities)[0] / added(affinities, what=lambda a: 1.0 * (a.sum(1) > 0))[0].clamp(min=1)
            ),
            "only the last read counts here": lambda affinities: affinities[-1].sum(1),
            "this is the sum of all reads: an old cell was read more often, so divide by how often": lambda affinities: added(
                affinities
            )[0],
            "a cell that came late was read less often: divide each by its own number of reads": lambda affinities: (
                added(affinities)[0] / len(affinities)
            ),
            "new cells come in at the end, not at the front": lambda affinities: per_read(affinities, at_end=False),
        },
    ),
    "most_used": Exercise(
        right=best_first,
        parts=[
            Part("some cells", 1, lambda rng: used(1, 4, 7)(rng) + rarely_used(4, 8, 10, 0)(rng)),
            Part("more than there are", 1, used(40)),
        ],
        seen=any_order,
        wrong={
            "these are the cells that are used least": lambda usage, count: usage.argsort()[:count],
            "one cell too many": lambda usage, count: best_first(usage, count + 1),
            "count 0: nothing stays. What does a slice from -0 on hold?": lambda usage, count: usage.argsort()[-count:],
            "equally used cells: more than `count` were chosen": lambda usage, count: (
                usage >= usage.sort(descending=True).values[min(count, len(usage)) - 1]
            ).nonzero()[:, 0],
            "a cell that was never used is still a cell: where others are too few, it stays": lambda usage, count: (
                found := best_first(usage, count)
            )[usage[found] > 0],
            "these are ranks: wanted the numbers of the cells": lambda usage, count: usage.argsort(descending=True).argsort()[
                :count
            ],
            "these are no numbers of cells: wanted whole ones": lambda usage, count: usage[best_first(usage, count)],
            "these are the first cells, used or not": lambda usage, count: torch.arange(min(count, len(usage))),
            "this marks each cell with true or false: wanted the numbers of those that stay": lambda usage, count: (
                torch.zeros(len(usage)).scatter(0, best_first(usage, count), 1.0).bool()
            ),
            "these are all cells, sorted: wanted only the first of them": lambda usage, count: best_first(usage, len(usage)),
        },
    ),
    "prototypes": Exercise(
        right=lambda key, value, chosen: mean_values(value, nearness(key, chosen).softmax(0)),
        parts=[Part("one object", 2, candidates(1)), Part("three objects", 1, candidates(3))],
        wrong={
            "a prototype speaks for all that is like it: this is its own value alone": lambda key, value, chosen: value[
                :, :, chosen
            ],
            "all cells weigh the same here: what is like the prototype should weigh more": lambda key, value, chosen: (
                mean_values(value, torch.full_like(nearness(key, chosen), 1 / key.shape[1]))
            ),
            "the softmax runs over the prototypes: the weights of each prototype should sum to 1": lambda key, value, chosen: (
                mean_values(value, nearness(key, chosen).softmax(1))
            ),
            "the weights are shared out among the prototypes: those of each prototype should sum to 1 over all cells": (
                lambda key, value, chosen: mean_values(
                    value, (nearness(key, chosen) + key.square()[:, chosen].sum(0) / len(key) ** 0.5).softmax(1)
                )
            ),
            "all cells are asked, not the 20 best alone": lambda key, value, chosen: mean_values(
                value, torch.where((near := nearness(key, chosen)) >= near.topk(20, 0).values[-1], near, -torch.inf).softmax(0)
            ),
            "the prototypes are in another order than the numbers that were given": lambda key, value, chosen: mean_values(
                value, nearness(key, chosen.sort().values).softmax(0)
            ),
            "a prototype speaks for itself as well": lambda key, value, chosen: mean_values(
                value, nearness(key, chosen).scatter(0, chosen[None], -torch.inf).softmax(0)
            ),
            "each cell speaks here through its nearest prototype alone": lambda key, value, chosen: mean_values(
                value,
                (near := torch.eye(len(chosen))[nearness(key, chosen).argmax(1)]) / near.sum(0),
            ),
            "the division by the square root of c is missing": lambda key, value, chosen: mean_values(
                value, (nearness(key, chosen) * len(key) ** 0.5).softmax(0)
            ),
            "the prototypes alone are averaged: all cells are candidates": lambda key, value, chosen: mean_values(
                value[:, :, chosen], nearness(key, chosen)[chosen].softmax(0)
            ),
            "what differs most from the prototype weighs most here": lambda key, value, chosen: mean_values(
                value, (-nearness(key, chosen)).softmax(0)
            ),
            "the keys are compared by a plain product, in which their lengths count": lambda key, value, chosen: mean_values(
                value, (key.T @ key[:, chosen] / len(key) ** 0.5).softmax(0)
            ),
            "the other objects are missing: each has values of its own": lambda key, value, chosen: mean_values(
                value, nearness(key, chosen).softmax(0)
            )[:1],
            "a value for every cell came out: wanted one for each prototype": lambda key, value, chosen: mean_values(
                value, nearness(key, torch.arange(key.shape[1])).softmax(0)
            ),
        },
    ),
    "remember": Exercise(
        right=first_then_newest,
        parts=[
            Part("the rules", 2, memories(5, 8, 20)),
            Part("better than a queue", 2, hidden_clips("queue")),
            Part("as good as first and last", 2, hidden_clips("first and last")),
        ],
        ask=asked,
        seen=judged,
        score=on_the_leaderboard,
        wrong={
            "no better than a queue of the newest cells: what does that forget, of which the mask was given?": newest,
            "more cells were chosen than there is room for": lambda frames, usage, room: usage.argsort(descending=True)[
                : room + 1
            ],
            "a cell was chosen twice": lambda frames, usage, room: torch.cat([usage.argsort()[: room // 2]] * 2),
            "these are no numbers of cells: wanted whole ones": lambda frames, usage, room: usage.sort().values[:room] + 0.5,
            "this marks each cell with true or false: wanted the numbers of those that stay": lambda frames, usage, room: (
                usage > usage.median()
            ),
            "there is no cell of that number: they count from 0": lambda frames, usage, room: torch.arange(-1, room - 1),
            "nothing stays, although there is room": lambda frames, usage, room: frames[:0],
            "wanted a row with the numbers of the cells that stay": lambda frames, usage, room: None,
        },
    ),
}
