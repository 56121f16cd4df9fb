"""Simulated students: notebooks made from the released lab, with answers of all kinds in them."""

import ast
import importlib
import inspect
import json
from pathlib import Path

from vos_lab.labs import course, exercises
from vos_lab.labs.checks import load_exercise

LABS = Path(__file__).parents[2] / "notebooks" / "labs"
EXERCISES = ["similarity", "softmax", "affinity", "readout", "aggregate", "read", "track"]
POSSIBLE = {short: sum(part.points for part in load_exercise(f"lab1.{short}").parts) for short in EXERCISES}

# the points that a wrong answer keeps; 0 where it is not named
KEPT = {
    "only the first clip of the batch is there": 2,
    "exp overflows: the largest number must be taken away first": 2,
    "one maximum for all columns: a column that lies far below it becomes 0 / 0": 2,
    "the weights that are kept do not sum to 1": 1,
    "top_k is not heeded: all memory cells have weight": 1,
    "a similarity of 0 is not a weight of 0: the cells that are left out still have weight": 1,
    "this keeps the best query cells of each memory cell": 1,
    "this keeps the worst cells": 1,
    "this keeps one cell too many": 1,
    "this keeps the best pairs of the whole clip, not of each query cell": 1,
    "only the first object is there": 1,
    "a certain pixel has infinite odds: keep the probabilities away from 0 and 1": 2,
}


def released() -> dict:
    return json.loads((LABS / "release" / "lab1" / "lab1.ipynb").read_text())


def right() -> dict[str, str]:
    """The instructor's answers, by the id of their cell."""
    return course.solutions_of(LABS / "source" / "lab1" / "lab1.ipynb")


def wrong() -> dict[str, dict[str, str]]:
    """Each known wrong answer as a student would write it: exercise -> message -> source."""
    tree = ast.parse(inspect.getsource(importlib.import_module(f"{exercises.__name__}.lab1")))
    table = tree.body[-1].value  # EXERCISES
    found = {}
    for name, exercise in zip(table.keys, table.values):
        answers = next(keyword.value for keyword in exercise.keywords if keyword.arg == "wrong")
        short = ast.literal_eval(name)
        found[short] = {
            ast.literal_eval(message): f"{short} = {ast.unparse(answer)}"
            for message, answer in zip(answers.keys, answers.values)
        }
    return found


def helpers() -> str:
    """The functions that the wrong answers call; a student's tracker reads with the student's own `read`."""
    tree = ast.parse(inspect.getsource(importlib.import_module(f"{exercises.__name__}.lab1")))
    functions = [ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    imports = "import math\nfrom functools import cache\nimport numpy as np\nimport torch\nfrom torch import Tensor\n"
    tracked = (
        "def tracked(clip, policy, name='stcn-small'):\n"
        "    return vl.Tracker(vl.load_model(name), policy, read=read, top_k=20, kind='l2').run(clip).masks"
    )
    return "\n\n".join([imports + "import vos_lab as vl\nfrom vos_lab import memory", *functions, tracked])


def submission(answers: dict[str, str], first: str = "") -> dict:
    """The released lab with these answers in its cells, and a cell of the student's own at the top."""
    notebook = released()
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in answers:
            cell["source"] = answers[name]
    if first:
        own = {"cell_type": "code", "id": "own", "metadata": {}, "source": first, "outputs": [], "execution_count": None}
        notebook["cells"].insert(1, own)
    return notebook


def cell_named(notebook: dict, name: str) -> dict:
    return next(cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name)


def with_every_wrong_answer() -> list[tuple[dict, dict[str, str]]]:
    """(notebook, exercise -> the mistake in it): the i-th holds the i-th mistake of every exercise that has so many."""
    bank = {short: list(answers.items()) for short, answers in wrong().items()}
    students = []
    for i in range(max(map(len, bank.values()))):
        chosen = {short: answers[i] for short, answers in bank.items() if i < len(answers)}
        answers = right() | {short: source for short, (_, source) in chosen.items()}
        students.append((submission(answers, helpers()), {short: message for short, (message, _) in chosen.items()}))
    return students
