import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vos_lab import InputError
from vos_lab.losses import bootstrapped_cross_entropy, dice


def test_bootstrapped_cross_entropy_is_that_of_the_public_code(reference):
    arrays = np.load(reference / "segmentation_loss.npz")
    logits, target = torch.from_numpy(arrays["logits"]), torch.from_numpy(arrays["target"])
    for iteration, loss, top_p in zip(arrays["iteration"].tolist(), arrays["loss"], arrays["top_p"]):
        ours, fraction = bootstrapped_cross_entropy(logits, target, iteration)
        assert ours.item() == pytest.approx(loss, abs=1e-6) and fraction == pytest.approx(top_p, abs=1e-9)


def test_it_is_plain_at_first_and_only_sees_the_hardest_pixels_later():
    torch.manual_seed(0)
    logits, target = torch.randn(1, 3, 8, 8), torch.randint(3, (1, 8, 8))
    assert bootstrapped_cross_entropy(logits, target, 0)[0] == pytest.approx(F.cross_entropy(logits, target).item(), abs=1e-6)
    logits.requires_grad_()
    bootstrapped_cross_entropy(logits, target, 100_000)[0].backward()
    assert (logits.grad.abs().sum(1) > 0).sum() == int(64 * 0.15)


def test_bootstrapping_a_single_pixel_is_finite():
    loss, _ = bootstrapped_cross_entropy(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1, dtype=torch.int64), 100_000)
    assert loss.item() == pytest.approx(np.log(2), abs=1e-6)


def test_dice_is_0_for_equal_masks_and_near_1_for_disjoint_ones():
    a, b = torch.zeros(2, 16, 16), torch.zeros(2, 16, 16)
    a[:, :8], b[:, 8:] = 1, 1
    assert dice(a, a) == 0 and dice(a, b) > 0.99 and dice(a * 0, a * 0) == 0


def test_gradients():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randint(3, (2, 4, 5))
    for iteration in (0, 45_000, 100_000):
        assert torch.autograd.gradcheck(lambda x, i=iteration: bootstrapped_cross_entropy(x, target, i)[0], logits)
    assert torch.autograd.gradcheck(lambda x: dice(x.sigmoid()[:, 0], (target == 0).double()), logits)


def test_the_schedule_may_be_a_step_and_must_not_run_backwards():
    logits, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)
    assert [bootstrapped_cross_entropy(logits, target, i, 5, 5, 0.5)[1] for i in (4, 5)] == [1, 0.5]
    assert bootstrapped_cross_entropy(logits, target, 0, 0, 0)[1] == 0.15
    for wrong in ({"start": 70, "end": 20}, {"top_p": 2.0}, {"top_p": 0.0}):
        with pytest.raises(InputError, match="wanted start not after end, and top_p above 0"):
            bootstrapped_cross_entropy(logits, target, 0, **wrong)
