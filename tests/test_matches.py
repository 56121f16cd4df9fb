"""False matches: by hand on a few cells, and what must hold for any affinity."""

import numpy as np
import pytest
import torch

from vos_lab import InputError, World
from vos_lab.datasets import samples
from vos_lab.matches import (
    MatchErrors,
    accuracy,
    calibration,
    cell_centres,
    cell_labels,
    false_matches,
    match_errors,
    track_labels,
    track_matches,
    true_places,
    worst_cells,
)
from vos_lab.models import load_model
from vos_lab.models.presets import build
from vos_lab.tracker import Track, Tracker


@pytest.fixture(scope="module")
def late_track():
    clip = samples.load("late")[:14]
    return clip, Tracker(load_model("colour")).run(clip, record=True)


MEMORY = torch.tensor([[0, 0, 1, 2, -1]])


def by_hand(column, query_label):
    """The kinds of a query cell with this affinity and label."""
    found = false_matches(torch.tensor(column)[None, :, None], MEMORY, torch.tensor([[query_label]]))
    return [round(float(kind), 6) for kind in found]


def test_each_kind_by_hand():
    column = [0.1, 0.2, 0.3, 0.25, 0.15]
    assert by_hand(column, 0) == [0.55, 0.55, 0, 0]  # total, background as foreground, foreground as background, wrong instance
    assert by_hand(column, 1) == [0.55, 0, 0.3, 0.25]
    assert by_hand(column, 2) == [0.6, 0, 0.3, 0.3]
    assert by_hand(column, 7) == [0.85, 0, 0.3, 0.55]  # an object that memory does not hold


def test_mixed_query_cells_are_nan_and_mixed_memory_cells_of_no_kind():
    assert all(torch.isnan(torch.tensor(by_hand([0.1, 0.2, 0.3, 0.25, 0.15], -1))))
    assert by_hand([0.0, 0.0, 0.0, 0.0, 1.0], 1) == [0, 0, 0, 0]


def test_right_and_wrong_mass_are_all_there_is_and_cells_may_be_permuted():
    torch.manual_seed(0)
    affinity = torch.rand(2, 40, 30).softmax(1)
    memory, query = torch.randint(0, 4, (2, 40)), torch.randint(0, 4, (2, 30))
    found = false_matches(affinity, memory, query)
    right = (affinity * (memory[:, :, None] == query[:, None])).sum(1)
    assert torch.allclose(found.total + right, torch.ones(2, 30), atol=1e-5)
    assert torch.allclose(found.total, sum(found[1:]), atol=1e-6) and min(kind.min() for kind in found) >= 0
    order, turn = torch.randperm(40), torch.randperm(30)
    other = false_matches(affinity[:, order][:, :, turn], memory[:, order], query[:, turn])
    for kind, again in zip(found, other):
        assert torch.allclose(kind[:, turn], again, atol=1e-5)


def test_cells_take_the_majority_and_are_mixed_below_the_purity():
    masks = torch.zeros(1, 8, 16, dtype=torch.uint8)
    masks[0, :, :8] = 3
    masks[0, :2, :8] = 0  # the left cell: 75 % of 3
    assert cell_labels(masks, 8).tolist() == [[3, 0]]
    masks[0, 2, 0] = 0
    assert cell_labels(masks, 8).tolist() == [[-1, 0]]
    masks[0, :, 8:] = 255
    assert cell_labels(masks, 8).tolist() == [[-1, -1]]
    assert cell_labels(torch.zeros(2, 3, 16, 24, dtype=torch.int64), 8).shape == (2, 3, 6)
    with pytest.raises(InputError, match="do not divide into cells of 8: pad them first"):
        cell_labels(torch.zeros(1, 8, 12, dtype=torch.uint8), 8)
    with pytest.raises(InputError, match="do not divide"):
        cell_labels(torch.zeros(1, 12, 8, dtype=torch.uint8), 8)


