"""Grade a notebook: its functions are called in a sandbox, and what they return is judged here.

A graded cell of a lab holds, in a hidden region, a line such as

    grade("lab1.affinity", affinity, seed=52, without=["vos_lab.memory.affinity"], uses=["softmax"])

seed: of the hidden inputs · without: functions of vos_lab that the answer may not call · uses: all solution cells on which this
answer builds, also through others; where one of them was wrong, the instructor's takes its place, so that nobody pays twice
for one mistake. In a notebook that line works as it stands, without a sandbox; `nbgrader autograde` reads it and runs nothing.
"""

import ast
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import InputError
from .checks import Result, check, load_exercise
from .refuse import refusing
from .sandbox import Limits, Notebook, Nursery, StoppedError


@dataclass(frozen=True)
class Test:
    """What a graded cell asks for."""

    exercise: str
    function: str
    seed: int = 0
    without: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        return sum(part.points for part in load_exercise(self.exercise).parts)


def grade(exercise: str, answer: Any, seed: int = 0, without: list[str] = (), uses: list[str] = ()) -> int:
    """The points of an answer, in place and with no sandbox; says what is wrong with it."""

    def guarded(*arguments):
        with refusing(without):
            return answer(*arguments)

    result = check(exercise, guarded if callable(answer) else answer, seed)
    print(result)
    return result.points


def read_test(source: str) -> Test | None:
    """The `grade` line of a graded cell, read and not run. Raises InputError for one that says more than plain values."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "grade":
            try:
                exercise, function = node.args
                options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
                options = {name: tuple(x) if isinstance(x, list) else x for name, x in options.items()}
                return Test(ast.literal_eval(exercise), function.id, **options)
            except (ValueError, TypeError, AttributeError):
                raise InputError(f"'{ast.unparse(node)}' cannot be read: write names and plain values only") from None
    return None


@cache
def nursery() -> Nursery:
    """One for all notebooks that this program grades."""
    return Nursery()


def grade_cells(
    cells: list[str],
    tests: dict[str, Test],
    solutions: dict[str, str],
    limits: Limits,
    pictures: dict[str, bytes] | None = None,
) -> dict:
    """Run a student's code cells, then each test: -> {"cells": [what each said], "tests": {id: {"points", "said"}}}, as JSON.

    solutions: the instructor's solution cells, by id; a test of id "x-test" belongs to the solution "x" · pictures: files that
    were handed in with it, name -> bytes.
    """
    graded, failed = {}, []
    with Notebook(nursery(), list(cells), limits, pictures or {}) as notebook:
        with contextlib.suppress(StoppedError):  # then each test says so
            notebook.run()
        said = [spoken(notebook.said.get(i, {})) for i in range(len(cells))]
        for name, test in tests.items():
            replaced = [used for used in test.uses if used in failed]
            try:
                for used in replaced:
                    notebook.execute(solutions[used])
                result = check(test.exercise, asked(notebook, test), test.seed)
            except StoppedError as error:
                result = Result(test.exercise, 0, test.points, [("the notebook", str(error))])
            if not result.passed:
                failed.append(name.removesuffix("-test"))
            note = f"\n  (tried with a right {', '.join(replaced)} in place of yours)" if replaced else ""
            graded[name] = {"points": result.points, "said": f"{result}{note}", "score": result.score}
    return {"cells": said, "tests": graded}


def asked(notebook: Notebook, test: Test) -> Callable:
    """A function that stands here for the student's: it runs over there, and fails here as it fails there.

    Once it did not return, it is not called again.
    """
    stopped = None

    def answer(*arguments):
        nonlocal stopped
        try:
            reply = {} if stopped else notebook.call(test.function, arguments, list(test.without))
        except StoppedError as error:
            stopped = str(error)
        if stopped:
            raise failure("Stopped", stopped)
        if reply.get("error"):
            raise failure(*spoken(reply)["error"])
        give_back(reply.get("given"), arguments)
        return reply.get("output")

    return answer


def failure(name: str, words: str) -> Exception:
    if name == "NotImplementedError":
        return NotImplementedError(words)
    return type(name, (Exception,), {})(words)


def give_back(changed: Any, arguments: tuple) -> None:
    """What the student's function did to its arguments is done to ours, so that the check sees it."""
    for theirs, ours in zip(changed if isinstance(changed, tuple) else (), arguments):
        if isinstance(theirs, list) and isinstance(ours, list):
            ours[:] = theirs
        elif type(theirs) is type(ours) and getattr(theirs, "shape", None) == getattr(ours, "shape", 0):
            ours[...] = theirs


def spoken(reply: dict) -> dict:
    """What a cell said, whatever the process sent: {"printed": text, "error": [class, words] or None}."""
    error = reply.get("error")
    if error:
        error = [str(x)[:2000] for x in error] if isinstance(error, list) and len(error) == 2 else ["Error", "unknown"]
        error[0] = error[0][:60].replace("\0", "")
    return {"printed": str(reply.get("printed", ""))[:2000], "error": error or None}
