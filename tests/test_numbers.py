"""The same numbers, however they are computed: threads, batches, padding, order of objects."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vos_lab import Tracker, World, flush_denormals, load_model

NAMES = ["stcn-tiny", "xmem-small"]


@pytest.fixture(scope="module")
def clip():
    return World(seed=5).clip(length=4, size=(64, 96), objects=3)


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return load_model(request.param)


def one_hot(masks):
    return torch.stack([torch.from_numpy(masks == k).float() for k in np.unique(masks) if k])


def probabilities(tracker, images, first):
    """(t,classes,H,W) of all frames but the first."""
    tracker.start(images[0], one_hot(first))
    return torch.stack([tracker.step(image) for image in images[1:]])


def test_one_thread_and_two_give_the_same(model, clip):
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(probabilities(Tracker(model), clip.images(), clip.masks[0]))
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(*found, atol=1e-5)


def test_frames_encoded_together_are_those_encoded_one_by_one(model, clip):
    images = clip.images()
    with torch.no_grad():
        together = model.encode_key(images)
        alone = [model.encode_key(image[None]) for image in images]
    for i, field in enumerate(together._fields):
        assert torch.allclose(together[i], torch.cat([features[i] for features in alone]), atol=1e-4), field


def test_a_frame_padded_by_hand_gives_the_same_masks_inside(model):
    clip = World(seed=5).clip(length=4, size=(50, 90), objects=2)  # the tracker pads it to whole cells
    track = Tracker(model).run(clip, record=True)
    above, left = track.padding
    h, w = next(iter(track.keys.values())).shape[2:]
    below, right = h * track.stride - 50 - above, w * track.stride - 90 - left
    assert (above, left) != (0, 0)
    sides = (left, right, above, below)
    images, first = F.pad(clip.images(), sides), F.pad(torch.from_numpy(clip.masks[0]), sides).numpy()
    inside = probabilities(Tracker(model), clip.images(), clip.masks[0])
    padded = probabilities(Tracker(model), images, first)[:, :, above : above + 50, left : left + 90]
    assert torch.allclose(inside, padded, atol=1e-4)


def test_objects_in_another_order_come_out_in_that_order(model, clip):
    order = [2, 0, 1]
    masks = one_hot(clip.masks[0])
    found = []
    for given in (masks, masks[order]):
        tracker = Tracker(model)
        tracker.start(clip.images(0, 1)[0], given)
        found.append(torch.stack([tracker.step(image) for image in clip.images(1)]))
    assert torch.allclose(found[0][:, [0, *(1 + k for k in order)]], found[1], atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_numbers_too_small_to_matter_count_as_0_while_asked():
    small = torch.full((8,), 1e-30)
    flush_denormals()
    flushed = small * 1e-10
    np.finfo(np.float64)  # matplotlib asks for it, and NumPy before 2.4 would warn
    flush_denormals(False)
    assert (flushed == 0).all() and (small * 1e-10 != 0).all()