def test_the_padding_counts_as_background():
    """1 pixel above and below, 2 on each side, of cells of 8: only in the corners the object has less than three quarters."""
    track = moved_track(0)
    labels = track_labels(track, np.ones_like(track.masks)).unflatten(1, (4, 6))
    expected = torch.ones(4, 6, dtype=labels.dtype)
    expected[[0, 0, -1, -1], [0, -1, 0, -1]] = -1
    assert (labels == expected).all()


class Moved:
    """Truth of a picture that shifts by so many pixels a frame, in x."""

    def __init__(self, step, width=48):
        self.step, self.width = step, width

    def follow(self, points, a, b):
        there = points + np.array([self.step * (b - a), 0])
        return there, (there[:, 0] >= 0) & (there[:, 0] <= self.width - 1)


def moved_track(step, sharpness=30.0, size=(30, 44)):
    """Frames of 30x44 pixels, padded to 4x6 cells of 8; a key is the place in the picture that the cell's centre shows."""
    keys = {}
    for t in range(3):
        y, x = torch.meshgrid(torch.arange(4) * 8.0, torch.arange(6) * 8.0 - step * t, indexing="ij")
        keys[t] = sharpness * torch.stack([y, x])[None]  # (1,2,4,6)
    memory = {1: {1: [0]}, 2: {1: [1, 0]}}
    masks = np.zeros((3, *size), dtype=np.uint8)
    return Track(masks, stride=8, matching={"top_k": 3}, keys=keys, memory=memory, object_ids=[1])


def test_a_match_at_the_true_place_has_no_error_and_what_left_the_frame_has_none_at_all():
    track = moved_track(8)
    centres = cell_centres(track)
    assert centres[0].tolist() == [1.5, 2.5] and centres[-1].tolist() == [41.5, 26.5]  # padding: 2 each side, 1 above, 1 below
    errors = match_errors(track, Moved(8, 44), 2)
    assert errors.distance.shape == (2, 24)  # frames 0 and 1
    assert torch.nan_to_num(errors.distance).max() < 1e-4 and errors.confidence.min() > 0.999
    shown = ~errors.distance.isnan().unflatten(1, (4, 6))
    assert shown[0].sum(1).tolist() == [4] * 4 and shown[1].sum(1).tolist() == [5] * 4  # it moves: left is new
    found = accuracy([errors, match_errors(track, Moved(8, 44), 1)], 8)
    assert found == (1.0, 1.0, pytest.approx(0, abs=1e-5), 4 * (4 + 5 + 5))


def test_confidence_is_the_weight_on_the_best_cell_and_those_around_it():
    level = match_errors(moved_track(0, sharpness=0.0), Moved(0, 44), 1).confidence[0].unflatten(0, (4, 6))
    assert torch.allclose(level, torch.full((4, 6), 4 / 24))  # all alike: the first cell is the best, a corner of four
    track = moved_track(0, sharpness=0.05)
    soft = match_errors(track, Moved(0, 44), 1).confidence
    alone = track.similarity(1)[0].softmax(0).T.unflatten(1, (4, 6))  # (24,4,6)
    for cell in (7, 8, 13, 14):  # not at the border
        row, column = divmod(cell, 6)
        weights = alone[cell, row - 1 : row + 2, column - 1 : column + 2].sum()
        assert soft[0, cell] == pytest.approx(weights.item(), abs=1e-5)
    track.matching["temperature"] = 3.0
    assert (match_errors(track, Moved(0, 44), 1).confidence < soft).all()


def test_wrong_matches_are_seen_as_such():
    track = moved_track(8)
    lies = match_errors(track, Moved(24, 44), 1)  # the truth is two cells further on
    shown = lies.distance[~lies.distance.isnan()]
    assert torch.allclose(shown, torch.tensor(16.0), atol=1e-4)
    assert accuracy([lies], 8) == (0.0, pytest.approx(0.2), pytest.approx(2.0), 12)
    assert calibration([lies], 8).error > 0.99  # sure, and wrong


