"""Nothing is ever half-written: write beside, then rename."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

DRAFT = re.compile(r"\..+\.\d+\.part(\.[^.]*)?")  # .NAME.PROCESS.part.ENDING
DAY = 24 * 3600  # seconds; no draft is written for so long


def check_writable(folder: Path) -> None:
    """Make this folder where it is missing. Raises OSError if nothing can be written there: before the work, not after it."""
    folder.mkdir(parents=True, exist_ok=True)
    TemporaryFile(dir=folder).close()


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A draft path beside `path`, with the same ending, that takes its place when the block ends without error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    sweep(path.parent)
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A draft folder beside `path` that takes its place, old content and all, when the block ends without error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    sweep(path.parent)
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed and had the same number
        draft.mkdir()
        yield draft
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(draft, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@cache
def sweep(folder: Path) -> None:
    """Delete drafts in it that nobody writes any more: their process was killed. Once per process, as a folder may be large."""
    for draft in folder.glob(".*.part*"):
        with suppress(OSError):  # another process sweeps here too, or may not: no reason to stop
            if DRAFT.fullmatch(draft.name) and time.time() - draft.stat().st_mtime > DAY:
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
