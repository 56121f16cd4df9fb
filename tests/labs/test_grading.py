"""The whole way of a lab through nbgrader: release, submissions of all kinds, grades, feedback, gradebook. What is expected of
a submission stands beside it, and what nbgrader wrote down must be the same."""

import csv
import inspect
import json
import shutil
import socket
from pathlib import Path
from statistics import fmean

import pytest
import submissions as students
from PIL import Image

from vos_lab.labs import course, grading, refuse
from vos_lab.labs.__main__ import Course
from vos_lab.labs.checks import check
from vos_lab.labs.exercises import project
from vos_lab.labs.sandbox import Limits, Notebook
from vos_lab.masks import write_mask

RIGHT = students.right("lab1")
FULL = {lab: students.possible(lab) for lab in students.NAMES}
QUICK = Limits(seconds=1.0, wait=60.0)

CHEATS = {
    # an answer that is taken from elsewhere: the exercise is lost, the others are not
    "similarity": "similarity = vl.memory.similarity",
    "softmax": "from vos_lab.labs.exercises.lab1 import EXERCISES\nsoftmax = EXERCISES['softmax'].right",
    "affinity": "def affinity(similarity, top_k=None):\n    return vl.memory.affinity(similarity, top_k)",
    "aggregate": "import vos_lab.labs.checks as c\nc.judge = lambda *_: None\nprint('3.0')\naggregate = lambda prob: 3.0",
}
HARM = """
import os, sys, glob, socket, pathlib, builtins
def attempt(what):
    try:
        print("DONE", what())
    except BaseException as error:
        print(type(error).__name__)
attempt(lambda: open(pathlib.Path(vl.__path__[0], "labs", "exercises", "lab1.py")).read()[:20])
attempt(lambda: open({gradebook!r}, "rb").read(16))
attempt(lambda: open({gradebook!r}, "wb"))
attempt(lambda: os.listdir({course!r}))
attempt(lambda: open("/tmp/vos_lab_was_here", "w"))
attempt(lambda: socket.create_connection(("127.0.0.1", {port}), timeout=2))
attempt(lambda: os.kill({pid}, 9))
attempt(lambda: open("large", "wb").write(bytes(2**25)))
attempt(lambda: bytearray(2**35))
attempt(lambda: os.environ["SECRET"])
"""
LIES = """
import os, socket, stat
for number in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            line = socket.socket(fileno=os.dup(number))
            word = b'{"dict": [["output", 3], ["points", 20], ["tests", 20]]}'
            line.sendall(len(word).to_bytes(8, "big") + word)
    except OSError:
        pass
"""
ENDS = {
    # ways not to return
    "similarity": "import os\ndef similarity(memory_key, query_key):\n    os._exit(0)",
    "softmax": "def softmax(similarity):\n    while True:\n        pass",
    "affinity": "def affinity(similarity, top_k=None):\n    print('x' * 2**20)\n    return similarity * float('nan')",
    "readout": "def readout(affinity, values):\n    affinity.zero_()\n    return values @ affinity.unsqueeze(1)",
    "aggregate": "def aggregate(prob):\n    return [aggregate]\nwhile True:\n  try:\n    1 / 0\n  except Exception: pass",
    "read": "def reed(memory_key, query_key, values, top_k=None): ...\nimport os\nos._exit(1)",
}


def without_cells() -> dict:
    """Tests, answers and imports deleted, an answer copied, names and points forged, outputs that show a score."""
    notebook = students.submission("lab1", RIGHT)
    cells, cell = notebook["cells"], lambda name: students.cell_named(notebook, name)
    forged = cell("aggregate-test")
    forged["metadata"]["nbgrader"] |= {"points": 100, "grade": False, "solution": True, "locked": False}
    forged["source"] = "100"
    score = {"output_type": "execute_result", "data": {"text/plain": "100"}, "metadata": {}, "execution_count": 1}
    forged["outputs"] = [score]
    copy = json.loads(json.dumps(cell("affinity")))
    cells.insert(cells.index(cell("affinity")), copy | {"source": "def affinity(similarity, top_k=None):\n    return 0"})
    cells.append({"cell_type": "code", "metadata": {"nbgrader": "?"}, "source": ["pass"]})
    cells.append({"cell_type": "code", "metadata": {"nbgrader": {"grade_id": 7, "grade": True, "points": 50}}, "source": "1"})
    cells.append({"source": 3})
    cells.append("no cell")
    for name in ("imports", "softmax-test", "similarity-test", "readout"):
        cells.remove(cell(name))
    notebook["metadata"] = {"kernelspec": {"name": "another", "display_name": "?", "language": "R"}}
    return notebook


