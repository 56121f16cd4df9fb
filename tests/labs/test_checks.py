"""Every exercise: right answers in any form pass, each known wrong answer loses points and is told its own mistake."""

import importlib
import pkgutil

import numpy as np
import pytest
import submissions as students
import torch
from scipy import ndimage

import vos_lab as vl
from vos_lab import InputError
from vos_lab.labs import check, exercises
from vos_lab.labs.checks import difference, load_exercise
from vos_lab.labs.exercises import lab1, lab2
from vos_lab.labs.failures import failure
from vos_lab.matches import KINDS, cell_labels, false_matches

NAMES = [
    f"{module.name.removeprefix('n')}.{short}"
    for module in pkgutil.iter_modules(exercises.__path__)
    for short in importlib.import_module(f"{exercises.__name__}.{module.name}").EXERCISES
]
WRONG = [(name, message) for name in NAMES for message in load_exercise(name).wrong]


@pytest.mark.parametrize("name", NAMES)
def test_the_right_answer_has_all_points_in_other_forms_too(name):
    right = load_exercise(name).right

    def as_double(*arguments):
        return right(*(x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in arguments))

    def as_numbers(*arguments):
        output = right(*arguments)
        return output.tolist() if isinstance(output, (torch.Tensor, np.ndarray)) else output

    for answer in (right, as_double, as_numbers):
        result = check(name, answer, seed=3)
        assert result.passed, result
    assert str(check(name, right)) == str(check(name, right))


@pytest.mark.parametrize("name, message", WRONG, ids=[f"{name}-{i}" for i, (name, _) in enumerate(WRONG)])
def test_a_wrong_answer_loses_points_and_is_told_its_own_mistake(name, message):
    result = check(name, load_exercise(name).wrong[message])
    assert not result.passed and message in [said for _, said in result.messages], result
    if name.startswith("lab"):
        assert result.points == students.KEPT.get(message, 0), result


def test_the_failures_of_lab_2_are_what_its_answers_say():
    for name in "ABC":
        track = failure(name)
        last, side, masks = len(track.masks) - 1, track.stride, torch.from_numpy(track.clip.masks)
        true, drawn = cell_labels(masks, side), cell_labels(torch.from_numpy(track.masks), side, purity=0.0)
        where, affinity = track.origins(last), track.affinity(last)
        found = false_matches(affinity, true.flatten()[where][None], true[last][None])
        able = [(true[last] == 0).sum(), (true[last] > 0).sum(), (true[last] > 0).sum()]
        rates = [float(kind.nansum() / count) for kind, count in zip(found[1:], able)]
        kind = KINDS[int(np.argmax(rates))].replace("_", " ") if max(rates) >= 0.05 else "hardly any"
        assert kind == lab2.name_of_kind(name) and (max(rates) > 0.5 or max(rates) < 0.01), rates  # never a close call
        verdicts = lab2.blamed(affinity[0], true.flatten()[where], drawn.flatten()[where], true[last], drawn[last])
        counts = [int((verdicts == fault).sum()) for fault in (1, 2, 3)]
        assert ("matching", "memory", "decoder")[int(np.argmax(counts))] == lab2.name_of_fault(name)
        assert max(counts) > 0.8 * sum(counts) and sum(counts) > 20, counts


def test_what_students_do():
    def boom(k, q):
        raise ZeroDivisionError("oh")

    def in_place(k, q):
        k.zero_()

    def stub(k, q):
        raise NotImplementedError

    said = lambda answer: check("02.l2", answer).messages[0][1]
    assert said(stub).startswith("not written yet") and said(None).startswith("no answer yet")
    assert said(boom) == "raised ZeroDivisionError: oh"
    assert "in place" in said(in_place)
    assert said(lambda k, q: None) == "returns nothing (None)"
    assert said(lambda k, q: k[0]) == "returns shape (8, 12), wanted (1, 12, 7)"
    assert said(lambda k, q: torch.full((1, 12, 7), float("nan"))) == "returns NaN"
    assert said(lambda k, q: "?") == "returns a str, wanted a Tensor"
    assert said(lambda k, q: torch.zeros(1, 12, 7)).startswith("100% of the numbers are off, by up to ")
    assert check("02.l2", lambda k, q: 0).points == 0
    with pytest.raises(InputError, match="no exercise '02.nothing'"):
        check("02.nothing", None)


def test_the_tracker_must_read_with_the_function_of_the_student():
    track = lambda **reading: lambda clip: vl.Tracker(vl.load_model("stcn-small"), vl.EveryNth(5), **reading).run(clip).masks
    assert "give the tracker your own" in check("lab1.track", track()).messages[0][1]
    assert check("lab1.track", track(read=lab1.own_read)).passed


def test_which_of_equal_cells_stay_is_free():
    def last_of_equals(similarity, top_k):
        keep = similarity.flip(1).argsort(dim=1, descending=True, stable=True)[:, :top_k]
        left_out = torch.ones_like(similarity).scatter(1, keep, 0.0).bool().flip(1)
        return similarity.masked_fill(left_out, -torch.inf).softmax(1)

    assert check("lab1.affinity", last_of_equals).passed


def test_where_many_answers_are_right_any_of_them_is():
    said = lambda answer: check("01.thin", answer).messages[0][1]
    assert check("01.thin", lambda truth: ndimage.binary_dilation(truth, iterations=4)).passed
    assert check("01.thin", lambda truth: ndimage.distance_transform_edt(truth) > 2).passed
    assert said(lambda truth: truth[1:]) == said(lambda truth: "?") == said(lambda truth: 0.5 * truth)
    assert said(lambda truth: truth[1:]) == "wanted a mask of True and False, of shape (240, 432) like the one given"


def test_numbers_may_come_in_any_form():
    wanted = torch.tensor([1.0, 2.0])
    for output in (wanted, wanted.double(), wanted.numpy(), [1, 2], (1.0, 2.0)):
        assert difference(output, wanted, 1e-6) is None
    assert difference(2, 2.0, 1e-6) is None and difference(True, True, 1e-6) is None
    assert "b: " in difference({"a": 1, "b": 2}, {"a": 1, "b": 3}, 1e-6)
    assert difference([1, 2], (1, 3), 1e-6).startswith("result 2 of 2: ")
