"""Every notebook runs top to bottom in fast mode, from its own folder, as `Restart and run all` does."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_it_runs_without_error_or_warning(notebook, monkeypatch):
    monkeypatch.setenv("VOS_LAB_FAST", "1")
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": FOLDER}}).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("text", "") if output.output_type == "stream" else ""
            # a progress bar is the one thing that may go to stderr; on a busy machine a frame takes more than a second
            bar = any(unit in text for unit in ("frame/s", "s/frame", "it/s", "s/it"))
            assert output.get("name") != "stderr" or bar, text


def test_it_is_committed_without_outputs_and_widget_state(notebook):
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


def test_it_says_what_for_and_how_long_and_ends_with_exercises(notebook):
    first, prose = notebook.cells[0].source, "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    for words in ("# ", "**You will**", "**Time:**", "**Before this:**"):
        assert words in first
    for words in ("**Predict.**", "## What to remember", "## Exercises", "**Next:**"):
        assert words in prose


def test_its_cells_are_short_and_its_images_have_a_text_alternative(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 16, cell.source
        else:
            assert "![](" not in cell.source and "<img" not in cell.source.replace("<img alt=", "")


def test_in_colab_it_first_installs_the_kit(notebook, monkeypatch):
    first = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
    asked = []
    shell = InteractiveShell()
    shell.register_magic_function(asked.append, magic_name="pip")
    shell.run_cell(first).raise_error()
    assert not asked
    monkeypatch.setitem(sys.modules, "google", package := ModuleType("google"))
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "google.colab", colab := ModuleType("google.colab"))
    colab.__spec__ = package.__spec__ = ModuleSpec("google.colab", None)
    shell.run_cell(first).raise_error()
    (line,) = asked
    assert line.startswith("install -q git+https://github.com/") and line.endswith("/vos_lab")
