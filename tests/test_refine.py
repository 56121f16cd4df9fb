"""Refinement moves edges to edges, keeps ids and void, and leaves alone what is right."""

import sys
from functools import partial

import numpy as np
import pytest

from vos_lab import InputError
from vos_lab.refine import dense_crf, guided_filter

BOTH = pytest.mark.parametrize("refine", [guided_filter, dense_crf])
IDS = (0, 3, 200)


def scene(shift=0):
    """Three coloured stripes of 20 pixels in two frames, and masks whose edges lie `shift` pixels too far right."""
    colours = np.array([(30, 60, 200), (230, 160, 40), (60, 190, 90)], dtype=np.uint8)
    stripe = np.repeat([0, 1, 2], 20)
    frames = np.broadcast_to(colours[stripe], (2, 32, 60, 3)).copy()
    masks = np.broadcast_to(np.array(IDS, np.uint8)[np.repeat([0, 1, 2], (20 + shift, 20, 20 - shift))], (2, 32, 60)).copy()
    return frames, masks


def planes(masks):
    return np.stack([masks == i for i in IDS], axis=1).astype(np.float32)  # (T,classes,H,W)


@BOTH
def test_a_mask_that_fits_the_edges_stays_as_it_is(refine):
    frames, masks = scene()
    assert (refine(frames, masks) == masks).all()


@pytest.mark.parametrize("refine, sigma", [(partial(guided_filter, radius=4, eps=1e-2), 8), (dense_crf, 0)])
def test_edges_two_pixels_off_move_nearer_to_the_frames_edges(refine, sigma):
    frames, true = scene()
    _, masks = scene(shift=2)
    noise = np.random.default_rng(0).normal(0, sigma, frames.shape)
    noisy = np.clip(frames + noise, 0, 255).astype(np.uint8)
    assert (refine(noisy, masks) != true).sum() < 0.75 * (masks != true).sum()


@BOTH
def test_where_the_frame_is_flat_straight_edges_stay(refine):
    _, masks = scene()
    flat = np.full((2, 32, 60, 3), 128, np.uint8)
    assert (refine(flat, masks) != masks).mean() < 0.02


@BOTH
def test_ids_stay_ids_and_void_stays_void(refine):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 32, 60, 3), dtype=np.uint8)
    masks = rng.choice(np.array([*IDS, 255], np.uint8), (2, 32, 60))
    masks[1] = 255
    before = masks.copy()
    found = refine(frames, masks)
    assert found.dtype == np.uint8 and set(np.unique(found)) <= {*IDS, 255}
    assert ((found == 255) == (masks == 255)).all()
    assert (masks == before).all()


@BOTH
def test_a_name_is_only_a_name(refine):
    frames, masks = scene(shift=2)
    renamed = np.where(masks == 3, 7, masks).astype(np.uint8)
    assert (refine(frames, renamed) == np.where(refine(frames, masks) == 3, 7, refine(frames, masks))).all()


@BOTH
def test_probabilities_stay_probabilities_and_agree_with_ids(refine):
    frames, masks = scene(shift=2)
    found = refine(frames, planes(masks))
    assert found.shape == (2, 3, 32, 60) and (found > 0).all()
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert (np.array(IDS)[found.argmax(1)] == refine(frames, masks)).all()


def test_a_thin_leg_in_the_colour_of_its_background_is_eaten():
    flat = np.full((1, 40, 60, 3), 128, np.uint8)
    masks = np.zeros((1, 40, 60), np.uint8)
    masks[0, 5:20, 10:50], masks[0, 20:38, 30:32] = 1, 1  # a body and a leg of two pixels
    found = guided_filter(flat, masks)
    assert found[0, 26:34, 30:32].sum() == 0 and (found[0, 8:17, 13:47] == 1).all()


@BOTH
def test_errors_are_sentences(refine):
    frames, masks = scene()
    with pytest.raises(InputError, match="give a mask of the same size for each frame"):
        refine(frames, masks[:, :-1])
    with pytest.raises(InputError, match="give a mask of the same size for each frame"):
        refine(frames, planes(masks)[:1])


def test_options_out_of_range_are_named():
    frames, masks = scene()
    for options in ({"radius": 0}, {"eps": 0}):
        with pytest.raises(InputError, match="give a radius of 1 pixel or more and an eps above 0"):
            guided_filter(frames, masks, **options)
    for options in ({"near": 0}, {"alike": 0}, {"weight": -1}, {"rounds": 0}, {"certainty": 1.0}):
        with pytest.raises(InputError, match="certainty between 0.5 and 1"):
            dense_crf(frames, masks, **options)


def test_without_opencv_contrib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="pip install --force-reinstall opencv-contrib-python-headless"):
        guided_filter(*scene())
