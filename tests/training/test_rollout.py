"""The training forward pass: it is what the tracker does, and it learns from its own predictions."""

import pytest
import torch
from rollouts import config, samples

from vos_lab import Tracker
from vos_lab.memory import EveryNth
from vos_lab.models.presets import build
from vos_lab.training.rollout import Rollout


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(1)
    model = build("stcn-tiny").eval()
    model.precision = "fp32"  # the tracker may use bfloat16
    return model


def captured(rollout, *batch):
    """The logits (b,t-1,k+1,H,W) that the losses are computed from."""
    seen = {}
    losses = rollout.losses
    rollout.losses = lambda logits, *rest: seen.update(logits=logits) or losses(logits, *rest)
    rollout(*batch)
    return seen["logits"]


def test_the_rollout_is_the_tracker_with_every_frame_remembered(tiny):
    frames, masks, objects = samples(b=1)
    with torch.no_grad():
        logits = captured(Rollout(tiny, config()), frames, masks, objects)[0]
    tracker = Tracker(tiny, EveryNth(1), top_k=None)
    tracker.start(frames[0, 0], torch.stack([masks[0, 0] == k for k in (1, 2)]).float())
    for t in range(1, 4):
        assert torch.allclose(logits[t - 1].softmax(0), tracker.step(frames[0, t]), atol=1e-5)


def test_later_masks_are_not_looked_at_but_for_the_loss(tiny):
    frames, masks, objects = samples()
    other = masks.clone()
    other[:, 1:] = 0
    rollout = Rollout(tiny, config())
    with torch.no_grad():
        assert torch.equal(captured(rollout, frames, masks, objects), captured(rollout, frames, other, objects))


def test_a_sample_is_alone_in_its_batch_and_an_absent_object_leaves_no_trace(tiny):
    frames, masks, _ = samples(b=3)
    objects = torch.tensor([2, 1, 2])
    masks[1][masks[1] == 2] = 0
    with torch.no_grad():
        rollout = Rollout(tiny, config(dice=1.0, affinity=1.0))
        together = rollout(frames, masks, objects)
        apart = [rollout(frames[i : i + 1], masks[i : i + 1], objects[i : i + 1]) for i in range(3)]
        logits = captured(rollout, frames, masks, objects)[1]
        assert torch.allclose(logits[:, :2], captured(rollout, frames[1:2], masks[1:2], objects[1:2])[0], atol=1e-4)
    assert logits[:, 2].max() < -15  # the second slot of a sample with one object
    for name in ("total", "cross_entropy", "dice", "affinity"):
        mean = torch.stack([getattr(losses, name) for losses in apart]).mean()
        assert torch.allclose(getattr(together, name), mean, atol=1e-4), name


def test_the_total_is_the_weighted_sum_and_reaches_every_weight(tiny):
    frames, masks, objects = samples()
    losses = Rollout(tiny, config(dice=0.5, affinity=0.25))(frames, masks, objects)
    assert torch.allclose(losses.total, losses.cross_entropy + 0.5 * losses.dice + 0.25 * losses.affinity)
    assert min(losses.dice, losses.affinity) > 0
    tiny.zero_grad()
    losses.total.backward()
    without = [name for name, p in tiny.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without
    tiny.zero_grad(set_to_none=True)


def test_the_loss_on_a_late_frame_reaches_the_mask_predicted_before_it(tiny):
    """Frame 2 reads the predicted mask of frame 1, and the gradient flows through that mask."""
    frames, masks, objects = samples(b=1, t=3)
    rollout = Rollout(tiny, config())
    seen = []
    encode = tiny.encode_value

    def watching(image, features, prob):
        prob = prob.requires_grad_() if not prob.requires_grad else prob
        prob.retain_grad() if not prob.is_leaf else None
        seen.append(prob)
        return encode(image, features, prob)

    tiny.encode_value = watching
    try:
        logits = captured(rollout, frames, masks, objects)
        logits[0, 1].sum().backward()  # frame 2 alone
    finally:
        del tiny.encode_value
    assert seen[1].grad.abs().sum() > 0 and not torch.equal(seen[1], seen[0])
    tiny.zero_grad(set_to_none=True)


@pytest.fixture(scope="module")
def xmem():
    torch.manual_seed(1)
    model = build("xmem-small").eval()
    model.precision = "fp32"
    return model


def test_xmems_rollout_is_its_tracker(xmem):
    """Every frame remembered, and every frame's value updates the sensory memory on top of the normal update. The tracker
    leaves the normal update out on remembered frames: with deep updates off after the first, both see the same at frame 2."""
    frames, masks, objects = samples(b=1, t=3)
    with torch.no_grad():
        logits = captured(Rollout(xmem, config(deep_updates=0.0)), frames, masks, objects)[0]
    tracker = Tracker(xmem, EveryNth(5), top_k=None)  # frame 1 is not remembered
    tracker.start(frames[0, 0], torch.stack([masks[0, 0] == k for k in (1, 2)]).float())
    assert torch.allclose(logits[0].softmax(0), tracker.step(frames[0, 1]), atol=1e-5)
    with torch.no_grad():
        rollout = Rollout(xmem, config(deep_updates=0.0))
        rollout.references = lambda i: [0]
        logits = captured(rollout, frames, masks, objects)[0]
    assert torch.allclose(logits[1].softmax(0), tracker.step(frames[0, 2]), atol=1e-5)


def test_references_are_drawn_and_sensory_memory_is_trained(xmem):
    frames, masks, objects = samples(b=1, t=6)
    rollout = Rollout(xmem, config(references=3, affinity=0.1, dice=1.0))
    torch.manual_seed(0)
    drawn = [rollout.references(5) for _ in range(50)]
    assert {len(refs) for refs in drawn} == {3} and {i for refs in drawn for i in refs} == {0, 1, 2, 3, 4}
    assert rollout.references(2) == [0, 1] and Rollout(xmem, config()).references(5) == [0, 1, 2, 3, 4]
    rollout(frames, masks, objects).total.backward()
    without = [name for name, p in xmem.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without
    xmem.zero_grad(set_to_none=True)
