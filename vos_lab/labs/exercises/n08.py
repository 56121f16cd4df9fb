"""Exercises of notebook 08, pixel-level correspondence."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...losses.pixel import to_view2
from ..checks import Exercise, Part


def normal(rng, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape)).float()


# 08.where: theta, rows and columns of cells -> (h,w), which cell of view 1 each cell of view 2 looks at; -1 outside


def views(smallest: float, largest: float):
    def inputs(rng):
        calls = []
        for flip in (1, -1, -1):
            side, shift = rng.uniform(smallest, largest), rng.uniform(0.1, 0.25, 2) * rng.choice([-1, 1], 2)
            theta = torch.tensor([[flip * side, 0, shift[0]], [0, side, shift[1]]]).float()
            calls.append((theta, 7, 12))
        return calls

    return inputs


def where(theta: Tensor, h: int, w: int) -> Tensor:
    cells = 1 + torch.arange(h * w).double().view(1, 1, h, w)
    return to_view2(cells, theta[None].double())[0, 0].long() - 1


def where_by_hand(theta: Tensor, h: int, w: int, corner: float = 0.5, by_columns: bool = False) -> Tensor:
    """corner: where in a cell its coordinate is taken."""
    y, x = torch.meshgrid(2 * (torch.arange(h) + corner) / h - 1, 2 * (torch.arange(w) + corner) / w - 1, indexing="ij")
    x, y = (row[0] * x + row[1] * y + row[2] for row in theta)
    column, row = ((x + 1) / 2 * w).floor().long(), ((y + 1) / 2 * h).floor().long()
    outside = (column < 0) | (column >= w) | (row < 0) | (row >= h)
    return (column * h + row if by_columns else row * w + column).masked_fill(outside, -1)


def ends_on_edges(theta: Tensor, h: int, w: int) -> Tensor:
    cells = 1 + torch.arange(h * w).float().view(1, 1, h, w)
    places = F.affine_grid(theta[None], [1, 1, h, w], align_corners=True)
    return F.grid_sample(cells, places, mode="nearest", align_corners=True)[0, 0].long() - 1


def way_back(theta: Tensor, h: int, w: int) -> Tensor:
    side = theta[:, :2].inverse()
    return where(torch.cat([side, -side @ theta[:, 2:]], 1), h, w)


def kept_at_edge(theta: Tensor, h: int, w: int) -> Tensor:
    cells = torch.arange(h * w).float().view(1, 1, h, w)
    places = F.affine_grid(theta[None], [1, 1, h, w], align_corners=False)
    return F.grid_sample(cells, places, mode="nearest", padding_mode="border", align_corners=False)[0, 0].long()


# 08.anchors: rows and columns of cells, anchors per side, where the first lies in its step (0..1) -> (g,g) numbers of cells


def grids(rng):
    return [(h, w, g, *rng.uniform(0.3, 0.9, 2)) for h, w, g in ((30, 54, 8), (15, 27, 4), (11, 17, 5))]


def anchors(h: int, w: int, g: int, down: float, right: float, step=lambda side, g: side / g) -> Tensor:
    rows, columns = (
        (step(side, g) * (torch.arange(g) + offset)).double().floor().long() for side, offset in ((h, down), (w, right))
    )
    return rows[:, None] * w + columns


def anchors_by_columns(h: int, w: int, g: int, down: float, right: float) -> Tensor:
    cells = anchors(h, w, g, down, right)
    return cells // w + cells % w * h


# 08.cross: keys of the same places in both views, (n,c) each -> the cross-view loss


def places(rng):
    calls = []
    for n, c in ((9, 16), (12, 6), (20, 8)):
        view1 = normal(rng, n, c)
        calls.append((view1, view1 + 0.7 * normal(rng, n, c)))
    return calls


def distances(view1: Tensor, view2: Tensor) -> Tensor:
    """-|a - b|^2 / sqrt(c): (n,n), a row per place of view 1."""
    return -torch.cdist(view1, view2).square() / math.sqrt(view1.shape[1])


def cross(view1: Tensor, view2: Tensor, logits=distances, shift: int = 0, **options) -> Tensor:
    scores = logits(view1, view2)
    return F.cross_entropy(scores, (torch.arange(len(scores)) + shift) % len(scores), **options)


def without_itself(view1: Tensor, view2: Tensor) -> Tensor:
    scores = distances(view1, view2)
    others = scores.masked_fill(torch.eye(len(scores), dtype=torch.bool), -torch.inf)
    return (others.logsumexp(1) - scores.diag()).mean()


# 08.temporal: similarities of view 1 (where view 2 looks) and of view 2 with all anchors of the batch, (t,a,m) each; the first
# of the clip's own anchors and how many they are -> the temporal loss of this clip


def clips(t: int = 4, m: int = 15):
    def inputs(rng):
        calls = []
        for first in (6, 12, 6):
            says = 2 * normal(rng, t, 24, m)
            calls.append((says, says + normal(rng, t, 24, m), first, 6))
        return calls

    return inputs


def temporal(says: Tensor, seen: Tensor, first: int, count: int) -> Tensor:
    return nll(says, best(seen, first, count))


def best(seen: Tensor, first: int, count: int) -> Tensor:
    return first + seen[:, first : first + count].argmax(1)  # (t,m)


def nll(says: Tensor, label: Tensor, frames: slice = slice(1, None)) -> Tensor:
    return F.nll_loss(says.log_softmax(1)[frames], label[frames])


def soft(says: Tensor, seen: Tensor, first: int, count: int) -> Tensor:
    own = seen[:, first : first + count].softmax(1)
    return -(says.log_softmax(1)[1:, first : first + count] * own[1:]).sum(1).mean()


def over_cells(says: Tensor, seen: Tensor, first: int, count: int) -> Tensor:
    return F.nll_loss(says.log_softmax(2)[1:], best(seen, first, count)[1:])


def among_own(says: Tensor, seen: Tensor, first: int, count: int) -> Tensor:
    own = slice(first, first + count)
    return nll(says[:, own], seen[:, own].argmax(1))


# 08.gradient: similarities (t,a,m) of view 1 with the anchors, pseudo-labels (t,m) -> the gradient of the temporal loss with
# respect to these similarities


def labelled(rng):
    return [
        (2 * normal(rng, t, a, m), torch.from_numpy(rng.integers(0, a, (t, m))))
        for t, a, m in ((3, 5, 8), (4, 9, 6), (2, 4, 7))
    ]


def gradient(says: Tensor, label: Tensor) -> Tensor:
    pull = says.softmax(1) - one_hot(says, label)
    pull[0] = 0
    return pull / label[1:].numel()


def one_hot(says: Tensor, label: Tensor) -> Tensor:
    return F.one_hot(label, says.shape[1]).movedim(-1, 1).to(says)  # (t,a,m)


def first_frame_too(says: Tensor, label: Tensor) -> Tensor:
    return (says.softmax(1) - one_hot(says, label)) / label.numel()


EXERCISES = {
    "anchors": Exercise(
        right=anchors,
        parts=[Part("three grids", 2, grids)],
        wrong={
            "anchors are cells, not pixels: do not multiply by the 8 pixels of a cell": lambda h, w, *rest: (
                8 * (anchors(h, w, *rest) // w * 8 * w + anchors(h, w, *rest) % w)
            ),
            "cells are numbered row by row: the number is row * w + column": anchors_by_columns,
            "a whole step, side // g, leaves a strip without anchors: keep the fraction until the end": lambda *a: anchors(
                *a, step=lambda side, g: side // g
            ),
            "the offset is missing: the anchors would be the same cells in every step of training": lambda h, w, g, *_: anchors(
                h, w, g, 0.0, 0.0
            ),
            "one offset serves both directions: `down` moves the rows, `right` the columns": lambda h, w, g, down, right: (
                anchors(h, w, g, down, down)
            ),
            "the offset counts in steps, not in cells": lambda h, w, g, down, right: anchors(
                h, w, g, down * g / h, right * g / w
            ),
            "wanted one row of anchors per row of the grid: this one is transposed": lambda *a: anchors(*a).T,
        },
    ),
    "where": Exercise(
        right=where,
        parts=[
            Part("view 2 inside view 1", 2, views(0.5, 0.7)),
            Part("view 2 larger than view 1", 1, views(1.2, 1.5)),
        ],
        wrong={
            "theta leads from view 2 to view 1: this is the way back": way_back,
            "the first row of theta gives x, which is the column": lambda theta, h, w: where(theta[[1, 0]][:, [1, 0, 2]], h, w),
            "this takes the upper left corner of each cell: take its centre": lambda *a: where_by_hand(*a, corner=0.0),
            "-1 and 1 are the outer edges of the frame, not the centres of its first and last cell (align_corners=False)": (
                ends_on_edges
            ),
            "the flip is lost: theta[0, 0] may be negative": lambda theta, h, w: where(
                torch.cat([theta[:, :2].abs(), theta[:, 2:]], 1), h, w
            ),
            "the crop lies in the middle here: the last column of theta shifts it": lambda theta, h, w: where(
                torch.cat([theta[:, :2], 0 * theta[:, 2:]], 1), h, w
            ),
            "cells are numbered row by row: the number is row * w + column": lambda *a: where_by_hand(*a, by_columns=True),
            "a place outside view 1 has no cell: -1 there": kept_at_edge,
        },
    ),
    "cross": Exercise(
        right=cross,
        parts=[Part("places in two views", 3, places)],
        wrong={
            "divide by the square root of the number of channels, not of places": lambda a, b: cross(
                a, b, lambda a, b: distances(a, b) * math.sqrt(a.shape[1] / len(a))
            ),
            "the number of channels stands there without its square root": lambda a, b: cross(
                a, b, lambda a, b: distances(a, b) / math.sqrt(a.shape[1])
            ),
            "the square root of the number of channels is missing": lambda a, b: cross(
                a, b, lambda a, b: distances(a, b) * math.sqrt(a.shape[1])
            ),
            "the softmax runs over view 1: each place of view 1 looks for itself in view 2": lambda a, b: cross(b, a),
            "this is the dot product: long keys win": lambda a, b: cross(a, b, lambda a, b: a @ b.T / math.sqrt(a.shape[1])),
            "the distance is not squared": lambda a, b: cross(a, b, lambda a, b: -torch.cdist(a, b) / math.sqrt(a.shape[1])),
            "the sign is wrong: near keys must get the large similarity": lambda a, b: cross(
                a, b, lambda a, b: -distances(a, b)
            ),
            "the true place is one further: place i of view 1 is place i of view 2": lambda a, b: cross(a, b, shift=1),
            "the true place is missing from the sum below the fraction line": without_itself,
            "this is the sum over the places: take the mean": lambda a, b: cross(a, b, reduction="sum"),
            "this is the mean probability: take minus its logarithm, before the mean": lambda a, b: (
                distances(a, b).softmax(1).diag().mean()
            ),
            "the logarithm comes after the mean: take it before": lambda a, b: -distances(a, b).softmax(1).diag().mean().log(),
        },
    ),
    "temporal": Exercise(
        right=temporal,
        parts=[Part("one clip of a batch of four", 4, clips())],
        wrong={
            "a pseudo-label must be one of the clip's own anchors": lambda says, seen, first, count: nll(says, seen.argmax(1)),
            "the label counts from the clip's own first anchor, the softmax from the batch's: add `first`": (
                lambda says, seen, first, count: nll(says, best(seen, first, count) - first)
            ),
            "the softmax runs over all anchors of the batch, not only over the clip's own": among_own,
            "the softmax runs over anchors, not over cells": over_cells,
            "view 1 got labels from itself: they come from view 2": lambda says, seen, first, count: temporal(
                says, says, first, count
            ),
            "the labels are those of the frame before": lambda says, seen, first, count: nll(
                says, best(seen, first, count).roll(1, 0)
            ),
            "the labels of frame 0 serve all frames: each frame has its own": lambda says, seen, first, count: nll(
                says, best(seen, first, count)[:1].expand(len(says), -1)
            ),
            "frame 0 is counted: the anchors lie in it": lambda says, seen, first, count: nll(
                says, best(seen, first, count), slice(0, None)
            ),
            "these are the least similar anchors": lambda says, seen, first, count: temporal(says, -seen, first, count),
            "a pseudo-label is the one best anchor, not a share of each": soft,
            "this is the sum over the cells: take the mean": lambda says, seen, first, count: (
                temporal(says, seen, first, count) * seen[1:, 0].numel()
            ),
        },
    ),
    "gradient": Exercise(
        right=gradient,
        parts=[Part("three clips", 3, labelled)],
        tolerance=1e-5,
        wrong={
            "the sign is wrong: a step goes against the gradient, so the label's own entry is negative": lambda s, label: (
                -gradient(s, label)
            ),
            "the loss is a mean: divide by the number of cells in the frames after the first": lambda s, label: (
                gradient(s, label) * label[1:].numel()
            ),
            "frame 0 does not count in the loss: its gradient is 0": first_frame_too,
            "frame 0 does not count in the mean either: divide by the cells of the other frames": lambda s, label: (
                gradient(s, label) * label[1:].numel() / label.numel()
            ),
            "the anchors that were not named get a gradient as well: they are in the softmax": lambda s, label: (
                gradient(s, label) * one_hot(s, label)
            ),
            "this pulls as hard where the cell is already sure: the probability is missing": lambda s, label: (
                -one_hot(s, label).index_fill(0, torch.tensor(0), 0) / label[1:].numel()
            ),
            "the label is missing: minus 1 at its entry": lambda s, label: (
                s.softmax(1).index_fill(0, torch.tensor(0), 0) / label[1:].numel()
            ),
            "the softmax runs over anchors, not over cells": lambda s, label: (
                (s.softmax(2) - one_hot(s, label)).index_fill(0, torch.tensor(0), 0) / label[1:].numel()
            ),
        },
    ),
}
