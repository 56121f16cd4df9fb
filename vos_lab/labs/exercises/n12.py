"""Exercises of notebook 12, edges and limits."""

from functools import partial

import numpy as np
from scipy import ndimage

from ..checks import Exercise, Part


def figure(rng: np.random.Generator, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """A body with two legs of 3 pixels, True where it is."""
    y, x = np.mgrid[: size[0], : size[1]]
    middle = rng.integers(30, 50)
    body = (x - middle) ** 2 / 300 + (y - 18) ** 2 / 100 < 1
    return body | ((y > 18) & (y < 52) & np.isin(np.abs(x - middle), (7, 8, 9)))


def shaken(rng: np.random.Generator, mask: np.ndarray, share: float) -> np.ndarray:
    """A mask with some of its pixels turned."""
    return mask ^ (rng.random(mask.shape) < share)


# 12.thin: truth, before and after refinement, width -> share of the thin part that was there before and is gone after


def losses(rng):
    return [(truth := figure(rng), shaken(rng, truth, 0.1), shaken(rng, truth, 0.3), 2) for _ in range(3)]


def widths(rng):
    return [(figure(rng), shaken(rng, figure(rng), 0.2), shaken(rng, figure(rng), 0.2), width) for width in (3, 4)]


def thin_part(truth, width):
    """What an opening with a square of 2 * width + 1 pixels takes away."""
    return truth & ~ndimage.binary_opening(truth, np.ones(2 * [round(2 * width) + 1]))


def thin_lost(truth, before, after, width):
    had = thin_part(truth, width) & before
    return (had & ~after).sum() / had.sum()


def whole_lost(truth, before, after, width):
    had = truth & before
    return (had & ~after).sum() / had.sum()


def of_all_thin(truth, before, after, width):
    thin = thin_part(truth, width)
    return (thin & before & ~after).sum() / thin.sum()


def never_had(truth, before, after, width):
    thin = thin_part(truth, width)
    return (thin & ~after).sum() / thin.sum()


def thick_lost(truth, before, after, width):
    had = truth & ~thin_part(truth, width) & before
    return (had & ~after).sum() / had.sum()


# 12.careful: ids, refined ids, reach -> refined near the edges of ids, elsewhere ids; void stays


def labels(rng, voids):
    ids = figure(rng).astype(np.uint8) * 3
    ids[:, 10:24] = np.where(ids[:, 10:24] == 3, 3, 1)
    refined = np.where(rng.random(ids.shape) < 0.3, rng.choice(np.array([0, 1, 3], np.uint8), ids.shape), ids)
    if voids:
        ids[40:, -10:] = 255
    return ids, refined


def edges(ids):
    """Pixels with another id beside, above or below them."""
    padded = np.pad(ids, 1, mode="edge")
    beside = (padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1])
    return np.any([ids != other for other in beside], axis=0)


def careful(ids, refined, reach, near=lambda distance, reach: distance <= reach, of=edges, void=True):
    distance = ndimage.distance_transform_edt(~of(ids))  # to the nearest edge pixel
    free = near(distance, reach) & ((ids != 255) | (not void))
    return np.where(free, refined, ids)


EXERCISES = {
    "thin": Exercise(
        right=thin_lost,
        parts=[Part("a figure with legs", 2, losses), Part("other widths", 1, widths)],
        wrong={
            "this is the share of the whole object that was lost: look at its thin part alone": whole_lost,
            "divide by the thin pixels that were marked before: what was never found cannot be lost": of_all_thin,
            "thin pixels that the tracker missed are counted as lost: only those marked before can be": never_had,
            "this is the part that was kept, not the part that was lost": lambda *x: 1 - thin_lost(*x),
            "the opening is what is thick: the thin part is what it takes away": thick_lost,
            "the square has 2 * width + 1 pixels to a side, not width + 1": lambda t, b, a, w: thin_lost(t, b, a, w / 2),
            "a count of pixels, wanted a share": lambda t, b, a, w: (thin_part(t, w) & b & ~a).sum(),
        },
    ),
    "careful": Exercise(
        right=careful,
        parts=[
            Part("near the edges", 2, lambda rng: [(*labels(rng, False), reach) for reach in (1, 2, 4)]),
            Part("with void", 1, lambda rng: [(*labels(rng, True), reach) for reach in (2, 3)]),
        ],
        wrong={
            "nothing changed: near the edges the refined ids are wanted": lambda ids, refined, reach: ids,
            "the refined ids are taken everywhere, far from all edges too": lambda ids, refined, reach: refined,
            "the other way round: refined near the edges, ids elsewhere": partial(careful, near=lambda d, r: d > r),
            "a distance of exactly `reach` still counts as near": partial(careful, near=lambda d, r: d < r),
            "void pixels were given an id: where ids is 255 it stays": partial(careful, void=False),
            "only edges to the background count here: two objects that touch have an edge as well": partial(
                careful, of=lambda ids: edges(np.minimum(ids, 1))
            ),
            "the edges are those of the tracked ids, not of the refined ones": lambda ids, refined, reach: careful(
                ids, refined, reach, of=lambda _: edges(refined)
            ),
        },
    ),
}
