"""Mask files: one object id per pixel, 0 background, 255 void, as DAVIS stores them."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from .atomic import whole_file
from .errors import InputError

VOID = 255
FEW_SOFT_IDS = 8  # so many ids without a solid patch may be small objects; more of them are smoothed edges
GREY_MODES = ("1", "L", "I", "I;16", "I;16L", "I;16B")


def davis_palette() -> UInt8[np.ndarray, "256 3"]:
    """The 256 colours of DAVIS and PASCAL VOC masks: the id's bits go to red, green and blue in turn, high bits first."""
    ids = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((ids >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


def object_ids(masks: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "k"]:
    """The ids that occur, ascending, without background and void."""
    return np.flatnonzero(np.bincount(masks.ravel(), minlength=256)[1:VOID]).astype(np.uint8) + np.uint8(1)


def read_mask(path: str | Path) -> tuple[UInt8[np.ndarray, "H W"], bool]:
    """The ids in a palette or grey PNG, and whether it was grey (a grey file may hold a binary 0/255 mask).

    Raises InputError for colour images, ids above 255, and files that are not images.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", *GREY_MODES):
                raise InputError(
                    f"{path} is a {image.mode} image, but a mask holds one object id per pixel: save it as palette or grey PNG"
                )
            ids = np.asarray(image)
            grey = image.mode != "P"
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give a mask PNG or a folder of them") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read as an image ({error}): give a palette or grey PNG") from None
    if ids.max() > 255:
        raise InputError(f"{path} holds the id {ids.max()}, but ids go from 1 to 254 (255 is void)")
    return ids.astype(np.uint8), grey


def write_mask(path: str | Path, ids: UInt8[np.ndarray, "H W"]) -> None:
    """Write a palette PNG with the DAVIS colours."""
    image = Image.fromarray(ids).convert("P")
    image.putpalette(davis_palette().tobytes())
    with whole_file(path) as draft:
        image.save(draft, format="PNG")


def read_masks(paths: list[Path], soft_edges: str = "refuse") -> list[UInt8[np.ndarray, "_ _"]]:
    """The masks of one clip. Where all are grey and hold only 0 and 255, they are binary: 255 becomes object 1, not void.

    soft_edges: what to do with ids that only smoothed edges have: "refuse" (InputError), "nearest" (mend), "keep".
    """
    if soft_edges not in ("refuse", "nearest", "keep"):
        raise InputError(f"soft_edges='{soft_edges}': choose 'refuse', 'nearest' or 'keep'")
    masks, modes = zip(*(read_mask(path) for path in paths))
    masks = list(masks)
    for i, (path, ids, grey) in enumerate(zip(paths, masks, modes)):
        soft = soft_edge_ids(ids) if grey and soft_edges != "keep" else ()
        if len(soft) > FEW_SOFT_IDS and soft_edges == "refuse":
            raise InputError(
                f"{path} holds {len(np.unique(ids))} ids, {len(soft)} of them only along edges, as smoothing makes them: "
                "save it without anti-aliasing, or load it with soft_edges='nearest' to give those pixels the nearest id"
            )
        if len(soft) > FEW_SOFT_IDS:
            masks[i] = nearest_ids(ids, np.setdiff1d(np.unique(ids), soft))
    if all(modes) and all(np.isin(ids, (0, VOID)).all() for ids in masks) and any((ids == 0).any() for ids in masks):
        masks = [(ids == VOID).astype(np.uint8) for ids in masks]
    return masks


def soft_edge_ids(ids: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "k"]:
    """Ids that look like blended edges: they nowhere fill a 3x3 block, while other ids do.

    A mask that was drawn or resized with smoothing has such ids between object and background.
    """
    seen = np.flatnonzero(np.bincount(ids.ravel())).astype(np.uint8)
    if len(seen) <= FEW_SOFT_IDS or min(ids.shape) < 3:
        return seen[:0]
    windows = np.lib.stride_tricks.sliding_window_view(ids, (3, 3))
    solid = windows[(windows == windows[..., :1, :1]).all((2, 3))][:, 0, 0]
    filling = np.unique(solid)
    return np.setdiff1d(seen, filling) if len(filling) > 1 else seen[:0]


def nearest_ids(ids: UInt8[np.ndarray, "H W"], keep: UInt8[np.ndarray, "k"]) -> UInt8[np.ndarray, "H W"]:
    """Replace each id by the nearest of the ids to keep: the mend for masks with smoothed edges."""
    table = keep[np.abs(np.arange(256)[:, None] - keep[None].astype(int)).argmin(1)]
    return table[ids]
