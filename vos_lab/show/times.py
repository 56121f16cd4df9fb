"""`make time-notebooks`: runs every notebook in full and writes its minutes into its first cell and into the README's table:
python -m vos_lab.show.times notebooks README.md, or only some of them: ... README.md 07 11"""

import copy
import os
import re
import sys
import time
from pathlib import Path

import nbformat

from ..atomic import whole_file
from ..errors import InputError
from . import notebook

CLOCKED = re.compile(r"; its cells .*?\.(?=\s|$)")  # in the line that begins with **Time:**, to its full stop


def main(folder: Path, readme: Path, *begins: str) -> list[str]:
    """Measure the notebooks of `folder`, those whose names begin so, and return a sentence for each that did not run, whose
    times stay as they were."""
    paths = [path for path in sorted(folder.glob("*.ipynb")) if path.name.startswith(begins or "")]
    if missing := [name for name in begins or [""] if not any(path.name.startswith(name) for path in paths)]:
        raise InputError(f"folder: '{folder}' holds no notebook {', '.join(missing)}".rstrip() + ".")
    for path in paths:  # before any hour is spent
        time_line(notebook.read(path), path)
        with_minutes(readme.read_text(encoding="utf-8"), path.name, 0.0)
    os.environ.pop("VOS_LAB_FAST", None)
    faults = []
    for path in paths:
        try:
            minutes = measure(path)
        except InputError as error:
            faults.append(str(error))
            continue
        print(f"{path.name}: {minutes:.1f} minutes", flush=True)
        write_minutes(path, readme, minutes)
    return faults


def measure(path: Path) -> float:
    """Minutes that the cells of a notebook take, kernel and all; the file is not touched."""
    source = copy.deepcopy(notebook.read(path))
    start = time.perf_counter()
    notebook.run(source, path)
    return (time.perf_counter() - start) / 60


def write_minutes(path: Path, readme: Path, minutes: float) -> None:
    source = notebook.read(path)
    line = time_line(source, path)
    says = f"; its cells take {minutes:.1f} minutes on {cores()} CPU cores (measured)."
    source.cells[0].source = source.cells[0].source.replace(line, CLOCKED.sub(says, line, count=1))
    with whole_file(path) as draft:
        nbformat.write(source, draft)
    text = with_minutes(readme.read_text(encoding="utf-8"), path.name, minutes)
    with whole_file(readme) as draft:
        draft.write_text(text, encoding="utf-8")


def time_line(source: nbformat.NotebookNode, path: Path) -> str:
    """The line of the first cell that says how long its cells take."""
    found = [line for line in source.cells[0].source.splitlines() if line.startswith("**Time:**") and CLOCKED.search(line)]
    if len(found) != 1:
        raise InputError(f"'{path}' must say once in its first cell '**Time:** ... to read; its cells take ... .'")
    return found[0]


def with_minutes(readme: str, name: str, minutes: float) -> str:
    """The README, with these minutes in the last column of the row that links to the notebook."""
    row = re.compile(rf"^(\|.*\(notebooks/{re.escape(name)}\).*\|)[^|]*\|$", re.MULTILINE)
    if len(row.findall(readme)) != 1:
        raise InputError(f"the README must have one row of a table that links to notebooks/{name}")
    return row.sub(rf"\g<1> {minutes:.1f} |", readme)


def cores() -> int:
    """Of the processor, those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    try:
        folder, readme, *begins = sys.argv[1:]
        faults = main(Path(folder), Path(readme), *begins)
    except InputError as error:
        sys.exit(str(error))
    if faults:
        sys.exit("\n".join(faults))
