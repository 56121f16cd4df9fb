"""The table of lab 4's scores, and what counts as a choice of cells."""

import json

import numpy as np
import pytest
import torch

from vos_lab import InputError
from vos_lab.labs.leaderboard import numbers_of, write_table


def test_the_best_score_comes_first_and_who_has_none_is_left_out(tmp_path):
    for student, score in {"ada": 0.41, "bob": 0.52, "eve": None}.items():
        path = tmp_path / "graded" / "lab4" / student / "lab4.json"
        path.parent.mkdir(parents=True)
        tests = {"queue-test": {"points": 3, "score": None}, "remember-test": {"points": 6, "score": score}}
        path.write_text(json.dumps({"tests": tests}))
    write_table(tmp_path, "lab4")
    assert (tmp_path / "leaderboard.csv").read_text().splitlines() == ["place,student,score", "1,bob,0.5200", "2,ada,0.4100"]


def test_a_lab_without_scores_leaves_the_table_alone(tmp_path):
    write_table(tmp_path, "lab1")
    assert not (tmp_path / "leaderboard.csv").exists()


@pytest.mark.parametrize("output", [[0, 3], (3.0, 0.0), np.array([0, 3]), torch.tensor([3, 0], dtype=torch.int32)])
def test_numbers_of_cells_come_in_any_form(output):
    assert sorted(numbers_of(output, 5, 2).tolist()) == [0, 3]


@pytest.mark.parametrize(
    "output", [None, "?", 3, [[0, 1]], [0.5], [True, False, True, False, True], [0, 1, 2], [1, 1], [5], [-1], []]
)
def test_all_else_is_refused(output):
    with pytest.raises(InputError):
        numbers_of(output, 5, 2)
