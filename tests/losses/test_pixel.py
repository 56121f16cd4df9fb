"""Pixel-level correspondence: exact to the released code, and what it must do on views whose relation is known."""

import numpy as np
import pytest
import torch

from vos_lab import InputError
from vos_lab.losses import pixel_correspondence
from vos_lab.losses.pixel import draw_anchors

SAME = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
MIRRORED = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])


@pytest.fixture
def arrays(reference):
    return {name: torch.from_numpy(np.asarray(x)) for name, x in np.load(reference / "pixel_correspondence.npz").items()}


def distinct(b=2, t=3, c=32, h=8, w=8):
    """Keys (b,t,c,h,w) of frames that do not move and whose cells are all different."""
    torch.manual_seed(0)
    return (5 * torch.randn(b, 1, c, h, w)).expand(b, t, c, h, w).clone()


def test_it_is_what_the_released_code_gives(arrays):
    keys, theta = (arrays["key_view1"], arrays["key_view2"]), arrays["theta_view2_to_view1"]
    anchors = {"anchors": arrays["anchor_index_temporal"], "cross_anchors": arrays["anchor_index_cross"]}
    found = pixel_correspondence(*keys, theta, **anchors)
    assert found.temporal.item() == pytest.approx(arrays["temporal_loss"].item(), abs=1e-6)
    assert found.cross_view.item() == pytest.approx(arrays["cross_view_loss"].item(), abs=1e-6)
    assert torch.equal(found.pseudo_label, arrays["pseudo_label"])
    assert torch.allclose(found.error_map, arrays["error_map"], rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("theta", [SAME, MIRRORED])
def test_views_that_agree_cost_little_and_a_wrong_map_costs_much(theta):
    view1 = distinct()
    view2 = view1.flip(-1) if theta is MIRRORED else view1
    right = pixel_correspondence(view1, view2, theta.expand(2, 2, 3))
    wrong = pixel_correspondence(view1, view2.flip(-2), theta.expand(2, 2, 3))
    assert right.cross_view < 0.01 < 1 < wrong.cross_view
    assert right.temporal < wrong.temporal


def test_an_anchors_own_cell_is_labelled_with_it():
    keys, anchors = distinct(), draw_anchors(2, 8, 8, 4, torch.device("cpu"))
    labels = pixel_correspondence(keys, keys, SAME.expand(2, 2, 3), anchors=anchors).pseudo_label
    for clip in range(2):
        own = labels[clip, 0].flatten()[anchors[clip].flatten()]
        assert own.tolist() == list(range(16 * clip, 16 * clip + 16))


def test_pseudo_labels_carry_no_gradient_and_view_1_does():
    view1, view2 = (torch.randn(2, 3, 4, 8, 8).requires_grad_() for _ in range(2))
    pixel_correspondence(view1, view2, MIRRORED.expand(2, 2, 3)).temporal.backward()
    assert view2.grad is None and view1.grad.abs().sum() > 0
    pixel_correspondence(view1, view2, MIRRORED.expand(2, 2, 3)).cross_view.backward()
    assert view2.grad[:, 0].abs().sum() > 0 and not view2.grad[:, 1:].any()  # frame 0 alone


def test_gradients_are_right():
    torch.manual_seed(1)
    keys = [torch.randn(2, 2, 3, 4, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    theta = torch.tensor([[[0.7, 0, 0.1], [0, 0.7, 0]], [[-0.9, 0, 0], [0, 0.9, 0.1]]], dtype=torch.float64)
    anchors = [draw_anchors(2, 4, 4, 2, torch.device("cpu")) for _ in range(2)]
    total = lambda a, b: sum(pixel_correspondence(a, b, theta, anchors=anchors[0], cross_anchors=anchors[1])[:2])
    assert torch.autograd.gradcheck(total, keys)


@pytest.mark.parametrize("keys", [torch.zeros(1, 1, 4, 8, 8), torch.ones(2, 3, 4, 8, 8)])
def test_one_frame_and_constant_keys_stay_finite(keys):
    keys.requires_grad_()
    found = pixel_correspondence(keys, keys.detach(), SAME.expand(len(keys), 2, 3))
    (found.temporal + found.cross_view).backward()
    assert found.temporal.isfinite() and found.cross_view.isfinite() and keys.grad.isfinite().all()
    assert found.temporal == 0 or len(keys) == 2


@pytest.mark.parametrize(("h", "w", "grid"), [(8, 8, 8), (12, 9, 4), (7, 5, 3), (30, 54, 8)])
def test_anchors_are_distinct_spread_over_the_frame_and_shifted(h, w, grid):
    torch.manual_seed(0)
    anchors = draw_anchors(50, h, w, grid, torch.device("cpu"))
    assert anchors.min() >= 0 and anchors.max() < h * w
    assert all(len(set(clip.flatten().tolist())) == grid * grid for clip in anchors)
    rows = anchors // w
    assert (rows[:, -1] - rows[:, 0]).min() >= (grid - 1) * (h // grid) and len(set(rows[:, 0, 0].tolist())) == -(-h // grid)


def test_a_grid_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="a grid of 8x8 anchors does not fit into 4x6 cells: choose 1 to 4"):
        draw_anchors(1, 4, 6, 8, torch.device("cpu"))
