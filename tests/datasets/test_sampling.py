"""Training samples: what is drawn, that frames and masks stay together, and that the arguments decide everything."""

import numpy as np
import pytest
import torch
from fake_trees import davis_2017, ids, write_masks
from torchvision import tv_tensors

from vos_lab import Clip, InputError
from vos_lab.clip import IMAGENET_MEAN, IMAGENET_STD
from vos_lab.datasets import DAVIS, Snippets
from vos_lab.datasets.sampling import Augmentation, choose_objects, spaced_frames


def painted_clip(length=12, objects=3, size=(60, 80)):
    """Object k is painted in a colour of its own on black: a frame's pixels say what its mask must be."""
    masks = np.zeros((length, *size), dtype=np.uint8)
    for k in range(1, objects + 1):
        masks[:, 15 * k - 8 : 15 * k + 4, 10:70] = k
    colours = np.array([[0, 0, 0], [250, 30, 30], [30, 250, 30], [30, 30, 250]], dtype=np.uint8)
    return Clip(colours[masks], masks, name="painted")


COUNTS = [(3, 3, 5), (4, 3, 1), (7, 3, 25), (40, 3, 5), (30, 8, 4), (8, 8, 4), (9, 2, 5)]


@pytest.mark.parametrize(("count", "frames", "jump"), COUNTS)
def test_frames_are_distinct_within_the_jump_and_reach_everywhere(count, frames, jump):
    torch.manual_seed(0)
    drawn = [spaced_frames(count, frames, jump) for _ in range(900)]
    gaps = np.diff(drawn, axis=1)
    longest = min(jump, (count - 1) // (frames - 1))
    assert np.shape(drawn) == (900, frames) and set(np.abs(gaps).ravel()) == set(range(1, longest + 1))
    assert (np.sign(gaps) == np.sign(gaps[:, :1])).all()  # in one direction of time
    assert 0.4 < (gaps[:, 0] < 0).mean() < 0.6  # reversed half of the time
    assert set(np.ravel(drawn)) == set(range(count))


def test_at_most_two_objects_of_the_first_frame_are_kept():
    masks = torch.zeros(3, 4, 6, dtype=torch.uint8)
    masks[0, 0], masks[:, 1], masks[:, 2], masks[1:, 3] = 9, 4, 255, 7  # 7 appears later, 255 is void
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        kept, objects = choose_objects(masks)
        assert objects == 2 and set(kept.unique().tolist()) == {0, 1, 2}
        assert not kept[:, 2:].any()
        seen.add(int(kept[0, 1, 0]))
    assert seen == {1, 2}  # which object comes first is drawn
    assert choose_objects(masks[1:2].expand(3, -1, -1))[1] == 2
    assert choose_objects(torch.full((3, 2, 2), 255, dtype=torch.uint8))[1] == 0


def test_which_two_of_three_objects_is_drawn():
    masks = torch.tensor([[1, 2, 3]]).expand(3, 1, 3).to(torch.uint8)
    drawn = set()
    for seed in range(40):
        torch.manual_seed(seed)
        drawn.add(tuple(choose_objects(masks)[0][0, 0].tolist()))
    assert drawn == {(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)}


def test_a_sample_is_normalised_and_its_masks_fit_its_pixels():
    snippets = Snippets([painted_clip()], size=64)
    agree = total = 0
    for seed in range(20):
        sample = snippets.draw(0, 5, seed)
        assert sample.frames.shape == (3, 3, 64, 64) and sample.frames.dtype == torch.float32
        assert sample.masks.shape == (3, 64, 64) and sample.masks.dtype == torch.int64 and sample.name == "painted"
        assert set(sample.masks[0].unique().tolist()) - {0} == set(range(1, sample.objects + 1))
        pixels = sample.frames * torch.tensor(IMAGENET_STD)[:, None, None] + torch.tensor(IMAGENET_MEAN)[:, None, None]
        assert pixels.min() > -0.01 and pixels.max() < 1.01
        if (pixels.amax(1) - pixels.amin(1)).max() < 0.4:
            continue  # turned grey
        colour = pixels.argmax(1)  # (3,64,64): which of red, green, blue the pixel is, where it is an object at all
        for k in range(1, sample.objects + 1):
            found = colour[sample.masks == k]
            agree, total = agree + (found == found.mode().values).sum().item(), total + len(found)
    assert total > 20_000 and agree / total > 0.97  # edges are blended in frames and nearest in masks


def test_one_draw_for_the_clip_and_one_for_each_frame():
    clip = painted_clip()
    frames, masks = torch.from_numpy(clip.frames[:3]).movedim(-1, 1), torch.from_numpy(clip.masks[:3])
    augment = Augmentation(64)
    torch.manual_seed(1)
    same, same_masks = augment.clip_wise(tv_tensors.Image(frames), tv_tensors.Mask(masks))
    assert (same[0] == same[1]).all() and (same_masks[0] == same_masks[2]).all()
    frames, masks = augment(frames, masks)
    assert (frames[0] != frames[1]).any() and (masks[0] != masks[1]).any()


def test_the_arguments_decide_and_the_callers_generator_is_untouched():
    snippets = Snippets([painted_clip()], size=32)
    torch.manual_seed(9)
    state = torch.get_rng_state()
    first = snippets.draw(0, 5, [4, 1])
    assert (torch.get_rng_state() == state).all()
    torch.manual_seed(5)
    again = snippets.draw(0, 5, [4, 1])
    assert (again.frames == first.frames).all() and (again.masks == first.masks).all()
    assert (snippets.draw(0, 5, [4, 2]).frames != first.frames).any()  # the same clip, another sample


def test_frames_and_objects_are_as_many_as_asked_for():
    sample = Snippets([painted_clip()], size=32, frames=6, objects=1).draw(0, 2, 0)
    assert sample.frames.shape == (6, 3, 32, 32) and sample.objects == 1 and set(sample.masks.unique().tolist()) == {0, 1}


def test_only_three_frames_of_a_clip_on_disk_are_read(tmp_path, monkeypatch):
    from vos_lab.datasets import folders

    snippets = Snippets(DAVIS(davis_2017(tmp_path, length=12)), size=16)
    opened = []
    read_frame, read_mask = folders.read_frame, folders.read_mask
    monkeypatch.setattr(folders, "read_frame", lambda path, side: opened.append(path.stem) or read_frame(path, side))
    monkeypatch.setattr(folders, "read_mask", lambda path: opened.append(path.stem) or read_mask(path))
    sample = snippets.draw(0, 5, 0)
    assert sample.objects and len(opened) % 6 == 0 and len(opened) <= 6 * 5  # 3 frames and 3 masks for each try
    assert opened[::2] == opened[1::2]  # the mask of the very frame


def test_sources_on_disk_in_memory_and_by_path_read_the_same(tmp_path):
    davis = DAVIS(davis_2017(tmp_path))
    paths = [tmp_path / "JPEGImages" / "480p" / name for name in davis.names]
    samples = [Snippets(source, size=16).draw(1, 5, 0) for source in (davis, list(davis), paths, list(map(str, paths)))]
    for sample in samples[1:]:
        assert (sample.frames == samples[0].frames).all() and (sample.masks == samples[0].masks).all()
        assert sample.name == "pigs" and sample.objects == 2


@pytest.mark.parametrize("year", [2016, 2017])
def test_reading_one_frame_is_reading_it_with_the_clip(tmp_path, year):
    davis_2017(tmp_path)
    write_masks(tmp_path / "grey", {t: 255 * ids(t) for t in range(6)}, grey=True)  # as DAVIS 2016 stores them
    (tmp_path / "Annotations" / "480p" / "bear").rename(tmp_path / "old")
    (tmp_path / "grey").rename(tmp_path / "Annotations" / "480p" / "bear")
    davis = DAVIS(tmp_path, year=year)
    for name in davis.names:
        folder, clip = davis.folder(name), davis[name]
        read = [folder.read(*pair) for pair in folder.pairs()]
        assert (np.stack([frame for frame, _ in read]) == clip.frames).all()
        assert (np.stack([mask for _, mask in read]) == clip.masks).all()


def drawn_frames(snippets, jump, samples):
    """Which frames of a clip, whose frame t is painted with value t, each sample holds: (samples, 3)."""
    snippets.augment = lambda frames, masks: (frames.float(), masks)
    return np.array([[int(x) for x in snippets.draw(0, jump, seed).frames[:, 0, 0, 0]] for seed in range(samples)])


def numbered_clip(length):
    clip = painted_clip(length=length, size=(4, 4))
    clip.frames[:] = np.arange(length, dtype=np.uint8)[:, None, None, None]
    clip.masks[:] = 1
    return clip


def test_unannotated_frames_are_never_drawn():
    clip = numbered_clip(12)
    clip.masks[[0, 2, 3, 5, 8, 9, 11]] = 255
    assert set(drawn_frames(Snippets([clip]), 5, 40).ravel()) == {1, 4, 6, 7, 10}


@pytest.mark.parametrize(("frame_step", "jump", "expected"), [(1, 5, 5), (1, 25, 25), (5, 25, 5), (5, 3, 1)])
def test_the_jump_shrinks_with_the_step(frame_step, jump, expected):
    drawn = drawn_frames(Snippets([numbered_clip(60)], frame_step=frame_step), jump, 200)
    assert np.abs(np.diff(drawn, axis=1)).max() == expected


def test_frames_are_drawn_again_until_an_object_shows_and_five_times_at_most():
    clip = painted_clip(length=30, objects=1)
    clip.masks[3:27] = 0
    snippets = Snippets([clip], size=16)
    found = np.mean([snippets.draw(0, 10, seed).objects for seed in range(40)])
    assert 0.4 < found < 1  # a single try finds the object in a fifth of the samples
    clip.masks[:] = 0
    sample = snippets.draw(0, 10, 0)
    assert sample.objects == 0 and not sample.masks.any() and sample.frames.isfinite().all()


def test_too_short_clips_are_left_out_or_named(tmp_path):
    davis_2017(tmp_path)
    for path in sorted((tmp_path / "Annotations" / "480p" / "bear").iterdir())[2:]:
        path.unlink()
    snippets = Snippets(DAVIS(tmp_path), size=8)
    assert len(snippets) == 1 and snippets.draw(0, 5, 0).name == "pigs"
    with pytest.raises(InputError, match="no clip with 3 annotated frames"):
        Snippets([tmp_path / "JPEGImages" / "480p" / "bear"])
    with pytest.raises(InputError, match="'painted' has 2 annotated frames"):
        Snippets([painted_clip(length=2)]).draw(0, 5, 0)
