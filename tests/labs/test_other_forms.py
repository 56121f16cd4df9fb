"""Right answers to labs 2 and 4 that look nothing like ours: loops, NumPy, lists, other orders."""

import math

import numpy as np
import pytest

from vos_lab.labs import check


def label_cells(mask, side):
    labels = []
    for row in range(0, len(mask), side):
        for column in range(0, len(mask[0]), side):
            ids, counts = np.unique(mask[row : row + side, column : column + side].numpy(), return_counts=True)
            pure = counts.max() / side**2 >= 0.75 and ids[counts.argmax()] != 255
            labels.append(int(ids[counts.argmax()]) if pure else -1)
    return labels


def by_kind(affinity, memory_labels, query_labels):
    rows = [[], [], []]
    for j, asks in enumerate(query_labels.tolist()):
        sums = [0.0, 0.0, 0.0] if asks >= 0 else [math.nan] * 3
        for i, says in enumerate(memory_labels.tolist()):
            if asks == 0 and says > 0:
                sums[0] += affinity[i, j].item()
            elif asks > 0 and says == 0:
                sums[1] += affinity[i, j].item()
            elif asks > 0 and says > 0 and says != asks:
                sums[2] += affinity[i, j].item()
        for row, x in zip(rows, sums):
            row.append(x)
    return rows


def rates(false, labels):
    false, labels = false.double().numpy(), labels.numpy()
    sides = [labels == 0, labels > 0, labels > 0]
    return [false[:, i][side].mean() if side.any() else float("nan") for i, side in enumerate(sides)]


def blame(affinity, memory_true, memory_drawn, query_true, query_drawn):
    verdicts = []
    for j, true in enumerate(query_true.tolist()):
        weight = lambda labels, j=j, true=true: affinity[labels == true, j].sum().item()
        if true < 0:
            verdicts.append(-1.0)
        elif query_drawn[j] == true:
            verdicts.append(0.0)
        else:
            verdicts.append(1.0 if weight(memory_true) < 0.5 else 2.0 if weight(memory_drawn) < 0.5 else 3.0)
    return np.array(verdicts)


def queue(frames, size, every):
    if len(frames) > 1 and frames[-1] % every:
        frames = frames[:-1]
    return tuple(reversed(frames[max(0, len(frames) - size) :]))


def usage(affinities):
    totals = {}
    for affinity in affinities:
        for i, row in enumerate(affinity.tolist()):
            given, reads = totals.get(i, (0.0, 0))
            totals[i] = given + sum(row), reads + 1
    return [given / reads for given, reads in totals.values()]


def most_used(usage, count):
    return sorted(range(len(usage)), key=lambda i: -usage[i])[:count]


def prototypes(key, value, chosen):
    found = np.zeros((len(value), value.shape[1], len(chosen)))
    for p, cell in enumerate(chosen.tolist()):
        distance = ((key - key[:, cell : cell + 1]) ** 2).sum(0).numpy()
        weights = np.exp(-distance / math.sqrt(len(key)))
        found[:, :, p] = (value.numpy() * weights / weights.sum()).sum(2)
    return found.tolist()


@pytest.mark.parametrize("answer", [label_cells, by_kind, rates, blame], ids=lambda answer: answer.__name__)
def test_of_lab_2(answer):
    assert check(f"lab2.{answer.__name__}", answer, seed=4).passed


@pytest.mark.parametrize("answer", [queue, usage, most_used, prototypes], ids=lambda answer: answer.__name__)
def test_of_lab_4(answer):
    assert check(f"lab4.{answer.__name__}", answer, seed=4).passed
