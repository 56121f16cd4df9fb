import numpy as np
import pytest
import torch

import vos_lab as vl
from vos_lab import memory
from vos_lab.datasets import samples
from vos_lab.models import Model, SensoryModel


@pytest.fixture(scope="module")
def colour():
    return vl.load_model("colour")


def one_hot(mask, ids):
    return torch.from_numpy(np.stack([mask == i for i in ids])).float()


def test_it_follows_objects_and_keeps_their_ids(ball, colour):
    track = vl.Tracker(colour).run(ball)
    assert vl.evaluate(track.masks, ball.masks).JF > 0.9
    assert set(np.unique(track.masks)) == {0, 3, 7} and track.seconds > 0


def test_only_first_masks_are_looked_at(ball, colour):
    first_only = vl.Clip(ball.frames, np.where(np.arange(8)[:, None, None] == 0, ball.masks, 255).astype(np.uint8))
    assert (vl.Tracker(colour).run(first_only).masks == vl.Tracker(colour).run(ball).masks).all()


def test_probabilities_sum_to_one_with_background_first(ball, colour):
    tracker = vl.Tracker(colour)
    images = ball.images()
    for prob in (tracker.start(images[0], one_hot(ball.masks[0], (3, 7))), tracker.step(images[1])):
        assert prob.shape == (3, 48, 80) and torch.allclose(prob.sum(0), torch.ones(48, 80))
    assert (prob[0] > 0.5).float().mean() > 0.5


def test_padding_changes_nothing_inside(ball, colour):
    """45x77 pixels are padded to 48x80; the same frames padded by hand give the same masks."""
    cut = vl.Clip(ball.frames[:, :45, :77], ball.masks[:, :45, :77])
    images = torch.nn.functional.pad(cut.images(), (1, 2, 1, 2))
    tracker = vl.Tracker(colour)
    tracker.start(images[0], torch.nn.functional.pad(one_hot(cut.masks[0], (3, 7)), (1, 2, 1, 2)))
    by_hand = torch.stack([tracker.step(image) for image in images[1:]])[:, :, 1:46, 1:78].argmax(1)
    tracked = vl.Tracker(colour).run(cut).masks[1:]
    assert (np.array([0, 3, 7])[by_hand] == tracked).all()


@pytest.mark.parametrize("size", [(5, 200), (33, 17), (8, 8)])
def test_any_size(colour, size):
    frames, masks = np.zeros((3, *size, 3), np.uint8), np.ones((3, *size), np.uint8)
    assert (vl.Tracker(colour).run(vl.Clip(frames, masks)).masks == 1).all()


def test_an_object_that_appears_later_is_followed_from_there(ball, colour):
    late = vl.Clip(ball.frames, ball.masks.copy(), "late")
    late.masks[:4][late.masks[:4] == 7] = 0
    track = vl.Tracker(colour, vl.EveryNth(2)).run(late, record=True)
    assert not (track.masks[:4] == 7).any()
    assert vl.evaluate(track.masks, late.masks).per_object["J"]["mean"][1] > 0.9
    assert track.memory_frames(7, object_id=3) == [0, 2, 4, 6] and track.memory_frames(7, object_id=7) == [4, 6]


def test_a_new_object_overwrites_the_others_where_it_appears(ball, colour):
    tracker, images = vl.Tracker(colour), ball.images()
    tracker.start(images[0], one_hot(ball.masks[0], (3,)), [3])
    tracker.step(images[1])
    new = one_hot(ball.masks[1] == 3, (True,))  # object 9 appears exactly where object 3 is
    prob = tracker.add_objects(new, [9])
    assert tracker.ids == [3, 9]
    inside = prob[:, new[0] == 1]
    assert (inside[2] > 0.99).all() and (inside[1] < 0.01).all()
    assert tracker.step(images[2]).shape == (3, 48, 80)


