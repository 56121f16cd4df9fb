"""YouTube-VOS 2018 and 2019 (Xu et al. 2018; https://youtube-vos.org): clips, the G score, and submissions."""

import io
import json
import math
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ..atomic import whole_file
from ..errors import InputError
from ..masks import VOID, davis_palette
from ..metrics import contour_accuracy, region_similarity
from .folders import ClipFolder, ClipFolders, existing

SPLITS = ("train", "valid", "test")
VALID_VIDEOS = {2018: 474, 2019: 507}  # https://youtube-vos.org/dataset/vos; train is the same 3471 videos in both years
SERVERS = {year: f"https://codalab.lisn.upsaclay.fr/competitions/{n}" for year, n in ((2018, 7685), (2019, 6066))}
Predictions = Iterable[tuple[str, UInt8[np.ndarray, "T H W"]]]  # (video, ids of all frames of its clip)


@dataclass(frozen=True)
class VideoObject:
    """What meta.json says of one object: its category ("" where it says none) and the frames that it is annotated in."""

    category: str
    frames: list[str]


class YouTubeVOS(ClipFolders):
    """YouTube-VOS, semi-supervised: each item is a `Clip`, annotated in every frame that has a mask file.

    train: every 5th frame, all annotated. valid, test: every 5th frame, and the masks of the frames in which objects first
    appear, which may be in mid-video. all_frames=True: all frames of the video, the masks where they were.
    root: the folder that holds train, valid, test (and valid_all_frames ...), or one with a folder for the year.
    short_side: resize so that the shorter side has this many pixels (training uses 480).
    Raises InputError where the data is absent, incomplete or of the other year.
    """

    def __init__(
        self,
        root: str | Path,
        year: int = 2019,
        split: str = "train",
        all_frames: bool = False,
        short_side: int | None = None,
    ):
        if year not in SERVERS or split not in SPLITS:
            raise InputError(
                f"YouTube-VOS has no year={year}, split='{split}': choose year 2018 | 2019, split train | valid | test"
            )
        self.title = f"YouTube-VOS {year} {split}"
        self.year = year
        self.split = split
        self.short_side = short_side
        trees = [tree for tree in (Path(root), Path(root, str(year))) if (tree / split / "meta.json").is_file()]
        if not trees:
            raise InputError(
                f"{root} holds no {self.title} (no {split}/meta.json): register at {SERVERS[year]}, load and unpack it there; "
                "meanwhile use vl.World(seed=0).clip(), which needs no data"
            )
        self.root = trees[0]
        self.objects = read_meta(self.root / split / "meta.json")
        self.names = sorted(self.objects)
        other_year = {2018: 2019, 2019: 2018}[year]
        if split == "valid" and len(self.names) == VALID_VIDEOS[other_year]:
            raise InputError(
                f"{self.root} holds {len(self.names)} videos, which is the {other_year} valid set: pass year={other_year}"
            )
        self.frames = self.root / split / "JPEGImages"
        if all_frames:
            places = [self.root / f"{split}_all_frames", self.root / "all_frames" / f"{split}_all_frames"]
            self.frames = next((p for p in places if p.is_dir()), places[0]) / "JPEGImages"
        existing(self.frames, f"the frames of {self.title}")

    def folder(self, name: str) -> ClipFolder:
        """Where the clip of this name lies."""
        masks = self.root / self.split / "Annotations" / name
        frames = existing(self.frames / name, f"video '{name}' of {self.title}")
        return ClipFolder(frames, masks if masks.is_dir() else None, short_side=self.short_side)

    def asked_frames(self, name: str) -> list[str]:
        """The frames that a submission must hold: those that meta.json lists for any object of the video."""
        return sorted({frame for thing in self.objects[name].values() for frame in thing.frames})

    def write_submission(self, path: str | Path, predictions: Predictions) -> None:
        """Write the zip that the evaluation server takes: Annotations/VIDEO/FRAME.png, only the frames that are asked for.

        predictions: pairs of video name and uint8 (T,H,W) object ids for all frames of its clip, all videos once, in any order
        and possibly one by one from a generator; they are enlarged to the size of the video (nearest pixel) where smaller.
        """
        with whole_file(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
            for name, ids, stems in self.checked(predictions):
                files = self.folder(name).frames
                with Image.open(next(files.glob(f"{stems[0]}.*"))) as frame:
                    size = frame.size
                for stem in self.asked_frames(name):
                    if stem not in stems:
                        raise InputError(f"{files} has no frame {stem}, which meta.json asks for: unpack the data set again")
                    member = zipfile.ZipInfo(f"Annotations/{name}/{stem}.png")  # with a fixed date: same masks, same bytes
                    archive.writestr(member, palette_png(ids[stems.index(stem)], size))

    def score(self, predictions: Predictions, seen: Collection[str] | None = None) -> "GScore":
        """J and F over seen and unseen categories, and their mean G, as https://youtube-vos.org/dataset/vos defines them.

        Each object counts once: the mean over the annotated frames after its first; frames that lack it count too.
        seen: the categories of the training set; by default those in train/meta.json. Masks as for `write_submission`, at
        the size of the clip. Raises InputError for valid and test, unless you hold all their masks: only the server does.
        """
        seen = self.seen_categories() if seen is None else seen
        scores: dict[bool, list[tuple[float, float]]] = {True: [], False: []}  # seen or not: (J, F) of each object
        for name, ids, _ in self.checked(predictions):
            clip = self[name]
            if clip.frames.shape[:3] != ids.shape:
                raise InputError(f"the prediction of '{name}' is {ids.shape}, but its clip is {clip.frames.shape[:3]} (T,H,W)")
            for number, thing in self.objects[name].items():
                later = clip.annotated & (np.array(clip.frame_names) > thing.frames[0])
                if not later.any() and len(thing.frames) == 1:
                    continue  # it first appears in the last annotated frame: nothing is left to score
                if not later.any():
                    raise InputError(
                        f"no mask of '{name}' is there after object {number} first appears, so that it cannot be scored here: "
                        f"send a submission to {SERVERS[self.year]}, or score clips of train"
                    )
                truth, guess = clip.known_masks[later] == number, ids[later] == number
                j, f = region_similarity(truth, guess).mean(), contour_accuracy(truth, guess).mean()
                scores[self.category(name, number) in seen].append((j, f))
        return GScore(*mean_pair(scores[True]), *mean_pair(scores[False]), len(scores[True]), len(scores[False]))

    def category(self, name: str, number: int) -> str:
        """The category of an object. Raises InputError where meta.json gives none."""
        if not (category := self.objects[name][number].category):
            raise InputError(f"meta.json gives no category of object {number} in '{name}': G cannot be computed for this split")
        return category

    def seen_categories(self) -> frozenset[str]:
        """The categories of the training set, from train/meta.json (65 in the release)."""
        path = self.root / "train" / "meta.json"
        if not path.is_file():
            raise InputError(
                f"{path} is missing, which says what categories are seen in training: unpack train, or pass seen=..."
            )
        return frozenset(thing.category for video in read_meta(path).values() for thing in video.values())

    def checked(self, predictions: Predictions) -> Iterator[tuple[str, UInt8[np.ndarray, "T H W"], list[str]]]:
        """The predictions with the frame names of each clip; InputError for unknown, repeated, missing or too short ones."""
        missing = set(self.names)
        for name, ids in predictions:
            if name not in missing:
                raise InputError(
                    f"the prediction of '{name}' " + ("comes twice" if name in self.objects else "is of no video here")
                )
            missing.remove(name)
            stems = sorted(path.stem for path in self.folder(name).frames.glob("*.jpg"))
            if len(ids) != len(stems):
                raise InputError(f"the prediction of '{name}' has {len(ids)} frames, its clip {len(stems)}: give all, in order")
            yield name, ids, stems
        if missing:
            raise InputError(
                f"{len(missing)} of {len(self)} videos have no prediction, '{min(missing)}' for one: give all of them"
            )


@dataclass(frozen=True)
class GScore:
    """The YouTube-VOS scores, each 0..1, and how many objects they are the mean of; nan where there is no such object."""

    j_seen: float
    f_seen: float
    j_unseen: float
    f_unseen: float
    seen_objects: int
    unseen_objects: int

    @property
    def G(self) -> float:
        """The mean of the four."""
        return (self.j_seen + self.f_seen + self.j_unseen + self.f_unseen) / 4

    def __repr__(self) -> str:
        return (
            f"G {self.G:.3f} | seen J {self.j_seen:.3f} F {self.f_seen:.3f} ({self.seen_objects} objects)"
            f" | unseen J {self.j_unseen:.3f} F {self.f_unseen:.3f} ({self.unseen_objects} objects)"
        )


def mean_pair(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The mean of each column; nan where there is no row."""
    j, f = np.mean(pairs, axis=0) if pairs else (math.nan, math.nan)
    return float(j), float(f)


def read_meta(path: Path) -> dict[str, dict[int, VideoObject]]:
    """meta.json as {video: {object id: VideoObject}}."""
    try:
        videos = json.loads(path.read_text())["videos"]
        return {
            name: {
                int(number): VideoObject(thing.get("category", ""), sorted(thing["frames"]))
                for number, thing in video["objects"].items()
            }
            for name, video in videos.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a meta.json of YouTube-VOS ({error!r}): unpack the data set again") from None


def palette_png(ids: UInt8[np.ndarray, "H W"], size: tuple[int, int]) -> bytes:
    """Object ids as a palette PNG of this (width, height); void becomes background, since the server knows no void."""
    image = Image.fromarray(np.where(ids == VOID, np.uint8(0), ids)).convert("P").resize(size, Image.Resampling.NEAREST)
    image.putpalette(davis_palette().tobytes())
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()
