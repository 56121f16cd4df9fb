"""FalseMatchAtlas: the worst false matches of a clip, each with what asked, where it looked and where it should have."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ... import matches
from ...clip import Clip
from ...draw import overlay
from ...errors import InputError
from ...matches import FalseCell
from ...track import Track
from .base import Widget, jpeg

KINDS = {  # kind -> how it is said; {} is the object concerned
    "background_as_foreground": "background read as object {}",
    "foreground_as_background": "object {} read as background",
    "wrong_instance": "object {} read as another object",
}
CROP = (120, 176)  # pixels, of the pieces of frames that are shown
LEAST = 0.25  # false mass from which on a cell has failed
FAINT = 0.002  # weights below are not drawn


class FalseMatchAtlas(Widget, script="atlas.js"):
    """The worst query cells of a clip, by the affinity mass that lies on other labels; similar ones are left out.

    track: from run(clip, record=True) · other: a second one of the same clip, asked about the same cells · truth: a clip with
    the true masks, and the exact correspondence where it is rendered; the track's own clip unless given · names: of the two ·
    count: how many different failures of each kind and object (see matches.worst_cells). Works without a kernel once made.
    """

    about = (
        "Each row is a false match: a cell asks memory for what looks like it, and its weight falls on something else. "
        "Compare where it looked (bright cells; marked: the strongest that is false, if any) with where the same thing really "
        "was. White outlines are the true objects, with their numbers."
    )

    kind = traitlets.Unicode("all").tag(sync=True)  # or one of matches.KINDS
    object_id = traitlets.Int(0).tag(sync=True)  # 0: all
    order = traitlets.Unicode("mass").tag(sync=True)  # or gain: how much less false the second track is
    facts = traitlets.Dict().tag(sync=True)
    entries = traitlets.List().tag(sync=True)
    pictures = traitlets.Dict().tag(sync=True)  # frame -> JPEG, true objects outlined

    def __init__(
        self,
        track: Track,
        other: Track | None = None,
        truth: Clip | None = None,
        *,
        names: tuple[str, str] = ("first track", "second track"),
        count: int = 8,
    ):
        super().__init__()
        self.clip = clip_of(track, truth)
        self.tracks = [track] if other is None else [track, other]
        for one in self.tracks:
            one.memory_frames(min(one.memory, default=0))  # says what is missing where there is no record
            if one.masks.shape != self.clip.masks.shape:
                raise InputError(
                    f"a track of {one.masks.shape} and a clip of {self.clip.masks.shape}: both must be of one clip"
                )
        self.cells = matches.worst_cells(track, self.clip.masks, count, least=LEAST)
        self._labels = [matches.track_labels(one, self.clip.masks) for one in self.tracks]
        self.entries = self._entries()
        looks = [look for entry in self.entries for look in (*entry["looked"], entry["should"]) if look]
        used = sorted({entry["frame"] for entry in self.entries} | {look["frame"] for look in looks})
        self.facts = {
            **{"about": self.about, "kinds": KINDS, "ids": track.object_ids, "names": list(names[: len(self.tracks)])},
            **{"size": list(self.clip.size), "crop": list(CROP), "exact": self.clip.truth is not None},
            "grids": [{"stride": one.stride, "above": one.padding[0], "left": one.padding[1]} for one in self.tracks],
            "tags": {str(t): tags(self.clip.masks[t]) for t in used},
        }
        outlined = overlay(self.clip.frames[used], self.clip.masks[used], opacity=0.0) if used else []
        self.pictures = {str(t): jpeg(frame, 85) for t, frame in zip(used, outlined)}

    def shown(self) -> list[dict]:
        """The entries that pass the filters, in the order that is asked for."""
        chosen = [
            entry for entry in self.entries if self.kind in ("all", entry["kind"]) and self.object_id in (0, entry["object_id"])
        ]
        gain = lambda entry: entry["looked"][-1]["false"] - entry["looked"][0]["false"]
        return sorted(chosen, key=gain) if self.order == "gain" else chosen

    def twin(self, rows: int = 4) -> Figure:
        """The first rows, as a plain picture."""
        entries, names = self.shown()[:rows], self.facts["names"]
        columns = 2 + len(names)
        figure, axes = plt.subplots(
            max(1, len(entries)), columns, figsize=(12, 0.3 + 2.9 * max(1, len(entries))), squeeze=False, layout="constrained"
        )
        for ax in axes.flat:
            ax.set_axis_off()
        if not entries:
            axes[0, 0].text(0, 0.5, f"no cell has {LEAST:.0%} or more of its weight on another label")
        for row, entry in zip(axes, entries):
            looks = [entry, *entry["looked"], entry["should"]]
            for i, (ax, look) in enumerate(zip(row, looks)):
                if look:
                    self._draw(ax, look, 0 if i in (0, columns - 1) else i - 1)
            row[0].set_title(f"frame {entry['frame']}: this cell asks\n{entry['words']}", fontsize=9)
            for ax, name, look in zip(row[1:], names, entry["looked"]):
                ax.set_title(f"{name} looked at frame {look['frame']}\n{look['false']:.0%} of its weight is false", fontsize=9)
            where = f"should have looked at frame {entry['should']['frame']}" if entry["should"] else "could not know"
            row[-1].set_title(f"{where}:\n{entry['should_words']}", fontsize=9)
        return figure

    def _draw(self, ax: Axes, look: dict, which: int) -> None:
        """A piece of a frame around a cell, with weights and the cell marked."""
        grid = self.facts["grids"][which]
        stride, above, left = grid["stride"], grid["above"], grid["left"]
        t, (row, column) = look["frame"], look["cell"]
        (height, width), (tall, wide) = self.clip.size, (min(c, s) for c, s in zip(CROP, self.clip.size))
        x0 = np.clip(column * stride - left + stride / 2 - wide / 2, 0, width - wide)
        y0 = np.clip(row * stride - above + stride / 2 - tall / 2, 0, height - tall)
        picture = overlay(self.clip.frames[t][None], self.clip.masks[t][None], opacity=0.0)[0]
        ax.imshow(picture, extent=(0, width, height, 0))
        weights = look.get("weights", [])
        strongest = max((w for *_, w in weights), default=1.0)
        for r, c, w in weights:
            corner = (c * stride - left, r * stride - above)
            ax.add_patch(
                Rectangle(corner, stride, stride, color=plt.cm.cividis(w / strongest), alpha=0.35 + 0.6 * w / strongest)
            )
        for colour, line in (("black", 4), ("white", 2)):
            ax.add_patch(
                Rectangle((column * stride - left, row * stride - above), stride, stride, fill=False, ec=colour, lw=line)
            )
        ax.set(xlim=(x0, x0 + wide), ylim=(y0 + tall, y0))

    def _entries(self) -> list[dict]:
        """What is shown of each cell; frame by frame, since an affinity is large."""
        entries: dict[FalseCell, dict] = {}
        for frame, reader in sorted({(cell.frame, cell.reader) for cell in self.cells}):
            asked = [cell for cell in self.cells if (cell.frame, cell.reader) == (frame, reader)]
            where = [[self._same_cell(i, cell.cell) for cell in asked] for i in range(len(self.tracks))]
            looks = [one.affinity(frame, reader, cells)[0].T for one, cells in zip(self.tracks, where)]  # (cells,n) each
            similarity = self.tracks[0].similarity(frame, reader, where[0])[0].T
            truth, places = self.clip.truth, [{}] * len(asked)
            if truth is not None:
                places = matches.true_places(self.tracks[0], truth, frame, where[0], reader)
            for cell, like, place, *columns in zip(asked, similarity, places, *looks):
                entries[cell] = self._entry(cell, columns, like, place)
        return [entries[cell] for cell in self.cells]

    def _entry(self, cell: FalseCell, columns: list[Tensor], similarity: Tensor, places: dict) -> dict:
        """columns: where each track looked, (n); similarity: of memory to the cell, in the first; places: the true ones."""
        w = self.tracks[0].keys[cell.frame].shape[3]
        place = divmod(cell.cell, w)
        looked = [self._looked(i, cell, column) for i, column in enumerate(columns)]
        right, words = self._right(cell, similarity, looked[0]["frame"], places)
        for i, column in enumerate(columns):
            looked[i]["right"] = self._mass_at(i, cell, column, places)
        return {
            **{"frame": cell.frame, "cell": list(place), "kind": cell.kind, "object_id": cell.object_id, "mass": cell.mass},
            **{"words": KINDS[cell.kind].format(cell.object_id), "looked": looked, "should": right, "should_words": words},
        }

    def _same_cell(self, which: int, cell: int) -> int:
        """The cell of that track at the place of a cell of the first."""
        track = self.tracks[which]
        w = track.grid[1]
        if which == 0:
            return cell
        height, width = track.masks.shape[1:]
        x, y = matches.cell_centres(self.tracks[0])[cell].tolist()
        row, column = track.cell_at(int(min(max(x, 0), width - 1)), int(min(max(y, 0), height - 1)))
        return row * w + column

    def _looked(self, which: int, cell: FalseCell, column: Tensor) -> dict:
        """Its strongest false match where it failed, else its strongest match; with the weights in that frame."""
        track = self.tracks[which]
        h, w = track.keys[cell.frame].shape[2:]
        origins = track.origins(cell.frame, cell.reader)
        labels = self._labels[which].flatten()[origins]
        false = column * ((labels != cell.label) & (labels >= 0))
        best = int(origins[(false if false.sum() >= LEAST else column).argmax()])
        here = (origins // (h * w) == best // (h * w)) & (column >= FAINT)
        weights = [[*divmod(int(o) % (h * w), w), round(float(x), 4)] for o, x in zip(origins[here], column[here])]
        return {
            **{"frame": best // (h * w), "cell": list(divmod(best % (h * w), w)), "weights": weights},
            **{"here": float(column[here].sum()), "false": float(false.sum())},
        }

    def _right(self, cell: FalseCell, similarity: Tensor, looked: int, places: dict) -> tuple[dict | None, str]:
        """Where it should have looked, if memory holds that, and how we know."""
        track = self.tracks[0]
        h, w = track.keys[cell.frame].shape[2:]
        if places:
            t = looked if looked in places else max(places)
            return {"frame": t, "cell": list(places[t])}, "exactly the same point, known since the clip is rendered"
        origins = track.origins(cell.frame, cell.reader)
        own = self._labels[0].flatten()[origins] == cell.label
        label = f"object {cell.label}" if cell.label else "background"
        if not own.any():
            return None, f"memory holds no cell of {label}"
        best = int(origins[similarity.masked_fill(~own, -torch.inf).argmax()])
        hidden = "this point was never seen before; " if self.clip.truth is not None else ""
        return {"frame": best // (h * w), "cell": list(divmod(best % (h * w), w))}, f"{hidden}the most similar cell of {label}"

    def _mass_at(self, which: int, cell: FalseCell, column: Tensor, places: dict) -> float:
        """The weight within a cell of the true places; without them, on the cell's own label."""
        track = self.tracks[which]
        h, w = track.keys[cell.frame].shape[2:]
        origins = track.origins(cell.frame, cell.reader)
        if not places:
            return float(matches.mass(column[:, None], self._labels[which].flatten()[origins] == cell.label))
        frames, rows, columns = origins // (h * w), origins % (h * w) // w, origins % w
        near = torch.zeros_like(origins, dtype=torch.bool)
        scale = self.tracks[0].stride / track.stride
        for t, (row, col) in places.items():
            near |= (frames == t) & ((rows - row * scale).abs() <= 1) & ((columns - col * scale).abs() <= 1)
        return float(column[near].sum())


def clip_of(track: Track, truth: Clip | None) -> Clip:
    clip = truth or track.clip
    if clip is None or clip.masks is None or clip.annotated.sum() < 2:
        raise InputError("false matches are told by true masks: give truth=, a clip that has them in more than its first frame")
    return clip


def tags(mask: np.ndarray) -> list[list[int]]:
    """Of each object in a mask: its id, and x and y of a pixel of it near its middle."""
    found = []
    for i in np.unique(mask[(mask > 0) & (mask < 255)]):
        y, x = np.nonzero(mask == i)
        nearest = np.argmin((x - x.mean()) ** 2 + (y - y.mean()) ** 2)
        found.append([int(i), int(x[nearest]), int(y[nearest])])
    return found
