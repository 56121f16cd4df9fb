"""The labs as an nbgrader course. nbgrader keeps the books (assignments, submissions, scores, feedback); of a submission it is
given nothing but text, and no kernel is started for it: `grading` runs it in a sandbox.

`nbgrader_config.py` of the course puts these classes in the places of nbgrader's own.
"""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import ExportPlugin
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor
from traitlets import Float, Integer

from . import grading
from .sandbox import Limits

LARGEST = 100 * 2**20  # bytes of a notebook, and of all its pictures
PICTURES, MOST = (".png", ".jpg", ".jpeg"), 400  # that may be handed in with it
UNREADABLE = "**This file could not be read as a notebook.** What follows is the lab without answers."
MISSING = "**The submission did not hold the cells that follow.** They are the lab's."


def originals(db_url: str, lab: str, notebook: str) -> dict[str, dict]:
    """The cells of the lab that the gradebook knows, by id: cell_type, source, and nbgrader's metadata."""
    with Gradebook(db_url) as book:
        known = book.find_notebook(notebook, lab)
        points = {cell.name: cell.max_score for cell in known.grade_cells}
        solutions = {cell.name for cell in known.solution_cells}
        cells = {}
        for cell in known.source_cells:
            about = {
                "schema_version": 3,
                "grade_id": cell.name,
                "grade": cell.name in points,
                "solution": cell.name in solutions,
                "locked": cell.locked,
                "task": False,
                "checksum": cell.checksum,
                "cell_type": cell.cell_type,
            }
            about |= {"points": points[cell.name]} if cell.name in points else {}
            cells[cell.name] = {"cell_type": cell.cell_type, "source": cell.source, "nbgrader": about}
        return cells


def restored(path: Path, known: dict[str, dict]) -> NotebookNode:
    """A submission, built anew from the text of its cells and their ids; all else in the file is left behind.

    Cells that are not the student's to change are the lab's. Of copies the last counts as the answer, and the others stay as
    plain cells. What was deleted is put back: tests and questions at the end, the rest at the top.
    """
    cells = submitted_cells(path)
    notebook = new_notebook(cells=[] if cells else [new_markdown_cell(UNREADABLE)])
    seen = set()
    for kind, source, name in reversed(cells or []):
        original = known.get(name) if name not in seen else None
        if original and original["cell_type"] == kind:
            seen.add(name)
            source = original["source"] if original["nbgrader"]["locked"] else source
            notebook.cells.append(cell_of(kind, source, original["nbgrader"]))
        else:
            notebook.cells.append(cell_of(kind, source, None))
    notebook.cells.reverse()
    missing = [original for name, original in known.items() if name not in seen]
    missing = [x for x in missing if x["nbgrader"]["locked"] or x["nbgrader"]["grade"]]
    top = [cell_of(**x) for x in missing if not x["nbgrader"]["grade"]]
    end = [cell_of(**x) for x in missing if x["nbgrader"]["grade"]]
    note = [new_markdown_cell(MISSING)] if end and cells else []
    notebook.cells = [*top, *notebook.cells, *note, *end]
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i:02}"
    return notebook


def submitted_cells(path: Path) -> list[tuple[str, str, str | None]]:
    """(code or markdown, source, id) of each cell; what is damaged is left out."""
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            return []
        raw = json.loads(path.read_bytes().decode("utf-8", "replace"))["cells"]
        return [cell for cell in map(submitted_cell, raw) if cell]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def submitted_cell(raw: Any) -> tuple[str, str, str | None] | None:
    try:
        source = raw["source"] if isinstance(raw["source"], str) else "".join(raw["source"])
        source = source.encode("utf-8", "replace").decode().replace("\0", "")
        kind = "code" if raw["cell_type"] == "code" else "markdown"
    except (KeyError, TypeError):
        return None
    metadata = raw.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = about.get("grade_id") if isinstance(about, dict) else None
    return kind, source, name if isinstance(name, str) else None


def cell_of(cell_type: str, source: str, nbgrader: dict | None) -> NotebookNode:
    metadata = {"nbgrader": dict(nbgrader)} if nbgrader else {}
    return (new_code_cell if cell_type == "code" else new_markdown_cell)(source, metadata=metadata)


def pictures_beside(folder: Path) -> dict[str, bytes]:
    """The images in the folders of a submission, by their path in it; links and what is too much are left out."""
    found, size = {}, 0
    for path in sorted(folder.glob("*/**/*")):
        way = [path, *path.parents][: len(path.relative_to(folder).parts)]
        if path.is_file() and not any(map(Path.is_symlink, way)) and path.suffix.lower() in PICTURES and len(found) < MOST:
            size += path.stat().st_size
            if size <= LARGEST:
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def graded_by_sandbox(
    notebook: NotebookNode, solutions: dict[str, str], limits: Limits, pictures: dict[str, bytes], cached: Path, force=False
) -> dict:
    """The result of `grading.grade_cells` for a restored notebook: read from `cached`, where it was graded so before."""
    tests = tests_of(notebook)
    cells = {i: cell.source for i, cell in enumerate(notebook.cells) if is_run(cell)}
    asked = json.dumps([list(cells.items()), {name: repr(test) for name, test in tests.items()}, solutions])
    asked += "".join(f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in pictures.items())
    digest = hashlib.sha256(asked.encode()).hexdigest()
    if not force and cached.exists():
        result = json.loads(cached.read_text())
        if result["digest"] == digest:
            return result
    result = grading.grade_cells(list(cells.values()), tests, solutions, limits, pictures)
    result |= {"digest": digest, "cells": dict(zip(map(str, cells), result["cells"]))}
    cached.parent.mkdir(parents=True, exist_ok=True)
    partial = cached.with_suffix(".part")
    partial.write_text(json.dumps(result))
    partial.replace(cached)
    return result


