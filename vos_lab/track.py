"""Track: what a tracker found in a clip and, where it was recorded, where it looked."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from . import memory
from .clip import Clip
from .errors import InputError
from .memory import MotionPrior
from .memory.reading import to_logits


class LongTermCells(NamedTuple):
    """Cells that outlived their frames: where they come from, frame * h*w + cell, and what consolidation made of the rest."""

    origin: Int64[Tensor, "n"]
    shrinkage: Float[Tensor, "1 1 n"] | None = None  # of models that have it
    share: Float[Tensor, "n k"] | None = None  # with a MotionPrior


@dataclass(repr=False)
class Track:
    """What a tracker found in a clip.

    masks: uint8 (T,H,W) ids · seconds: wall time · stride: pixels per cell · with record=True: clip, keys of each frame
    (1,c,h,w), its reach (shrinkage (1,1,h,w) and selection (1,c,h,w)) where the model has one, and for each frame and object
    id what was in memory when that frame was read: memory, the frames · long_term, the origin of each cell, frame * h*w +
    cell, its shrinkage (1,1,n) and how much of it belongs to each object (n,k). Of a tracker with a prior also: prior · shares,
    how much of each cell belongs to the objects (1,k,h,w) that share a memory with this one · centres of these objects (k,2).
    """

    masks: UInt8[np.ndarray, "T H W"]
    name: str = "clip"
    seconds: float = 0.0
    object_ids: list[int] = field(default_factory=list)
    first_frame: int = 0
    stride: int = 1
    matching: dict = field(default_factory=dict)
    clip: Clip | None = None
    keys: dict[int, Float[Tensor, "1 c h w"]] = field(default_factory=dict)
    reach: dict[int, tuple[Float[Tensor, "1 1 h w"], Float[Tensor, "1 c h w"]]] = field(default_factory=dict)
    memory: dict[int, dict[int, list[int]]] = field(default_factory=dict)
    long_term: dict[int, dict[int, LongTermCells]] = field(default_factory=dict)
    prior: MotionPrior | None = None
    shares: dict[int, dict[int, Float[Tensor, "1 k h w"]]] = field(default_factory=dict)  # frame -> object id
    centres: dict[int, dict[int, Float[Tensor, "k 2"]]] = field(default_factory=dict)  # object id -> frame

    def __repr__(self) -> str:
        ids = ", ".join(map(str, self.object_ids))
        kept = "with a record of what was looked at" if self.keys else "without a record"
        return f"Track of '{self.name}': {len(self.masks)} frames in {self.seconds:.1f} s, object ids: {ids or 'none'}, {kept}"

    def memory_frames(self, frame: int, object_id: int | None = None) -> list[int]:
        """The frames in memory when `frame` was read, oldest first; of the first object unless another is named."""
        if not self.memory:
            raise InputError("this track keeps no record: run the tracker with run(clip, record=True)")
        if frame not in self.memory:
            raise InputError(f"frame {frame} read no memory: choose one of {min(self.memory)}..{max(self.memory)}")
        by_object = self.memory[frame]
        object_id = next(iter(by_object)) if object_id is None else object_id
        if object_id not in by_object:
            raise InputError(f"object {object_id} was not followed in frame {frame}: choose one of {list(by_object)}")
        return sorted(by_object[object_id])

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) cells of a frame."""
        if not self.keys:
            raise InputError("this track keeps no record: run the tracker with run(clip, record=True)")
        h, w = next(iter(self.keys.values())).shape[2:]
        return h, w

    @property
    def padding(self) -> tuple[int, int]:
        """How many pixels the grid of cells begins (above, left of) the frame."""
        h, w = self.grid
        return (h * self.stride - self.masks.shape[1]) // 2, (w * self.stride - self.masks.shape[2]) // 2

    def cell_at(self, x: int, y: int) -> tuple[int, int]:
        """(row, column) of the cell that holds a pixel."""
        height, width = self.masks.shape[1:]
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(f"pixel x={x}, y={y} is outside the frame: x goes from 0 to {width - 1}, y from 0 to {height - 1}")
        above, left = self.padding
        return int((y + above) // self.stride), int((x + left) // self.stride)

    def affinity(
        self, frame: int, object_id: int | None = None, cells: slice | list[int] = slice(None)
    ) -> Float[Tensor, "1 n m"]:
        """Where each query cell of `frame` looked: memory frames oldest first, h*w cells each, row by row; then
        long-term cells. cells: only these query cells. Of a tracker with read=: where `memory.read` would have looked.

        Computed on demand from the keys, never stored.
        """
        return memory.affinity(self.logits(frame, object_id, cells), self.matching.get("top_k"))

    def logits(
        self, frame: int, object_id: int | None = None, cells: slice | list[int] = slice(None)
    ) -> Float[Tensor, "1 n m"]:
        """What top-k and the softmax are taken of: the similarity, divided by the temperature, plus the prior."""
        return to_logits(
            self.similarity(frame, object_id, cells),
            self.matching.get("temperature", 1.0),
            None if self.prior is None else self.log_prior(frame, object_id)[:, :, cells],
        )

    def similarity(
        self, frame: int, object_id: int | None = None, cells: slice | list[int] = slice(None)
    ) -> Float[Tensor, "1 n m"]:
        """How well the keys of all cells in memory match each query cell of `frame`; in the same order."""
        memory_key, shrinkage = self.remembered(frame, object_id)
        options = {}
        if self.matching.get("kind") == "anisotropic":
            options = {"shrinkage": shrinkage, "selection": self.reach[frame][1].flatten(2)[:, :, cells]}
        query_key = self.keys[frame].flatten(2)[:, :, cells]
        return memory.similarity(memory_key, query_key, self.matching.get("kind", "l2"), **options)

    def log_prior(self, frame: int, object_id: int | None = None) -> Float[Tensor, "1 n m"]:
        """What the prior of places adds for each memory cell and query cell of `frame`; in the same order."""
        if self.prior is None:
            raise InputError("this track was made without a prior: give one to the tracker, as in Tracker(model, prior=...)")
        origins = self.origins(frame, object_id)
        object_id = next(iter(self.memory[frame])) if object_id is None else object_id
        shares = self._look_up(origins, {f: of[object_id] for f, of in self.shares.items() if object_id in of})[0].T  # (n,k)
        consolidated = self._long_term(frame, object_id).share
        if consolidated is not None:
            shares[len(shares) - len(consolidated) :] = consolidated
        h, w = self.keys[frame].shape[2:]
        return self.prior.log_prior(origins, shares, self.centres[object_id], frame, (h, w))

    def remembered(self, frame: int, object_id: int | None = None) -> tuple[Float[Tensor, "1 c n"], Tensor | None]:
        """The keys in memory when `frame` was read, in the order of `affinity`; their shrinkage (1,1,n) where they have one."""
        origins = self.origins(frame, object_id)  # (n,)
        key = self._look_up(origins, self.keys)
        if not self.reach:
            return key, None
        shrinkage = self._look_up(origins, {f: reach[0] for f, reach in self.reach.items()})
        consolidated = self._long_term(frame, object_id).shrinkage
        if consolidated is not None:
            shrinkage[:, :, len(origins) - consolidated.shape[2] :] = consolidated
        return key, shrinkage

    def _look_up(self, origins: Int64[Tensor, "n"], maps: dict[int, Float[Tensor, "1 c h w"]]) -> Float[Tensor, "1 c n"]:
        """What the maps, one per frame, hold in these cells."""
        cells = math.prod(self.grid)
        frames, position = (origins // cells).unique(return_inverse=True)
        flat = position * cells + origins % cells  # (n,), in the frames that are needed, one after the other
        return torch.cat([maps[f].flatten(2) for f in frames.tolist()], 2)[:, :, flat]

    def origins(self, frame: int, object_id: int | None = None) -> Int64[Tensor, "n"]:
        """Of each memory cell that `frame` read, in the order of `affinity`: frame * h*w + cell."""
        frames = self.memory_frames(frame, object_id)
        cells = self.keys[frame][0, 0].numel()
        working = [torch.arange(f * cells, (f + 1) * cells) for f in frames]
        return torch.cat([*working, self._long_term(frame, object_id).origin])

    def _long_term(self, frame: int, object_id: int | None) -> LongTermCells:
        by_object = self.long_term.get(frame)
        if not by_object:
            return LongTermCells(torch.zeros(0, dtype=torch.int64))
        return by_object[next(iter(by_object)) if object_id is None else object_id]
