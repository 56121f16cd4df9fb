"""AffinityExplorer: which memory cells does a query cell look at, and who looks at a memory cell?"""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int64, Num, UInt8
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from traitlets import Bool, Bytes, CInt, Dict, Float, Int, List, Tuple, Unicode, validate

from ...errors import InputError
from ...masks import resized
from ...matches import track_labels
from ...track import Track
from .base import Widget, jpeg, png

BUDGET = 2_000_000  # bytes of keys: where they fit, they are sent in full precision, else as float16
WIDEST = 640  # pixels of a picture that is sent
LONG_TERM = "long-term"
constant = lambda kind, *of: kind(*of).tag(sync=True)


class AffinityExplorer(Widget, script="explorer.js", needs=("affinity.js", "boards.js", "explorer_page.js")):
    """The affinity of one frame of a track, cell by cell, computed in the browser from the keys.

    track: from run(clip, record=True) · frame: the query frame · object_id: whose memory, where objects appeared at different
    times · options: any of the traits below, which can be read and set at any time and are those of the track at first:
    cell (row, column) of the query · memory_cell None, or (frame, row, column): then who reads it is shown · pinned · kind,
    temperature, top_k (None: all), norm_term (False: l2 without |k|^2) · without: memory frames left out, by number, or
    "long-term" · opacity of the heat. Raises InputError where the track cannot show what is asked for.
    """

    about = (
        "To find the objects in a new frame, the query, each of its cells (a small square) reads the cells of earlier frames "
        "that look like it: its affinity, 100 % in all. Move over the query frame to see where a cell looks, or over a memory "
        "frame to see which query cells read it; click to pin, arrow keys to step."
    )
    # what is shown: of the query first, then of each memory frame (and of long-term memory, its cells as a mosaic)
    sentence = constant(Unicode)
    source = constant(Unicode)  # whose masks the labels are
    panels = constant(List, Dict())
    pictures = constant(List, Bytes())  # JPEG
    masks = constant(List, Bytes())  # PNG, for the outlines
    labels = constant(Bytes)  # uint8 per cell, 255 where it is mixed
    cell_keys = constant(Bytes)  # (cells, c)
    shrinkage = constant(Bytes)  # float32, per memory cell; empty where the model has none
    selection = constant(Bytes)  # like the keys, of the query's cells
    full_precision = constant(Bool)
    tracked = constant(Dict)  # the settings that the tracker used
    # what is chosen
    cell = constant(Tuple, CInt(), CInt())
    memory_cell = Tuple(CInt(), CInt(), CInt(), allow_none=True, default_value=None).tag(sync=True)
    pinned = constant(Bool)
    kind = constant(Unicode)
    temperature = constant(Float)
    top_k = Int(None, allow_none=True).tag(sync=True)
    norm_term = constant(Bool)
    without = constant(List)
    opacity = Float(0.9).tag(sync=True)

    def __init__(self, track: Track, frame: int, object_id: int | None = None, **options):
        if track.prior is not None:
            raise InputError("this track read with a prior, which the explorer cannot draw: call show.affinity_of_pixel")
        origins, longer = shown_cells(track, frame, object_id)
        self.track, self.frame, self.object_id = track, frame, object_id
        working = track.memory_frames(frame, object_id)
        rows, columns = track.keys[frame].shape[2:]
        shown = torch.cat([torch.tensor([frame]), origins // (rows * columns)]).unique()  # frames, ascending
        pictures, masks = track.clip.frames[shown.numpy()], masks_of(track, shown.numpy())
        labels = track_labels(track, masks)  # (shown,h*w)
        place = lambda frames: torch.searchsorted(shown, torch.as_tensor(frames))
        whole = place([frame, *working])  # of the frames that are shown whole, the query first
        panels = [frame_panel(track, t) for t in (frame, *working)]
        shots, outlines = [*pictures[whole.numpy()]], [*masks[whole.numpy()]]
        if len(longer):
            where, cell = place(longer // (rows * columns)), longer % (rows * columns)
            shots.append(mosaic(pictures, where, cell, track))
            outlines.append(mosaic(masks, where, cell, track))
            panels.append(long_term_panel(longer, outlines[-1].shape, track))
        of_memory = labels[place(origins // (rows * columns)), origins % (rows * columns)]
        settings = {"kind": "l2", "top_k": None, "temperature": 1.0} | track.matching | {"norm_term": True, "without": []}
        settings["temperature"] = float(settings["temperature"])
        choices = {"cell": middle(labels[whole[0]].view(rows, columns)), "memory_cell": None, "pinned": False, "opacity": 0.9}
        choices |= settings
        if unknown := set(options) - set(choices):
            raise InputError(f"there is no option {', '.join(sorted(unknown))}: choose of {', '.join(choices)}")
        super().__init__(
            sentence=self.about,
            source=whose_masks(track, shown.numpy()),
            panels=panels,
            pictures=[jpeg(smaller(x)) for x in shots],
            masks=[png(smaller(x)) for x in outlines],
            labels=torch.cat([labels[whole[0]], of_memory]).to(torch.uint8).numpy().tobytes(),  # -1 becomes 255
            tracked=settings,
            **self._keys(origins),
            **choices | options,
        )

    def _keys(self, origins: Int64[Tensor, "n"]) -> dict[str, bytes | bool]:
        """Keys of the query's cells and of memory, cell by cell, and the reach of models that have one."""
        track, frame = self.track, self.frame
        key, shrinkage = track.remembered(frame, self.object_id)  # (1,c,n), (1,1,n)
        where = {origin: i for i, origin in enumerate(track.origins(frame, self.object_id).tolist())}
        order = torch.tensor([where[origin] for origin in origins.tolist()])
        rows = torch.cat([track.keys[frame][0].flatten(1), key[0][:, order]], 1).T.float()  # (m + n,c)
        full = 4 * rows.numel() <= BUDGET
        sent = lambda x: x.to(torch.float32 if full else torch.float16).contiguous().numpy().tobytes()
        reach = {}
        if shrinkage is not None:
            reach["shrinkage"] = shrinkage[0, 0, order].float().numpy().tobytes()
            reach["selection"] = sent(track.reach[frame][1][0].flatten(1).T)
        return {"cell_keys": sent(rows), "full_precision": full, **reach}

    def twin(self) -> Figure:
        """Where the chosen cell looks, with the chosen settings, as `show.affinity_of_pixel` draws it."""
        from ..plots import affinity_of_pixel

        row, column = self.cell
        (above, left), (height, width) = self.track.padding, self.track.masks.shape[1:]
        y, x = (int((i + 0.5) * self.track.stride) for i in (row, column))
        x, y = min(max(x - left, 0), width - 1), min(max(y - above, 0), height - 1)  # a cell at the rim may lie half outside
        return affinity_of_pixel(self.track.clip, self.as_set(), self.frame, x, y, self.object_id)

    def as_set(self) -> Track:
        """The track as if it had read this frame with the settings chosen here."""
        matching = {"kind": self.kind, "temperature": self.temperature, "top_k": self.top_k}
        if self.kind == "l2" and not self.norm_term:  # (2 k.q) / sqrt(c) is the dot product at half the temperature
            matching |= {"kind": "dot", "temperature": self.temperature / 2}
        memory, long_term = self.track.memory[self.frame], self.track.long_term.get(self.frame, {})
        kept = {i: [f for f in frames if f not in self.without] for i, frames in memory.items()}
        if not any(kept.values()):
            raise InputError(f"without={self.without} leaves nothing in memory: keep at least one frame")
        long_term = {} if LONG_TERM in self.without else long_term
        return replace(self.track, matching=matching, memory={self.frame: kept}, long_term={self.frame: long_term})

    @validate("kind")
    def _known_kind(self, proposal: dict) -> str:
        kinds = ["l2", "dot", "cosine", *(["anisotropic"] if self.track.reach else [])]
        if proposal["value"] not in kinds:
            raise InputError(f"kind='{proposal['value']}' cannot be shown for this track: choose {', '.join(kinds)}")
        return proposal["value"]

    @validate("temperature")
    def _above_zero(self, proposal: dict) -> float:
        if not proposal["value"] > 0:
            raise InputError(f"temperature={proposal['value']} must be above 0")
        return proposal["value"]

    @validate("top_k")
    def _at_least_one(self, proposal: dict) -> int | None:
        if proposal["value"] is not None and proposal["value"] < 1:
            raise InputError(f"top_k={proposal['value']} keeps no memory cell: give 1 or more, or None for all")
        return proposal["value"]

    @validate("opacity")
    def _share(self, proposal: dict) -> float:
        if not 0 <= proposal["value"] <= 1:
            raise InputError(f"opacity={proposal['value']} must lie in 0..1")
        return proposal["value"]

    @validate("cell")
    def _inside(self, proposal: dict) -> tuple[int, int]:
        rows, columns = self.panels[0]["rows"], self.panels[0]["columns"]
        row, column = proposal["value"]
        if not (0 <= row < rows and 0 <= column < columns):
            raise InputError(f"cell=({row}, {column}) is outside the grid: rows 0..{rows - 1}, columns 0..{columns - 1}")
        return row, column

    @validate("memory_cell")
    def _remembered(self, proposal: dict) -> tuple[int, int, int] | None:
        if proposal["value"] is None:
            return None
        frame, row, column = proposal["value"]
        grid = self.panels[0]
        inside = 0 <= row < grid["rows"] and 0 <= column < grid["columns"]
        whole = frame in [panel["name"] for panel in self.panels[1:]]
        if not inside or not (whole or [frame, row, column] in self.panels[-1]["origins"]):
            raise InputError(f"memory_cell=({frame}, {row}, {column}) is not in memory: frames {self._names()} are")
        return frame, row, column

    @validate("without")
    def _frames_of_memory(self, proposal: dict) -> list:
        unknown = [name for name in proposal["value"] if name not in self._names()]
        if unknown:
            raise InputError(f"without={unknown} is not in memory: choose of {self._names()}")
        return proposal["value"]

    def _names(self) -> list[int | str]:
        return [panel["name"] for panel in self.panels[1:]]


def shown_cells(track: Track, frame: int, object_id: int | None) -> tuple[Int64[Tensor, "n"], Int64[Tensor, "long"]]:
    """The origins of all memory cells in the order in which they are shown, and of those in long-term memory alone.

    Long-term cells are sorted by where they come from, so that neighbours lie together in the mosaic.
    """
    working = len(track.memory_frames(frame, object_id)) * track.keys[frame][0, 0].numel()
    origins = track.origins(frame, object_id)
    longer = origins[working:].sort().values
    return torch.cat([origins[:working], longer]), longer


def masks_of(track: Track, frames: Int64[np.ndarray, "f"]) -> UInt8[np.ndarray, "f H W"]:
    """The clip's masks where it has them, else those that were found."""
    clip = track.clip
    return np.stack([clip.masks[t] if clip.annotated[t] else track.masks[t] for t in frames])


def whose_masks(track: Track, frames: Int64[np.ndarray, "f"]) -> str:
    """Where the masks of these frames come from, in words."""
    known = frames[track.clip.annotated[frames]]
    if len(known) == len(frames):
        return "the clip's true masks"
    given = f"the clip's masks in frame {', '.join(map(str, known))}, elsewhere " if len(known) else ""
    return f"{given}the masks that the tracker found"


def middle(labels: Int64[Tensor, "h w"]) -> tuple[int, int]:
    """The cell of the first object that lies nearest to the object's middle; without an object, the middle of the frame."""
    objects = labels[labels > 0]
    if not len(objects):
        return labels.shape[0] // 2, labels.shape[1] // 2
    cells = (labels == objects.min()).nonzero()  # (cells,2)
    nearest = (cells - cells.float().mean(0)).square().sum(1).argmin()
    return tuple(cells[nearest].tolist())


def frame_panel(track: Track, frame: int) -> dict:
    """Name and grid of a frame that is shown whole, in its pixels; its cells begin (left, above) it where it was padded."""
    rows, columns = track.keys[frame].shape[2:]
    above, left = track.padding
    height, width = track.masks.shape[1:]
    grid = {"rows": rows, "columns": columns, "cell": track.stride, "left": left, "above": above}
    return {"name": frame, "title": f"frame {frame}", **grid, "width": width, "height": height, "origins": []}


def long_term_panel(origins: Int64[Tensor, "long"], size: tuple[int, ...], track: Track) -> dict:
    """The same of the mosaic of long-term cells. origins, in the panel: frame, row, column of each."""
    rows, columns = track.keys[track.first_frame].shape[2:]
    places = [[o // (rows * columns), o // columns % rows, o % columns] for o in origins.tolist()]
    title = f"long-term: {len(places)} cells of frames {places[0][0]} to {places[-1][0]}"
    (height, width), s = size, track.stride
    grid = {"rows": height // s, "columns": width // s, "cell": s, "left": 0, "above": 0}
    return {"name": LONG_TERM, "title": title, **grid, "width": width, "height": height, "origins": places}


def mosaic(
    pictures: UInt8[np.ndarray, "f H W *c"], which: Int64[Tensor, "long"], cells: Int64[Tensor, "long"], track: Track
) -> UInt8[np.ndarray, "H2 W2 *c"]:
    """Single cells as one picture, row by row, about as wide as a frame is. which: picture, and cell in it, of each."""
    rows, columns = track.keys[track.first_frame].shape[2:]
    across = math.ceil(math.sqrt(len(cells) * columns / rows))
    s, (above, left) = track.stride, track.padding
    whole = np.zeros((math.ceil(len(cells) / across) * s, across * s, *pictures.shape[3:]), np.uint8)
    for i, (picture, cell) in enumerate(zip(which.tolist(), cells.tolist())):
        top, start = cell // columns * s - above, cell % columns * s - left
        patch = pictures[picture, max(top, 0) : top + s, max(start, 0) : start + s]  # smaller where the cell lies half outside
        y, x = i // across * s, i % across * s
        whole[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    return whole


def smaller(picture: Num[np.ndarray, "H W *c"]) -> Num[np.ndarray, "H2 W2 *c"]:
    """At most WIDEST pixels wide or tall, so that it is sent quickly."""
    height, width = picture.shape[:2]
    scale = WIDEST / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if picture.ndim == 2:
        return resized(picture[None], size)[0]
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BICUBIC))
