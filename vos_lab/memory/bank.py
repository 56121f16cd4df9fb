"""What is remembered: a bank of memory cells for each group of objects."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor

from ..errors import InputError
from . import reading
from .reading import Kind

NO_READS = 1e-7  # so that the usage of a cell that was never read is 0 and not 0 / 0


class MemoryBank:
    """Working memory, frame by frame, and long-term memory, single cells that outlived their frames.

    Working memory lies in one buffer per kind of content, a slot of h*w cells per frame, so that reading it alone never copies.
    A softmax does not care for the order of memory cells: when a frame leaves, the last slot moves into its place.
    Contents, per cell: key (c) · value (k,cv) · share (k), of each object · origin, frame * h*w + cell · usage, the affinity
    that all reads gave it · reads, how many there were · of models that have them shrinkage and selection (c).
    """

    def __init__(self, kind: Kind = "l2"):
        self.kind = kind  # of similarity, for reading and consolidation
        self.slots: list[int] = []  # the frame in each slot
        self._working: dict[str, Tensor] = {}  # content -> (slots,h*w,...), some of them free
        self._long: dict[str, Tensor] = {}  # content -> (cells,...)

    @property
    def frames(self) -> list[int]:
        """The frames in working memory, oldest first."""
        return sorted(self.slots)

    @property
    def keys(self) -> Float[Tensor, "1 c n"]:
        """Of all cells, long-term memory first."""
        return self.content("key").T[None]

    @property
    def values(self) -> Float[Tensor, "1 k cv n"]:
        return self.content("value").permute(1, 2, 0)[None]

    @property
    def cells(self) -> dict[str, int]:
        """How many cells working and long-term memory hold."""
        working = len(self.slots) * self._working["key"].shape[1] if self.slots else 0
        return {"working": working, "long-term": self.long_term}

    @property
    def long_term(self) -> int:
        return len(self._long["key"]) if self._long else 0

    def has(self, name: str) -> bool:
        """Whether the model gave this kind of content."""
        return name in self._working

    @property
    def bytes(self) -> int:
        """Memory of what is remembered."""
        working = sum(x[: len(self.slots)].nbytes for x in self._working.values())
        return working + sum(x.nbytes for x in self._long.values())

    def content(self, name: str) -> Num[Tensor, "n *shape"]:
        """One kind of content of all cells, long-term memory first."""
        working = self._working[name][: len(self.slots)].flatten(0, 1)
        return torch.cat([self._long[name], working]) if self._long else working

    def write(
        self,
        frame: int,
        key: Float[Tensor, "1 c h w"],
        value: Float[Tensor, "1 k cv h w"],
        shrinkage: Float[Tensor, "1 1 h w"] | None = None,
        selection: Float[Tensor, "1 c h w"] | None = None,
        share: Float[Tensor, "1 k h w"] | None = None,
    ) -> None:
        """Remember one frame. share: how much of each cell belongs to each object, which a `MotionPrior` needs."""
        rows = key[0].flatten(1).T  # (h*w,c)
        entry = {"key": rows, "value": value[0].flatten(2).permute(2, 0, 1)}
        entry["origin"] = torch.arange(frame * len(rows), (frame + 1) * len(rows), device=rows.device)
        entry["usage"], entry["reads"] = torch.zeros_like(rows[:, 0]), torch.full_like(rows[:, 0], NO_READS)
        if shrinkage is not None and selection is not None:
            entry["shrinkage"], entry["selection"] = shrinkage.flatten(), selection[0].flatten(1).T
        elif shrinkage is not None or selection is not None:
            raise InputError("shrinkage and selection belong together: give both, or neither")
        if share is not None:
            entry["share"] = share[0].flatten(1).T
        slot = len(self.slots)
        for name, content in entry.items():
            self._working[name] = with_room(self._working.get(name, content[:0]), slot, content)
            self._working[name][slot] = content
        self.slots.append(frame)

    def keep(self, frames: list[int]) -> None:
        """Forget all frames but these."""
        for frame in [f for f in self.slots if f not in frames]:
            gap, last = self.slots.index(frame), len(self.slots) - 1
            for content in self._working.values():
                content[gap] = content[last]
            self.slots[gap] = self.slots[last]
            self.slots.pop()

    def keep_cells(self, staying: Int64[Tensor, "some"]) -> None:
        """Forget all cells but these, by their number in `content`. Their frames are whole no longer: they become long-term."""
        self._long = {name: self.content(name)[staying] for name in self._working}
        self.slots = []

    def counts(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What reading has changed: how much each cell of working memory was used, and long-term memory; copies."""
        working = {name: self._working[name][: len(self.slots)].clone() for name in ("usage", "reads") if self.slots}
        return working, {name: x.clone() for name, x in self._long.items()}

    def resume(self, working: dict[str, Tensor], long_term: dict[str, Tensor]) -> None:
        """Take over what `counts` gave, after the same frames were written in the same order (`slots`)."""
        for name, count in working.items():
            self._working[name][: len(self.slots)] = count
        self._long = {name: x.clone() for name, x in long_term.items()}

    def read(
        self,
        query_key: Float[Tensor, "1 c h w"],
        selection: Float[Tensor, "1 c h w"] | None = None,
        *,
        reader: Callable = reading.read,
        **options: Any,
    ) -> Float[Tensor, "1 k cv h w"]:
        """What the remembered values say about each query cell; options as for `memory.read` or the reader in its place."""
        if not self.slots:
            raise InputError("memory is empty: write a frame before reading (does the policy keep any?)")
        if selection is not None and not self.has("shrinkage"):
            raise InputError("these frames have no shrinkage to read with: give shrinkage= and selection= to write as well")
        if selection is not None:
            options |= {"shrinkage": self.content("shrinkage")[None, None], "selection": selection.flatten(2)}
        usage = query_key.new_zeros(1, sum(self.cells.values()))
        if reader is reading.read:
            options = {"kind": self.kind, **options, "usage": usage}
        readout = reader(self.keys, query_key.flatten(2), self.values, **options)  # (1,k,cv,m)
        self._count(usage[0])
        return readout.unflatten(3, query_key.shape[2:])

    def _count(self, usage: Float[Tensor, "n"]) -> None:
        """Take down what a read gave to each cell."""
        working = self._working["usage"][: len(self.slots)]
        working += usage[self.long_term :].view_as(working)
        self._working["reads"][: len(self.slots)] += 1
        if self._long:
            self._long["usage"] += usage[: self.long_term]
            self._long["reads"] += 1

    def consolidate(self, frames: list[int], prototypes: int) -> None:
        """Of these frames, the cells that were used most per read become long-term memory.

        Each takes the mean of the values (and shrinkages) of all cells of these frames, weighted by how well they match it.
        """
        slots = [self.slots.index(frame) for frame in sorted(frames)]
        cells = {name: content[slots].flatten(0, 1) for name, content in self._working.items()}
        chosen = (cells["usage"] / cells["reads"]).topk(min(prototypes, len(cells["key"]))).indices
        new = {name: content[chosen] for name, content in cells.items()}
        new["usage"], new["reads"] = torch.zeros_like(new["usage"]), torch.full_like(new["reads"], NO_READS)
        shrinkage, selection, contents = None, None, [cells["value"].flatten(1)]
        reaches = self.kind == "anisotropic"
        if reaches:
            shrinkage, selection = cells["shrinkage"][None, None], new["selection"].T[None]
            contents.append(cells["shrinkage"][:, None])
        table = torch.cat(contents, 1).T[None, None]  # (1,1,k*cv + 1,n)
        keys = cells["key"].T[None], new["key"].T[None]
        means = reading.read(*keys, table, kind=self.kind, shrinkage=shrinkage, selection=selection)
        mean = means[0, 0].T  # (prototypes,k*cv + 1)
        if reaches:
            new["shrinkage"], mean = mean[:, -1].contiguous(), mean[:, :-1]
        new["value"] = mean.unflatten(1, cells["value"].shape[1:])
        self._long = {name: torch.cat([self._long[name], x]) if self._long else x for name, x in new.items()}

    def evict(self, most: int) -> None:
        """Where long-term memory holds more cells than this, forget those least used per read, and any that tie with them."""
        spare = self.long_term - most
        if spare <= 0:
            return
        usage = self._long["usage"] / self._long["reads"]
        staying = usage > usage.topk(spare, largest=False).values[-1]
        self._long = {name: x[staying] for name, x in self._long.items()}


def with_room(buffer: Tensor, slot: int, entry: Tensor) -> Tensor:
    """The buffer, twice as large if the slot lies beyond its end: so n entries cost n copies on the whole."""
    if slot < len(buffer):
        return buffer
    larger = entry.new_empty(max(1, 2 * slot), *entry.shape)
    if slot:
        larger[:slot] = buffer
    return larger
