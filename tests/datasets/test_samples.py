"""The clips that ship: there, as described, with truth that fits them."""

import json
import shutil

import numpy as np
import pytest

from vos_lab.datasets import samples
from vos_lab.datasets.davis import DAVIS
from vos_lab.datasets.textures import photographs
from vos_lab.errors import InputError


def test_files_readme_and_worlds_agree():
    assert samples.problems() == []


def test_samples_are_small_and_open_as_davis():
    files = [path for path in (samples.DATA / "samples").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6e6
    davis = DAVIS(samples.DATA / "samples", split="val")
    assert list(davis.names) == list(samples.THEMES)
    clip = davis[0]
    assert clip.name == "walk" and len(clip) == 24 and clip.size == (240, 432) and clip.annotated.all()


def test_a_sample_comes_with_its_truth():
    clip = samples.load("walk")
    assert len(clip.truth) == 24 and (np.array(clip.truth.ids)[clip.truth.layers] != clip.masks).mean() < 1e-3
    xy, visible = clip.truth.correspond(0, 3)
    x, y = xy[visible].round().astype(int).clip(0, (431, 239)).T
    difference = np.abs(clip.frames[0][visible].astype(int) - clip.frames[3][y, x]).mean()
    unmoved = np.abs(clip.frames[0][visible].astype(int) - clip.frames[3][visible]).mean()
    assert difference < 0.6 * unmoved and difference < 10  # what is left: light, noise, JPEG and half pixels


def test_every_photograph_has_a_source():
    assert photographs() == sorted(samples.PHOTOGRAPH_SOURCES)


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(InputError, match="no sample 'walk'"):
        samples.load("walk", tmp_path)
    shutil.copytree(samples.DATA / "samples", tmp_path / "samples")
    shutil.copy(samples.DATA / "README.md", tmp_path)
    frame = tmp_path / "samples" / "JPEGImages" / "480p" / "late" / "00003.jpg"
    frame.write_bytes(frame.read_bytes() + b"0")
    assert samples.section(tmp_path / "samples") not in (tmp_path / "README.md").read_text()
    recipe = tmp_path / "samples" / "Truth" / "photo.json"
    changed = json.loads(recipe.read_text())
    changed["world"]["seed"] += 1
    recipe.write_text(json.dumps(changed))
    with pytest.raises(InputError, match="renders differently"):
        samples.load("photo", tmp_path / "samples")
    frame.unlink()
    assert "incomplete" in samples.problems(tmp_path)[0]


def test_the_part_of_the_readme_is_replaced_and_the_rest_stays():
    new = f"{samples.BEGIN}\nnew\n{samples.END}"
    first = samples.with_section("# Data\n\nweights\n", f"{samples.BEGIN}\nold\n{samples.END}")
    assert samples.with_section(first + "more\n", new) == f"# Data\n\nweights\n\n{new}\nmore\n"
    assert samples.with_section("", new).endswith(f"{new}\n")