def result_file(course: Path, lab: str, student: str, notebook: str) -> Path:
    return course / "graded" / lab / student / f"{notebook}.json"


def is_run(cell: NotebookNode) -> bool:
    """Tests are judged, and cells that only show something (id "show-...") are not needed to grade."""
    about = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and not about.get("grade") and not about.get("grade_id", "").startswith("show-")


def tests_of(notebook: NotebookNode) -> dict[str, grading.Test]:
    """The tests by id, each after those on which it builds."""
    tests = {}
    for cell in notebook.cells:
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and about.get("grade"):
            tests[about["grade_id"]] = grading.read_test(cell.source)
    return dict(sorted(((name, test) for name, test in tests.items() if test), key=lambda item: len(item[1].uses)))


def solutions_of(path: Path) -> dict[str, str]:
    """The instructor's solution cells of a source notebook, by id."""
    cells = nbformat.read(path, as_version=4).cells
    return {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in cells
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution")
    }


class TextOnly(NotebookExporter):
    """Takes only text from a submission. (nbgrader reads its own copy, in the second pass, as it always does.)"""

    def from_filename(self, filename, resources=None, **options):
        if not self.parent._sanitizing:
            return super().from_filename(filename, resources, **options)
        about = resources["nbgrader"]
        known = originals(about["db_url"], about["assignment"], about["notebook"])
        return self.from_notebook_node(restored(Path(filename), known), resources, **options)


class Sandboxed(NbGraderPreprocessor):
    """In place of nbgrader's Execute: run in a sandbox, judge here, write down points and words as outputs of the cells."""

    seconds = Float(5.0, help="of computing, for a cell or a call").tag(config=True)
    wait = Float(40.0, help="seconds to wait for a cell or a call on a crowded machine").tag(config=True)
    deaths = Integer(12, help="how often a notebook may end its process before the rest is not run").tag(config=True)

    @property
    def limits(self) -> Limits:
        return Limits(self.seconds, self.wait, self.deaths)

    def preprocess(self, nb, resources):
        about = resources["nbgrader"]
        lab, name = about["assignment"], about["notebook"]
        solutions = solutions_of(Path("source", lab, f"{name}.ipynb"))  # nbgrader works in the folder of the course
        cached = result_file(Path(), lab, about["student"], name)
        pictures = pictures_beside(Path("submitted", about["student"], lab))
        result = graded_by_sandbox(nb, solutions, self.limits, pictures, cached)
        for i, cell in enumerate(nb.cells):
            if cell.cell_type == "code":
                cell.outputs = outputs(result["cells"].get(str(i)))
            graded = result["tests"].get(cell.metadata.get("nbgrader", {}).get("grade_id"))
            if graded:
                points = new_output("execute_result", {"text/plain": str(graded["points"])}, execution_count=1)
                cell.outputs = [new_output("stream", text=graded["said"] + "\n"), points]
        return nb, resources


def outputs(said: dict | None) -> list[NotebookNode]:
    """What a cell printed and its error, as a notebook shows them."""
    shown = []
    if said and said["printed"]:
        shown.append(new_output("stream", text=said["printed"]))
    if said and said["error"]:
        name, words = said["error"]
        shown.append(new_output("error", ename=name, evalue=words, traceback=[f"{name}: {words}"]))
    return shown


class KeepHidden(ClearHiddenTests):
    """Takes the hidden tests out of the feedback, so that the lab can be given again."""

    enforce_metadata = False


class ByExercise(ExportPlugin):
    """gradebook.csv: a row per student and lab, a column per graded cell."""

    def export(self, gradebook: Gradebook) -> None:
        rows = []
        for assignment in gradebook.assignments:
            if self.assignment and assignment.name not in self.assignment:
                continue
            for student in gradebook.students:
                if self.student and student.id not in self.student:
                    continue
                row = {"lab": assignment.name, "student": student.id, "score": 0.0, "of": assignment.max_score}
                try:
                    submission = gradebook.find_submission(assignment.name, student.id)
                except MissingEntry:
                    rows.append(row)
                    continue
                penalty = submission.late_submission_penalty or 0.0
                row |= {"score": max(0.0, submission.score - penalty), "late penalty": penalty}
                row |= {"to grade by hand": submission.needs_manual_grade}
                grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
                rows.append(row | {grade.name: grade.score for grade in sorted(grades, key=lambda grade: grade.name)})
        names = list(dict.fromkeys(name for row in rows for name in row))
        with open(self.to or "gradebook.csv", "w", newline="") as file:
            table = csv.DictWriter(file, names)
            table.writeheader()
            table.writerows(rows)
