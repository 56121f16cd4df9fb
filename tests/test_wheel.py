"""What `pip install` gives to somebody without the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAYS = """
import vos_lab as vl
from vos_lab.datasets import samples
clip = samples.load("walk")[:3]
print(vl.__file__)
print(vl.evaluate(vl.Tracker(vl.load_model("stcn-tiny")).run(clip).masks, clip.masks).JF > 0.8)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_samples_and_weights_are_found_without_the_repository(installed, tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", SAYS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    where, good = said.stdout.splitlines()[-2:]
    assert where.startswith(str(installed)) and good == "True", said.stderr


def test_all_that_the_package_reads_is_in_it(installed):
    here = {p.relative_to(ROOT) for p in (ROOT / "vos_lab").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    there = {p.relative_to(installed) for p in (installed / "vos_lab").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert here == there
    for folder in ("samples", "weights", "results"):
        here = {p.name for p in (ROOT / "data" / folder).iterdir()}
        assert here == {p.name for p in (installed / "vos_lab_data" / folder).iterdir()}, folder
