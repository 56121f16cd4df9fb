"""Exercises of notebook 13, your own video."""

from functools import partial

import numpy as np

from ..checks import Exercise, Part
from .n01 import blobs, jaccard

# 13.broke: ids (T,H,W) that a tracker found, an id -> the frame whose mask fits the mask before it worst


def breaks(rng):
    """An object moves, grows once, and later lies elsewhere, as large as before; another object jumps at another time."""
    calls = []
    for _ in range(3):
        ids, half = np.zeros((12, 40, 64), np.uint8), int(rng.integers(4, 6))
        grows, other_jump, jump = (int(rng.integers(t, t + 2)) for t in (2, 6, 9))
        for t in range(12):
            row, column = (24, 44) if t >= jump else (10, 10 + 2 * t)  # from frame `half` on it is beside its first place
            ids[t, row - half : row + half, column - half : column + half] = 1
            if t >= grows:  # the largest change of area, and not the worst fit
                ids[t, row - half : row + half, column + half : column + half + 4] = 1
            left = 2 if t < other_jump else 48
            ids[t, 30:, left : left + 14] = 2
        calls.append((ids, 1))
    return calls


def hidden(rng):
    """An object that is gone in the last frames, and torn in one frame before: two empty masks fit each other."""
    calls = []
    for _ in range(2):
        ids, gone = np.zeros((12, 40, 64), np.uint8), int(rng.integers(6, 9))
        ids[:gone, 8:24, 10:30] = 1
        ids[gone : gone + 1, 8:24, 26:30] = 1
        ids[:, 30:38, 40:60] = 2
        ids[4:, 30:38, 40:60] = 0
        calls.append((ids, 1))
    return calls


def fits(ids: np.ndarray, k: int) -> list[float]:
    """J of each mask with the one before it, from frame 1 on; 1 where both are empty."""
    return [jaccard(before == k, now == k) for before, now in zip(ids, ids[1:])]


def broke(ids: np.ndarray, k: int) -> int:
    return int(np.argmin(fits(ids, k))) + 1


def most_changed_area(ids: np.ndarray, k: int) -> int:
    areas = (ids == k).sum((1, 2)).astype(int)
    return int(np.abs(np.diff(areas)).argmax()) + 1


def empty_is_zero(ids: np.ndarray, k: int) -> int:
    j = [0.0 if not (a == k).any() and not (b == k).any() else fit for a, b, fit in zip(ids, ids[1:], fits(ids, k))]
    return len(j) - int(np.argmin(j[::-1]))  # the last of them


def against_the_first(ids: np.ndarray, k: int) -> int:
    return int(np.argmin([jaccard(ids[0] == k, now == k) for now in ids]))


# 13.joined: ids before (T,H,W), the last good frame, the frame that was corrected, ids (T,H,W) tracked on from there, and ids
# tracked back from there, the corrected frame first -> one answer for all frames


def pieces(rng):
    calls = []
    for length, good, corrected in ((10, 3, 6), (12, 1, 5), (9, 2, 3)):
        before, onward, back = (blobs(rng, n, 2) for n in (length, length - corrected, corrected + 1))
        calls.append((before, good, corrected, onward, back))
    return calls


def joined(
    before: np.ndarray, good: int, corrected: int, onward: np.ndarray, back: np.ndarray, *, start: int = 1, end: int = 0
) -> np.ndarray:
    """start: the first frame after `good` that is taken from back; end: how many frames after `corrected` keep what was."""
    answer = before.copy()
    answer[good + start : corrected] = back[::-1][good + start : corrected]
    answer[corrected + end :] = onward[end:]
    return answer


def not_reversed(before, good, corrected, onward, back):
    return joined(before, good, corrected, onward, back[::-1])


def without_back(before, good, corrected, onward, back):
    return np.concatenate([before[:corrected], onward])


def back_to_the_start(before, good, corrected, onward, back):
    return np.concatenate([back[::-1], onward[1:]])[: len(before)]


def corrected_twice(before, good, corrected, onward, back):
    return np.concatenate([before[: good + 1], back[::-1][good + 1 :], onward])


EXERCISES = {
    "broke": Exercise(
        right=broke,
        parts=[Part("an object that jumps", 2, breaks), Part("an object that goes away", 1, hidden)],
        wrong={
            "this is the frame before it broke: the fit of frames t - 1 and t tells of frame t": lambda ids, k: (
                broke(ids, k) - 1
            ),
            "this is the frame with the best fit: a high J means that little changed": lambda ids, k: (
                int(np.argmax(fits(ids, k))) + 1
            ),
            "the area was compared: a mask can move to another place and stay as large": most_changed_area,
            "all objects were taken together: ask for the one with id k": lambda ids, k: broke((ids > 0).astype(np.uint8), 1),
            "two empty masks fit each other, J is 1: an object that stays away is not broken again": empty_is_zero,
            "each mask was compared with the first: a thing that moves does not fit that for long": against_the_first,
        },
    ),
    "joined": Exercise(
        right=joined,
        parts=[Part("four pieces put together", 2, pieces)],
        wrong={
            "the masks that were tracked back run backwards: turn them round": not_reversed,
            "the frames between the last good one and the corrected one are still the broken ones": without_back,
            "the frames up to the last good one were replaced too: they were right, and their mask came from nearer by": (
                back_to_the_start
            ),
            "the last good frame itself was replaced: begin with the one after it": partial(joined, start=0),
            "the first broken frame was kept: begin with the one after the last good one": partial(joined, start=2),
            "the corrected frame still has the broken mask": partial(joined, end=1),
            "the corrected frame is in it twice, and every later one comes a frame late": corrected_twice,
        },
    ),
}
