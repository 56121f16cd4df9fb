"""Exercises of notebook 01, the task and its scores."""

from functools import partial

import numpy as np
from scipy import ndimage

from ... import metrics
from ...errors import InputError
from ...masks import object_ids
from ..checks import Exercise, Part, array


def blobs(rng: np.random.Generator, length: int, count: int, size: tuple[int, int] = (40, 64)) -> np.ndarray:
    """Ids (T,H,W) of discs that drift; later ones lie over earlier ones."""
    y, x = np.mgrid[: size[0], : size[1]]
    ids = np.zeros((length, *size), np.uint8)
    for k in range(1, count + 1):
        place, step = rng.uniform((8, 8), (size[0] - 8, size[1] - 8)), rng.uniform(-1, 1, 2)
        radius = rng.uniform(5, 9)
        for t in range(length):
            ids[t][(y - place[0] - t * step[0]) ** 2 + (x - place[1] - t * step[1]) ** 2 < radius**2] = k
    return ids


def moved(ids: np.ndarray, by: int) -> np.ndarray:
    return np.roll(ids, by, axis=-1)


# 01.objects: one frame, ids of truth and prediction -> the mean of J over the objects of truth


def frames(rng):
    calls = []
    for _ in range(3):
        truth = blobs(rng, 1, 3)[0]
        truth[:, :2] = 255
        prediction = np.where(truth == 255, 0, moved(truth, 2))
        prediction[truth == 2] = 1  # object 2 is taken for object 1
        prediction[:5, -8:], prediction[-5:, -8:] = 4, 5  # ids that truth does not have
        calls.append((truth, prediction))
    return calls


