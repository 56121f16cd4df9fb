"""The atlas of false matches, without a browser."""

import json

import matplotlib
import numpy as np
import pytest
import torch

import vos_lab as vl
from vos_lab import matches
from vos_lab.show import FalseMatchAtlas

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def clip():
    return vl.World(seed=3, similarity=0.9, distractors=2).clip(length=6, size=(92, 140), objects=2)


@pytest.fixture(scope="module")
def tracks(clip):
    random = vl.load_model("stcn-tiny", weights="random")
    return [vl.Tracker(model, vl.EveryNth(2)).run(clip, record=True) for model in (vl.load_model("colour"), random)]


def all_false(track, clip):
    """(frame, cell) -> false mass, by matches.false_matches alone."""
    labels = matches.cell_labels(matches.padded(torch.from_numpy(clip.masks), track), track.stride)
    found = {}
    for frame in track.memory:
        total = matches.false_matches(
            track.affinity(frame), labels.flatten()[track.origins(frame)][None], labels[frame][None]
        ).total[0]
        found |= {(frame, m): float(x) for m, x in enumerate(total) if not x.isnan()}
    return found


def test_the_ranking_is_that_of_matches(tracks, clip):
    atlas, wanted = FalseMatchAtlas(tracks[0]), all_false(tracks[0], clip)
    masses = [entry["mass"] for entry in atlas.entries]
    assert masses == sorted(masses, reverse=True) and masses[0] == pytest.approx(max(wanted.values()), abs=1e-5)
    w = tracks[0].keys[0].shape[3]
    for entry in atlas.entries:
        row, column = entry["cell"]
        assert entry["mass"] == pytest.approx(wanted[entry["frame"], row * w + column], abs=1e-5)
        assert entry["looked"][0]["false"] == pytest.approx(entry["mass"], abs=1e-4)


def test_two_tracks_are_asked_about_the_same_cells(tracks):
    atlas = FalseMatchAtlas(*tracks, names=("colour", "random"))
    wanted = FalseMatchAtlas(tracks[0])
    assert atlas.cells == wanted.cells and all(len(entry["looked"]) == 2 for entry in atlas.entries)
    for entry in atlas.entries:
        w = tracks[1].keys[0].shape[3]
        column = tracks[1].affinity(entry["frame"])[0, :, entry["cell"][0] * w + entry["cell"][1]]
        look = entry["looked"][1]
        there = column.view(-1, column.numel() // len(tracks[1].memory_frames(entry["frame"])))
        which = tracks[1].memory_frames(entry["frame"]).index(look["frame"])
        assert look["here"] == pytest.approx(float(there[which][there[which] >= 0.002].sum()), abs=1e-4)
    atlas.order = "gain"
    gains = [entry["looked"][1]["false"] - entry["looked"][0]["false"] for entry in atlas.shown()]
    assert gains == sorted(gains)


def test_where_it_should_have_looked_is_the_truth(tracks, clip):
    track = tracks[0]
    for entry in FalseMatchAtlas(track).entries:
        middle = matches.cell_centres(track).view(*track.keys[0].shape[2:], 2)[tuple(entry["cell"])].numpy()
        should = entry["should"]
        if should and entry["should_words"].startswith("exactly"):
            place, visible = clip.truth.follow(middle[None], entry["frame"], should["frame"])
            assert visible[0] and list(track.cell_at(*np.rint(place[0]).astype(int).tolist())) == should["cell"]


def test_without_exact_truth_the_best_cell_of_its_own_label_is_shown(tracks, clip):
    plain = vl.Clip(clip.frames, clip.masks)
    labels = matches.cell_labels(matches.padded(torch.from_numpy(clip.masks), tracks[0]), tracks[0].stride)
    atlas = FalseMatchAtlas(tracks[0], truth=plain)
    w = tracks[0].keys[0].shape[3]
    for cell, entry in zip(atlas.cells, atlas.entries):
        row, column = entry["should"]["cell"]
        assert labels[entry["should"]["frame"], row * w + column] == cell.label
        assert entry["looked"][0]["right"] <= 1 - entry["mass"] + 1e-4


def test_filters_leave_their_kind_and_object_and_the_twin_shows_them(tracks):
    atlas = FalseMatchAtlas(tracks[0])
    for kind in matches.KINDS:
        atlas.kind = kind
        assert {entry["kind"] for entry in atlas.shown()} <= {kind}
    atlas.kind, atlas.object_id = "all", 1
    assert atlas.shown() and {entry["object_id"] for entry in atlas.shown()} == {1}
    figure = atlas.twin(rows=2)
    assert len([ax for ax in figure.axes if ax.images]) == 6
    matplotlib.pyplot.close(figure)


def test_what_is_sent_is_plain_and_small(tracks, clip):
    atlas = FalseMatchAtlas(*tracks)
    json.dumps([atlas.entries, atlas.facts], allow_nan=False)
    assert all(isinstance(picture, bytes) for picture in atlas.pictures.values())
    assert {str(look["frame"]) for e in atlas.entries for look in (e, *e["looked"])} <= set(atlas.pictures)


def test_what_is_missing_is_said(tracks, clip, ball, as_user):
    with pytest.raises(vl.InputError, match="record=True"):
        FalseMatchAtlas(vl.Tracker(vl.load_model("colour")).run(clip), truth=clip)
    first_only = np.where(np.arange(6)[:, None, None] == 0, clip.masks, 255).astype(np.uint8)
    with pytest.raises(vl.InputError, match="give truth="):
        FalseMatchAtlas(tracks[0], truth=vl.Clip(clip.frames, first_only))
    with pytest.raises(vl.InputError, match="both must be of one clip"):
        FalseMatchAtlas(tracks[0], vl.Tracker(vl.load_model("colour")).run(ball, record=True))
