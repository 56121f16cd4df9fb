"""Photos: exact truth through affine maps and thin plates, pairs found, seeds kept."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader

from vos_lab.datasets.photos import Photos
from vos_lab.errors import InputError
from vos_lab.masks import write_mask

SIZE = (96, 128)


def smooth_picture():
    """Colours that can be interpolated: waves of 30 pixels and more."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return torch.from_numpy(np.stack([0.5 + 0.3 * np.sin(x / 5 + p) * np.cos(y / 6 - p) for p in (0, 1, 2)])).float()


def reproduced(clip, a, b, shift=0.0):
    """The share of visible pixels of frame a whose colour frame b shows, within 2/255, where the truth says."""
    xy, visible = clip.truth.correspond(a, b)
    grid = torch.from_numpy((xy + shift + 0.5) * 2 / SIZE[::-1] - 1)[None].float()
    picture = torch.from_numpy(clip.frames[b]).permute(2, 0, 1)[None].float()
    colours = F.grid_sample(picture, grid, mode="bicubic", padding_mode="border", align_corners=False)[0]
    return (np.abs(colours.permute(1, 2, 0).numpy() - clip.frames[a]).max(-1)[visible] <= 2).mean()


@pytest.mark.parametrize("thin_plate_p", [0.0, 1.0])
def test_truth_is_exact(thin_plate_p):
    photos = Photos(size=SIZE, thin_plate_p=thin_plate_p, colour=0.0, bend=0.04)
    for seed in range(2):
        clip = photos.animate(smooth_picture(), np.zeros(SIZE, np.uint8), np.random.default_rng(seed))
        for a, b in ((0, 1), (2, 1)):
            assert reproduced(clip, a, b) >= 0.99
            xy, visible = clip.truth.correspond(a, b)
            y, x = np.nonzero(visible)
            assert visible.mean() > 0.3
            assert np.abs(clip.truth.follow(xy[visible], b, a)[0] - np.stack([x, y], 1)).max() < 0.01
        assert reproduced(clip, 0, 1, shift=(1, 0)) < 0.9


def test_clips_come_through_the_workers_of_a_loader():
    photos = Photos(size=(48, 64), count=2)
    loaded = list(DataLoader(photos, batch_size=None, num_workers=1))
    assert np.array_equal(loaded[1].frames, photos[1].frames)
    assert np.array_equal(loaded[1].truth.correspond(0, 1)[0], photos[1].truth.correspond(0, 1)[0])


def test_the_mask_moves_with_the_photograph():
    mask = np.zeros(SIZE, np.uint8)
    mask[30:60, 40:90] = 3
    clip = Photos(size=SIZE, thin_plate_p=1.0).animate(smooth_picture(), mask, np.random.default_rng(0))
    assert np.array_equal(clip.masks[0], mask) and not np.array_equal(clip.masks[1], mask)
    xy, visible = clip.truth.correspond(0, 1)
    x, y = xy[visible].round().astype(int).clip(0, [SIZE[1] - 1, SIZE[0] - 1]).T
    assert (clip.masks[1][y, x] == mask[visible]).mean() > 0.98


def test_no_thin_plate_and_no_colour_change_leave_an_affine_map():
    photos = Photos(size=SIZE, thin_plate_p=0.0, colour=0.0)
    clip = photos.animate(smooth_picture(), np.zeros(SIZE, np.uint8), np.random.default_rng(1))
    xy = clip.truth.correspond(0, 1)[0]
    assert np.abs(np.diff(xy, n=2, axis=0)).max() < 1e-9 and np.abs(np.diff(xy, n=2, axis=1)).max() < 1e-9
    turn = np.stack([xy[0, 1] - xy[0, 0], xy[1, 0] - xy[0, 0]], 1)
    assert 0.9**2 <= np.linalg.det(turn) <= 1.1**2


def test_photographs_that_ship_make_clips_and_a_seed_makes_them_again():
    photos, again, other = Photos(size=SIZE, count=4), Photos(size=SIZE, count=4), Photos(size=SIZE, count=4, seed=1)
    assert len(photos) == 4 and len(list(photos)) == 4
    clip = photos[2]
    assert clip.frames.shape == (3, *SIZE, 3) and clip.object_ids.size >= 1 and clip.truth is not None
    assert np.array_equal(clip.frames, again[2].frames) and not np.array_equal(clip.frames, other[2].frames)
    moved = photos.clip(2, draw=1)
    assert np.array_equal(clip.frames[0], moved.frames[0]) and not np.array_equal(clip.frames[1], moved.frames[1])


def test_a_folder_of_photographs_and_masks(tmp_path):
    (tmp_path / "sub").mkdir()
    Image.fromarray(np.full((60, 90, 3), 90, np.uint8)).save(tmp_path / "sub" / "a.jpg")
    grey = np.zeros((60, 90), np.uint8)
    grey[20:40, 20:70] = 255
    Image.fromarray(grey).save(tmp_path / "sub" / "a.png")
    clip = Photos(tmp_path, size=SIZE)[0]
    assert clip.name == "a" and clip.object_ids.tolist() == [1] and clip.size == SIZE
    elsewhere = tmp_path / "masks"
    write_mask(elsewhere / "a.png", np.where(grey > 0, 2, 0).astype(np.uint8))
    assert Photos(tmp_path / "sub", masks=elsewhere, size=SIZE).pairs[0][1] == elsewhere / "a.png"


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        Photos(tmp_path / "absent")
    with pytest.raises(InputError, match="no photographs"):
        Photos(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="a.png does not exist"):
        Photos(tmp_path)
    write_mask(tmp_path / "a.png", np.zeros((9, 8), np.uint8))
    with pytest.raises(InputError, match="same size"):
        Photos(tmp_path)[0]