def test_accuracy_by_hand():
    """At most a cell off, 8 pixels, are 4 of 5 matches; at most 1, 2, 4, 8 and 16 pixels off 1, 2, 3, 4 and 5."""
    errors = MatchErrors(torch.tensor([[0.5, 2.0, 3.0, 8.0, 16.0, torch.nan]]), torch.ones(1, 6))
    expected = (0.8, (0.2 + 0.4 + 0.6 + 0.8 + 1.0) / 5, 29.5 / 5 / 8, 5)
    assert accuracy([errors], 8) == pytest.approx(expected)


def test_calibration_by_hand():
    errors = MatchErrors(torch.tensor([[0.0, 20.0, 3.0, torch.nan]]), torch.tensor([[0.95, 0.85, 0.05, 0.5]]))
    found = calibration([errors], 8)
    assert found.cells.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert found.correct[[0, 8, 9]].tolist() == [1, 0, 1]
    assert found.error == pytest.approx((0.95 + 0.85 + 0.05) / 3, abs=1e-6)
    with pytest.raises(InputError, match="nothing to measure"):
        accuracy([], 8)


def test_calibration_averages_over_the_cells_of_a_bin():
    errors = MatchErrors(torch.tensor([[0.0, 8.0, 8.1, 4.0, 0.0]]), torch.tensor([[0.92, 1.0, 0.96, 0.96, 0.25]]))
    found = calibration([errors], 8)
    assert found.cells.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 4]  # sure ones belong to the last bin
    assert found.confidence[[2, 9]].tolist() == pytest.approx([0.25, 0.96])
    assert found.correct[[2, 9]].tolist() == [1, 0.75]  # one cell off is correct, more is not
    assert found.error == pytest.approx((0.75 + 4 * 0.21) / 5)
    only = calibration([MatchErrors(torch.tensor([[9.0]]), torch.tensor([[0.5]]))], 8)
    assert only.error == pytest.approx(0.5)


def test_a_real_track_and_the_same_clip_mislabelled():
    clip = World(seed=3).clip(length=4, size=(64, 92), objects=2)
    torch.manual_seed(0)
    track = Tracker(build("stcn-tiny").eval()).run(clip, record=True)
    found = track_matches(track, clip.masks)
    assert 0 <= found.background_as_foreground <= 1 and found.object_cells > 0
    shares = [found.background_cells, found.object_cells]
    kinds = [found.background_as_foreground, found.foreground_as_background + found.wrong_instance]
    assert found.total == pytest.approx(np.average(kinds, weights=shares), abs=1e-6)
    assert track_matches(track, np.zeros_like(clip.masks)).total == 0  # all one label: nothing can be false
    assert track_matches(track, clip.masks, frames=[2]).object_cells < found.object_cells
    void = clip.masks.copy()
    void[1:] = 255
    assert np.isnan(track_matches(track, void).total)
    assert accuracy([match_errors(track, clip.truth, 2)], track.stride).cells > 50


def test_the_worst_cells_stand_apart_and_no_left_out_one_is_worse_than_what_hides_it():
    clip = World(seed=3, similarity=0.9).clip(length=4, size=(64, 92), objects=2)
    torch.manual_seed(0)
    track = Tracker(build("stcn-tiny").eval()).run(clip, record=True)
    columns = track.keys[0].shape[3]
    place = lambda cell: np.array([*divmod(cell.cell, columns), cell.frame]) / (3, 3, 2)
    apart = lambda a, b: np.square(place(a) - place(b)).sum() >= 1
    options = {"least": 0.3, "cells_apart": 3.0, "frames_apart": 2.0}
    kept = worst_cells(track, clip.masks, 1000, **options)
    every = worst_cells(track, clip.masks, 10_000, **(options | {"cells_apart": 0.01, "frames_apart": 0.01}))
    assert [cell.mass for cell in kept] == sorted((cell.mass for cell in kept), reverse=True) and len(kept) < len(every)
    same = lambda a, b: (a.kind, a.object_id) == (b.kind, b.object_id)
    assert all(apart(a, b) for a in kept for b in kept if a is not b and same(a, b))
    hidden = [cell for cell in every if cell not in kept]
    assert all(any(same(a, b) and a.mass >= b.mass and not apart(a, b) for a in kept) for b in hidden)
    few = worst_cells(track, clip.masks, 1, **options)
    assert len(few) == len({(cell.kind, cell.object_id) for cell in kept}) and few[0] == kept[0]


