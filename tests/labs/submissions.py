"""Simulated students: notebooks made from a released lab, with answers of all kinds in them."""

import ast
import importlib
import inspect
import json
from pathlib import Path

from vos_lab.labs import course, exercises

LABS = Path(__file__).parents[2] / "notebooks" / "labs"
NAMES = sorted(path.name for path in LABS.glob("source/*"))
FUNCTIONS = [name for name in NAMES if name.startswith("lab")]  # whose answers are functions

# the points that a wrong answer keeps; 0 where it is not named
KEPT = {
    # lab 1
    "only the first clip of the batch is there": 2,
    "all clips are compared with the memory of the first": 2,
    "exp overflows: the largest number must be taken away first": 2,
    "one maximum for all columns: a column that lies far below it becomes 0 / 0": 2,
    "nan was made 0, and that exp overflows is not mended: these columns are empty, or have lost their best cells": 2,
    "exp of a similarity that was clamped: beyond the bound all cells are alike": 2,
    "the weights that are kept do not sum to 1": 1,
    "top_k is not heeded: all memory cells have weight": 1,
    "a similarity of 0 is not a weight of 0: the cells that are left out still have weight": 1,
    "this keeps the best query cells of each memory cell": 1,
    "this keeps the worst cells": 1,
    "this keeps one cell too many": 1,
    "this keeps the best pairs of the whole clip, not of each query cell": 1,
    "equally similar cells: more than top_k are kept": 3,
    "cells that are left out still have weight: this number is not below all similarities": 3,
    "top_k is None: all cells stay, not some usual number": 3,
    "top_k may be larger than the number of query cells: what there is to choose from are memory cells": 3,
    "only the first object is there": 1,
    "objects and channels are mixed up: one axis holds both, and a view takes them apart in another order": 1,
    "a certain pixel has infinite odds: keep the probabilities away from 0 and 1": 2,
    "nan was made 0: so an object that is certain has lost its pixel": 2,
    "a certain pixel is not certain any more: it was kept too far away from 0 and 1": 2,
    "top_k is not passed on": 1,
    "top_k is None: all of memory is read, not some usual number": 1,
    # lab 2
    "exactly three quarters are enough": 1,
    "of 25 pixels, 18 are fewer than three quarters: the number was rounded down": 2,
    "some ids are missing: they may be any numbers, with gaps between them": 2,
    "void is not background: a cell that is mostly void is mixed": 2,
    "void (255) is no label: a cell that is mostly void is mixed": 2,
    "void pixels are pixels of the cell as well: left out, the rest looks purer than it is": 2,
    "objects that look at another object are missing": 1,
    "weight on another object is no weight on background: it was counted in both kinds": 1,
    "there may be more than two objects: another object is any other id": 2,
    "weight that is neither on background nor on the own label may lie on mixed cells, and is then of no kind": 3,
    "the weight on mixed cells was shared out among the others: leave it where it is": 3,
    "a mixed query cell has no label to be false against: nan, not 0": 3,
    "frames and kinds are mixed up: reshape swaps no axes": 2,
    "only the first frame counts here": 2,
    "a mixed cell (-1) is no object, whichever side it is on": 3,
    "a mixed cell (-1) is no background, whichever side it is on": 3,
    "this is the mean of the frames' means, in which a frame with few cells counts as much as one with many": 2,
    "without cells there is no mean: a rate of 0 would say that they made no fault": 2,
    "dot: the division by the square root of c is missing": 2,
    "dot: this divides by c, not by its square root": 2,
    "kind is not heeded: this is the dot product": 1,
    "cosine: this is another kind: is its name the one that you ask for?": 2,
    "l2: these keys were normalised, which is for the cosine alone": 2,
    "the length of the query key is still in it: it makes the softmax of loud query cells sharper": 2,
    "the length of the memory key is still in it": 2,
    "a cosine lies between -1 and 1: there is nothing more to divide by": 2,
    "the keys were normalised along the wrong axis: each cell's key gets length 1": 2,
    "l2: the term |k|^2 has the wrong sign": 2,
    "l2: this is the distance, which is large where keys differ": 2,
    "l2: this is the distance itself; the formula has its square": 2,
    "the temperature is not heeded": 2,
    "the temperature divides twice: vl.memory.affinity does it already": 2,
    "just half of the weight is not less than half": 3,
    "weight on mixed memory cells is weight as well: half is half of all": 3,
    "mixed query cells were asked like all others: -1": 3,
    "the temperature divides the similarity, it does not multiply it: small is sharp": 2,
    "a mixed query cell has no true label: -1": 3,
    "a mixed query cell has no true label, so it cannot have looked at the wrong one: -1": 3,
    "A: what asks comes first in the name, and here it is not background that asks": 2,
    "A: the weight does not lie on another object": 2,
    "A: more than half of the weight of object cells is false: read the rates again": 2,
    "B: a hole in the mask is not a false match: read the rates, not the mask": 2,
    "B: the rate of this kind is next to nothing: read the rates again": 2,
    "B: no object looks at the other one here: read the rates again": 2,
    "C: what the cells look at is in a mask: it is not background": 2,
    "C: what asks comes first in the name, and background has next to no fault here": 2,
    "C: more than half of the weight of object cells is false: read the rates again": 2,
    "A: memory holds true masks alone: it told no lie": 2,
    "A: the decoder was told the wrong label: count the verdicts of the wrong cells": 2,
    "B: nearly all cells look at their own label: the fault lies behind the look": 2,
    "B: the decoder did as it was told: count the verdicts of the wrong cells": 2,
    "C: memory holds true masks alone: the label that was read belongs to the cell that was looked at": 2,
    "C: the decoder drew what it read: count the verdicts of the wrong cells": 2,
    # lab 3
    "exp overflows: take the largest number away first, or let torch.softmax do it": 2,
    "one maximum for all cells: a cell that lies far below it becomes 0 / 0": 2,
    "the logarithm of a share that was rounded to 0: take log_softmax, which does both at once": 3,
    "a number inside the logarithm keeps it finite, and makes all labels that are held for impossible alike": 3,
    "an object that is absent has no embedding: leave its row out": 2,
    "a thing of less than one cell has an embedding as well: only where its map is all 0 has it none": 2,
    "where there is no background, it has no row either": 2,
    "an object that is absent from one frame keeps its rows in the others": 2,
    "an object that shows once is a negative of the others all the same": 1,
    "the background is no object: it is a negative, and never has a positive": 3,
    "the background is left out: it is a negative of every object": 3,
    "the seed is not used: nobody could repeat this": 1,
    "the seed is not used: this is always the same one": 3,
    "a clip without a score was counted in n": 2,
    "a clip without a score is not one without a difference: leave it out": 2,
    "a clip that one twin has no score for must be left out for both": 2,
    # lab 4
    "every is not heeded: each frame enters": 2,
    "a frame that does not enter must not push another one out": 2,
    "a frame that has entered stays until the queue is full: here the first one is thrown out at once": 2,
    "the number of the frame itself decides, not how far it lies from another one": 2,
    "a frame stays twice": 1,
    "the very first frame enters whatever its number: an object may appear late": 2,
    "nothing new comes in: wanted the newest beside the first": 1,
    "the newest frame is left out": 1,
    "only the first frame and the last stay: there is room for more": 1,
    "with size 1 everything stays: what does a slice from -0 on hold?": 1,
    "only the last read counts here": 1,
    "a read counts for all cells that were there, also for one at which nobody looked": 1,
    "this is the sum of all reads: an old cell was read more often, so divide by how often": 1,
    "a cell that came late was read less often: divide each by its own number of reads": 1,
    "new cells come in at the end, not at the front": 1,
    "these are the cells that are used least": 1,
    "equally used cells: more than `count` were chosen": 1,
    "a cell that was never used is still a cell: where others are too few, it stays": 1,
    "count 0: nothing stays. What does a slice from -0 on hold?": 1,
    "these are ranks: wanted the numbers of the cells": 1,
    "one cell too many": 1,
    "these are the first cells, used or not": 1,
    "these are all cells, sorted: wanted only the first of them": 1,
    "the other objects are missing: each has values of its own": 2,
    "no better than a queue of the newest cells: what does that forget, of which the mask was given?": 2,
}

