"""DAVIS as released, in tiny trees, and the real clips of ../shared/DAVIS-240p where they are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_trees import SIZE, davis_2017, frame, ids, write_frames, write_masks

from vos_lab import Clip, InputError
from vos_lab.datasets import DAVIS

REAL = Path(__file__).parents[2].parent / "shared" / "DAVIS-240p"


def test_items_are_clips_by_number_and_by_name(tmp_path):
    davis = DAVIS(davis_2017(tmp_path))
    assert davis.names == ["bear", "pigs"] and len(list(davis)) == len(davis) == 2
    clip = davis["pigs"]
    assert isinstance(clip, Clip) and clip.name == davis[1].name == "pigs" and clip.annotated.all()
    for t in range(6):
        assert (clip.masks[t] == ids(t, 3)).all()
        assert abs(clip.frames[t].astype(int) - frame(t)).max() <= 1  # JPEG
    assert "<img" in clip._repr_html_()


def test_2016_reads_all_objects_of_a_2017_clip_as_one(tmp_path):
    clip = DAVIS(davis_2017(tmp_path), year=2016, split="val")["pigs"]
    assert list(clip.object_ids) == [1]
    assert (clip.masks == np.stack([ids(t, 3) > 0 for t in range(6)])).all()


def test_void_stays_void_in_the_2016_reading(tmp_path):
    davis_2017(tmp_path)
    masks = {t: np.where(ids(t, 3) == 3, np.uint8(255), ids(t, 3)) for t in range(6)}
    write_masks(tmp_path / "Annotations" / "480p" / "new", masks)
    write_frames(tmp_path / "JPEGImages" / "480p" / "new", list(masks))
    (tmp_path / "ImageSets" / "2016" / "train.txt").write_text("new")
    assert set(np.unique(DAVIS(tmp_path, year=2016)["new"].masks)) == {0, 1, 255}


def test_2016_release_white_is_the_object_and_lists_name_frames(tmp_path):
    root = tmp_path / "DAVIS"  # as its zip unpacks
    for name in ("bear", "boat"):
        write_frames(root / "JPEGImages" / "480p" / name, [0, 1])
        write_masks(root / "Annotations" / "480p" / name, {t: 255 * ids(t) for t in (0, 1)}, grey=True)
    lines = [f"/JPEGImages/480p/{n}/0000{t}.jpg /Annotations/480p/{n}/0000{t}.png " for n in ("bear", "boat") for t in (0, 1)]
    (root / "ImageSets" / "480p").mkdir(parents=True)
    (root / "ImageSets" / "480p" / "train.txt").write_text("\n".join(lines))
    davis = DAVIS(tmp_path, year=2016)
    assert davis.names == ["bear", "boat"]
    assert (davis["boat"].masks == np.stack([ids(0), ids(1)])).all()


def test_test_dev_has_the_first_mask_only(tmp_path):
    root = tmp_path / "DAVIS-2017-test-dev"  # as `download` names it
    write_frames(root / "JPEGImages" / "480p" / "aerobatics", [0, 1, 2])
    write_masks(root / "Annotations" / "480p" / "aerobatics", {0: ids(0, 2)})
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "test-dev.txt").write_text("aerobatics\n")
    clip = DAVIS(tmp_path, split="test-dev")[0]
    assert list(clip.annotated) == [True, False, False] and (clip.masks[1:] == 255).all()
    assert (clip.masks[0] == ids(0, 2)).all()


def test_resolution_480p_first_else_the_only_one_else_ask(tmp_path):
    davis_2017(tmp_path / "a", "240p")
    assert DAVIS(tmp_path / "a").resolution == "240p"
    write_frames(tmp_path / "a" / "JPEGImages" / "Full-Resolution" / "bear", [0])
    with pytest.raises(InputError, match="240p, Full-Resolution: choose one with resolution="):
        DAVIS(tmp_path / "a")
    assert DAVIS(tmp_path / "a", resolution="240p")["bear"].size == SIZE
    write_frames(tmp_path / "a" / "JPEGImages" / "480p" / "bear", [0])
    assert DAVIS(tmp_path / "a").resolution == "480p"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, r"vos-lab download davis-2017 --root .*vl\.World"),
        ({"year": 2016, "split": "val"}, r"vos-lab download davis-2016 "),
        ({"split": "test-dev"}, r"vos-lab download davis-2017-test-dev "),
        ({"year": 2016, "split": "test-dev"}, r"choose year=2016, split=train \| val"),
        ({"year": 2018}, r"DAVIS has no year=2018"),
    ],
)
def test_absent_data_says_how_to_get_it(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        DAVIS(tmp_path, **options)


def test_an_unknown_or_missing_clip_is_named(tmp_path):
    davis = DAVIS(davis_2017(tmp_path))
    with pytest.raises(InputError, match="no clip 'cows'.*bear, pigs"):
        davis["cows"]
    (tmp_path / "ImageSets" / "2017" / "train.txt").write_text("bear\nlion\n")
    with pytest.raises(InputError, match="lion is missing"):
        DAVIS(tmp_path)["lion"]


def test_import_brings_no_plot_video_or_notebook_library():
    code = "import sys, vos_lab.datasets.davis; print({'matplotlib', 'decord', 'IPython', 'torchvision'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/DAVIS-240p")
def test_real_clips_in_two_lines():
    davis = DAVIS(REAL)
    assert "<img" in davis["bear"]._repr_html_()
    clip = davis["dogs-jump"]
    assert list(clip.object_ids) == [1, 2, 3] and clip.frames.shape == (66, 240, 432, 3)
    assert (davis["bear"].masks == Clip.load(REAL / "JPEGImages" / "240p" / "bear").masks).all()
    assert len(DAVIS(REAL, year=2016)) == 30