def test_adding_all_objects_at_once_or_in_two_calls_is_the_same_at_the_start(ball, stcn):
    """Two groups with the same frames in memory read the same as one."""
    images, masks = ball.images(), one_hot(ball.masks[0], (3, 7))
    together, apart = vl.Tracker(stcn), vl.Tracker(stcn)
    together.start(images[0], masks)
    apart.start(images[0], masks[:1])
    apart.add_objects(masks[1:])
    assert apart.ids == [1, 2]
    assert torch.allclose(together.step(images[1]), apart.step(images[1]), atol=1e-4)


def test_memory_is_bounded_where_the_policy_is(ball, colour):
    tracker = vl.Tracker(colour, vl.FirstAndLast())
    images = ball.images()
    tracker.start(images[0], one_hot(ball.masks[0], (3, 7)))
    held = []
    for _ in range(5):
        for image in images[1:]:
            tracker.step(image)
        held.append((tracker.groups[0].bank.bytes, len(tracker.groups[0].bank._working["key"])))
    assert len(set(held)) == 1


def test_values_are_computed_for_remembered_frames_only(ball, colour, monkeypatch):
    seen = []
    encode = type(colour).encode_value
    monkeypatch.setattr(type(colour), "encode_value", lambda *args: seen.append(1) or encode(*args))
    vl.Tracker(colour, vl.EveryNth(3)).run(ball)
    assert len(seen) == 3  # frames 0, 3 and 6


def test_a_record_gives_the_affinity_that_was_used(ball, colour):
    """Reading the masks of the remembered frames with the recorded affinity gives what the tracker read."""
    readouts = []

    def read(key, query, values, **options):
        readouts.append((values, memory.read(key, query, values, **options)))
        return readouts[-1][1]

    track = vl.Tracker(colour, vl.EveryNth(2), read=read).run(ball, record=True)
    frame = 5
    values, readout = readouts[frame - 1]
    weights = track.affinity(frame)
    assert track.memory_frames(frame) == [0, 2, 4] and weights.shape == (1, 3 * 60, 60)
    assert torch.allclose(weights.sum(1), torch.ones(1, 60), atol=1e-5)
    slots = track.memory[frame][3]
    in_time = torch.cat([values[..., slots.index(f) * 60 : (slots.index(f) + 1) * 60] for f in track.memory_frames(frame)], -1)
    assert torch.allclose(in_time[0, 0] @ weights[0], readout[0, 0], atol=1e-5)


def test_options_replace_the_published_ones(ball, colour):
    tracker = vl.Tracker(colour, top_k=3, temperature=2.0)
    assert tracker.matching == {"kind": "l2", "top_k": 3, "temperature": 2.0} and tracker.policy == colour.policy
    dense = vl.Tracker(colour, top_k=None, temperature=1000.0).run(ball, record=True)
    assert (dense.affinity(3) > 0).all()


def test_a_new_start_forgets_the_last_video(ball, colour):
    tracker = vl.Tracker(colour)
    assert (tracker.run(ball).masks == tracker.run(ball).masks).all() and tracker.ids == [3, 7]


def test_a_clip_whose_first_frames_show_no_object_starts_where_one_appears(ball, colour):
    late = vl.Clip(ball.frames, ball.masks.copy())
    late.masks[:2] = 0
    track = vl.Tracker(colour).run(late)
    assert not track.masks[:2].any() and track.masks[2].any() and track.first_frame == 2


def test_a_model_in_bfloat16_tracks(ball):
    track = vl.Tracker(vl.load_model("colour").bfloat16()).run(ball)
    assert vl.evaluate(track.masks, ball.masks).JF > 0.8


def test_what_was_recorded_can_be_used_in_training(ball, colour):
    track = vl.Tracker(colour).run(ball, record=True)
    weight = torch.ones((), requires_grad=True)
    (track.keys[3] * weight).sum().backward()
    assert weight.grad.isfinite()


def test_a_track_says_what_it_is(ball, colour):
    said = repr(vl.Tracker(colour).run(ball, record=True))
    assert "8 frames in" in said and "3, 7" in said and len(said) < 200


