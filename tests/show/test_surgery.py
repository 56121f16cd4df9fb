"""Surgery on memory, without a browser."""

import threading

import matplotlib
import numpy as np
import pytest
import torch

import vos_lab as vl
from vos_lab.show import MemorySurgery
from vos_lab.show.widgets.replay import Replay

matplotlib.use("Agg")
POLICIES = [vl.EveryNth(2), vl.LongTerm(every=2, min_working=2, max_working=4, prototypes=20, max_long_term=50)]


@pytest.fixture(scope="module")
def clip():
    return vl.World(seed=2, late=1.0).clip(length=10, size=(44, 76), objects=2)


@pytest.fixture(scope="module", params=["colour", "stcn-tiny", "xmem-small"])
def model(request):
    return vl.load_model(request.param, weights=None if request.param == "colour" else "random")


@pytest.mark.parametrize("policy", POLICIES, ids=["every 2nd", "long-term"])
def test_nothing_changed_gives_the_trackers_own_masks(model, policy, clip):
    masks = vl.Tracker(model, policy).run(clip).masks
    replay = Replay(model, clip, policy)
    assert (replay.masks == masks).all()
    for frame in (replay.first + 1, 9, 6):
        assert (replay.look(frame) == masks[frame]).all()
    assert (np.stack(list(replay.go_on(5))) == masks[5:]).all()


@pytest.mark.parametrize("policy", POLICIES, ids=["every 2nd", "long-term"])
def test_another_policy_than_the_first_is_followed_as_if_from_the_start(model, policy, ball):
    """Where each mask found is that of the other policy as well, its memory is that of a tracker with it."""
    replay = Replay(model, ball, vl.EveryNth(3))
    replay.policy = policy
    replay.look(6)
    tracker = vl.Tracker(model, policy)
    images, ids = ball.images(), (3, 7)
    tracker.start(images[0], torch.from_numpy(np.stack([ball.masks[0] == i for i in ids])).float(), list(ids))
    for t in range(1, 7):
        tracker.step(images[t])
        tracker._prob = replay.found[t].prob  # the masks that were found
        for group, found in zip(tracker.groups, replay.found[t].groups):
            group.sensory, group.sensed = found.sensory, found.sensed
    assert replay.groups[0].bank.slots == tracker.groups[0].bank.slots
    for name in ("key", "value", "origin"):
        assert torch.allclose(replay.groups[0].bank.content(name), tracker.groups[0].bank.content(name), atol=1e-5)


def test_a_frame_taken_out_is_as_if_memory_lacked_it(ball):
    model = vl.load_model("stcn-tiny", weights="random")

    class Lacking(vl.EveryNth):
        def keep(self, frames):
            return [f for f in super().keep([0, *frames]) if f in frames and f != 2]

    replay = Replay(model, ball, vl.EveryNth(2))
    replay.removed = {2}
    assert replay.look(7).any()
    lacking = Replay(model, ball, vl.EveryNth(2))
    lacking.policy = Lacking(2)
    assert (lacking.look(7) == replay.look(7)).all() and 2 not in lacking.remembered() and 2 in replay.remembered()
    assert torch.allclose(lacking._prob, replay._prob, atol=1e-5)
    replay.removed = {0, 2, 4, 6}
    with pytest.raises(vl.InputError, match="memory is empty: put a frame back"):
        replay.look(7)


def test_encoders_run_once_per_frame(ball, monkeypatch):
    model, seen = vl.load_model("colour"), []
    for name in ("encode_key", "encode_value"):
        encode = getattr(type(model), name)
        monkeypatch.setattr(type(model), name, lambda *a, encode=encode, name=name: seen.append(name) or encode(*a))
    replay = Replay(model, ball, vl.EveryNth(2))
    assert seen.count("encode_key") == 8 and seen.count("encode_value") == 8
    replay.look(5)
    replay.policy = vl.Fifo(3)
    replay.look(7)
    assert len(seen) == 16
    replay.paint(5, ball.masks[5])
    replay.look(7)
    assert 5 in replay.remembered() and seen[16:] == ["encode_value"]


@pytest.fixture
def surgery(ball):
    widget = MemorySurgery(vl.Tracker(vl.load_model("colour"), vl.EveryNth(2)), ball, frame=5)
    yield widget
    widget.close()


def test_the_widget_answers_each_wish_and_is_as_it_was_after_a_reset(surgery, ball):
    assert "the same, pixel by pixel" in surgery.answer["words"] and surgery.answer["scores"][0] > 0.5
    assert [entry["frame"] for entry in surgery.answer["memory"]] == [0, 2, 4]
    surgery.removed = [2, 4]
    surgery.wait()
    assert [entry["out"] for entry in surgery.answer["memory"]] == [False, True, True]
    surgery.removed = [0, 2, 4]
    surgery.wait()
    assert surgery.answer["words"].startswith("No mask: memory is empty")
    surgery.reset()
    surgery.wait()
    assert (surgery.mask == surgery.replay.masks[5]).all() and not surgery.removed
    surgery.paint(4, np.where(ball.masks[4] == 3, 7, 0).astype(np.uint8))  # the ball is remembered as the box
    surgery.paint(2, np.where(ball.masks[2] == 3, 7, 0).astype(np.uint8))
    surgery.paint(0, np.where(ball.masks[0] == 3, 7, 0).astype(np.uint8))
    surgery.wait()
    assert (surgery.mask[ball.masks[5] == 3] == 7).mean() > 0.8 and surgery.answer["memory"][0]["painted"]
    matplotlib.pyplot.close(surgery.twin())


def test_of_many_wishes_the_last_one_wins(surgery):
    for top_k in (1, 2, 5, 10, 50):
        surgery.top_k = top_k
    surgery.frame = 6
    surgery.wait()
    surgery.replay.matching["top_k"] = 50
    assert surgery.answer["frame"] == 6 and (surgery.mask == surgery.replay.look(6)).all()


def test_going_on_tracks_the_rest_and_can_be_stopped(surgery):
    surgery.policy, surgery.number = "queue", 1
    surgery.go_on()
    surgery.wait()
    assert [x is not None for x in surgery.answer["after"]] == [False] * 5 + [True] * 3
    assert not surgery.progress["running"] and surgery.answer["frame"] == 5
    surgery.frame = 7
    surgery.wait()
    assert (surgery.mask == surgery.masks[7]).all()  # what was tracked is shown, not drawn anew
    surgery.frame = 2
    surgery.go_on()
    surgery.stop()
    assert not [t for t in threading.enumerate() if t is surgery.worker._thread]


def test_closing_leaves_no_thread(ball):
    before = threading.active_count()
    widget = MemorySurgery(vl.load_model("colour"), ball)
    widget.go_on()
    widget.close()
    assert threading.active_count() == before


def test_what_cannot_be_operated_on_is_said(ball, as_user):
    with pytest.raises(vl.InputError, match=r"frame=0 reads no memory: choose one of 1\.\.7"):
        MemorySurgery(vl.load_model("colour"), ball, frame=0)
    with pytest.raises(vl.InputError, match="leave out prior="):
        MemorySurgery(vl.Tracker(vl.load_model("colour"), prior=vl.memory.MotionPrior()), ball)
