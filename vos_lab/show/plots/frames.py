"""Frames and what was marked in them."""

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...clip import Clip
from ...draw import overlay
from ...errors import InputError
from ...masks import object_ids
from ...metrics import region_similarity
from ...track import Track
from .panels import canvas, caption, check_frames, named, show_picture, spread, tiles


def frame_overlay(
    clip: Clip, frame: int, masks: UInt8[np.ndarray, "T H W"] | None = None, *, opacity: float = 0.6, ax: Axes | None = None
) -> Figure:
    """What is marked in one frame: objects tinted, each with its id. masks: those of the clip unless given (track.masks)."""
    check_frames([frame], range(len(clip)))
    masks = masks_for(clip, masks)
    height, width = clip.size
    words = "Each object has its colour, a white rim and its number. Look for rims that leave the object."
    figure, ax = canvas(ax, (9, 9 * height / width + 0.7), words)
    show_picture(ax, overlay(clip.frames[frame : frame + 1], masks[frame : frame + 1], opacity)[0])
    for object_id in object_ids(masks[frame : frame + 1]):
        write_id(ax, masks[frame] == object_id, int(object_id))
    ax.set_title(f"'{clip.name}', frame {frame}")
    return figure


def masks_for(clip: Clip, masks: UInt8[np.ndarray, "T H W"] | None) -> UInt8[np.ndarray, "T H W"]:
    """The masks to draw on a clip."""
    masks = clip.masks if masks is None else masks
    if masks is None or masks.shape != clip.frames.shape[:3]:
        raise InputError(f"masks must be uint8 {clip.frames.shape[:3]} like the frames of '{clip.name}': give track.masks")
    return masks


def write_id(ax: Axes, inside: Bool[np.ndarray, "H W"], object_id: int) -> None:
    """The number of an object, where it is widest."""
    from scipy.ndimage import distance_transform_edt

    y, x = np.unravel_index(distance_transform_edt(inside).argmax(), inside.shape)
    box = {"facecolor": "black", "edgecolor": "none", "pad": 2}
    ax.text(x + 0.5, y + 0.5, str(object_id), color="white", fontsize=10, ha="center", va="center", bbox=box)


def contact_sheet(
    clip: Clip, tracks: Track | dict[str, Track] | None = None, *, frames: list[int] | None = None, count: int = 4
) -> Figure:
    """Some frames of a clip, evenly spaced unless named: the clip's masks in the first row, what was found in the next.

    tracks: one, or several by name. The title of each found frame says its J, the mean over its objects, where it is known.
    """
    frames = spread(range(len(clip)), count) if frames is None else frames
    check_frames(frames, range(len(clip)))
    rows = {"true masks": clip.masks} if clip.masks is not None else {}
    if tracks is not None:
        tracks = {"found": tracks} if isinstance(tracks, Track) else named(tracks)
        rows |= {name: masks_for(clip, track.masks) for name, track in tracks.items()}
    rows = rows or {clip.name: np.zeros(clip.frames.shape[:3], dtype=np.uint8)}
    figure, axes = tiles(len(rows) * len(frames), clip.size, len(frames) if len(rows) > 1 else min(4, len(frames)))
    for row, (name, masks) in enumerate(rows.items()):
        first = row * len(frames)
        axes[first].text(-0.03, 0.5, name, transform=axes[first].transAxes, rotation=90, ha="right", va="center")
        for ax, t in zip(axes[first:], frames):
            show_picture(ax, overlay(clip.frames[t : t + 1], masks[t : t + 1])[0])
            for object_id in object_ids(masks[t : t + 1]) if t == frames[0] else []:
                write_id(ax, masks[t] == object_id, int(object_id))
            if masks is clip.masks:
                note = "" if clip.annotated[t] else ": not annotated"
            else:
                note = f": J {mean_j(clip.known_masks[t], masks[t]):.2f}" if clip.annotated[t] else ""
            ax.set_title(f"frame {t}{note}", fontsize=10)
    caption(figure, "Read from left to right; look for the first frame in which a colour leaves its object or goes to another.")
    return figure


def mean_j(truth: UInt8[np.ndarray, "H W"], found: UInt8[np.ndarray, "H W"]) -> float:
    """The mean J over the objects that the truth or the prediction holds; 1 where there is none."""
    ids = object_ids(np.stack([truth, found]))
    if not len(ids):
        return 1.0
    return float(region_similarity(np.stack([truth == i for i in ids]), np.stack([found == i for i in ids])).mean())