@pytest.mark.parametrize("size", [(24, 40), (26, 42), (24, 42), (26, 40)])
def test_errors_are_of_the_cells_that_have_true_places(size):
    track = moved_track(0, size=size)  # the outermost middles lie half a pixel outside or inside
    places = true_places(track, Moved(0), 2, list(range(24)))
    assert (~match_errors(track, Moved(0), 2).distance[0].isnan()).tolist() == [bool(found) for found in places]


def test_true_places_of_a_picture_that_shifts_by_a_cell():
    found = true_places(moved_track(8), Moved(8, 44), 2, [0, 5, 8])  # rows of 6 cells
    assert found == [{}, {0: (0, 3), 1: (0, 4)}, {0: (1, 0), 1: (1, 1)}]  # the first was outside


def test_true_places_are_of_cells_whose_middle_lies_in_the_frame():
    narrow = moved_track(0, size=(24, 40))  # 4 pixels of padding all around: the outermost middles lie at -0.5
    shown = [bool(places) for places in true_places(narrow, Moved(0), 2, list(range(24)))]
    assert np.reshape(shown, (4, 6)).tolist() == [[False] * 6, *[[False, *[True] * 4, False]] * 2, [False] * 6]
    wide = moved_track(0, size=(26, 42))  # 3 pixels: at 0.5
    assert true_places(wide, Moved(0), 2, list(range(24))) == [dict.fromkeys((1, 0), divmod(cell, 6)) for cell in range(24)]


def test_true_places_at_the_border_are_those_of_the_border_and_of_the_readers_frames():
    class Away:
        def __init__(self, place):
            self.place = place

        def follow(self, points, a, b):
            return np.full(points.shape, self.place), np.ones(len(points), bool)

    track = moved_track(0)
    track.memory = {2: {1: [1, 0], 2: [1]}}
    assert true_places(track, Away(-1.2), 2, [8]) == [{1: (0, 0), 0: (0, 0)}]
    assert true_places(track, Away(99.0), 2, [8], reader=2) == [{1: (3, 5)}]


def two_memories():
    """A track by hand, with cells of 2x2 pixels: objects 1, 3 and 2, of which the last reads other frames than the others."""
    rng = torch.Generator().manual_seed(3)
    masks = (
        torch.randint(0, 4, (5, 2, 3), generator=rng).repeat_interleave(2, 1).repeat_interleave(2, 2).to(torch.uint8).numpy()
    )
    masks[:, 0, 0] = 3  # three quarters of the first cell are of one object
    track = Track(masks, object_ids=[1, 3, 2], stride=2, matching={"top_k": 4})
    track.keys = {t: 2 * torch.randn(1, 4, 2, 3, generator=rng) for t in range(5)}
    track.memory = {t: {1: [0], 3: [0], 2: [1, 2]} if t < 4 else {1: [0, 3], 3: [0, 3], 2: [1, 3]} for t in (2, 3, 4)}
    return track, masks


def cell_by_cell(track, masks, purity, frame, reader):
    """Of each pure query cell: its number, label, and the mass on background, on its own label and on each other object."""
    labels = cell_labels(torch.from_numpy(masks), 2, purity).tolist()
    of_memory = [labels[t][cell] for t in sorted(track.memory[frame][reader]) for cell in range(6)]
    for cell, weights in enumerate(track.affinity(frame, reader)[0].T.tolist()):
        if labels[frame][cell] >= 0:
            on = dict.fromkeys(range(4), 0.0)
            for label, weight in zip(of_memory, weights, strict=True):
                if label >= 0:
                    on[label] += weight
            yield cell, labels[frame][cell], on


