import math

import pytest
import torch

from vos_lab.losses import affinity_supervision


@pytest.fixture
def labels():
    """Memory cells of background, objects 1 and 2, and one mixed; query cells of each, one mixed, one of an unknown object."""
    return torch.tensor([[0, 0, 1, 1, 2, -1]]), torch.tensor([[0, 1, 2, -1, 9]])


def test_it_is_minus_log_of_the_mass_on_the_own_label(labels):
    weights = torch.zeros(1, 6, 5)
    weights[0, :, 0] = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0, 0.0])  # background: 0.8 right
    weights[0, :, 1] = torch.tensor([0.2, 0.0, 0.0, 0.2, 0.0, 0.6])  # object 1: 0.2 right of 0.4 that counts
    weights[0, :, 2] = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 0.0])  # object 2: all right
    weights[0, 0, 3:] = 1.0  # not counted
    expected = -(math.log(0.8) + math.log(0.5) + math.log(1.0)) / 3
    assert affinity_supervision(weights, *labels).item() == pytest.approx(expected, abs=1e-6)


def test_nothing_to_count_gives_0_with_a_gradient(labels):
    weights = torch.rand(1, 6, 5, requires_grad=True)
    loss = affinity_supervision(weights, labels[0], torch.full((1, 5), -1))
    loss.backward()
    assert loss == 0 and weights.grad.eq(0).all()


def test_no_mass_on_the_own_label_is_finite(labels):
    weights = torch.zeros(1, 6, 5, requires_grad=True)
    loss = affinity_supervision(weights, *labels)
    loss.backward()
    assert loss.isfinite() and weights.grad.isfinite().all()


def test_gradient(labels):
    torch.manual_seed(0)
    similarity = torch.randn(1, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: affinity_supervision(s.softmax(1), *labels), similarity)


def test_better_matches_cost_less(labels):
    """Descending the loss moves mass to the right cells."""
    torch.manual_seed(0)
    similarity = torch.randn(1, 6, 5, requires_grad=True)
    before = affinity_supervision(similarity.softmax(1), *labels)
    before.backward()
    after = affinity_supervision((similarity - similarity.grad).softmax(1), *labels)
    assert after < before


def test_the_mean_is_over_the_cells_that_count():
    """One query cell of three: the others are mixed, or of an object that memory does not hold."""
    weights = torch.tensor([0.25, 0.75])[None, :, None].expand(1, 2, 3)
    loss = affinity_supervision(weights, torch.tensor([[1, 0]]), torch.tensor([[1, -1, 2]]))
    assert loss.item() == pytest.approx(-math.log(0.25), rel=1e-5)
