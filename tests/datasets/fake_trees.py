"""Tiny data sets in the released layouts: frame t of a clip is grey value 10*t, object k is a square that moves right."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from vos_lab.masks import write_mask

SIZE = (24, 40)  # (H, W)


def frame(t: int) -> np.ndarray:
    return np.full((*SIZE, 3), 10 * t, dtype=np.uint8)


def ids(t: int, objects: int = 1) -> np.ndarray:
    """Object k: rows 8(k-1)..8k-3, columns t+2..t+9."""
    mask = np.zeros(SIZE, dtype=np.uint8)
    for k in range(1, objects + 1):
        mask[8 * (k - 1) : 8 * k - 2, t + 2 : t + 10] = k
    return mask


def write_frames(folder: Path, times: list[int]) -> None:
    folder.mkdir(parents=True)
    for t in times:
        Image.fromarray(frame(t)).save(folder / f"{t:05d}.jpg", quality=100, subsampling=0)


def write_masks(folder: Path, masks: dict[int, np.ndarray], grey: bool = False) -> None:
    folder.mkdir(parents=True)
    for t, mask in masks.items():
        if grey:
            Image.fromarray(mask).save(folder / f"{t:05d}.png")
        else:
            write_mask(folder / f"{t:05d}.png", mask)


def davis_2017(root: Path, resolution: str = "480p", length: int = 6) -> Path:
    """Two training clips, `bear` with one object and `pigs` with three, a val clip; split lists of both years."""
    for name, objects in (("bear", 1), ("pigs", 3), ("cows", 1)):
        write_frames(root / "JPEGImages" / resolution / name, list(range(length)))
        write_masks(root / "Annotations" / resolution / name, {t: ids(t, objects) for t in range(length)})
    for year, train in ((2016, "bear\n"), (2017, "bear\npigs\n")):
        (root / "ImageSets" / str(year)).mkdir(parents=True)
        (root / "ImageSets" / str(year) / "train.txt").write_text(train)
        (root / "ImageSets" / str(year) / "val.txt").write_text("pigs\ncows\n" if year == 2016 else "cows\n")
    return root


def youtube_vos(root: Path, split: str = "train", categories: tuple[str, str] = ("dog", "cat")) -> Path:
    """One video of 16 frames, every 5th in SPLIT and all in SPLIT_all_frames; object 2 appears at frame 5.

    train: all of the every-5th masks; valid: those of frames 0 and 5 only.
    """
    every_5th = [0, 5, 10, 15]
    write_frames(root / split / "JPEGImages" / "v1", every_5th)
    write_frames(root / f"{split}_all_frames" / "JPEGImages" / "v1", list(range(16)))
    masks = {t: ids(t, 1 if t == 0 else 2) for t in (every_5th if split == "train" else every_5th[:2])}
    write_masks(root / split / "Annotations" / "v1", masks)
    objects = {
        "1": {"category": categories[0], "frames": [f"{t:05d}" for t in every_5th]},
        "2": {"category": categories[1], "frames": [f"{t:05d}" for t in every_5th[1:]]},
    }
    (root / split / "meta.json").write_text(json.dumps({"videos": {"v1": {"objects": objects}}}))
    return root
