import numpy as np
import pytest
import torch

import vos_lab as vl


def test_soft_aggregation_is_that_of_the_public_implementation(reference):
    arrays = np.load(reference / "segmentation_loss.npz")
    logits = vl.soft_aggregate(torch.from_numpy(arrays["prob"]), dim=1)
    assert (logits - torch.from_numpy(arrays["aggregated_logits"])).abs().max() < 1e-6


def test_objects_share_each_pixel_with_the_background():
    prob = torch.rand(3, 5, 7)
    settled = vl.soft_aggregate(prob).softmax(0)
    assert settled.shape == (4, 5, 7) and torch.allclose(settled.sum(0), torch.ones(5, 7))
    assert (settled[1:].argmax(0) == prob.argmax(0)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_certainty_stays_finite(dtype):
    logits = vl.soft_aggregate(torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=dtype))
    assert logits.isfinite().all() and logits.softmax(0).argmax(0).tolist() == [0, 1]
