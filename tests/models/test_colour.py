import numpy as np
import pytest
import torch

import vos_lab as vl
from vos_lab.models.colour import Colour, around9, cielab, distances


def test_cielab_is_that_of_scikit_image():
    from skimage.color import rgb2lab

    rgb = np.random.default_rng(0).random((9, 11, 3)).astype(np.float32)
    ours = cielab(torch.from_numpy(rgb).permute(2, 0, 1)[None])[0].permute(1, 2, 0) * 100
    assert np.abs(ours.numpy() - rgb2lab(rgb)).max() < 0.05


def test_a_value_is_the_share_of_the_cell_that_the_mask_covers():
    model, image, masks = Colour(), torch.zeros(1, 3, 16, 24), torch.zeros(1, 1, 16, 24)
    masks[..., :8, :4] = 1
    value = model.encode_value(image, model.encode_key(image), masks)
    assert value.shape == (1, 1, 1, 2, 3) and value.flatten().tolist() == [0.5, 0, 0, 0, 0, 0]


def test_the_edge_of_a_mask_follows_the_edge_of_a_colour():
    """Red up to column 13, which lies in the middle of a cell: the coarse readout is blurred there, the mask is not."""
    frame = np.zeros((16, 24, 3), np.uint8)
    frame[:, :13] = (220, 30, 30)
    model, mask = Colour(), torch.zeros(1, 1, 16, 24)
    mask[..., :13] = 1
    image = vl.clip.normalise(frame)[None]
    features = model.encode_key(image)
    drawn = model.decode(model.encode_value(image, features, mask), features)
    assert ((drawn > 0.5) == (mask > 0.5)).all()


def test_a_uniform_readout_draws_a_uniform_mask():
    model, image = Colour(), torch.randn(1, 3, 32, 40)
    drawn = model.decode(torch.full((1, 2, 1, 4, 5), 0.3), model.encode_key(image))
    assert drawn.shape == (1, 2, 32, 40) and torch.allclose(drawn, torch.tensor(0.3))


def test_around9_and_distances_agree_on_the_order_of_the_neighbours():
    """A value that grows by 1 per cell to the right and 10 downward, at the place of the nearest cell centre."""
    cells = torch.arange(3.0)[:, None] * 10 + torch.arange(3.0)  # (3,3)
    neighbours = around9(cells[None, None])[0, 0, :, 1, 1]  # those of the middle cell
    nearest = distances(8).argmin(0).view(8, 8)
    assert neighbours.tolist() == cells.flatten().tolist() and (nearest == 4).all()
    assert distances(8)[:, 0].argsort()[:3].tolist() in ([4, 1, 3], [4, 3, 1])  # top left pixel: cells above and to the left


def test_keys_know_colour_edges_and_place():
    """Three cells: two of one colour, side by side, and one with a vertical edge."""
    frame = np.full((8, 24, 3), 100, np.uint8)
    frame[:, 20:] = 255
    key = Colour(sharp=1.0).encode_key(vl.clip.normalise(frame)[None]).key[0, :, 0]  # (12,3)
    assert torch.allclose(key[:3, 0], key[:3, 1]) and not torch.allclose(key[:3, 1], key[:3, 2], atol=0.05)
    assert key[6:10, 0].eq(0).all() and key[6, 2] > 0.05 and key[8, 2] < 1e-6  # horizontal change, no vertical one
    assert (key[10].diff() > 0).all() and key[11].eq(0).all()


def test_it_needs_no_weights():
    with pytest.raises(vl.InputError, match="has no weights"):
        vl.load_model("colour", weights="colour.pth")


@pytest.mark.long
def test_it_beats_copying_the_first_mask_on_at_least_20_of_the_31_real_clips(davis_240p):
    davis = vl.datasets.DAVIS(davis_240p, resolution="240p")
    better = 0
    for clip in davis:
        tracked = vl.evaluate(vl.Tracker(vl.load_model("colour")).run(clip).masks, clip.masks)
        better += tracked.JF > vl.evaluate(np.repeat(clip.masks[:1], len(clip), 0), clip.masks).JF
    assert len(davis) == 31 and better >= 20


def test_on_two_real_clips_it_beats_copying_the_first_mask(davis_240p):
    for name in ("bus", "dance-jump"):
        clip = vl.Clip.load(davis_240p / "JPEGImages" / "240p" / name)[:20]
        tracked = vl.evaluate(vl.Tracker(vl.load_model("colour")).run(clip).masks, clip.masks)
        copied = vl.evaluate(np.repeat(clip.masks[:1], len(clip), 0), clip.masks)
        assert tracked.JF > copied.JF