def test_misuse_is_explained(ball, colour, as_user):
    images, masks = ball.images(), one_hot(ball.masks[0], (3, 7))
    tracker = vl.Tracker(colour)
    with pytest.raises(vl.InputError, match="call start"):
        tracker.step(images[0])
    with pytest.raises(vl.InputError, match="call start"):
        tracker.add_objects(masks)
    with pytest.raises(vl.InputError, match=r"masks must be \(2,48,80\)"):
        tracker.start(images[0], masks[:, 1:])
    for bad, sentence in [(masks * 0, "must not be empty"), (masks * 3, "must lie in 0..1"), (masks * torch.nan, "0..1")]:
        with pytest.raises(vl.InputError, match=sentence):
            tracker.start(images[0], bad)
    with pytest.raises(vl.InputError, match="no option topk: choose kind, temperature, top_k"):
        vl.Tracker(colour, topk=5)
    tracker.start(images[0], masks)
    with pytest.raises(vl.InputError, match=r"image must be \(3,48,80\)"):
        tracker.step(images[1, :, 1:])
    for ids in ([1], [300], [0]):
        with pytest.raises(vl.InputError, match=f"object ids .{ids[0]}. are used twice or outside"):
            tracker.add_objects(masks[:1], ids)
    with pytest.raises(vl.InputError, match="are empty"):
        vl.Tracker(colour).run(vl.Clip(ball.frames, ball.masks * 0))
    with pytest.raises(vl.InputError, match="has no masks"):
        vl.Tracker(colour).run(vl.Clip(ball.frames))
    track = vl.Tracker(colour).run(ball, record=True)
    with pytest.raises(vl.InputError, match=r"choose one of 1\.\.7"):
        track.affinity(0)
    with pytest.raises(vl.InputError, match=r"choose one of \[3, 7\]"):
        track.affinity(2, object_id=1)
    with pytest.raises(vl.InputError, match="record=True"):
        vl.Tracker(colour).run(ball).affinity(2)


def test_anisotropic_matching_of_a_model_without_reach_is_refused_at_the_first_frame(ball, colour):
    tracker = vl.Tracker(colour, kind="anisotropic")
    with pytest.raises(vl.InputError, match="needs shrinkage and selection"):
        tracker.start(ball.images()[0], one_hot(ball.masks[0], (3, 7)))


@pytest.mark.parametrize("name, kind", [("colour", Model), ("stcn-tiny", Model), ("xmem-small", SensoryModel)])
def test_each_model_has_what_a_tracker_needs(name, kind):
    model = vl.load_model(name, weights=None if name == "colour" else "random")
    assert isinstance(model, kind)
    assert isinstance(model, SensoryModel) == (kind is SensoryModel)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda image: (255 * image).to(torch.uint8), "float .3,H,W., normalised as Clip.images does, got torch.uint8"),
        (lambda image: image[None], r"got torch.float32 \(1, 3, 240, 432\)"),
        (lambda image: image * torch.nan, "must be finite"),
    ],
)
def test_a_refused_image_leaves_the_tracker_as_it_was(spoil, sentence, as_user):
    clip = samples.load("walk")[:4]
    images, given = clip.images(), torch.from_numpy(clip.masks[:1] == 1).float()
    trackers = [vl.Tracker(vl.load_model("colour"), vl.EveryNth(1)) for _ in range(2)]
    for tracker in trackers:
        tracker.start(images[0], given)
        tracker.step(images[1])
    with pytest.raises(vl.InputError, match=sentence):
        trackers[0].step(spoil(images[2]))
    with pytest.raises(vl.InputError, match=sentence):
        trackers[0].start(spoil(images[2]), given)
    first, second = (tracker.step(images[2]) for tracker in trackers)
    assert torch.equal(first, second) and trackers[0].groups[0].bank.slots == [0, 1]


def test_a_model_in_training_mode_is_refused_and_not_changed():
    model, clip = vl.load_model("stcn-tiny").train(), samples.load("walk")[:2]
    before = {name: x.clone() for name, x in model.state_dict().items()}
    with pytest.raises(vl.InputError, match="call model.eval"):
        vl.Tracker(model).run(clip)
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    vl.Tracker(model.eval()).run(clip)
