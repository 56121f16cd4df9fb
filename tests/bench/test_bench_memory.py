"""What remembering costs and gives."""

import numpy as np
import pytest

from vos_lab import EveryNth, Fifo, InputError, LongTerm, Tracker, load_model
from vos_lab.bench.memory import FIELDS, forth_and_back, read_rows, run_policy, write_rows
from vos_lab.metrics import contour_accuracy, region_similarity


@pytest.fixture(scope="module")
def colour():
    return load_model("colour")


def test_a_clip_goes_forth_and_back_without_a_cut(ball):
    assert list(forth_and_back(ball[:4], 9)) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert list(forth_and_back(ball[:1], 3)) == [0, 0, 0]


def test_accuracy_is_that_of_the_tracker(ball, colour):
    rows = run_policy(colour, EveryNth(2), ball, (8,), "every second")
    track = Tracker(colour, EveryNth(2)).run(ball)
    measures = (region_similarity, contour_accuracy)
    scores = [measure(ball.masks[1:] == i, track.masks[1:] == i) for i in (3, 7) for measure in measures]
    assert rows[0]["accuracy"] == pytest.approx(np.mean(scores), abs=1e-6)


def test_a_growing_memory_grows_and_bounded_ones_do_not(ball, colour):
    lengths = (10, 20, 40)
    growing, queue, long = (
        run_policy(colour, policy, ball, lengths, "x") for policy in (EveryNth(1), Fifo(3), LongTerm(1, 2, 4, 10, 20))
    )
    cells = 6 * 10
    assert [row["working"] for row in growing] == [9 * cells, 19 * cells, 39 * cells]  # the last frame is not yet written
    assert [row["working"] for row in queue] == [3 * cells] * 3 and len({row["bytes"] for row in queue}) == 1
    assert growing[2]["bytes"] > 4 * growing[0]["bytes"] and growing[2]["age"] > queue[2]["age"]
    assert all(row["working"] <= 4 * cells and 0 < row["long_term"] <= 20 for row in long)
    assert all(row["ms"] > 0 and row["resident"] > 1e7 for row in growing)


def test_rows_come_back_as_they_were(tmp_path):
    row = dict.fromkeys(FIELDS, 2.0) | {"policy": "Fifo(5)", "length": 50}
    write_rows(tmp_path / "memory.csv", [row])
    assert read_rows(tmp_path / "memory.csv") == [row]


def test_an_object_that_comes_late_is_refused(ball, colour):
    ball.masks[0][ball.masks[0] == 3] = 0
    with pytest.raises(InputError, match="must show all its objects, with masks, in its first frame"):
        run_policy(colour, EveryNth(1), ball, (4,), "x")
