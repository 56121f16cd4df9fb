"""Thousands of frames and of updates: neither memory nor the number of open files grows."""

import gc
import itertools

import psutil
import pytest
import torch

from vos_lab import FirstAndLast, LongTerm, Tracker, World, load_model
from vos_lab.memory import Fifo
from vos_lab.show import AffinityExplorer, FalseMatchAtlas, MemorySurgery, TrackPlayer

pytestmark = pytest.mark.long
PROCESS = psutil.Process()


def held() -> tuple[float, int]:
    """Resident megabytes of this process, and its open files."""
    gc.collect()
    return PROCESS.memory_info().rss / 1e6, len(PROCESS.open_files())


def back_and_forth(images: torch.Tensor):
    return itertools.cycle([*images, *images.flip(0)[1:-1]])


@pytest.mark.parametrize("policy", [LongTerm(every=5, min_working=3, max_working=6), Fifo(5), FirstAndLast()], ids=repr)
def test_five_thousand_frames(policy):
    clip = World(seed=1).clip(length=40, size=(96, 160), objects=2)
    tracker = Tracker(load_model("stcn-tiny"), policy)
    frames = back_and_forth(clip.images())
    tracker.start(next(frames), torch.stack([torch.from_numpy(clip.masks[0] == k).float() for k in clip.object_ids]))
    for t, image in enumerate(itertools.islice(frames, 4999), 1):
        prob = tracker.step(image)
        if t == 500:
            before = held()
    after = held()
    print(f"{policy}: {before[0]:.0f} MB after 500 frames, {after[0]:.0f} MB after 5,000; {before[1]}, {after[1]} files")
    assert prob.isfinite().all() and after[0] < 1.05 * before[0] and after[1] <= before[1]


@pytest.fixture(scope="module")
def track():
    clip = World(seed=1).clip(length=12, size=(96, 160), objects=2)
    return Tracker(load_model("stcn-tiny")).run(clip, record=True), clip


def changes(name: str, track, clip):
    """A widget, and one change of it after the other."""
    if name == "explorer":
        widget = AffinityExplorer(track, frame=7)
        return widget, ({"temperature": 0.5 + i % 7, "top_k": 5 + i % 20} for i in itertools.count())
    if name == "player":
        return TrackPlayer(track), ({"frame": i % len(clip)} for i in itertools.count())
    if name == "atlas":
        return FalseMatchAtlas(track, truth=clip), ({"object_id": i % 3} for i in itertools.count())
    return MemorySurgery(load_model("stcn-tiny"), clip), ({"top_k": 1 + i % 30} for i in itertools.count())


@pytest.mark.parametrize("name", ["explorer", "player", "atlas", "surgery"])
def test_a_thousand_updates(name, track):
    widget, wishes = changes(name, *track)
    for i, wish in enumerate(itertools.islice(wishes, 1000), 1):
        for trait, value in wish.items():
            setattr(widget, trait, value)
        if i == 100:
            before = held()
    after = held()
    widget.close()
    print(f"{name}: {before[0]:.0f} MB after 100 updates, {after[0]:.0f} MB after 1,000; {before[1]}, {after[1]} files")
    assert after[0] < 1.05 * before[0] + 10 and after[1] <= before[1]