@pytest.mark.parametrize("purity", [0.7, 0.8])
@pytest.mark.parametrize("reader", [None, 1, 2])
def test_a_track_is_all_its_frames_together(reader, purity):
    track, masks = two_memories()
    masks[0 if reader == 2 else 1] = 255  # what this reader does not read need not be annotated
    total, as_object, as_background, wrong, empty, full = 0.0, 0.0, 0.0, 0.0, 0, 0
    for frame in track.memory:
        for _, label, on in cell_by_cell(track, masks, purity, frame, reader or 1):
            false = sum(mass for other, mass in on.items() if other != label)
            total += false
            empty, full = empty + (label == 0), full + (label > 0)
            as_object += false if label == 0 else 0
            as_background += on[0] if label else 0
            wrong += false - on[0] if label else 0
    found = track_matches(track, masks, object_id=reader, purity=purity)
    assert (found.background_cells, found.object_cells) == (empty, full) and empty and full
    expected = total / (empty + full), as_object / empty, as_background / full, wrong / full
    assert found[:4] == pytest.approx(expected, abs=1e-6)


def test_a_frame_that_cannot_be_judged_is_left_out_and_the_next_one_counts():
    track, masks = two_memories()
    masks[3] = 255  # frame 3 has no truth, and frame 4 reads it
    track.memory[4][1] = track.memory[4][3] = [0]
    assert track_matches(track, masks) == track_matches(track, masks, frames=[2, 4])
    assert {cell.frame for cell in worst_cells(track, masks, least=0.01) if cell.reader == 1} == {2, 4}
    assert {cell.frame for cell in worst_cells(track, masks, least=0.01) if cell.reader == 2} == {2}


@pytest.mark.parametrize("purity", [0.7, 0.8])
def test_failures_are_found_in_every_frame_and_in_the_memory_of_every_object(purity):
    track, masks = two_memories()
    expected = {}
    for frame in track.memory:
        for reader, objects in {1: (1, 3), 2: (2,)}.items():
            for cell, label, on in cell_by_cell(track, masks, purity, frame, reader):
                false = sum(mass for other, mass in on.items() if other != label)
                if label not in (0, *objects) or false < 0.3:
                    continue
                on_object = max((1, 3, 2), key=on.get)
                to_background = label and on[0] >= false - on[0]
                kind = "background_as_foreground" if not label else "wrong_instance"
                kind = "foreground_as_background" if to_background else kind
                expected[frame, cell, reader] = (label, kind, label or on_object, pytest.approx(false, abs=1e-6))
    found = worst_cells(track, masks, 100, least=0.3, cells_apart=0.01, frames_apart=0.01, purity=purity)
    place = lambda cell: (cell.frame, cell.cell, cell.reader)
    assert {place(cell): (cell.label, cell.kind, cell.object_id, cell.mass) for cell in found} == expected
    assert len({key[2] for key in expected}) == 2 and len({key[0] for key in expected}) == 3


def test_the_memory_of_a_late_object_is_measured_from_its_second_frame_on(late_track):
    clip, track = late_track
    first = [frame for frame, by_object in track.memory.items() if 3 in by_object]
    assert 0 < len(first) < len(track.memory)
    assert track_matches(track, clip.masks, object_id=3) == track_matches(track, clip.masks, first, object_id=3)


def test_what_is_missing_is_said(as_user):
    bare = Track(np.zeros((3, 16, 16), np.uint8))
    for ask in (lambda: bare.cell_at(1, 1), lambda: track_matches(bare, bare.masks), lambda: cell_centres(bare)):
        with pytest.raises(InputError, match="keeps no record"):
            ask()
    track = moved_track(0)
    for ask in (lambda: match_errors(track, None, 2), lambda: true_places(track, None, 2, [0])):
        with pytest.raises(InputError, match="no exact truth"):
            ask()
    for ask in (lambda: track_matches(track, None), lambda: worst_cells(track, None)):
        with pytest.raises(InputError, match="no true masks"):
            ask()
