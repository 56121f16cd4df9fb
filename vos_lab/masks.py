"""Mask files: one object id per pixel, 0 background, 255 void, as DAVIS stores them."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from .atomic import whole_file
from .errors import InputError

VOID = 255
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
    flat = masks.ravel()
    begin = flat[np.flatnonzero(flat[1:] != flat[:-1]) + 1]  # of each run of equal ids, so that few numbers are counted
    return np.flatnonzero(np.bincount(np.append(begin, flat[:1]), minlength=256)[1:VOID]).astype(np.uint8) + np.uint8(1)


def read_mask(path: str | Path) -> tuple[UInt8[np.ndarray, "H W"], bool]:
    """The ids in a palette or grey image, and whether it was grey (a grey file may hold a binary 0/255 mask).

    Raises InputError for colour images, ids above 255, and files that are not images.
    """
    try:
        with Image.open(path) as image:
            ids = np.asarray(image)
            grey = image.mode != "P"
            if image.mode == "LA" or image.mode in ("RGB", "RGBA") and (ids[..., :3] == ids[..., :1]).all():
                ids = ids[..., 0]  # grey, saved with transparency or three equal channels, as many paint programs do
            elif image.mode not in ("P", *GREY_MODES):
                raise InputError(
                    f"{path} is a {image.mode} image in colour, but a mask holds one object id per pixel: save it as grey or "
                    "palette PNG (in GIMP: Image > Mode > Grayscale), white or id 1 for one object, ids 1, 2, 3 for more"
                )
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give a mask PNG or a folder of them") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path} cannot be read as an image ({error}): give a palette or grey PNG") from None
    if strange := [int(i) for i in (ids.min(), ids.max()) if not 0 <= i <= 255]:
        raise InputError(f"{path} holds the id {strange[0]}, but ids go from 1 to 254 (255 is void)")
    return ids.astype(np.uint8), grey


def write_mask(path: str | Path, ids: UInt8[np.ndarray, "H W"]) -> None:
    """Write a palette PNG with the DAVIS colours."""
    image = Image.fromarray(ids).convert("P")
    image.putpalette(davis_palette().tobytes())
    with whole_file(path) as draft:
        image.save(draft, format="PNG")


def resized(masks: UInt8[np.ndarray, "T _ _"], size: tuple[int, int]) -> UInt8[np.ndarray, "T _ _"]:
    """Ids at another size, (H, W): each pixel takes the nearest, so that no new ids arise."""
    if masks.shape[1:] == tuple(size):
        return masks
    height, width = size
    return np.stack([np.asarray(Image.fromarray(ids).resize((width, height), Image.Resampling.NEAREST)) for ids in masks])


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
        if len(soft) and soft_edges == "refuse":
            raise InputError(
                f"{path} holds {len(np.unique(ids))} ids, {len(soft)} of them only along edges, as smoothing makes them: "
                "save it without anti-aliasing, or let them take the nearest id: soft_edges='nearest' (--soft-edges nearest)"
            )
        if len(soft):
            masks[i] = nearest_ids(ids, np.setdiff1d(np.unique(ids), soft))
    if all(modes) and all(np.isin(ids, (0, VOID)).all() for ids in masks) and any((ids == 0).any() for ids in masks):
        masks = [(ids == VOID).astype(np.uint8) for ids in masks]
    return masks


def soft_edge_ids(ids: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "k"]:
    """Ids that look like blended edges, as a mask has them that was drawn or resized with smoothing.

    They nowhere fill a 3x3 block while others do. Small objects are like that too; but where one of these ids lies, nearly
    always, between a smaller and a larger id, somebody has smoothed, and none of them can be trusted.
    """
    padded = np.pad(ids, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))  # (H,W,3,3)
    low, high = windows.min((2, 3)), windows.max((2, 3))
    thin = np.setdiff1d(ids, ids[low == high])
    between = (low < ids) & (ids < high)
    smoothed = any(between[ids == k].mean() > 0.8 for k in thin)
    return thin if smoothed and len(thin) < len(np.unique(ids)) - 1 else thin[:0]


def nearest_ids(ids: UInt8[np.ndarray, "H W"], keep: UInt8[np.ndarray, "k"]) -> UInt8[np.ndarray, "H W"]:
    """Replace each id by the nearest of the ids to keep: the mend for masks with smoothed edges."""
    table = keep[np.abs(np.arange(256)[:, None] - keep[None].astype(int)).argmin(1)]
    return table[ids]
