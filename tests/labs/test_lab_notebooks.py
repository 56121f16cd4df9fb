"""Each lab's source runs from top to bottom with its solutions, and both versions look as a lab should."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from submissions import table

FOLDER = Path(__file__).parents[2] / "notebooks" / "labs"
SOURCES = sorted(FOLDER.glob("source/*/*.ipynb"))
VERSIONS = sorted(FOLDER.glob("*/*/*.ipynb"))


@pytest.fixture(
    params=[path for path in VERSIONS if path.parts[-3] in ("source", "release")], ids=lambda path: "-".join(path.parts[-3:-1])
)
def version(request):
    return nbformat.read(request.param, as_version=4)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_its_solutions_have_all_points(path, monkeypatch, tmp_path):
    monkeypatch.setenv("VOS_LAB_FAST", "1")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("text", "")
            assert output.get("name") != "stderr" or "frame/s" in text or "it/s" in text, text
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
            shown = [output.data["text/plain"] for output in cell.outputs if output.output_type == "execute_result"]
            assert shown == [str(cell.metadata.nbgrader.points)], cell.source


def test_it_is_committed_without_outputs(version):
    assert "widgets" not in version.metadata
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in version.cells)


def test_it_says_what_for_how_long_and_for_how_many_points(version):
    first, prose = version.cells[0].source, "\n".join(c.source for c in version.cells if c.cell_type == "markdown")
    points = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in version.cells)
    for words in ("# ", "**You will**", "**Time:**", "**Before this:**", f"**Points:** {points}."):
        assert words in first
    for words in ("**Predict.**", "## What to remember", "**Next:**", "<details><summary>Hint"):
        assert words in prose


def test_its_cells_are_short(version):
    for cell in version.cells:
        assert cell.cell_type != "code" or len(cell.source.splitlines()) <= 16, cell.source


@pytest.mark.parametrize("lab", ["lab1", "lab2", "lab3", "lab4"])
def test_the_instructors_table_says_what_the_checks_give(lab):
    told = (FOLDER / "README.md").read_text(encoding="utf-8").split(f"### Points of lab {lab[3]}")[1].split("\n#")[0]
    for short, exercise in table(lab).items():
        points, parts = sum(part.points for part in exercise.parts), ""
        if short in ("which_kind", "whose_fault"):  # share a row
            assert f"| which_kind, whose_fault | {points} each |" in told
            continue
        if len(exercise.parts) > 1:
            parts = ", ".join(f"{part.title} ({part.points})" for part in exercise.parts) + " |"
        assert f"| {short} | {points} | {parts}" in told
