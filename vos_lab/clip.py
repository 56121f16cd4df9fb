"""Clip: the frames of a video, the masks that are known, and how to load, cut, save and look at them."""

import base64
import html
import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from . import draw
from . import masks as mask_files
from .atomic import whole_folder
from .errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def normalise(frames: UInt8[np.ndarray, "... H W 3"] | UInt8[Tensor, "... H W 3"]) -> Float[Tensor, "... 3 H W"]:
    """Pixels 0..255 to what a model expects: floats with ImageNet's mean and standard deviation, channels first."""
    pixels = torch.as_tensor(frames).movedim(-1, -3).float() / 255
    mean, std = (torch.tensor(x, device=pixels.device)[:, None, None] for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (pixels - mean) / std


@dataclass(repr=False)
class Clip:
    """A video clip.

    frames: uint8 (T,H,W,3) RGB · masks: uint8 (T,H,W) object ids, 0 background, 255 void, or None · frame_names: file
    stems · truth: exact correspondence, where the clip was rendered (see datasets.world).
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    masks: UInt8[np.ndarray, "T H W"] | None = None
    name: str = "clip"
    frame_names: list[str] = field(default_factory=list)
    fps: float = 24.0
    truth: Any = None
    source_size: tuple[int, int] | None = None  # (H, W) of the files, before resizing
    left_out: frozenset[str] = frozenset()  # names of frames of the source that this clip does not have

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8 or not len(self.frames):
            raise InputError(f"frames must be uint8 (T,H,W,3) with T >= 1, got {self.frames.dtype} {self.frames.shape}")
        if self.masks is not None and (self.masks.shape != self.frames.shape[:3] or self.masks.dtype != np.uint8):
            raise InputError(
                f"masks must be uint8 {self.frames.shape[:3]} like the frames, got {self.masks.dtype} {self.masks.shape}"
            )
        if self.frame_names and len(self.frame_names) != len(self.frames):
            raise InputError(f"there are {len(self.frame_names)} frame_names for {len(self.frames)} frames: give one for each")
        self.frame_names = self.frame_names or [f"{t:05d}" for t in range(len(self.frames))]

    @property
    def annotated(self) -> Bool[np.ndarray, "T"]:
        """Which frames have a mask; where there is none, the mask is void (255) all over."""
        if self.masks is None:
            return np.zeros(len(self), dtype=bool)
        return (self.masks != mask_files.VOID).any((1, 2))

    @property
    def object_ids(self) -> UInt8[np.ndarray, "k"]:
        """The ids in the masks, ascending, without background and void."""
        return mask_files.object_ids(self.masks) if self.masks is not None else np.zeros(0, dtype=np.uint8)

    @property
    def known_masks(self) -> UInt8[np.ndarray, "T H W"]:
        """The masks, where it takes some. Raises InputError where there are none."""
        if self.masks is None:
            raise InputError(f"clip '{self.name}' has no masks: give at least one PNG for its first frame, masks= (--mask)")
        return self.masks

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.frames.shape[1:3]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, which: int | slice) -> "Clip":
        """A shorter clip: `clip[10:20]`, `clip[::5]`; a single number gives a clip of one frame."""
        if isinstance(which, (int, np.integer)):
            if not -len(self) <= which < len(self):
                raise IndexError(
                    f"frame {which} is outside clip '{self.name}', whose {len(self)} frames are 0..{len(self) - 1}"
                )
            which = slice(which % len(self), which % len(self) + 1)
        if not len(range(len(self))[which]):
            raise IndexError(f"{which} takes no frame of clip '{self.name}', whose {len(self)} frames are 0..{len(self) - 1}")
        names = self.frame_names[which]
        return replace(
            self,
            frames=self.frames[which],
            masks=None if self.masks is None else self.masks[which],
            frame_names=names,
            left_out=self.left_out.union(self.frame_names).difference(names),
            fps=self.fps / abs(which.step or 1),
            truth=None if self.truth is None else self.truth[which],
        )

    def images(self, start: int = 0, stop: int | None = None) -> Float[Tensor, "t 3 H W"]:
        """Frames start..stop as a model wants them: float, ImageNet-normalised."""
        return normalise(self.frames[start:stop].copy())  # torch refuses the view that clip[::-1] holds

    def resize(self, size: tuple[int, int] | None = None, *, short_side: int | None = None) -> "Clip":
        """Another size, (H, W) or by the shorter side; masks take the nearest pixel, so no new ids arise. Drops `truth`."""
        height, width = size or scaled(self.size, short_side)
        if min(height, width) < 1:
            raise InputError(f"size=({height}, {width}) leaves no pixel: give (height, width) of 1 or more")
        bicubic = Image.Resampling.BICUBIC
        frames = np.stack([np.asarray(Image.fromarray(frame).resize((width, height), bicubic)) for frame in self.frames])
        masks = None if self.masks is None else mask_files.resized(self.masks, (height, width))
        return replace(self, frames=frames, masks=masks, truth=None)

    @classmethod
    def load(
        cls,
        source: str | Path,
        masks: str | Path | None = None,
        *,
        short_side: int | None = None,
        every: int = 1,
        soft_edges: str = "refuse",
    ) -> "Clip":
        """Load a folder of frames, a video file, or one clip of a DAVIS-style tree.

        source: `clip/`, `clip.mp4`, or `ROOT/JPEGImages/480p/NAME`, whose masks in `ROOT/Annotations` are found.
        masks: a folder of PNGs named like the frames (some may be missing), or one PNG: it belongs to the frame of its
        name, or else to the first. Palette or grey PNG of ids; grey of only 0 and 255 is one object, id 1.
        short_side: resize so that the shorter side has this many pixels. every: take every n-th frame.
        soft_edges: what to do with masks whose edges were smoothed into other ids: "refuse", "nearest" (mend), "keep".
        Raises InputError with a sentence that names the file and the mend.
        """
        source = Path(source)
        if every < 1:
            raise InputError(f"every={every} takes no frame: give 1 or more")
        if not source.exists():
            raise InputError(f"{source} does not exist: give a video file or a folder of frames")
        if source.is_dir():
            frames, all_names, full_size = load_frames(source, short_side, every, without=masks)
            fps = 24.0 / every
        else:
            from .video import read_video

            frames, fps, full_size, count = read_video(source, short_side=short_side, every=every)
            all_names = [f"{t:05d}" for t in range(count)]
        names = all_names[::every]
        masks = masks or annotations_beside(source)
        name = source.resolve().name if source.is_dir() else source.stem
        left_out = frozenset(all_names).difference(names)
        clip = cls(frames, name=name, frame_names=names, fps=fps, source_size=full_size, left_out=left_out)
        return clip.with_masks(masks, soft_edges=soft_edges) if masks else clip

    def with_masks(self, source: str | Path, *, soft_edges: str = "refuse") -> "Clip":
        """The same frames with masks from files; `load` says which are understood. They have the size of the frames' files."""
        masks = self.read_masks(source, soft_edges=soft_edges)
        return replace(self, masks=mask_files.resized(masks, self.size))

    def read_masks(self, source: str | Path, *, soft_edges: str = "refuse") -> UInt8[np.ndarray, "T H W"]:
        """Masks from files, at the size of the frames' files, void where there is none."""
        source = Path(source)
        if source.is_dir():
            paths = mask_paths(source)
            frame_of = {path: self.frame_names.index(path.stem) for path in paths if path.stem in self.frame_names}
            if not frame_of:
                raise InputError(f"no mask in {source} is named like a frame of {self.name} ({self.frame_names[0]}.png ...)")
        else:
            if source.stem in self.left_out:
                raise InputError(
                    f"{source} belongs to a frame that was left out of the clip: take that frame in, or rename the mask"
                )
            frame_of = {source: self.frame_names.index(source.stem) if source.stem in self.frame_names else 0}
        height, width = self.source_size or self.size
        masks = np.full((len(self), height, width), mask_files.VOID, dtype=np.uint8)
        for (path, t), ids in zip(frame_of.items(), mask_files.read_masks(list(frame_of), soft_edges)):
            if ids.shape != (height, width):
                raise InputError(
                    f"{path} is {ids.shape[0]}x{ids.shape[1]} pixels but its frame is {height}x{width} (height x width): "
                    "save the mask at the size of the frame (videos may have gained a row or column: their sides are even)"
                )
            masks[t] = ids
        return masks

    def save(self, root: str | Path, resolution: str = "480p", quality: int = 95) -> None:
        """Write a DAVIS-style tree: ROOT/JPEGImages/RESOLUTION/NAME/00000.jpg and ROOT/Annotations/.../00000.png."""
        with whole_folder(Path(root, "JPEGImages", resolution, self.name)) as folder:
            for name, frame in zip(self.frame_names, self.frames):
                Image.fromarray(frame).save(folder / f"{name}.jpg", quality=quality, subsampling=0)
        with whole_folder(Path(root, "Annotations", resolution, self.name)) as folder:  # empty where nothing is annotated
            for t in np.flatnonzero(self.annotated):
                mask_files.write_mask(folder / f"{self.frame_names[t]}.png", self.known_masks[t])

    def save_overlay(self, path: str | Path) -> None:
        """Write the clip with its masks painted over it, as .mp4 or .gif."""
        from .video import write_video

        write_video(path, draw.overlay(self.frames, self.masks), fps=self.fps)

    def contact_sheet(self, count: int = 8) -> Image.Image:
        """Some frames, evenly spaced, with their masks, in one picture."""
        shown = np.unique(np.linspace(0, len(self) - 1, count).round().astype(int))
        masks = None if self.masks is None else self.masks[shown]
        return draw.contact_sheet(draw.overlay(self.frames[shown], masks), [f"frame {t}" for t in shown])

    def __repr__(self) -> str:
        ids = ", ".join(map(str, self.object_ids)) or "none"
        height, width = self.size
        return (
            f"Clip '{self.name}': {len(self)} frames of {height}x{width}, {self.annotated.sum()} annotated, object ids: {ids}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{picture_html(self.contact_sheet(), f'Contact sheet. {self!r}')}"


def picture_html(picture: Image.Image, alt: str) -> str:
    """An <img> that carries its own data."""
    data = io.BytesIO()
    picture.save(data, format="JPEG", quality=90)
    return f'<img alt="{html.escape(alt)}" src="data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}">'


def scaled(size: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """(H, W) after the shorter side becomes `short_side`; unchanged for None."""
    if short_side is not None and short_side < 1:
        raise InputError(f"short_side={short_side} leaves no pixel: give 1 or more")
    ratio = 1 if short_side is None else short_side / min(size)
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def natural_order(path: Path) -> list:
    """Sort key: frame2 before frame10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def load_frames(
    folder: Path, short_side: int | None, every: int, without: str | Path | None
) -> tuple[UInt8[np.ndarray, "T H W 3"], list[str], tuple[int, int]]:
    """Every n-th frame, the names of all, and the size before resizing. without: a mask that may lie among the frames."""
    if (folder / "JPEGImages").is_dir():
        raise InputError(
            f"{folder} is a whole data set: give one clip of it, such as {folder / 'JPEGImages' / '480p' / 'NAME'}"
        )
    paths = sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_ENDINGS and not p.name.startswith(".")), key=natural_order
    )
    paths = [p for p in paths if without is None or p.resolve() != Path(without).resolve()]
    if not paths:
        raise InputError(f"{folder} holds no frames: it should hold images ({', '.join(IMAGE_ENDINGS)})")
    stems = [p.stem for p in paths]
    if len(set(stems)) < len(stems):
        twice = next(s for s in stems if stems.count(s) > 1)
        raise InputError(f"{folder} holds two images named '{twice}': keep frames and masks in folders of their own")
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda path: read_frame(path, short_side), paths[::every]))
    full_size = read[0][1]
    palette = [path for path, (*_, is_palette) in zip(paths[::every], read) if is_palette]
    if 0 < len(palette) < len(read):
        raise InputError(f"{palette[0]} looks like a mask (a palette image) among frames: keep masks in a folder of their own")
    for path, (_, size, _) in zip(paths[::every], read):
        if size != full_size:
            raise InputError(
                f"{path} is {size[0]}x{size[1]} pixels but {paths[0].name} is {full_size[0]}x{full_size[1]} (height x width): "
                "all frames of a clip must have one size"
            )
    return np.stack([frame for frame, *_ in read]), stems, full_size


def read_frame(path: Path, short_side: int | None) -> tuple[UInt8[np.ndarray, "H W 3"], tuple[int, int], bool]:
    """One image file as RGB, upright; its size (H, W) before resizing; whether it has a palette, as masks do."""
    try:
        with Image.open(path) as file:
            is_palette = file.mode == "P"
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip at 255
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            image = image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read as an image ({error}): replace or remove it") from None
    full_size = (image.height, image.width)
    if short_side is not None:
        height, width = scaled(full_size, short_side)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image), full_size, is_palette


def annotations_beside(source: Path) -> Path | None:
    """ROOT/Annotations/480p/NAME for ROOT/JPEGImages/480p/NAME, where it exists."""
    parts = source.absolute().parts
    if "JPEGImages" not in parts:
        return None
    at = len(parts) - 1 - parts[::-1].index("JPEGImages")
    folder = Path(*parts[:at], "Annotations", *parts[at + 1 :])
    return folder if folder.is_dir() and any(folder.glob("*.png")) else None


def mask_paths(folder: Path) -> list[Path]:
    """The mask files of one clip, in order."""
    paths = sorted((p for p in folder.glob("*.png") if not p.name.startswith(".")), key=natural_order)
    if not paths:
        raise InputError(f"{folder} holds no masks: it should hold PNGs named like the frames")
    return paths
