"""MotionPrior: place and time beside appearance."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vos_lab import Clip, EveryNth, InputError, LongTerm, Tracker, evaluate, load_model
from vos_lab.memory import MemoryBank, MotionPrior
from vos_lab.memory.motion import centres_of, expected
from vos_lab.models.colour import Colour
from vos_lab.show import AffinityExplorer, affinity_of_pixel

FAR = MotionPrior(sigma=1e4, growth=0)


def test_it_is_the_gaussian_around_each_cells_place():
    prior = MotionPrior(sigma=2.0, growth=0.5)
    origins = torch.tensor([0, 12 + 7])  # cell (0,0) of frame 0, cell (1,3) of frame 1; 3x4 cells
    found = prior.log_prior(origins, torch.zeros(2, 1), {0: torch.zeros(1, 2), 1: torch.zeros(1, 2)}, 2, (3, 4))
    for i, (place, age) in enumerate([((0, 0), 2), ((1, 3), 1)]):
        for j in range(12):
            distance = (place[0] - j // 4) ** 2 + (place[1] - j % 4) ** 2
            assert found[0, i, j].item() == pytest.approx(-distance / (2 * (2 + 0.5 * age) ** 2), abs=1e-4)


def test_cells_of_an_object_move_with_it_and_those_of_the_background_stay():
    centres = {0: torch.tensor([[1.0, 1.0]]), 1: torch.tensor([[1.0, 2.0]]), 2: torch.tensor([[1.0, 3.0]])}
    assert expected(centres, 3).tolist() == [[1.0, 4.0]]  # one more step to the right
    shares = torch.tensor([[1.0], [0.0], [0.4]])
    origins = torch.tensor([9, 9, 9])  # cell (1,1) of frame 0; 3x8 cells
    best = MotionPrior().log_prior(origins, shares, centres, 3, (3, 8))[0].argmax(1)
    assert best.tolist() == [8 + 4, 8 + 1, 8 + 2]  # moved by 3, not at all, by 1.2


def test_an_object_that_is_hidden_is_expected_where_it_was():
    centres = {0: torch.tensor([[1.0, 1.0]]), 1: torch.tensor([[1.0, 2.0]]), 2: torch.tensor([[1.0, 2.0]])}
    assert expected(centres, 3).tolist() == [[1.0, 2.0]]
    assert centres_of(torch.zeros(1, 3, 4)).isnan().all()
    assert centres_of(torch.eye(3)[None]).tolist() == [[1.0, 1.0]]


def test_what_was_not_seen_before_is_expected_to_stay():
    unseen = torch.tensor([[torch.nan, torch.nan]])
    centres = {0: unseen, 1: torch.tensor([[1.0, 2.0]])}
    assert expected(centres, 2).tolist() == [[1.0, 2.0]]
    best = MotionPrior().log_prior(torch.tensor([9]), torch.ones(1, 1), centres, 2, (3, 8))[0].argmax(1)
    assert best.tolist() == [9]  # cell (1,1) of frame 0, in which the object has no centre


def test_each_object_has_its_own_centre_if_half_a_cell_of_it_is_seen():
    shares = torch.zeros(4, 5, 6)
    shares[0, 1:4, 2] = 1.0  # a column
    shares[1, 4, 1:3] = 0.6  # a bit more than one cell, in a corner
    shares[2, 0, 0] = 0.5
    shares[3, 2, 2] = 0.49
    found = centres_of(shares)
    assert torch.allclose(found[:3], torch.tensor([[2.0, 2.0], [4.0, 1.5], [0.0, 0.0]])) and found[3].isnan().all()


def test_a_prior_as_wide_as_the_world_changes_nothing(ball, colour):
    plain = Tracker(colour).run(ball).masks
    assert (Tracker(colour, prior=FAR).run(ball).masks == plain).all()


def twins(count=10):
    """Two discs of one colour, far apart, that move; only one is asked for."""
    frames, masks = np.full((count, 64, 160, 3), 60, np.uint8), np.zeros((count, 64, 160), np.uint8)
    y, x = np.mgrid[:64, :160]
    for t in range(count):
        here, there = ((y - 32) ** 2 + (x - place - 3 * t) ** 2 < 120 for place in (24, 110))
        frames[t][here | there] = (220, 60, 40)
        masks[t][here] = 1
    return Clip(frames, masks, name="twins")


@pytest.fixture(scope="module")
def colour():
    return load_model("colour")


def test_it_tells_twins_apart_that_look_the_same():
    clip, placeless = twins(), Colour(place=0.0)
    without, with_prior = (
        evaluate(Tracker(placeless, prior=prior).run(clip).masks, clip.masks).J["mean"] for prior in (None, MotionPrior())
    )
    assert without < 0.6 and with_prior > 0.8


def test_a_clip_whose_first_mask_comes_late_and_one_whose_object_hides():
    clip = twins()
    clip.masks[0] = 255
    clip.frames[5:8] = 60  # nothing to see
    masks = Tracker(Colour(place=0.0), prior=MotionPrior()).run(clip).masks
    assert masks.shape == clip.masks.shape and (masks[9] == 1).any()


@pytest.mark.parametrize("policy", [EveryNth(2), LongTerm(every=1, min_working=2, max_working=3, prototypes=40)])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_a_recorded_track_looks_where_the_tracker_looked(policy, temperature):
    """The affinity is made again from the record, prior and all: what it reads is what the tracker read."""
    clip, seen = twins(), []

    def spy(bank, *arguments, **options):
        seen.append((bank.values.clone(), bank.content("origin").clone(), read(bank, *arguments, **options)))
        return seen[-1][2]

    read = MemoryBank.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryBank, "read", spy)
        tracker = Tracker(Colour(place=0.0), policy, prior=MotionPrior(sigma=1), temperature=temperature, top_k=20)
        track = tracker.run(clip, record=True)
    for frame, (values, origin, said) in zip(track.memory, seen, strict=True):
        order = {cell: at for at, cell in enumerate(origin.tolist())}
        values = values[..., [order[cell] for cell in track.origins(frame).tolist()]]
        assert torch.allclose(values @ track.affinity(frame)[:, None], said.flatten(3), atol=1e-4)
    last = max(track.memory)
    assert not torch.allclose(track.affinity(last), replace(track, prior=None).affinity(last), atol=0.05)
    assert affinity_of_pixel(clip, track, last, 40, 20).axes
    with pytest.raises(InputError, match="which the explorer cannot draw"):
        AffinityExplorer(track, frame=last)
    with pytest.raises(InputError, match="was made without a prior"):
        replace(track, prior=None).log_prior(last)


def test_nonsense_is_refused():
    MotionPrior(sigma=0.5, growth=0)
    with pytest.raises(InputError, match="wanted sigma above 0"):
        MotionPrior(sigma=0)
