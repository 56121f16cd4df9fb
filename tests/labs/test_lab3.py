"""Lab 3: answers that are right and look quite different from ours; answers that were copied from the notebooks."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from vos_lab.labs import check
from vos_lab.labs.exercises import lab3
from vos_lab.losses.pixel import to_view2


def describe(keys, first, anchors):
    rows = first.flatten(1)[:, anchors]  # (c,a)
    return -(rows[None, :, :, None] - keys.flatten(2)[:, :, None]).pow(2).sum(1) / keys.shape[1] ** 0.5


def pseudo_labels(seen):
    shifted = np.exp(seen.numpy() - seen.numpy().max(1, keepdims=True))
    return seen.numpy().argmax(1).tolist(), (1 / shifted.sum(1)).tolist()


def temporal_loss(says, label, weight):
    total = 0.0
    for t in range(1, len(says)):
        for m in range(says.shape[2]):
            total = total + weight[t, m] * (says[t, :, m].logsumexp(0) - says[t, label[t, m], m])
    return total / weight[1:].sum()


def temporal(key1, key2, theta, anchors):
    weight, label = describe(key2, key1[0], anchors).detach().softmax(1).max(1)
    says = describe(key1, key1[0], anchors).reshape(len(key1), -1, *key1.shape[2:])
    return temporal_loss(to_view2(says, theta.repeat(len(key1), 1, 1)).flatten(2), label, weight)


def embed(keys, maps):
    embedding, number = [], []
    for b, t, k in np.ndindex(*maps.shape[:3]):
        if maps[b, t, k].any():
            mean = (keys[b, t] * maps[b, t, k]).mean((1, 2))
            embedding.append(mean / mean.norm())
            number.append(100 * b + 7 * k if k else -1)
    return torch.stack(embedding), number


def object_loss(embedding, number, temperature):
    alike, losses = (embedding @ embedding.T / temperature).exp(), []
    for i, j in np.ndindex(*alike.shape):
        if i != j and number[i] == number[j] >= 0:
            losses.append(-(alike[i, j] / (alike[i, j] + alike[i, number != number[i]].sum())).log())
    return float(sum(losses) / len(losses))


def train_twins(start, losses, sample, steps, seed):
    """Both side by side, a seed for each step."""
    models = [copy.deepcopy(start) for _ in losses]
    optimizers = [lab3.optimizer_of(model) for model in models]
    for step in range(steps):
        torch.manual_seed(1000 * seed + step)
        batch = sample()
        for model, loss, optimizer in zip(models, losses, optimizers):
            loss(model, batch).backward()
            optimizer.step()
            optimizer.zero_grad()
    return tuple(models)


def difference(without, with_it):
    ends = stats.ttest_rel(with_it, without, nan_policy="omit").confidence_interval()
    return [float(np.nanmean(with_it - without)), ends.low, ends.high]


ANSWERS = {
    "describe": describe,
    "pseudo_labels": pseudo_labels,
    "temporal_loss": temporal_loss,
    "temporal": lab3.with_gradients(temporal),
    "embed": embed,
    "object_loss": object_loss,
    "train_twins": lab3.rehearsed(train_twins),
    "difference": difference,
}


def test_keys_may_be_brought_to_view_2_before_they_are_described():
    def keys_first(key1, key2, theta, anchors):
        weight, label = describe(key2, key1[0], anchors).detach().softmax(1).max(1)
        moved = to_view2(key1, theta.repeat(len(key1), 1, 1))
        return temporal_loss(describe(moved, key1[0], anchors), label, weight)

    assert check("lab3.temporal", lab3.with_gradients(keys_first)).passed


@pytest.mark.parametrize("name", lab3.EXERCISES)
def test_other_forms_are_right(name):
    result = check(f"lab3.{name}", ANSWERS[name], seed=5)
    assert result.passed, result


def info_nce_of_notebook_09(embedding, number, temperature):
    alike = embedding @ embedding.T / temperature
    same = number[:, None] == number
    others = alike.masked_fill(same, -torch.inf).logsumexp(1, keepdim=True)
    return (torch.logaddexp(alike, others) - alike)[same & ~torch.eye(len(number), dtype=torch.bool)].mean()


def test_lines_of_the_notebooks_are_not_enough():
    points = lambda name, answer: check(f"lab3.{name}", answer).points
    assert points("object_loss", info_nce_of_notebook_09) == 3
    assert points("pseudo_labels", lambda seen: seen.argmax(1)) == 0
    assert points("temporal_loss", lambda says, label, weight: F.cross_entropy(says[1:], label[1:])) == 0
    assert points("embed", lambda keys, maps: F.normalize(torch.einsum("btchw,btkhw->btkc", keys, maps), dim=3)) == 0


def test_what_students_do_with_twins():
    said = lambda answer: check("lab3.train_twins", lab3.rehearsed(answer)).messages[0][1]
    assert "asked more often or less" in said(lambda start, *rest: [start, start])
    assert said(lambda *arguments: None).startswith("raised TypeError")


def test_twins_are_judged_side_by_side():
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda seed: check("lab3.train_twins", ANSWERS["train_twins"], seed), range(8)))
    assert all(result.passed for result in results), results
