"""Checks that name the mistake.

An exercise knows a right answer and plausible wrong ones. A student's function gets fresh inputs; what it returns is compared
with what the right answer returns. Where they differ, and the student's output is that of a known wrong answer, the check says
what that one got wrong; so the list of wrong answers is the list of mistakes that are recognised by name.

Where many answers are right ("make a mask with J above 0.9 and F below 0.6"), an exercise says in `seen` what of an output
is compared.
"""

import contextlib
import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..errors import InputError


@dataclass(frozen=True)
class Part:
    """What is asked for, its points, and inputs(rng) -> the arguments of each call that shows it."""

    title: str
    points: int
    inputs: Callable[[np.random.Generator], list[tuple]]


@dataclass(frozen=True)
class Exercise:
    """right: the reference answer, a function. wrong: what the message says of a mistake -> a function that makes it.

    An answer that is no function (a number, a choice) is asked once, without arguments. seen(output, *arguments): what of an
    output is compared, the output itself unless given; it raises InputError for an output of another type or shape.
    ask(answer, *arguments): the output, where one call is not enough. score(answer, rng): a number for a leaderboard.
    """

    right: Callable
    parts: list[Part]
    wrong: dict[str, Callable] = field(default_factory=dict)
    tolerance: float = 1e-4
    seen: Callable = lambda output, *arguments: output
    ask: Callable = lambda answer, *arguments: answer(*arguments)
    score: Callable | None = None


@dataclass(frozen=True)
class Result:
    """What an answer earned; messages: (part, what is wrong with it), of the parts that were not."""

    exercise: str
    points: int
    possible: int
    messages: list[tuple[str, str]]
    score: float | None = None

    @property
    def passed(self) -> bool:
        return self.points == self.possible

    def __str__(self) -> str:
        right = "right, " if self.passed else ""
        said = [f"  {part}: {message}" for part, message in self.messages]
        said += [] if self.score is None else [f"  score: {self.score:.3f}"]
        return "\n".join([f"{self.exercise}: {right}{self.points} of {self.possible} points", *said])

    __repr__ = __str__


def load_exercise(name: str) -> Exercise:
    """The exercise of this name: "02.l2" of notebook 02, "lab1.softmax" of lab 1."""
    notebook, _, short = name.partition(".")
    module = f"n{notebook}" if notebook.isdecimal() else notebook
    try:
        return importlib.import_module(f"{__package__}.exercises.{module}").EXERCISES[short]
    except (ModuleNotFoundError, KeyError):
        raise InputError(f"there is no exercise '{name}': the notebook says its name, as '02.l2'") from None


def check(name: str, answer: Any, seed: int = 0) -> Result:
    """Try an answer in place and say what is wrong with it. answer: a function, or the value asked for."""
    exercise = load_exercise(name)
    points, messages = 0, []
    for part in exercise.parts:
        message = first_fault(exercise, part, answer, seed)
        if message is None:
            points += part.points
        else:
            messages.append((part.title, message))
    score = exercise.score(answer, np.random.default_rng(seed)) if exercise.score and points else None
    return Result(name, points, sum(part.points for part in exercise.parts), messages, score)


def first_fault(exercise: Exercise, part: Part, answer: Any, seed: int) -> str | None:
    """The first thing that is wrong with an answer, or None."""
    for arguments in part.inputs(np.random.default_rng(seed)):
        given = copy.deepcopy(arguments)
        try:
            if answer is None:
                return "no answer yet: put yours in place of None"
            output = exercise.ask(answer, *given) if callable(answer) else answer
        except InputError as error:
            return str(error)
        except NotImplementedError:
            return "not written yet: put your lines in place of `raise NotImplementedError`"
        except Exception as error:
            return f"raised {type(error).__name__}: {str(error)[:200]}"
        if not all(map(same_bits, given, arguments)):
            return "changes its inputs in place: work on a copy"
        if message := judge(exercise, output, arguments):
            return message
    return None


def judge(exercise: Exercise, output: Any, arguments: tuple) -> str | None:
    """What is wrong with an output, or None. Needs no student code: a grader calls it in a process of its own."""
    wanted = outcome(exercise, exercise.right, arguments)
    try:
        found = exercise.seen(output, *copy.deepcopy(arguments))
    except InputError as error:
        return str(error)
    fault = difference(found, wanted, exercise.tolerance)
    if fault is None:
        return None
    for message, wrong in exercise.wrong.items():
        with (
            np.errstate(all="ignore"),
            contextlib.suppress(InputError),
        ):  # a mistake may divide by zero, or be refused by `seen`
            if difference(found, outcome(exercise, wrong, arguments), exercise.tolerance) is None:
                return message
    return fault


def outcome(exercise: Exercise, answer: Callable, arguments: tuple) -> Any:
    """What is compared of the output of an answer of ours."""
    return exercise.seen(exercise.ask(answer, *copy.deepcopy(arguments)), *copy.deepcopy(arguments))


def difference(output: Any, wanted: Any, tolerance: float) -> str | None:
    """In what an output differs from the one wanted: type, shape, NaN, numbers. None where it does not."""
    if isinstance(wanted, (tuple, dict)):
        names = list(wanted) if isinstance(wanted, dict) else range(len(wanted))
        if not isinstance(output, (dict if isinstance(wanted, dict) else (tuple, list))) or len(output) != len(wanted):
            return f"returns {kind(output)}, wanted {kind(wanted)}"
        if isinstance(wanted, dict) and set(output) != set(wanted):
            return f"returns the names {sorted(map(str, output))}, wanted {sorted(map(str, wanted))}"
        found = (difference(output[name], wanted[name], tolerance) for name in names)
        called = names if isinstance(wanted, dict) else [f"result {i + 1} of {len(wanted)}" for i in names]
        return next((f"{name}: {fault}" for name, fault in zip(called, found) if fault), None)
    if isinstance(wanted, str):
        return None if output == wanted else f"'{output}' is not it"
    if output is None:
        return "returns nothing (None)"
    ours, theirs = array(output), array(wanted)
    if ours is None:
        return f"returns {kind(output)}, wanted {kind(wanted)}"
    if ours.shape != theirs.shape:
        return f"returns shape {ours.shape}, wanted {theirs.shape}"
    if np.isnan(ours).any() and not np.isnan(theirs).any():
        return "returns NaN"
    if (np.isnan(theirs) & ~np.isnan(ours)).any():
        return "returns numbers where NaN is wanted"
    if (np.isnan(ours) & ~np.isnan(theirs)).any():
        return "returns NaN where numbers are wanted"
    if np.allclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    with np.errstate(invalid="ignore"):
        off = ~np.isclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
        return f"{off.mean():.0%} of the numbers are off, by up to {np.nanmax(np.abs(ours - theirs)):.3g}"


def array(x: Any) -> np.ndarray | None:
    """Numbers in any form (tensor on any device, array, list, number, bool) as float64; None for anything else."""
    if isinstance(x, torch.Tensor):
        return x.detach().cpu().double().numpy()
    try:
        return np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def kind(x: Any) -> str:
    return f"a {type(x).__name__}" + (f" of {len(x)}" if isinstance(x, (tuple, list, dict)) else "")


def same_bits(one: Any, other: Any) -> bool:
    """Whether two arguments are equal to the last bit; what holds neither numbers nor words is taken to be."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if isinstance(one, (torch.Tensor, np.ndarray)):
        return array(one).tobytes() == array(other).tobytes()
    return bool(one == other or one != one) if isinstance(one, (int, float, str)) else True
