"""False matches: by hand on a few cells, and what must hold for any affinity."""

import pytest
import torch

from vos_lab import InputError
from vos_lab.matches import cell_labels, false_matches

MEMORY = torch.tensor([[0, 0, 1, 2, -1]])


def by_hand(column, query_label):
    """The kinds of a query cell with this affinity and label."""
    found = false_matches(torch.tensor(column)[None, :, None], MEMORY, torch.tensor([[query_label]]))
    return [round(float(kind), 6) for kind in found]


def test_each_kind_by_hand():
    column = [0.1, 0.2, 0.3, 0.25, 0.15]
    assert by_hand(column, 0) == [0.55, 0.55, 0, 0]  # total, background as foreground, foreground as background, wrong instance
    assert by_hand(column, 1) == [0.55, 0, 0.3, 0.25]
    assert by_hand(column, 2) == [0.6, 0, 0.3, 0.3]
    assert by_hand(column, 7) == [0.85, 0, 0.3, 0.55]  # an object that memory does not hold


def test_mixed_query_cells_are_nan_and_mixed_memory_cells_of_no_kind():
    assert all(torch.isnan(torch.tensor(by_hand([0.1, 0.2, 0.3, 0.25, 0.15], -1))))
    assert by_hand([0.0, 0.0, 0.0, 0.0, 1.0], 1) == [0, 0, 0, 0]


def test_right_and_wrong_mass_are_all_there_is_and_cells_may_be_permuted():
    torch.manual_seed(0)
    affinity = torch.rand(2, 40, 30).softmax(1)
    memory, query = torch.randint(0, 4, (2, 40)), torch.randint(0, 4, (2, 30))
    found = false_matches(affinity, memory, query)
    right = (affinity * (memory[:, :, None] == query[:, None])).sum(1)
    assert torch.allclose(found.total + right, torch.ones(2, 30), atol=1e-5)
    assert torch.allclose(found.total, sum(found[1:]), atol=1e-6) and min(kind.min() for kind in found) >= 0
    order, turn = torch.randperm(40), torch.randperm(30)
    other = false_matches(affinity[:, order][:, :, turn], memory[:, order], query[:, turn])
    for kind, again in zip(found, other):
        assert torch.allclose(kind[:, turn], again, atol=1e-5)


def test_cells_take_the_majority_and_are_mixed_below_the_purity():
    masks = torch.zeros(1, 8, 16, dtype=torch.uint8)
    masks[0, :, :8] = 3
    masks[0, :2, :8] = 0  # the left cell: 75 % of 3
    assert cell_labels(masks, 8).tolist() == [[3, 0]]
    masks[0, 2, 0] = 0
    assert cell_labels(masks, 8).tolist() == [[-1, 0]]
    masks[0, :, 8:] = 255
    assert cell_labels(masks, 8).tolist() == [[-1, -1]]
    assert cell_labels(torch.zeros(2, 3, 16, 24, dtype=torch.int64), 8).shape == (2, 3, 6)
    with pytest.raises(InputError, match="do not divide into cells of 8: pad them first"):
        cell_labels(torch.zeros(1, 8, 12, dtype=torch.uint8), 8)
