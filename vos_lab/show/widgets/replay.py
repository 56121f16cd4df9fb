"""A tracker that has been through a clip and can be put back before any frame, with another memory."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ...clip import Clip
from ...errors import InputError
from ...memory import MemoryBank, Policy
from ...models.model import AnyModel, Features
from ...progress import progress
from ...tracker import Group, Tracker, appearing, first_frames


class FoundGroup(NamedTuple):
    """Objects that share a memory, as a frame left them the first time; of the memory, what cannot be written anew: the order
    of its frames, how much their cells were used, and long-term memory."""

    ids: list[int]
    sensory: Tensor | None
    sensed: Tensor | None
    slots: list[int]
    counts: dict[str, Tensor]
    long_term: dict[str, Tensor]


class Found(NamedTuple):
    """A frame the first time: image and features, the objects' probabilities, and the groups."""

    image: Tensor
    features: Features
    prob: Float[Tensor, "classes H W"]
    groups: list[FoundGroup]


class Replay(Tracker):
    """Tracks the clip once, then any frame again with another memory: `look(frame)`, and from there on: `go_on(frame)`.

    Another memory: other `policy` or `matching`, frames that are `removed`, masks that were repainted. Encoders run once per
    frame; what they said is kept (some MB a frame). Frames before the one looked at keep the masks that were found, and under
    the first policy what was forgotten of them stays forgotten.
    """

    def __init__(self, model: AnyModel, clip: Clip, policy: Policy | None = None, **matching: Any):
        super().__init__(model, policy, **matching)
        self.clip, self.first_policy = clip, self.policy
        self.removed: set[int] = set()
        self.first_seen = first_frames(clip)
        self.first = min(self.first_seen.values())  # the first frame with a mask
        self.found: dict[int, Found] = {}
        self.painted: dict[int, Float[Tensor, "classes H W"]] = {}
        self._encoded: dict[int, tuple] = {}  # frame -> its values with the mask found or painted
        self._live = len(clip)  # from this frame on masks are new, and their values with them
        self.masks = np.zeros(clip.frames.shape[:3], dtype=np.uint8)  # as found the first time
        for t in progress(range(self.first, len(clip)), desc=f"tracking '{clip.name}' once", unit="frame"):
            self.masks[t] = self._advance(t)
            self._encode()
            self.found[t] = Found(self._image, self._features, self._prob, [as_found(group) for group in self.groups])

    def look(self, frame: int) -> UInt8[np.ndarray, "H W"]:
        """The mask of `frame`, read from the memory that there would be now. Raises InputError where nothing is left in it."""
        return next(self.go_on(frame))

    @torch.no_grad()
    def go_on(self, frame: int) -> Iterator[UInt8[np.ndarray, "H W"]]:
        """The masks of `frame` and of all after it, where each new mask is remembered in its turn."""
        if not self.first < frame < len(self.clip):
            raise InputError(f"frame={frame} reads no memory: choose one of {self.first + 1}..{len(self.clip) - 1}")
        self._go_to(frame)
        if self.removed.issuperset(self.held()) and not any(group.bank.long_term for group in self.groups):
            raise InputError("memory is empty: put a frame back")
        for t in range(frame, len(self.clip)):
            yield self._advance(t)

    def held(self) -> list[int]:
        """The frames that the policy would have in working memory at the next step, those taken out among them."""
        return sorted({f for group in self.groups for f in self.policy.keep([*group.bank.frames, self.frame])})

    def remembered(self) -> list[int]:
        """The frames that were in working memory at the last step, those taken out among them."""
        return sorted({f for group in self.groups for f in group.bank.frames})

    def paint(self, frame: int, mask: UInt8[np.ndarray, "H W"] | None) -> None:
        """Remember `frame` with this mask of ids; None: with the one that was found."""
        self._encoded.pop(frame, None)
        self.painted.pop(frame, None)
        if mask is not None:
            ids = [0, *(i for group in self.found[frame].groups for i in group.ids)]
            self.painted[frame] = torch.from_numpy(np.stack([mask == i for i in ids])).to(self.found[frame].prob)

    def _advance(self, frame: int) -> UInt8[np.ndarray, "H W"]:
        """Track the next frame, with the objects that appear there, as `run` does."""
        image = self.clip.images(frame, frame + 1)[0]
        new, given = appearing(self.clip, frame, self.first_seen)
        if frame == self.first:
            return self._to_ids(self.start(image, given, new, frame=frame))
        prob = self.step(image)
        return self._to_ids(self.add_objects(given, new) if new else prob)

    def _go_to(self, frame: int) -> None:
        """Everything as it would be before `frame`, had this policy been used from the start."""
        self.groups, self._live = [], frame
        if self.policy == self.first_policy:
            self._restore(frame - 1)
        else:
            counted = hasattr(self.policy, "forget") and self._forgets(frame)
            for t in range(self.first, frame - 1):
                self._stand(t)
                self._remember()
                if counted:  # what is forgotten depends on what was read
                    self._stand(t + 1)
                    self._read()
        self._stand(frame - 1)

    def _restore(self, frame: int) -> None:
        """Memory as it was when `frame` had been tracked."""
        for i, found in enumerate(self.found[frame].groups):
            for t in found.slots:
                self._stand(t)
                sizes = [len(group.ids) for group in self.groups[: len(self.found[t].groups)]]
                self._write(self.groups[i], self._encode()[0].split(sizes, dim=1)[i])
            if found.slots:
                self.groups[i].bank.resume(found.counts, found.long_term)

    def _forgets(self, frame: int) -> bool:
        """Whether a frame leaves memory before `frame`, once it was in."""
        held: list[int] = []
        for t in range(self.first, frame):
            before, held = held, self.policy.keep([*held, t])
            if not set(before) <= set(held):
                return True
        return False

    def _stand(self, frame: int) -> None:
        """As the tracker stood after `frame`, but for what is in memory."""
        found = self.found[frame]
        self.frame, self._image, self._features = frame, found.image, found.features
        self._prob = self.painted.get(frame, found.prob)
        for i, group in enumerate(found.groups):
            if i == len(self.groups):
                self.groups.append(Group(list(group.ids), MemoryBank(self.matching.get("kind", "l2"))))
            self.groups[i].sensory, self.groups[i].sensed = group.sensory, group.sensed

    def _see(self, image: Float[Tensor, "3 H W"]) -> None:
        if self.frame in self.found:
            self._image, self._features = self.found[self.frame][:2]
        else:
            super()._see(image)

    @torch.no_grad()
    def _encode(self) -> tuple:
        if self.frame >= self._live:
            return super()._encode()
        if self.frame not in self._encoded:
            self._encoded[self.frame] = super()._encode()
        return self._encoded[self.frame]

    def _prior(self, group: Group) -> dict[str, Float[Tensor, "1 n 1"]]:
        """Cells of frames that are taken out get the weight exp(-inf) = 0."""
        if not self.removed:
            return {}
        origin = group.bank.content("origin")  # (n,)
        gone = torch.isin(origin // self._features.key[0, 0].numel(), torch.tensor(sorted(self.removed), device=origin.device))
        return {"prior": torch.zeros_like(origin, dtype=torch.float32).masked_fill(gone, -torch.inf)[None, :, None]}


def as_found(group: Group) -> FoundGroup:
    counts, long_term = group.bank.counts()
    return FoundGroup(list(group.ids), group.sensory, group.sensed, list(group.bank.slots), counts, long_term)
