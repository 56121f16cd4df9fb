"""The world: exact truth above all, then seeds, knobs and what a clip must hold."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vos_lab.datasets.truth import Pose
from vos_lab.datasets.world import World
from vos_lab.errors import InputError
from vos_lab.metrics import region_similarity

SMALL = (120, 216)
PLAIN = dict(lighting=0, blur=0, noise=0)
GEOMETRY = ("speed", "rotation", "scaling", "deformation", "camera", "occlusion", "leaving", "late")
HARDEST = {name: World.knobs()[name]["high"] for name in (*GEOMETRY, "distractors", "clutter")}


def inner(layers, margin=2):
    """Pixels whose whole neighbourhood shows one surface."""
    same = torch.from_numpy(layers).float().view(1, -1, *layers.shape[-2:])
    same = F.pad(same, (margin,) * 4, mode="replicate")
    return (F.max_pool2d(same, 2 * margin + 1, 1) == -F.max_pool2d(-same, 2 * margin + 1, 1)).view(layers.shape).numpy()


def fetched(image, xy, mode):
    """Values (c,H,W) of a picture (c,h,w) at pixel positions (H,W,2)."""
    height, width = image.shape[1:]
    grid = torch.from_numpy((xy + 0.5) * 2 / [width, height] - 1)[None].float()
    return F.grid_sample(image[None].float(), grid, mode=mode, padding_mode="border", align_corners=False)[0]


def reproduced(clip, a, b, shift=0.0, mode="bicubic"):
    """The share of visible interior pixels of frame a whose colour frame b shows, within 2/255, where the truth says."""
    xy, visible = clip.truth.correspond(a, b)
    xy = xy + shift
    colours = fetched(torch.from_numpy(clip.frames[b]).permute(2, 0, 1), xy, mode)
    inner_b = fetched(torch.from_numpy(inner(clip.truth.layers[b]))[None], xy, "bilinear")[0].numpy() > 0.999
    chosen = visible & inner(clip.truth.layers[a]) & inner_b
    assert chosen.mean() > 0.1
    error = np.abs(colours.permute(1, 2, 0).numpy() - clip.frames[a]).max(-1)
    return (error[chosen] <= 2).mean()


def return_error(clip, a, b, shift=0.0):
    """How far, at most, a visible pixel of frame a lands from itself when it is followed to frame b and back."""
    xy, visible = clip.truth.correspond(a, b)
    y, x = np.nonzero(visible)
    back, _ = clip.truth.follow(xy[visible] + shift, b, a)
    return np.abs(back - np.stack([x, y], 1)).max()


ALONE = [{name: HARDEST[name]} for name in GEOMETRY]


@pytest.mark.parametrize("knobs", [{}, HARDEST, *ALONE], ids=["default", "hardest", *GEOMETRY])
def test_truth_is_exact(knobs):
    for seed in (0, 1) if len(knobs) != 1 else (3,):
        clip = World(seed, **PLAIN, **knobs).clip(frames=[0, 14], size=SMALL)
        assert reproduced(clip, 0, 1) >= 0.99
        assert return_error(clip, 0, 1) < 1e-6 and return_error(clip, 1, 0) < 1e-6


def test_truth_is_exact_at_the_size_of_lessons():
    clip = World(2, **PLAIN, **HARDEST).clip(frames=[3, 17])
    assert reproduced(clip, 0, 1) >= 0.99 and return_error(clip, 0, 1) < 1e-6
    assert reproduced(clip, 0, 1, mode="bilinear") >= 0.99  # smooth enough for the plainest interpolation


def test_a_truth_wrong_by_a_pixel_fails():
    for knobs in ({}, HARDEST):
        clip = World(0, **PLAIN, **knobs).clip(frames=[0, 14], size=SMALL)
        assert reproduced(clip, 0, 1, shift=(1, 0)) < 0.9
        assert return_error(clip, 0, 1, shift=(1, 0)) > 0.05


def test_visible_points_land_on_their_own_surface():
    truth = World(5, **PLAIN).clip(frames=[0, 12], size=SMALL).truth
    xy, visible = truth.correspond(0, 1)
    x, y = xy[visible].round().astype(int).T
    inside = (x >= 0) & (x < SMALL[1]) & (y >= 0) & (y < SMALL[0])
    agree = truth.layers[1][y[inside], x[inside]] == truth.layers[0][visible][inside]
    assert agree.mean() > 0.99  # the rest lies within half a pixel of an outline
    layers, counts = np.unique(truth.layers[0][~visible], return_counts=True)
    assert counts.sum() > 100 and len(layers) > 1  # some of the background and of a thing is hidden or gone


def test_a_hidden_point_is_not_visible_but_has_a_place():
    clip = World(3, **PLAIN, occlusion=1.0, distractors=0).clip(size=SMALL)
    truth = clip.truth
    hidden = [(truth.extent(1, t) & (clip.masks[t] != 1)).sum() for t in range(24)]
    worst = int(np.argmax(hidden))
    assert hidden[worst] > 0.3 * truth.extent(1, worst).sum() and hidden[0] < 0.1 * truth.extent(1, 0).sum()
    xy, visible = truth.correspond(0, worst)
    of_object = clip.masks[0] == 1
    assert np.isfinite(xy).all() and visible[of_object].mean() < 0.8
    assert ((clip.masks == 1) <= np.stack([truth.extent(1, t) for t in range(24)])).mean() > 0.9999


def test_flow_is_correspondence_minus_place_and_single_points_agree():
    truth = World(0, **PLAIN).clip(frames=[0, 5], size=SMALL).truth
    xy, visible = truth.correspond(0, 1)
    flow = truth.flow(0, 1)
    assert flow.shape == (*SMALL, 2) and np.allclose(flow[30, 50], xy[30, 50] - (50, 30))
    assert np.abs(truth.flow(0, 0)).max() < 1e-9
    at, seen = truth.follow(np.array([[50.0, 30.0], [100.0, 90.0]]), 0, 1)
    assert np.allclose(at, [xy[30, 50], xy[90, 100]]) and (seen == [visible[30, 50], visible[90, 100]]).all()


def test_truth_follows_the_slices_of_its_clip():
    clip = World(0, **PLAIN).clip(length=12, size=SMALL)
    whole, part = clip.truth, clip[5::3].truth
    assert (part.times == [5, 8, 11]).all() and len(part) == 3
    assert np.array_equal(part.correspond(0, 2)[0], whole.correspond(5, 11)[0])
    assert np.array_equal(part.layers, whole.layers[5::3])
    with pytest.raises(InputError, match="frame 3 is outside"):
        part.correspond(0, 3)


def test_a_clip_survives_pickling_with_its_truth():
    clip = World(6).clip(frames=[0, 9], size=SMALL, objects=2)
    again = pickle.loads(pickle.dumps(clip))
    assert np.array_equal(again.frames, clip.frames)
    assert all(np.array_equal(x, y) for x, y in zip(again.truth.correspond(0, 1), clip.truth.correspond(0, 1)))


def test_a_pose_is_undone_exactly():
    after = torch.tensor([[[30.0, -5.0, 100.0], [8.0, 25.0, 60.0]]], dtype=torch.float64)
    before = torch.tensor([[[0.8, -0.6, 0.2], [0.6, 0.8, -0.1]]], dtype=torch.float64)
    pose = Pose(after, before, [(0, 0.4, 3.0, torch.tensor([0.3])), (1, 0.3, 2.0, torch.tensor([1.0]))])
    points = torch.rand(1, 100, 2, dtype=torch.float64) * 2 - 1
    assert (pose.to_surface(pose.to_frame(points)) - points).abs().max() < 1e-12
    bent = Pose(after, None, [(0, 0.4, 3.0, torch.zeros(1))]).to_frame(points)
    x, y = (points[0, 0, 0] + 0.4 * torch.sin(3 * points[0, 0, 1])), points[0, 0, 1]
    assert torch.allclose(bent[0, 0], torch.stack([30 * x - 5 * y + 100, 8 * x + 25 * y + 60]))


def test_same_seed_same_bytes():
    first, again, other = (World(seed).clip(length=4, size=SMALL) for seed in (7, 7, 8))
    assert np.array_equal(first.frames, again.frames) and np.array_equal(first.masks, again.masks)
    assert not np.array_equal(first.frames, other.frames)


def test_frames_asked_for_alone_are_those_of_the_whole_take():
    whole, some = World(1).clip(length=9, size=SMALL), World(1).clip(length=9, size=SMALL, frames=[8, 3])
    assert np.array_equal(some.frames, whole.frames[[8, 3]]) and np.array_equal(some.masks, whole.masks[[8, 3]])
    assert some.frame_names == ["00008", "00003"]


@pytest.mark.parametrize("name", ["similarity", "clutter", "lighting", "blur", "noise"])
def test_knobs_of_looks_leave_the_geometry_alone(name):
    low, high = (World(4, **{name: World.knobs()[name][end]}).clip(frames=[6], size=SMALL) for end in ("low", "high"))
    assert np.array_equal(low.masks, high.masks)
    assert np.abs(low.frames.astype(int) - high.frames).mean() > 0.3


@pytest.mark.parametrize("name", [*GEOMETRY, "distractors"])
def test_knobs_of_geometry_leave_the_background_alone(name):
    ends = [World(4, **PLAIN, **{name: World.knobs()[name][end]}) for end in ("low", "high")]
    low, high = (world.clip(frames=[11], size=SMALL, objects=2) for world in ends)
    assert not np.array_equal(low.truth.layers, high.truth.layers) or name == "camera"
    same = (low.truth.layers == 0) & (high.truth.layers == 0) & inner(low.truth.layers) & inner(high.truth.layers)
    difference = np.abs(low.frames.astype(int) - high.frames)[same]
    assert (difference.max() <= 1) == (name != "camera")


def test_every_object_can_be_seen_at_the_start_and_none_is_tiny_or_huge():
    for seed in range(8):
        clip = World(seed, **PLAIN).clip(frames=[0], size=SMALL)
        assert clip.object_ids.tolist() == [1, 2, 3]
        for k in (1, 2, 3):
            assert 0.01 < (clip.masks == k).mean() < 0.2
            assert (clip.masks == k).sum() > 0.5 * clip.truth.extent(k, 0).sum()


def test_copying_the_first_mask_is_no_way_to_win():
    scores = []
    for seed in range(5):
        masks = World(seed, **PLAIN).clip(size=SMALL).masks
        scores += [region_similarity(masks[1:-1] == k, np.stack([masks[0] == k] * 22)).mean() for k in (1, 2, 3)]
    assert np.mean(scores) < 0.5


def test_late_objects_come_and_leaving_ones_return():
    late = World(0, **PLAIN, late=1.0).clip(size=SMALL).masks
    assert np.unique(late[0]).tolist() == [0, 1] and np.unique(late[-1]).tolist() == [0, 1, 2, 3]
    for seed in (0, 1):
        leaving = World(seed, **PLAIN, leaving=1.0, occlusion=0, distractors=0).clip(size=SMALL).masks
        shown = (leaving == np.array([1, 2, 3])[:, None, None, None]).any((2, 3))  # (3, 24)
        assert shown[:, 0].all() and shown[:, -1].all() and (~shown).any(1).all()


def test_distractors_are_surfaces_but_no_objects():
    clip = World(0, **PLAIN, distractors=2, occlusion=0.5).clip(frames=[0], size=SMALL, objects=2)
    objects = {name: i for name, i in zip(clip.truth.names, clip.truth.ids) if i}
    assert objects == {"object 1": 1, "object 2": 2}
    assert {"background", "distractor 1", "distractor 2", "passer-by 1", "passer-by 2"} == set(clip.truth.names) - set(objects)
    of_distractors = [i for i, name in enumerate(clip.truth.names) if name.startswith("distractor")]
    seen = np.isin(clip.truth.layers, of_distractors)
    assert seen.any() and not clip.masks[seen].any()


@pytest.mark.parametrize("name", list(World.knobs()))
def test_a_knob_out_of_range_is_refused_by_name(name):
    for value in (World.knobs()[name]["low"] - 1, World.knobs()[name]["high"] + 1):
        with pytest.raises(InputError, match=f"{name}={value}.*give"):
            World(0, **{name: value})


def test_other_bad_input_is_refused():
    for bad in (dict(length=0), dict(frames=[24]), dict(frames=[]), dict(size=(10, 100)), dict(objects=0), dict(objects=11)):
        with pytest.raises(InputError, match=next(iter(bad))):
            World(0).clip(**bad)
    with pytest.raises(InputError, match="shapes"):
        World(0, shapes=("cube",))
    with pytest.raises(InputError, match="seed"):
        World(-1)


def test_the_world_needs_neither_matplotlib_nor_skimage_nor_jupyter():
    code = "import sys, vos_lab.datasets.world; print({'matplotlib', 'skimage', 'IPython', 'ipywidgets'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


@pytest.mark.gpu
def test_the_gpu_renders_the_same_picture():
    cpu, gpu = (World(0).clip(frames=[0, 9], size=SMALL, device=device) for device in ("cpu", "cuda"))
    assert (cpu.masks != gpu.masks).mean() < 1e-3
    assert (np.abs(cpu.frames.astype(int) - gpu.frames) > 1).mean() < 1e-3


@pytest.mark.long
def test_every_knob_makes_tracking_harder():
    from vos_lab.datasets.world_report import knob_table

    for name, *_, low, _, high in knob_table(list(World.knobs()), seeds=20):
        assert high < low, name
