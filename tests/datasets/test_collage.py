"""Collages: seeds, masks, motion that grows with hardness, folders of photographs, and what is refused."""

import pickle

import numpy as np
import pytest
from PIL import Image

from vos_lab.datasets.collage import Collage
from vos_lab.errors import InputError
from vos_lab.metrics import region_similarity

SMALL = dict(length=5, size=(64, 96))


def same(one, other):
    return np.array_equal(one.frames, other.frames) and np.array_equal(one.masks, other.masks)


def copied_first_mask(hardness, count=8):
    """Mean J of saying that nothing moves."""
    scores = []
    for clip in map(Collage(**SMALL, hardness=hardness).__getitem__, range(count)):
        for k in clip.object_ids:
            found = clip.masks == k
            scores.append(region_similarity(found[1:], np.repeat(found[:1], len(clip) - 1, axis=0)).mean())
    return np.mean(scores)


def test_the_same_index_gives_the_same_bytes_and_nothing_else_does():
    clip = Collage(**SMALL)[3]
    assert clip.name == "collage-3" and clip.frames.shape == (5, 64, 96, 3) and len(Collage(count=7)) == 7
    assert same(clip, Collage(**SMALL)[3]) and same(clip, pickle.loads(pickle.dumps(Collage(**SMALL)))[3])
    for other in (Collage(**SMALL)[4], Collage(**SMALL, seed=1)[3], Collage(**SMALL, hardness=0.6)[3]):
        assert not same(clip, other)


@pytest.mark.parametrize("hardness", [0, 1])
def test_every_object_is_seen_in_the_first_frame(hardness):
    numbers = set()
    for clip in map(Collage(**SMALL, hardness=hardness).__getitem__, range(12)):
        k = clip.masks.max()
        numbers.add(k)
        assert set(np.unique(clip.masks)) - {0} <= set(range(1, k + 1))
        assert all((clip.masks[0] == i).mean() >= 0.005 for i in range(1, k + 1))
        assert clip.masks[0].max() == k
    assert numbers == {1, 2, 3}


def test_objects_move_and_the_harder_the_more():
    easy, hard = copied_first_mask(0), copied_first_mask(1)
    assert 0.5 < easy < 0.9 and hard < easy - 0.2, (easy, hard)


def test_colours_belong_to_the_masks(tmp_path):
    """Red and blue photographs: wherever an object is, the frame shows the colour of the photograph that it is cut from."""
    for name, colour in (("one/red.png", (220, 40, 40)), ("two/deep/blue.webp", (40, 60, 220))):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.new("RGB", (300, 200), colour).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photograph")
    agreement = []
    for clip in map(Collage(tmp_path, **SMALL, hardness=0).__getitem__, range(16)):
        red, inside = clip.frames[..., 0] > clip.frames[..., 2], clip.masks > 0
        ground = red[~inside].mean()
        if not 0.05 < ground < 0.95:  # no second photograph behind it, no large distractor
            agreement.append((red[inside] != (ground > 0.5)).mean())
    assert len(agreement) >= 5 and np.median(agreement) > 0.97  # a few are in camouflage


def test_a_clip_of_one_frame_and_an_upright_one():
    clip = Collage(length=1, size=(120, 64))[0]
    assert clip.frames.shape == (1, 120, 64, 3) and clip.object_ids.size


def test_what_is_refused(tmp_path):
    with pytest.raises(InputError, match="hardness=1.5 is out of range"):
        Collage(hardness=1.5)
    with pytest.raises(InputError, match="nowhere is not a folder"):
        Collage(tmp_path / "nowhere")
    Image.new("RGB", (50, 50)).save(tmp_path / "single.jpg")
    with pytest.raises(InputError, match="holds 1 photographs"):
        Collage(tmp_path)
    (tmp_path / "broken.jpg").write_text("not a photograph")
    with pytest.raises(InputError, match="broken.jpg cannot be read"):
        Collage(tmp_path)[0]
    for index in (-1, 5):
        with pytest.raises(IndexError, match="outside 0..4"):
            Collage(count=5)[index]
