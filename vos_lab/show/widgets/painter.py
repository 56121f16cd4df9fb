"""MaskPainter: paint the mask of a frame by hand."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import traitlets
from jaxtyping import UInt8
from matplotlib.figure import Figure

from ... import masks as mask_files
from ...clip import read_frame
from ...draw import overlay
from ...errors import InputError
from .base import Widget, jpeg, packed, unpacked

Source = np.ndarray | str | Path  # an array or a file


class MaskPainter(Widget, script="painter.js", needs=("masks.js", "painting.js", "view.js")):
    """Paint objects over an image with brush, eraser and polygon; `mask` holds what has been painted so far.

    image: uint8 (H,W,3) or a picture file · mask: ids (H,W) or a mask PNG to go on from. `mask` can be set as well, and
    `object_id`, the object that is painted. `save("00000.png")` writes a palette PNG. Raises InputError for other shapes.
    """

    about = traitlets.Unicode(
        "Paint each object in its own colour: every pixel gets one number, that of its object, or 0 for background."
    ).tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)  # JPEG
    size = traitlets.Tuple().tag(sync=True)  # (H, W)
    ids = traitlets.CBytes().tag(sync=True)  # the mask, packed; C: what a browser sends arrives as a memoryview
    author = traitlets.Unicode("python").tag(sync=True)  # who changed it last: a view keeps what it painted itself
    object_id = traitlets.Int(1, min=1, max=254).tag(sync=True)

    def __init__(self, image: Source, mask: Source | None = None):
        self.image = opened_image(image)
        size = self.image.shape[:2]
        ids = np.zeros(size, dtype=np.uint8) if mask is None else opened_mask(mask, size)
        first = [*map(int, mask_files.object_ids(ids)), 1][0]
        super().__init__(picture=jpeg(self.image, quality=95), size=size, ids=packed(ids), object_id=first)

    @property
    def mask(self) -> UInt8[np.ndarray, "H W"]:
        """What has been painted: uint8 object ids, 0 background, 255 void. A copy; set it to change what is painted."""
        return unpacked(self.ids, self.size)

    @mask.setter
    def mask(self, mask: Source) -> None:
        ids = opened_mask(mask, self.size)
        with self.hold_sync():  # in one message
            self.author = "python"
            self.ids = packed(ids)

    def save(self, path: str | Path) -> None:
        """Write the mask as a palette PNG, as DAVIS stores masks; Clip.load(video, masks=path) opens it."""
        if Path(path).suffix.lower() != ".png":
            raise InputError(f"path='{path}' must end in .png: only a PNG keeps the ids exactly")
        mask_files.write_mask(path, self.mask)

    def twin(self) -> Figure:
        """The image beside what has been painted, with the number of pixels of each object."""
        mask = self.mask
        figure, (plain, painted) = plt.subplots(1, 2, figsize=(12, 0.5 + 6 * self.size[0] / self.size[1]), layout="constrained")
        plain.imshow(self.image)
        plain.set_title("the image")
        painted.imshow(overlay(self.image[None], mask[None])[0])
        counts = ", ".join(f"object {k}: {(mask == k).sum():,} pixels" for k in mask_files.object_ids(mask))
        painted.set_title(counts or "nothing is painted yet")
        for ax in (plain, painted):
            ax.set_axis_off()
        return figure


def opened_image(image: Source) -> UInt8[np.ndarray, "H W 3"]:
    """An image from an array or a picture file."""
    if isinstance(image, (str, Path)):
        if not Path(image).is_file():
            raise InputError(f"image='{image}' does not exist: give a picture file or uint8 (H,W,3), such as clip.frames[0]")
        return read_frame(Path(image), None)[0]
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f"image must be uint8 (H,W,3), such as clip.frames[0], got {image.dtype} {image.shape}")
    return image


def opened_mask(mask: Source, size: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    """The ids of an array or a mask file. Raises InputError where they do not fit an image of `size`."""
    source = "mask"
    if isinstance(mask, (str, Path)):
        source, mask = f"mask {mask}", mask_files.read_masks([Path(mask)])[0]
    mask = np.asarray(mask)
    if mask.dtype.kind not in "bui" or (mask.size and not 0 <= mask.min() <= mask.max() <= 255):
        raise InputError(f"{source} must hold whole ids from 0 to 255, one per pixel, got {mask.dtype}: give uint8 (H,W)")
    if mask.shape != tuple(size):
        shape = "x".join(map(str, mask.shape))
        raise InputError(
            f"{source} is {shape} but the image is {size[0]}x{size[1]} (height x width): give a mask of the image's size"
        )
    return mask.astype(np.uint8)