def some_students(lab: str) -> dict[str, tuple[dict | str | None, dict[str, int]]]:
    """Name -> (submission, the points that it should get)."""
    full, wrong = FULL[lab], with_wrong_answers(lab)[0]
    some = {"perfect": (students.submission(lab, students.right(lab)), full), "wrong": wrong}
    if lab != "lab1":
        return some
    return some | {
        "untouched": (students.released(lab), {}),
        "no-notebook": ("{ this is no notebook", {}),
        "cheat": (students.submission(lab, RIGHT | CHEATS, LIES), {name: x for name, x in full.items() if name not in CHEATS}),
        "torn": (without_cells(), full | {"readout": 0}),
        "endless": (students.submission(lab, RIGHT | ENDS), {"track": 2}),
    }


def with_wrong_answers(lab: str) -> list[tuple[dict, dict[str, int]]]:
    """Each wrong answer of the bank, several to a notebook."""
    return [
        (notebook, FULL[lab] | {short: students.KEPT.get(message, 0) for short, message in mistakes.items()})
        for notebook, mistakes in students.with_every_wrong_answer(lab)
    ]


def all_students(lab: str) -> dict[str, tuple[dict | str | None, dict[str, int]]]:
    """All wrong answers and, once, what takes its time."""
    found = {f"wrong-{i:02}": wrong for i, wrong in enumerate(with_wrong_answers(lab))}
    if lab != "lab1":
        return found | {"untouched": (students.released(lab), {})}
    full, submission = FULL[lab], lambda *answers: students.submission(lab, *answers)
    asleep = submission(RIGHT | {"softmax": "import time\ndef softmax(similarity):\n    time.sleep(10_000)"})
    crowd = "import os\ntry:\n    for _ in range(90):\n        os.fork() or time.sleep(1000)\nexcept OSError:\n    pass"
    return found | {
        "asleep": (asleep, full | {"softmax": 0}),
        "crowd": (submission(RIGHT, "import time\n" + crowd), full),
        "exit": (submission(RIGHT, "import sys\nsys.exit()"), full),
        "half": (submission({name: RIGHT[name] for name in ("similarity", "softmax")}), {"similarity": 3, "softmax": 3}),
        "syntax": (submission(RIGHT | {"readout": "def readout(:"}), full | {"readout": 0}),
        "magic": (submission(RIGHT, "%matplotlib inline\n!pip install numpy\nprint(1)"), full),
        "empty": ("", {}),
        "old": (json.dumps({"worksheets": [], "nbformat": 3}), {}),
    }


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Course:
    """A course of its own, with its labs released."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(students.LABS / "source", folder / "source")
    shutil.copy(students.LABS / "nbgrader_config.py", folder)
    made = Course(folder)
    assert made.release([]) == 0
    made.nbgrader.config.Sandboxed.seconds = 2.0  # endless loops end sooner
    return made


def hand_in(lab: Course, name: str, notebooks: dict) -> None:
    for student, (notebook, _) in notebooks.items():
        path = lab.folder / "submitted" / student / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(notebook if isinstance(notebook, str) else json.dumps(notebook))


def points(lab: Course, name: str) -> dict[str, dict[str, float]]:
    """What the gradebook says of a lab."""
    with open(lab.folder / "gradebook.csv") as file:
        rows = {row["student"]: row for row in csv.DictReader(file) if row["lab"] == name}
    return {who: {short: float(row[f"{short}-test"] or "nan") for short in FULL[name]} for who, row in rows.items()}


def table(given: dict, expected: dict) -> str:
    return "\n".join(f"{name}: {given.get(name)} for {expected[name]}" for name in expected)


@pytest.mark.parametrize("name", students.NAMES)
def test_the_release_is_fresh_and_holds_no_answer(lab, name):
    made = (lab.folder / "release" / name / f"{name}.ipynb").read_text()
    assert json.loads(made) == students.released(name), "run `make labs` and commit what it changes"
    for word in (
        "SOLUTION",
        "HIDDEN",
        "MARK SCHEME",
        "seed=7",
        "seed=8",
        "grade(",
        "uses=",
        "without=",
        "Rubric",
        "model answer",
    ):
        assert word not in made, word
    sources = [line.strip() for cell in json.loads(made)["cells"] for line in "".join(cell["source"]).splitlines()]
    for short, answer in students.right(name).items():
        body = answer.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0]
        assert not set(filter(None, map(str.strip, body.splitlines()))) & set(sources), short


@pytest.mark.parametrize("name", students.FUNCTIONS)
def test_through_nbgrader_each_gets_what_was_expected(lab, name):
    notebooks = some_students(name)
    hand_in(lab, name, notebooks)
    assert lab.grade(name, jobs=2) == 0
    expected = {who: {short: wanted.get(short, 0) for short in FULL[name]} for who, (_, wanted) in notebooks.items()}
    given = {who: found for who, found in points(lab, name).items() if who in expected}
    assert given == expected, table(given, expected)

    feedback = {who: (lab.folder / "feedback" / who / name / f"{name}.html").read_text() for who in notebooks}
    for short, most in FULL[name].items():
        assert f"{name}.{short}: right, {most} of {most} points" in feedback["perfect"]
    assert name != "lab1" or "may not call that function" in feedback["cheat"]
    assert all("seed=7" not in page and "seed=8" not in page and "HIDDEN" not in page for page in feedback.values())

    written = {path: path.stat().st_mtime_ns for path in (lab.folder / "autograded").rglob("*.ipynb")}
    assert lab.grade(name, jobs=2) == 0  # goes on: nothing is left to do
    assert written == {path: path.stat().st_mtime_ns for path in (lab.folder / "autograded").rglob("*.ipynb")}


def hand_in_case(lab: Course, student: str, card: dict, grey: bool = False, **masks) -> None:
    """The project's example as a submission: its notebook and its folder."""
    notebook = students.submission("project", students.right("project") | {"card": f"card = {card!r}", "story": "Look."})
    hand_in(lab, "project", {student: (notebook, {})})
    case = lab.folder / "submitted" / student / "project" / "case"
    for name in ("clip", *masks):
        (case / name).mkdir(parents=True)
    for t, frame in enumerate(project.example()["frames"]):
        Image.fromarray(frame).save(case / "clip" / f"{t:05d}.png")
        for name, ids in masks.items():
            write_mask(case / name / f"{t:05d}.png", ids[t])
    if grey:
        Image.fromarray(masks["truth"][0]).save(case / "truth" / "00000.png")


