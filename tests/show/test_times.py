"""Measured minutes, written where readers look."""

from pathlib import Path

import nbformat
import pytest

from vos_lab import InputError
from vos_lab.show import times

HEADER = "# 00 · Tiny\n\n**Time:** 5 minutes; its cells {}. **Before this:** nothing. Not 3.\n\nMore; its cells are few."
README = """| | notebook | the moment to remember | minutes |
|---|---|---|---|
| 00 | [tiny](notebooks/00_tiny.ipynb) | it runs | |
| 01 | [other](notebooks/01_other.ipynb) | it waits | 7.0 |
"""


@pytest.fixture
def course(tmp_path):
    folder, readme = tmp_path / "notebooks", tmp_path / "README.md"
    folder.mkdir()
    readme.write_text(README, encoding="utf-8")
    cells = [
        nbformat.v4.new_markdown_cell(HEADER.format("run in under a minute on two CPU cores (estimated)")),
        nbformat.v4.new_code_cell("import os\nassert 'VOS_LAB_FAST' not in os.environ\nprint('ran')"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "00_tiny.ipynb")
    return folder, readme


def test_a_tiny_notebook_is_run_in_full_and_its_minutes_written(course, monkeypatch):
    monkeypatch.setenv("VOS_LAB_FAST", "1")
    folder, readme = course
    assert times.main(folder, readme) == []
    source = nbformat.read(folder / "00_tiny.ipynb", as_version=4)
    line = source.cells[0].source.splitlines()[2]
    minutes = line.split("take ")[1].split(" ")[0]
    assert 0 <= float(minutes) < 5
    assert source.cells[0].source == HEADER.format(f"take {minutes} minutes on {times.cores()} CPU cores (measured)")
    assert source.cells[1].outputs == [] and source.cells[1].execution_count is None
    assert readme.read_text(encoding="utf-8") == README.replace("it runs | |", f"it runs | {minutes} |")


def test_only_some_are_run(course):
    folder, readme = course
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), folder / "01_other.ipynb")
    assert times.main(folder, readme, "00") == []
    with pytest.raises(InputError, match="holds no notebook 02"):
        times.main(folder, readme, "02")


def test_measured_again_the_number_is_replaced(course):
    folder, readme = course
    for minutes, shown in ((2.34, "2.3"), (11.96, "12.0")):
        times.write_minutes(folder / "00_tiny.ipynb", readme, minutes)
        header = nbformat.read(folder / "00_tiny.ipynb", as_version=4).cells[0].source
        assert header == HEADER.format(f"take {shown} minutes on {times.cores()} CPU cores (measured)")
        assert f"| it runs | {shown} |" in readme.read_text(encoding="utf-8")


def test_one_that_stops_is_named_and_keeps_its_time(course):
    folder, readme = course
    path = folder / "00_tiny.ipynb"
    source = nbformat.read(path, as_version=4)
    source.cells[1].source = "1 / 0"
    nbformat.write(source, path)
    before = path.read_bytes()
    assert "ZeroDivisionError" in times.main(folder, readme)[0]
    assert path.read_bytes() == before and readme.read_text(encoding="utf-8") == README


def test_what_has_no_place_for_its_minutes_is_refused_before_anything_runs(course):
    folder, readme = course
    readme.write_text(README.replace("00_tiny", "elsewhere"), encoding="utf-8")
    with pytest.raises(InputError, match="one row of a table that links to notebooks/00_tiny.ipynb"):
        times.main(folder, readme)
    source = nbformat.read(folder / "00_tiny.ipynb", as_version=4)
    source.cells[0].source = "# 00"
    nbformat.write(source, folder / "00_tiny.ipynb")
    with pytest.raises(InputError, match="must say once in its first cell"):
        times.main(folder, readme)


def test_the_course_has_a_place_for_all_its_minutes():
    root = Path(__file__).parents[2]
    readme = (root / "README.md").read_text(encoding="utf-8")
    for path in (root / "notebooks").glob("*.ipynb"):
        assert times.time_line(times.notebook.read(path), path) and times.with_minutes(readme, path.name, 99.9) != readme
