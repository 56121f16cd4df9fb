"""Clips in folders: a data set that lists them, loads one when it is asked for, and can read a few frames without the rest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch.utils.data import Dataset

from ..clip import IMAGE_ENDINGS, Clip, natural_order, read_frame
from ..errors import InputError
from ..masks import VOID, object_ids, read_mask


@dataclass(frozen=True)
class ClipFolder:
    """Where one clip lies: a folder of frames, one of masks (or None), and how to read them.

    one_object: all objects count as one, id 1. short_side: resize so that the shorter side has this many pixels.
    """

    frames: Path
    masks: Path | None = None
    one_object: bool = False
    short_side: int | None = None

    def load(self) -> Clip:
        """The whole clip."""
        clip = Clip.load(self.frames, masks=self.masks, short_side=self.short_side)
        if self.one_object and clip.masks is not None:
            clip.masks = merged(clip.masks)
        return clip

    def pairs(self) -> list[tuple[Path, Path]]:
        """The frame and mask files of the annotated frames, in order."""
        if self.masks is None:
            return []
        masks = {path.stem: path for path in self.masks.glob("*.png")}
        frames = sorted((p for p in self.frames.iterdir() if p.suffix.lower() in IMAGE_ENDINGS), key=natural_order)
        return [(frame, masks[frame.stem]) for frame in frames if frame.stem in masks]

    def read(self, frame_file: Path, mask_file: Path) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
        """One frame and its object ids, as `load` would give them."""
        frame, full_size, _ = read_frame(frame_file, self.short_side)
        ids, grey = read_mask(mask_file)
        if ids.shape != full_size:
            raise InputError(
                f"{mask_file} is {ids.shape[0]}x{ids.shape[1]} pixels but its frame is {full_size[0]}x{full_size[1]} "
                "(height x width): save the mask at the size of the frame"
            )
        if grey and object_ids(ids).size == 0:
            ids = np.minimum(ids, 1)  # a binary mask, as DAVIS 2016 has them: white is the object, not void
        if ids.shape != frame.shape[:2]:
            ids = np.asarray(Image.fromarray(ids).resize(frame.shape[1::-1], Image.Resampling.NEAREST))
        return frame, merged(ids) if self.one_object else ids


def merged(ids: UInt8[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """All objects as one: ids 1..254 become 1, background and void stay."""
    return np.where((ids > 0) & (ids < VOID), np.uint8(1), ids)


class ClipFolders(Dataset[Clip]):
    """A data set of clips by number or name: `davis[0]`, `davis["bear"]`. Clips are loaded when asked for, and not kept.

    names: of the clips, in order. title: what the data set is, for people.
    """

    names: list[str]
    title: str

    def folder(self, name: str) -> ClipFolder:
        """Where the clip of this name lies."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, which: int | str) -> Clip:
        if isinstance(which, str):
            if which not in self.names:
                raise InputError(
                    f"{self.title} has no clip '{which}': its {len(self)} clips are {', '.join(self.names[:5])} ..."
                )
            return self.folder(which).load()
        return self.folder(self.names[which]).load()

    def __repr__(self) -> str:
        return f"{self.title}: {len(self)} clips"


def existing(folder: Path, wanted: str) -> Path:
    """The folder itself, if it is there."""
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: {wanted} should be there; unpack the data set again")
    return folder