def test_a_case_is_graded_with_its_folder(lab):
    right = project.example()
    masks = {name: right[name] for name in ("truth", "before", "after")}
    hand_in_case(lab, "whole", right["card"], **masks)
    hand_in_case(lab, "twisted", right["card"] | {"weight": 50, "price": None}, grey=True, **masks | {"before": right["after"]})
    hand_in(lab, "project", {"bare": (students.submission("project", students.right("project")), {})})
    assert lab.grade("project", jobs=2) == 0
    given = {who: found for who, found in points(lab, "project").items() if who in ("whole", "twisted", "bare")}
    assert given == {
        "whole": FULL["project"],
        "twisted": dict.fromkeys(FULL["project"], 0) | {"truth": 2},
        "bare": dict.fromkeys(FULL["project"], 0),
    }
    with open(lab.folder / "gradebook.csv") as file:
        waiting = {row["student"]: row["to grade by hand"] for row in csv.DictReader(file) if row["lab"] == "project"}
    assert (waiting["whole"], waiting["bare"]) == ("True", "False")  # where nothing was written there is nothing to read


def test_only_pictures_come_along(tmp_path):
    for name in ("lab.ipynb", "case/a.png", "case/deep/b.JPG", "case/c.py", "d.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    (tmp_path / "secret.png").write_text("secret")
    (tmp_path / "in" / "case" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "here").symlink_to(tmp_path)
    found = course.pictures_beside(tmp_path / "here" / "in")
    assert found == {"case/a.png": b"case/a.png", "case/deep/b.JPG": b"case/deep/b.JPG"}
    assert course.pictures_beside(tmp_path / "nobody") == {}


def test_harm_is_kept_out_and_the_score_is_the_same_twice(lab, monkeypatch):
    monkeypatch.setenv("SECRET", "7")
    listening = socket.create_server(("127.0.0.1", 0))
    words = dict(course=str(lab.folder), gradebook=str(lab.folder / "gradebook.db"), pid=grading.nursery()._process.pid)
    harm = HARM.format(port=listening.getsockname()[1], **words)
    cells = ["import torch, math\nimport vos_lab as vl", harm, RIGHT["softmax"]]
    tests = {"softmax-test": grading.Test("lab1.softmax", "softmax", seed=5)}
    results = [grading.grade_cells(cells, tests, {}, QUICK) for _ in range(2)]
    assert results[0] == results[1]
    assert results[0]["tests"]["softmax-test"]["points"] == 3
    assert "DONE" not in results[0]["cells"][1]["printed"], results[0]["cells"][1]["printed"]
    assert not Path("/tmp/vos_lab_was_here").exists()


def test_what_cannot_be_sent_is_an_error_of_its_own():
    answers = {
        "complex": "lambda: torch.ones(2, dtype=torch.complex64)",
        "itself": "lambda: (x := [], x.append(x))[0]",
        "a class": "lambda: type('Odd', (), {})()",
        "half a character": "lambda: '\\ud800'",
        "much": "lambda: torch.zeros(2**24)",
    }
    said = {}
    cells = ["import torch", *(f"f{i} = {x}" for i, x in enumerate(answers.values()))]
    with Notebook(grading.nursery(), cells, QUICK) as notebook:
        for i, name in enumerate(answers):
            answer = grading.asked(notebook, grading.Test("lab1.softmax", f"f{i}"))
            said[name] = check("lab1.softmax", lambda s, answer=answer: answer()).messages[0][1]
    assert "wanted numbers" in said["complex"] and "recursion" in said["itself"].lower()
    assert said["a class"] == "returns a Odd, wanted a Tensor" and "str" in said["half a character"]
    assert "cannot be read" in said["much"] or "Memory" in said["much"]


def test_lists_that_are_changed_in_place_are_seen():
    cells = [
        "def queue(frames, size, every):\n    frames.reverse()\n    return frames[:size]",
        "def usage(affinities):\n    affinities[0].zero_()\n    return affinities[-1].sum(1)",
    ]
    with Notebook(grading.nursery(), cells, QUICK) as notebook:
        notebook.run()
        for name in ("queue", "usage"):
            result = check(f"lab4.{name}", grading.asked(notebook, grading.Test(f"lab4.{name}", name)))
            assert result.points == 0 and "in place" in result.messages[0][1]


def test_the_grade_line_is_read_and_never_run():
    line = 'grade("lab1.read", read, seed=3, without=["vos_lab.memory.read"], uses=["softmax"])'
    test = grading.Test("lab1.read", "read", 3, ("vos_lab.memory.read",), ("softmax",))
    assert grading.read_test(f"check('lab1.read', read)\n{line}") == test
    assert grading.read_test("1 + 1") is None
    with pytest.raises(Exception, match="plain values only"):
        grading.read_test('grade("lab1.read", read, seed=exit())')


def test_in_a_notebook_the_grade_line_gives_the_points(capsys, monkeypatch):
    monkeypatch.setattr(refuse, "refuse", inspect.unwrap(refuse.refuse))  # as it is without the tests' run-time checks
    assert grading.grade("lab1.softmax", lambda s: s.softmax(1), seed=1) == 3
    assert grading.grade("lab1.softmax", lambda s: s.softmax(1) * fmean([1.0]), seed=1, without=["statistics.fmean"]) == 0
    assert "may not call" in capsys.readouterr().out


@pytest.mark.parametrize("name", students.NAMES)
def test_points_of_the_notebook_are_those_of_the_exercises(name):
    cells = json.loads((students.LABS / "source" / name / f"{name}.ipynb").read_text())["cells"]
    tests = {"".join(cell["source"]): cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade")}
    tests = {source: cell for source, cell in tests.items() if cell["cell_type"] == "code"}  # the rest is read by a person
    assert [grading.read_test(source).points for source in tests] == [
        cell["metadata"]["nbgrader"]["points"] for cell in tests.values()
    ]
    assert all(len(exercise.wrong) >= 5 for exercise in students.table(name).values())


@pytest.mark.long
@pytest.mark.parametrize("name", students.FUNCTIONS)
def test_a_whole_class(lab, name):
    notebooks = all_students(name)
    hand_in(lab, name, notebooks)
    assert lab.grade(name, jobs=2) == 0
    given = points(lab, name)
    expected = {who: {short: wanted.get(short, 0) for short in FULL[name]} for who, (_, wanted) in notebooks.items()}
    assert {who: given[who] for who in expected} == expected, table(given, expected)
    for i, (_, mistakes) in enumerate(students.with_every_wrong_answer(name)):
        result = json.loads(course.result_file(lab.folder, name, f"wrong-{i:02}", name).read_text())
        for short, message in mistakes.items():
            assert message in result["tests"][f"{short}-test"]["said"], (i, short)