# what a student has in place of a function that the wrong answers call
OWN = {
    "lab1": """
def tracked(clip, policy, name="stcn-small"):
    return vl.Tracker(vl.load_model(name), policy, read=read, top_k=20, kind="l2").run(clip).masks
""",
    "lab3": "with_gradients = rehearsed = lambda answer: answer",  # the notebook does that itself
}


def table(lab: str) -> dict:
    return importlib.import_module(f"{exercises.__name__}.{lab}").EXERCISES


def possible(lab: str) -> dict[str, int]:
    """The points of each exercise that is graded by machine."""
    return {short: sum(part.points for part in exercise.parts) for short, exercise in table(lab).items()}


def released(lab: str) -> dict:
    return json.loads((LABS / "release" / lab / f"{lab}.ipynb").read_text())


def right(lab: str) -> dict[str, str]:
    """The instructor's answers, by the id of their cell."""
    return course.solutions_of(LABS / "source" / lab / f"{lab}.ipynb")


def syntax(lab: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(f"{exercises.__name__}.{lab}")))


def wrong(lab: str) -> dict[str, dict[str, str]]:
    """Each known wrong answer as a student would write it: exercise -> message -> source."""
    table = syntax(lab).body[-1].value  # EXERCISES
    found = {}
    for name, exercise in zip(table.keys, table.values):
        answers = next(keyword.value for keyword in exercise.keywords if keyword.arg == "wrong")
        short = ast.literal_eval(name)
        found[short] = {
            ast.literal_eval(message): f"{short} = {ast.unparse(answer)}"
            for message, answer in zip(answers.keys, answers.values)
        }
    return found


def helpers(lab: str) -> str:
    """What the wrong answers call: imports and functions beside them."""
    tree = syntax(lab)
    imports = [node for node in tree.body if isinstance(node, ast.Import)]
    imports += [node for node in tree.body if isinstance(node, ast.ImportFrom) and not node.module.startswith("vos_lab.labs")]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return "\n\n".join([*map(ast.unparse, [*imports, *functions]), OWN.get(lab, "")])


def submission(lab: str, answers: dict[str, str], first: str = "") -> dict:
    """The released lab with these answers in its cells, and a cell of the student's own at the top."""
    notebook = released(lab)
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


def with_every_wrong_answer(lab: str) -> list[tuple[dict, dict[str, str]]]:
    """(notebook, exercise -> the mistake in it): the i-th holds the i-th mistake of every exercise that has so many."""
    bank = {short: list(answers.items()) for short, answers in wrong(lab).items()}
    students = []
    for i in range(max(map(len, bank.values()))):
        chosen = {short: answers[i] for short, answers in bank.items() if i < len(answers)}
        answers = right(lab) | {short: source for short, (_, source) in chosen.items()}
        students.append((submission(lab, answers, helpers(lab)), {short: message for short, (message, _) in chosen.items()}))
    return students
