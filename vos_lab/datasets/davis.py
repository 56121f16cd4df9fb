"""DAVIS 2016 and 2017 (Perazzi et al. 2016, Pont-Tuset et al. 2017; https://davischallenge.org) as released."""

from pathlib import Path

from ..errors import InputError
from .folders import ClipFolder, ClipFolders, existing

SPLITS = {2016: ("train", "val"), 2017: ("train", "val", "test-dev")}


class DAVIS(ClipFolders):
    """DAVIS, semi-supervised: each item is a `Clip` with all masks (train, val) or that of the first frame only (test-dev).

    root: the folder that holds JPEGImages, Annotations and ImageSets, or the one that `vos-lab download` filled.
    year: 2017 has several objects per clip; 2016 has one: in a 2017 tree, all of a clip's objects together.
    resolution: the folder below JPEGImages, "480p" or "Full-Resolution"; by default 480p, or else the only one there.
    Raises InputError where the data is absent or incomplete.
    """

    def __init__(self, root: str | Path, year: int = 2017, split: str = "train", resolution: str | None = None):
        if split not in SPLITS.get(year, ()):
            choices = "; ".join(f"year={year}, split={' | '.join(splits)}" for year, splits in SPLITS.items())
            raise InputError(f"DAVIS has no year={year}, split='{split}': choose {choices}")
        self.root, split_file = find_split(Path(root), year, split)
        self.year = year
        self.split = split
        self.title = f"DAVIS {year} {split}"
        self.resolution = resolution or only_resolution(self.root)
        existing(self.root / "JPEGImages" / self.resolution, f"the frames of {self.title}")
        self.names = clip_names(split_file)

    def folder(self, name: str) -> ClipFolder:
        """Where the clip of this name lies."""
        frames, masks = (
            existing(self.root / kind / self.resolution / name, f"clip '{name}' of {self.title}")
            for kind in ("JPEGImages", "Annotations")
        )
        return ClipFolder(frames, masks, one_object=self.year == 2016)


def find_split(root: Path, year: int, split: str) -> tuple[Path, Path]:
    """The tree that has this split, and its list: root itself or, in it, what the archive or `download` makes."""
    release = "DAVIS-2017-test-dev" if split == "test-dev" else f"DAVIS-{year}"
    for tree in (base / inner for base in (root, root / release, root / "DAVIS-2017") for inner in ("", "DAVIS")):
        # the 2016 release lists frames in ImageSets/480p; the 2017 release lists clips in ImageSets/2016 and ImageSets/2017
        for listing in (str(year), "480p") if year == 2016 else (str(year),):
            path = tree / "ImageSets" / listing / f"{split}.txt"
            if path.is_file():
                return tree, path
    raise InputError(
        f"{root} holds no DAVIS {year} {split} (no ImageSets/{year}/{split}.txt): get it with `vos-lab download "
        f"{release.lower()} --root {root}`, and meanwhile use vl.World(seed=0).clip(), which needs no data"
    )


def clip_names(split_file: Path) -> list[str]:
    """The clips of a list that has a line per clip, or one per frame: /JPEGImages/480p/bear/00000.jpg /Annotations/..."""
    frames_or_names = [line.split()[0] for line in split_file.read_text().splitlines() if line.strip()]
    names = list(dict.fromkeys(Path(entry).parent.name if "/" in entry else entry for entry in frames_or_names))
    if not names:
        raise InputError(f"{split_file} is empty: it should name one clip per line; unpack the data set again")
    return names


def only_resolution(root: Path) -> str:
    """480p where it is there, or else the only resolution."""
    found = sorted(path.name for path in (root / "JPEGImages").glob("*") if path.is_dir())
    if "480p" in found or len(found) == 1:
        return "480p" if "480p" in found else found[0]
    raise InputError(f"{root / 'JPEGImages'} holds {', '.join(found) or 'nothing'}: choose one with resolution=...")
