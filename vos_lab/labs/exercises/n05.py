"""Exercises of notebook 05, what to remember."""

import numpy as np

from ..checks import Exercise, Part

BOOKKEEPING = 16  # bytes per cell that a MemoryBank keeps beside keys and values


def remembered(keep, length):
    """[t, f]: whether frame f is in memory when frame t is read, for a policy's keep(frames)."""
    table, frames = np.zeros((length, length), dtype=bool), []
    for t in range(1, length):
        frames = keep([*frames, t - 1])
        table[t, frames] = True
    return table


def history(rule):
    """An answer (size, length) -> table, from a rule (frames, size) -> frames that stay."""
    return lambda size, length: remembered(lambda frames: sorted(set(rule(frames, size))), length)


def window(frames, size):
    """The first frame and the `size` newest."""
    return [frames[0], *frames[1:][-size:]]


def forget_one(cost, first=1, last=-1):
    """A rule that keeps `size` frames: of those from `first` to `last`, the one that costs least goes."""

    def rule(frames, size):
        if len(frames) <= size:
            return frames
        places = range(len(frames))[first:last]
        gone = min(places, key=lambda i: cost(frames, i))
        return [frame for i, frame in enumerate(frames) if i != gone]

    return rule


def room(frames, i):
    """How far apart the neighbours of a remembered frame lie: what is left uncovered if it goes."""
    return frames[min(i + 1, len(frames) - 1)] - frames[max(i - 1, 0)]


spread = forget_one(room)


def kept(length, every):
    """How many frames EveryNth remembers when the last of `length` frames is read; that one is not yet among them."""
    return (length - 2) // every + 1


def bytes_in_memory(length, every, cells, objects):
    return kept(length, every) * cells * (4 * (64 + 96 * objects) + BOOKKEEPING)


def smallest_step(fits):
    return next(every for every in range(1, 10_000) if fits(every))


def step_for_budget(length, frame_bytes, budget):
    """The smallest n for which EveryNth(n) stays within the budget."""
    return smallest_step(lambda every: kept(length, every) * frame_bytes <= budget)


EXERCISES = {
    "window": Exercise(
        right=history(window),
        parts=[
            Part("three newest", 2, lambda rng: [(3, 12)]),
            Part("other sizes", 1, lambda rng: [(1, 8), (6, 20)]),
        ],
        wrong={
            "the first frame is forgotten: its mask is the only one that is surely right": history(lambda f, n: f[-n:]),
            "one of the newest is missing: the first frame does not count among them": history(
                lambda f, n: [f[0], *f[1:][-(n - 1) :]] if n > 1 else [f[0]]
            ),
            "one frame too many stays": history(lambda f, n: [f[0], *f[1:][-(n + 1) :]]),
            "the oldest stay and nothing new comes in: wanted the newest": history(lambda f, n: f[: n + 1]),
            "the newest frame, the last of the list, is left out": history(lambda f, n: [f[0], *f[1:-1][-n:]]),
            "nothing is ever forgotten": history(lambda f, n: f),
        },
    ),
    "spread": Exercise(
        right=history(spread),
        parts=[
            Part("four frames", 2, lambda rng: [(4, 24)]),
            Part("other sizes", 1, lambda rng: [(3, 20), (7, 40)]),
        ],
        wrong={
            "the frame in the widest gap goes, which is always the oldest after the first: wanted the narrowest gap": history(
                forget_one(lambda f, i: -room(f, i))
            ),
            "of frames that cost the same, the newest goes: wanted the oldest": history(
                forget_one(lambda f, i: (room(f, i), -i))
            ),
            "the first frame can be forgotten: it has to stay": history(forget_one(room, first=0)),
            "only the distance to the frame before counts: what is left uncovered lies between both neighbours": history(
                forget_one(lambda f, i: f[i] - f[i - 1])
            ),
            "one frame too many stays": history(lambda f, n: spread(f, n + 1)),
        },
    ),
    "bytes_in_memory": Exercise(
        right=bytes_in_memory,
        parts=[
            Part("one object", 2, lambda rng: [(41, 5, 576, 1), (40, 5, 576, 1), (102, 7, 1620, 1)]),
            Part("three objects", 1, lambda rng: [(41, 5, 576, 3), (60, 1, 1620, 3)]),
        ],
        tolerance=1e-9,
        wrong={
            "the first frame is remembered as well": lambda t, n, c, k: (
                (kept(t, n) - 1) * c * (4 * (64 + 96 * k) + BOOKKEEPING)
            ),
            "the last frame is counted: it is remembered only after it was read": lambda t, n, c, k: bytes_in_memory(
                t + 1, n, c, k
            ),
            "a float32 has 4 bytes": lambda t, n, c, k: kept(t, n) * c * (64 + 96 * k + BOOKKEEPING),
            "the 16 bytes of bookkeeping per cell are missing": lambda t, n, c, k: kept(t, n) * c * 4 * (64 + 96 * k),
            "the keys are remembered once, not once per object": lambda t, n, c, k: (
                kept(t, n) * c * (4 * (64 + 96) * k + BOOKKEEPING)
            ),
            "these are the bytes of one frame": lambda t, n, c, k: c * (4 * (64 + 96 * k) + BOOKKEEPING),
        },
    ),
    "step_for_budget": Exercise(
        right=step_for_budget,
        parts=[
            Part("a clip of 101 frames", 2, lambda rng: [(101, 400_000, 4_000_000), (101, 400_000, 9_900_000)]),
            Part("a long clip", 1, lambda rng: [(2000, 1_000_000, 100_500_000)]),
        ],
        tolerance=1e-9,
        wrong={
            "over the budget: the first frame needs room as well": lambda t, b, most: smallest_step(
                lambda n: (kept(t, n) - 1) * b <= most
            ),
            "over the budget: round up, not down": lambda t, b, most: max(1, (t - 1) * b // most),
            "these are the bytes that each frame of the clip may take, not a step": lambda t, b, most: most // t,
            "this is how many frames fit, not the step between them": lambda t, b, most: most // b,
            "a step too large: the last frame is remembered only after it was read, and needs no room": lambda t, b, most: (
                smallest_step(lambda n: kept(t + 1, n) * b <= most)
            ),
        },
    ),
}