def mean_over_objects(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(np.mean([jaccard(truth == k, prediction == k) for k in object_ids(truth)]))


def jaccard(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(metrics.region_similarity(truth[None], prediction[None])[0])


def pooled(truth: np.ndarray, prediction: np.ndarray) -> float:
    ids = object_ids(truth)
    both = sum(((truth == k) & (prediction == k)).sum() for k in ids)
    return both / sum(((truth == k) | (prediction == k)).sum() for k in ids)


def mean_of(measure, truth: np.ndarray, prediction: np.ndarray, ids) -> float:
    return float(np.mean([measure(truth == k, prediction == k) for k in ids]))


# 01.thin: the mask of something thin -> another mask, whose F is high and whose J is low


def strokes(rng):
    y, x = np.mgrid[:240, :432]
    calls = []
    for _ in range(3):
        angle, bend = rng.uniform(0.5, 1.1), rng.uniform(10, 25)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        line = across + 60 + bend * np.sin(along / 40)
        calls.append(((np.abs(line) < 4) & (x > 60) & (x < 340) & (y > 20) & (y < 220),))
    return calls


def scores_of(output, truth: np.ndarray) -> dict[str, bool]:
    """Whether a mask is what was asked for."""
    mask = array(output)
    if mask is None or mask.shape != truth.shape or not np.isin(mask, (0, 1)).all():
        raise InputError(f"wanted a mask of True and False, of shape {truth.shape} like the one given")
    pair = truth[None], mask.astype(bool)[None]
    j, f = metrics.region_similarity(*pair)[0], metrics.contour_accuracy(*pair)[0]
    return {"J": bool(j <= 0.6), "F": bool(f >= 0.95), "the same": bool(j == 1), "nothing": bool(mask.sum() == 0)}


def grown(truth: np.ndarray, by: int) -> np.ndarray:
    return ndimage.distance_transform_edt(~truth) <= by


def without_top(truth: np.ndarray, share: float) -> np.ndarray:
    """The same mask without the topmost share of its pixels."""
    return truth & (np.cumsum(truth).reshape(truth.shape) > share * truth.sum())


# 01.lost: what mean, recall and decay say of a clip of 24 frames whose J is 0.8, and 0 in frames 8 to 15


def lost(first: int = 1, last: int = 22) -> list[float]:
    j = np.full(24, 0.8)
    j[8:16] = 0
    scored = j[first : last + 1]
    return [metrics.mean(scored), metrics.recall(scored), metrics.decay(scored)]


# 01.late: ids (T,H,W) of truth and prediction, an id -> the mean J of that object over the frames that are scored


def clips(rng):
    calls = []
    for start in (5, 3, 0):
        truth = blobs(rng, 12, 3)
        k = int(rng.integers(1, 4))
        truth[:start][truth[:start] == k] = 0
        truth[8][truth[8] == k] = 0  # gone for a frame
        prediction = moved(truth, 2)
        prediction[6] = 0
        prediction[-1] = 0
        calls.append((truth, prediction, k))
    return calls


def late(
    truth: np.ndarray, prediction: np.ndarray, k: int, after: int = 1, before_end: int = 1, present: bool = False
) -> float:
    first = int((truth == k).any((1, 2)).argmax())
    scored = np.arange(first + after, len(truth) - before_end)
    if present:
        scored = [t for t in scored if (truth[t] == k).any()]
    return float(np.mean([jaccard(truth[t] == k, prediction[t] == k) for t in scored]))


def from_frame(start: int):
    return lambda t, p, k: float(np.mean([jaccard(a == k, b == k) for a, b in zip(t[start:-1], p[start:-1])]))


def summed(truth: np.ndarray, prediction: np.ndarray, k: int) -> float:
    first = int((truth == k).any((1, 2)).argmax())
    return jaccard(truth[first + 1 : -1].reshape(-1, 1) == k, prediction[first + 1 : -1].reshape(-1, 1) == k)


EXERCISES = {
    "objects": Exercise(
        right=mean_over_objects,
        parts=[Part("frames with three objects", 3, frames)],
        wrong={
            "foreground against background: an object that is taken for another one must cost something": lambda t, p: jaccard(
                (t > 0) & (t < 255), p > 0
            ),
            "foreground against background, and void (255) is counted as an object": lambda t, p: jaccard(t > 0, p > 0),
            "background (0) is counted as an object": lambda t, p: mean_of(jaccard, t, p, [0, *object_ids(t)]),
            "void (255) is counted as an object": lambda t, p: mean_of(jaccard, t, p, [*object_ids(t), 255]),
            "background (0) and void (255) are counted as objects": lambda t, p: mean_of(jaccard, t, p, np.unique(t)),
            "the ids must come from the truth: an id that only the prediction has is no object": lambda t, p: mean_of(
                jaccard, t, p, object_ids(p)
            ),
            "one object after the other: all intersections over all unions lets large objects decide": pooled,
            "this is the share of the truth that was found: divide by the union": lambda t, p: mean_of(
                lambda a, b: (a & b).sum() / a.sum(), t, p, object_ids(t)
            ),
            "the sum of the areas counts the intersection twice: the union does not": lambda t, p: mean_of(
                lambda a, b: (a & b).sum() / (a.sum() + b.sum()), t, p, object_ids(t)
            ),
            "the share of all pixels that agree counts the empty background as a success": lambda t, p: mean_of(
                lambda a, b: (a == b).mean(), t, p, object_ids(t)
            ),
        },
    ),
    "thin": Exercise(
        right=partial(grown, by=4),
        seen=scores_of,
        parts=[Part("J at most 0.6, F at least 0.95", 3, strokes)],
        wrong={
            "this is the mask that was given: J is 1": lambda t: t,
            "this mask is empty: it has no outline, and F is 0": np.zeros_like,
            "F is high enough, and J is still above 0.6: change more, but stay near the old outline": partial(moved, by=1),
            "J is low enough, and F fell below 0.95: stay within 4 pixels of the old outline": partial(grown, by=9),
            "J is above 0.6 and F below 0.95: what costs F here is outline that is missing, and J hardly minds": partial(
                without_top, share=0.2
            ),
        },
    ),
    "lost": Exercise(
        right=lost,
        parts=[Part("mean, recall, decay", 3, lambda rng: [()])],
        wrong={
            "all 24 frames were counted: the first and the last are not scored": lambda: lost(0, 23),
            "23 frames were counted: neither the first, whose mask is given, nor the last is scored": lambda: lost(0, 22),
            "the mean is over the lost frames too, which have a J of 0": lambda: [0.8, *lost()[1:]],
            "recall is the share of frames above 0.5, not of those below": lambda: [lost()[0], 1 - lost()[1], lost()[2]],
            "decay compares the first quarter with the last; what happens between does not count": lambda: [*lost()[:2], 0.8],
            "wanted in the order mean, recall, decay": lambda: [lost()[1], lost()[0], lost()[2]],
        },
        tolerance=6e-3,
    ),
    "late": Exercise(
        right=late,
        parts=[
            Part("an object that appears late", 2, lambda rng: clips(rng)[:2]),
            Part("one that is there from the start", 1, lambda rng: clips(rng)[2:]),
        ],
        wrong={
            "the object's first frame is counted: its mask is given there": partial(late, after=0),
            "the last frame is counted: DAVIS leaves it out": partial(late, before_end=0),
            "the object's first frame and the last frame are counted": partial(late, after=0, before_end=0),
            "frames before the object appears are counted, and an empty mask against an empty mask gives 1": from_frame(1),
            "all frames from 0 on are counted": from_frame(0),
            "frames in which the object is hidden are left out: they are scored too, 1 if nothing is marked": partial(
                late, present=True
            ),
            "intersection and union are summed over the clip: take J in each frame, then the mean": summed,
        },
    ),
}
