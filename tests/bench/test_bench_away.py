"""Objects that are away for long."""

import numpy as np
import pytest

from vos_lab import Clip, EveryNth, InputError, Tracker, evaluate, load_model
from vos_lab.bench import away


@pytest.fixture(scope="module")
def colour():
    return load_model("colour")


def blinking(shown: str) -> Clip:
    """A red square that is there where `shown` has an x; each frame has its number in a corner."""
    frames, masks = np.full((len(shown), 48, 64, 3), 60, np.uint8), np.zeros((len(shown), 48, 64), np.uint8)
    for t, there in enumerate(shown):
        frames[t, 0, 0] = t
        if there == "x":
            frames[t, 16:32, 16:40], masks[t, 16:32, 16:40] = (220, 60, 40), 1
    return Clip(frames, masks, "blinking")


def test_the_time_away_is_drawn_out_without_a_cut():
    clip = away.drawn_out(blinking("xxx...xx"), hidden=6)
    numbers = clip.frames[:, 0, 0, 0].tolist()
    assert numbers == [0, 1, 2, 3, 4, 5, 4, 3, 4, 5, 6, 7]
    assert all(abs(a - b) == 1 for a, b in zip(numbers, numbers[1:]))
    assert away.absence(clip.masks > 0).tolist() == list(range(3, 10))


@pytest.mark.parametrize("shown", ["xxxxxx", "xxx.xx", "xxxx..", "x...xx"])
def test_a_clip_whose_object_does_not_leave_and_return_is_refused(shown):
    with pytest.raises(InputError, match="must show its object in its first and last frames"):
        away.drawn_out(blinking(shown), hidden=6)


def test_the_phases_are_those_of_the_track(colour):
    clip = blinking("xxx...xx")
    found = away.measure(colour, EveryNth(1), clip, away=True)
    masks = Tracker(colour, EveryNth(1)).run(clip).masks
    assert found["J&F"] == pytest.approx(evaluate(masks, clip.masks).JF)
    assert found["before"] > 0.9 and found["after"] > 0.9
    assert found["marked"] == pytest.approx((masks[3:6] > 0).mean())
    assert set(away.measure(colour, EveryNth(1), clip, away=False)) == {"J&F"}


def test_the_table_grows_and_what_it_holds_is_not_run_again(colour, tmp_path, monkeypatch):
    monkeypatch.setattr(away, "leave_and_return", lambda seed, size, hidden: away.drawn_out(blinking("xxx...xx"), hidden))
    rows = away.bench_away(colour, 1, (32, 48), 6, 4, tmp_path / "away.csv")
    assert len(rows) == len(away.POLICIES) + len(away.REMEMBER_MOST)
    monkeypatch.setattr(away, "Tracker", None)  # nothing can be tracked any more
    again = away.bench_away(colour, 1, (32, 48), 6, 4, tmp_path / "away.csv")
    assert away.summary(again) == away.summary(rows) and "EveryNth(5)" in away.summary(rows)
