"""The order of samples: decided by number and config alone."""

import pickle

import numpy as np
import pytest
import torch

from vos_lab import InputError
from vos_lab.datasets import Snippets, World
from vos_lab.training.config import Config, Stage
from vos_lab.training.curriculum import (
    FIRST_SEED,
    RENDERED,
    Curriculum,
    RenderedClips,
    clear_errors,
    loader,
    random_world,
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Rendered clips go to a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def config(**changes):
    stages = [
        Stage(data={"photos": 1}, steps=3, batch=4, size=32),
        Stage(data={"photos": 2, "world": 1}, steps=4, batch=2, size=48, frames=4, objects=1, jumps={0.0: 1, 0.5: 2}),
    ]
    values = dict(
        model="stcn-tiny", stages=stages, rendered={"photos": 3, "world": 2}, rendered_length=8, rendered_size=48, workers=0
    )
    return Config(**{**values, **changes})


def test_a_sample_depends_on_its_number_alone():
    forwards, backwards = Curriculum(config()), Curriculum(config())
    numbers = [0, 5, 11, 12, 19]
    first = {i: forwards[i] for i in numbers}
    torch.manual_seed(3)
    for i in reversed(numbers):
        sample = backwards[i]
        assert torch.equal(sample.frames, first[i].frames) and torch.equal(sample.masks, first[i].masks)
    assert len(forwards) == 3 * 4 + 4 * 2
    assert first[11].frames.shape == (3, 3, 32, 32) and first[12].frames.shape == (4, 3, 48, 48)
    other = Curriculum(config(seed=1))
    assert not torch.equal(other[0].frames, first[0].frames)


def test_each_epoch_shows_every_clip_as_often_as_the_stage_says_in_a_new_order(monkeypatch):
    stage, drawn = Curriculum(config()).stages[1], []
    sample = stage.draw(0)

    def watching(self, clip, jump, seed):
        drawn.append((stage.snippets.index(self), clip))
        return sample

    monkeypatch.setattr(Snippets, "draw", watching)
    for i in range(24):
        stage.draw(i)
    epochs = [drawn[8 * epoch : 8 * epoch + 8] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == [(0, 0), (0, 0), (0, 1), (0, 1), (0, 2), (0, 2), (1, 0), (1, 1)]
    assert epochs[0] != epochs[1]


def test_the_jump_follows_the_stage(monkeypatch):
    stage, jumps = Curriculum(config()).stages[1], []
    sample = stage.draw(0)
    monkeypatch.setattr(Snippets, "draw", lambda self, clip, jump, seed: jumps.append(jump) or sample)
    for i in range(8):
        stage.draw(i)
    assert jumps == [1, 1, 1, 1, 2, 2, 2, 2]


def test_it_can_be_sent_to_workers_that_are_not_forked():
    curriculum = pickle.loads(pickle.dumps(Curriculum(config())))
    assert torch.equal(curriculum[3].frames, Curriculum(config())[3].frames)


def test_the_error_of_a_worker_is_the_sentence_that_it_was(monkeypatch):
    def broken(self, clip, jump, seed):
        raise InputError("mask.png is no mask: draw another")

    monkeypatch.setattr(Snippets, "draw", broken)
    with pytest.raises(InputError, match="^mask.png is no mask: draw another$"):
        list(clear_errors(loader(config(workers=1), Curriculum(config()), 0, 0, 1)))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("start", [0, 2, 5])
def test_processes_share_each_batch_evenly_and_a_late_start_changes_nothing(processes, start):
    curriculum = Curriculum(config())
    shares = [curriculum.batches(start, p, processes) for p in range(processes)]
    steps = [sorted(i for share in step for i in share) for step in zip(*shares)]
    batches = [[*range(4 * s, 4 * s + 4)] for s in range(3)] + [[*range(12 + 2 * s, 14 + 2 * s)] for s in range(4)]
    assert steps == batches[start:]
    assert len({len(share) for step in zip(*shares) for share in [*step]} - {4 // processes, 2 // processes}) == 0


def test_workers_load_the_same_batches():
    alone, shared = (
        [(batch.frames, batch.masks) for batch in loader(config(workers=n), Curriculum(config()), 1, 0, 1)] for n in (0, 2)
    )
    assert len(alone) == 6
    for one, other in zip(alone, shared):
        assert all(torch.equal(a, b) for a, b in zip(one, other))


def test_a_batch_that_cannot_be_shared_out_is_refused():
    with pytest.raises(InputError, match="stage 0: a batch of 4 .* multiple of 3 processes x accumulate=1"):
        loader(config(), Curriculum(config()), 0, 0, 3)


def test_clips_are_rendered_once(monkeypatch):
    before = RenderedClips("photos", 2, 5, 40, "")
    assert len(before) == 2 and before[1].frames.shape == (5, 40, 40, 3) and before[0].object_ids.size
    monkeypatch.setitem(RENDERED, "photos", lambda *a: pytest.fail("rendered again"))
    again = RenderedClips("photos", 2, 5, 40, "")
    assert (again[1].frames == before[1].frames).all() and (again[0].frames != before[1].frames).any()


@pytest.mark.parametrize("name", RENDERED)
def test_every_rendered_source_gives_clips_with_objects(name):
    clip = RENDERED[name](4, 64, "", FIRST_SEED)
    assert clip.frames.shape == (4, 64, 64, 3) and (clip.masks[0] > 0).any()


def test_training_worlds_are_others_than_those_for_validation_and_harder_ones_are_harder():
    assert random_world(0.0, 1.0, FIRST_SEED).seed == FIRST_SEED
    knobs = World.knobs()
    mean = lambda low, high, name: np.mean([getattr(random_world(low, high, FIRST_SEED + i), name) for i in range(30)])
    for name in ("similarity", "distractors", "speed", "camera", "occlusion"):
        assert mean(0.0, 0.4, name) < mean(0.3, 0.9, name) <= knobs[name]["high"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rendered": {}}, "say how many clips with rendered.photos=500"),
        ({"stages": [Stage(data={"ducks": 1}, steps=1)]}, "no source 'ducks': choose from photos"),
        ({"stages": [Stage(data={"davis": 1}, steps=1)]}, "not given: add davis=FOLDER"),
    ],
)
def test_a_source_that_cannot_be_had_is_one_sentence(changes, sentence, as_user):
    with pytest.raises(InputError, match=sentence):
        Curriculum(config(**changes))
