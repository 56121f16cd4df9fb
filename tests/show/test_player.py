"""TrackPlayer without a browser: what it sends, scores, thins out and refuses."""

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

import vos_lab as vl
from vos_lab.show import TrackPlayer
from vos_lab.show.widgets import player as module
from vos_lab.show.widgets.base import unpacked
from vos_lab.track import Track

matplotlib.use("Agg")


@pytest.fixture
def lost(ball) -> Track:
    """Object 3 is found in all frames but 5, where a half of it is lost; object 7 in all."""
    found = ball.masks.copy()
    rows = np.flatnonzero((found[5] == 3).any(1))
    found[5, rows[0] : rows[len(rows) // 2]][found[5, rows[0] : rows[len(rows) // 2]] == 3] = 0
    return Track(found, "ball")


def test_frames_and_masks_arrive_as_they_are(ball, lost):
    player = TrackPlayer(ball, lost)
    assert player.shown == list(range(8)) and player.length == 8 and player.size == (48, 80) and not player.note
    for t in range(8):
        assert np.array_equal(unpacked(player.tracks[0]["masks"][t], (48, 80)), lost.masks[t])
        shown = np.asarray(Image.open(io.BytesIO(player.frames[t]))).astype(float)
        assert np.abs(shown - ball.frames[t]).mean() < 5
    assert player.payload == sum(map(len, player.frames)) + sum(map(len, player.tracks[0]["masks"]))


def test_scores_are_those_of_evaluate_and_the_worst_frame_is_found(ball, lost):
    track = TrackPlayer(ball, lost).tracks[0]
    scores = vl.evaluate(lost.masks, ball.masks)
    assert track["ids"] == [3, 7]
    for name, expected in (("J", scores.j), ("F", scores.f)):
        sent = np.array(track[name], dtype=float)  # None becomes nan
        assert np.allclose(sent, expected, atol=1e-4, equal_nan=True)
    assert track["J"][0][0] is None and track["J"][0][7] is None  # the first and the last are not scored
    assert module.worst_frame(scores.j) == 5


def test_a_recorded_track_brings_its_clip(ball):
    track = vl.Tracker(vl.load_model("colour")).run(ball, record=True)
    player = TrackPlayer(track)
    assert player.clip is ball and player.names == ["found by the tracker"]


def test_two_tracks_side_by_side_and_the_clip_alone(ball, lost):
    both = TrackPlayer(ball, lost, ball, names=("found", "true"))
    assert [track["name"] for track in both.tracks] == ["found", "true"]
    alone = TrackPlayer(ball)
    assert alone.tracks[0]["name"] == "the clip's own masks" and not alone.tracks[0]["J"] and alone.tracks[0]["ids"] == [3, 7]


def test_without_truth_there_are_no_scores_and_the_widget_says_so(ball, lost):
    only_first = ball.masks.copy()
    only_first[1:] = 255
    for masks in (None, only_first):
        player = TrackPlayer(vl.Clip(ball.frames, masks), lost)
        assert player.tracks[0]["J"] == [] and "no scores" in player.note
        matplotlib.pyplot.close(player.twin())


def test_a_heavy_clip_is_thinned_out_but_keeps_its_worst_frame(ball, lost, monkeypatch):
    whole = TrackPlayer(ball, lost)
    monkeypatch.setattr(module, "LIMIT", whole.payload // 2 + 100)
    player = TrackPlayer(ball, lost)
    assert player.shown == [0, 2, 4, 5, 6] and player.payload < 0.7 * whole.payload
    assert player.note.startswith("One frame in 2 is shown, and the worst: all 8 would be")
    assert np.array_equal(unpacked(player.tracks[0]["masks"][3], (48, 80)), lost.masks[5])
    assert player.tracks[0]["J"][0][3] == pytest.approx(vl.evaluate(lost.masks, ball.masks).j[0, 5], abs=1e-4)


def test_what_does_not_fit_is_refused(ball, lost, as_user):
    for arguments, names, sentence in (
        ((lost,), (), "does not know its clip"),
        ((ball[:5], lost), (), "give the clip that was tracked"),
        ((ball, lost, lost, lost), (), "got 3 tracks"),
        ((ball, lost), ("a", "b"), "got 1 tracks and 2 names"),
        ((vl.Clip(ball.frames),), (), "no masks to play"),
        ((ball, ball.masks), (), "no masks to play"),
    ):
        with pytest.raises(vl.InputError, match=sentence):
            TrackPlayer(*arguments, names=names)


def test_its_twin_shows_the_worst_frame_and_the_curves(ball, lost):
    figure = TrackPlayer(ball, lost).twin()
    titles = [ax.get_title() for ax in figure.axes]
    assert "frame 5: the worst" in titles and titles[-1] == "found by the tracker: J of each frame"
    drawn = [line.get_ydata() for line in figure.axes[-1].lines[:2]]
    assert np.allclose(drawn, vl.evaluate(lost.masks, ball.masks).j, equal_nan=True)
    assert len({line._unscaled_dash_pattern for line in figure.axes[-1].lines[:2]}) == 2  # told apart in grey as well
    matplotlib.pyplot.close(figure)
