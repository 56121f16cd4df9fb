"""Tracker: one frame at a time, remember, look back, draw the mask."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from . import memory
from .clip import Clip
from .errors import InputError
from .memory import MemoryBank, MotionPrior, Policy
from .memory.motion import centres_of
from .models.aggregate import soft_aggregate
from .models.model import AnyModel, senses
from .precision import fast
from .progress import progress
from .track import LongTermCells, Track

MATCHING = {"top_k", "kind", "temperature"}  # what a tracker can ask of memory.read
MATCHED = ("key", "shrinkage", "selection")  # what of the features matching compares


@dataclass
class Group:
    """Objects that appeared in the same frame: they share what is remembered."""

    ids: list[int]
    bank: MemoryBank
    sensory: Tensor | None = None  # (1,k,cs,h,w), of models that have such a memory
    sensed: Tensor | None = None  # the same after the current frame, if that is not remembered
    share: Float[Tensor, "1 k h w"] | None = None  # for a MotionPrior: of each cell of the current frame, and below,
    centres: dict[int, Float[Tensor, "k 2"]] = field(default_factory=dict)  # of each object in each frame


class Tracker:
    """Follow objects through a video with any model that has keys.

    policy: what to remember; the model's published policy unless given. matching: options of memory.read (top_k, kind,
    temperature) in place of the model's published ones. read: a function to use in place of memory.read. prior: of places,
    beside the keys' appearance (off unless given).
    """

    def __init__(
        self,
        model: AnyModel,
        policy: Policy | None = None,
        *,
        read: Callable = memory.read,
        prior: MotionPrior | None = None,
        **matching: Any,
    ):
        self.model = model
        self.policy = policy or model.policy
        self.read = read
        self.prior = prior
        self.matching = {**model.matching, **matching}
        if read is not memory.read and hasattr(self.policy, "forget"):
            raise InputError(f"{self.policy} needs the usage that memory.read counts: give another policy beside read=")
        if read is memory.read and (unknown := set(matching) - MATCHING):
            raise InputError(f"there is no option {', '.join(sorted(unknown))}: choose {', '.join(sorted(MATCHING))}")
        self.groups: list[Group] = []
        self.frame = -1

    @property
    def ids(self) -> list[int]:
        """The object ids, in the order in which they were given."""
        return [i for group in self.groups for i in group.ids]

    @torch.no_grad()
    def start(
        self,
        image: Float[Tensor, "3 H W"],
        masks: Float[Tensor, "k H W"],
        ids: list[int] | None = None,
        frame: int = 0,
    ) -> Float[Tensor, "classes H W"]:
        """Begin a video. image: normalised; masks: one per object, 0 or 1 (or soft); ids: 1..k unless given; frame: its number.

        Returns the probabilities of background and each object, and forgets any earlier video.
        """
        check_image(image)
        if any(isinstance(m, nn.BatchNorm2d) and m.training for m in getattr(self.model, "modules", list)()):
            raise InputError("the model is in training mode, in which each frame would change its norms: call model.eval()")
        self.groups, self.frame = [], frame
        self._see(image)
        self._prob = self._image.new_zeros(0, *image.shape[1:])
        return self.add_objects(masks, ids)

    @torch.no_grad()
    def step(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "classes H W"]:
        """Segment the next frame: probabilities of background and each object, in the order of `ids`."""
        if not self.groups:
            raise InputError("the tracker has no first mask: call start(image, masks) before step(image)")
        check_image(image)
        if image.shape[1:] != self._size:
            raise InputError(
                f"image must be (3,{self._size[0]},{self._size[1]}) like the first frame, got {tuple(image.shape)}: "
                "resize the video to one size"
            )
        self._remember()
        self.frame += 1
        self._see(image)
        readout = self._read()
        with fast(self.model, readout.device):
            prob = self._decode(readout)  # (1,k,H',W')
        return self._settle(self._crop(prob[0]))

    def _read(self) -> Float[Tensor, "1 k cv h w"]:
        """What memory says about the current frame."""
        key = self._features.key
        selection = self._reach()[1] if self.matching.get("kind") == "anisotropic" else None
        said = [
            group.bank.read(key, selection, reader=self.read, **self.matching, **self._prior(group)) for group in self.groups
        ]
        return torch.cat(said, 1)

    def _reach(self) -> tuple[Float[Tensor, "1 1 h w"] | None, Float[Tensor, "1 c h w"] | None]:
        """Shrinkage and selection of the current frame, where the model has them."""
        return getattr(self._features, "shrinkage", None), getattr(self._features, "selection", None)

    def _prior(self, group: Group) -> dict[str, Float[Tensor, "1 n m"]]:
        if self.prior is None:
            return {}
        h, w = self._features.key.shape[2:]
        origins, shares = group.bank.content("origin"), group.bank.content("share")
        return {"prior": self.prior.log_prior(origins, shares, group.centres, self.frame, (h, w))}

    def _decode(self, readout: Float[Tensor, "1 k cv h w"]) -> Float[Tensor, "1 k H W"]:
        if not senses(self.model):
            return self.model.decode(readout, self._features)
        prob, sensed = self.model.decode(readout, self._features, self._sensory())
        for group, part in zip(self.groups, sensed.to(readout).split([len(group.ids) for group in self.groups], dim=1)):
            group.sensed = part
        return prob

    def _sensory(self) -> Float[Tensor, "1 k cs h w"]:
        """The sensory memory of all objects."""
        return torch.cat([group.sensory for group in self.groups if group.sensory is not None], 1)

    @torch.no_grad()
    def add_objects(self, masks: Float[Tensor, "k H W"], ids: list[int] | None = None) -> Float[Tensor, "classes H W"]:
        """Objects that appear in the current frame: their masks overwrite the others there.

        Returns the new probabilities of all objects. Raises InputError for masks of another size and ids in use.
        """
        if self.frame < 0:
            raise InputError("the tracker has seen no frame: call start(image, masks) first")
        if ids is None:
            ids = list(range(max(self.ids, default=0) + 1, max(self.ids, default=0) + 1 + len(masks)))
        if masks.shape[1:] != self._size or len(masks) == 0 or len(masks) != len(ids):
            raise InputError(
                f"masks must be ({len(ids)},{self._size[0]},{self._size[1]}): one of the frame's size per id, "
                f"got {tuple(masks.shape)}"
            )
        taken = [i for i in ids if i in self.ids or ids.count(i) > 1 or not 1 <= i <= 254]
        if taken:
            raise InputError(f"object ids {taken} are used twice or outside 1..254: give each object an id of its own")
        masks = masks.to(self._image)
        if not ((masks >= 0) & (masks <= 1)).all():
            raise InputError("masks must lie in 0..1, 1 where the object is: give one mask per object, not a map of ids")
        if (masks.sum((1, 2)) == 0).any():
            raise InputError(f"the masks of objects {ids} must not be empty: mark at least one pixel of each")
        free = (masks.sum(0) == 0).to(masks)  # (H,W): 1 where no new object is
        group = Group(list(ids), MemoryBank(self.matching.get("kind", "l2")))
        if senses(self.model):
            group.sensory = self.model.first_sensory(self._features, len(ids))
        self.groups.append(group)
        return self._settle(torch.cat([self._prob[1:] * free, masks]))

    def run(self, clip: Clip, *, record: bool = False) -> "Track":
        """Follow all objects of a clip, each from the first annotated frame that shows it. Later masks are not looked at.

        record: keep the keys, and which frames were in memory when, for pictures.
        """
        first_seen = first_frames(clip)
        start = min(first_seen.values())
        masks = np.zeros(clip.frames.shape[:3], dtype=np.uint8)
        track = Track(
            masks, clip.name, object_ids=list(first_seen), first_frame=start, stride=self.model.stride, matching=self.matching
        )
        track.clip, track.prior = (clip, self.prior) if record else (None, None)
        began = time.perf_counter()
        for t in progress(range(start, len(clip)), desc=clip.name, unit="frame"):
            image = clip.images(t, t + 1)[0]
            new, given = appearing(clip, t, first_seen)
            if t == start:
                prob = self.start(image, given, new, frame=t)
            else:
                prob = self.step(image)
                if record:
                    track.memory[t] = {i: list(group.bank.slots) for group in self.groups for i in group.ids}
                    track.long_term[t] = {i: long_term(group.bank) for group in self.groups for i in group.ids}
                if new:
                    prob = self.add_objects(given, new)
            if record:
                track.keys[t] = self._features.key.cpu()
                shrinkage, selection = self._reach()
                if shrinkage is not None and selection is not None:
                    track.reach[t] = shrinkage.cpu(), selection.cpu()
                track.shares[t] = {i: group.share.cpu() for group in self.groups if group.share is not None for i in group.ids}
            masks[t] = self._to_ids(prob)
        if record:
            track.centres = {i: {t: x.cpu() for t, x in group.centres.items()} for group in self.groups for i in group.ids}
        track.seconds = time.perf_counter() - began
        return track

    def _see(self, image: Float[Tensor, "3 H W"]) -> None:
        """Encode a frame, padded with zeros evenly to a multiple of the stride, the odd pixel right and below."""
        parameter = next(iter([*self.model.parameters(), *self.model.buffers()]), image)  # a model may have none
        self._size = image.shape[1:]
        spare_h, spare_w = (-side % self.model.stride for side in self._size)
        self._padding = (spare_w // 2, spare_w - spare_w // 2, spare_h // 2, spare_h - spare_h // 2)
        exactly = torch.promote_types(parameter.dtype, torch.float32)  # keys and masks keep their digits (`precision.fast`)
        self._image = F.pad(image.to(parameter.device, exactly)[None], self._padding)  # (1,3,H',W')
        with fast(self.model, self._image.device):
            features = self.model.encode_key(self._image)
        if self.matching.get("kind") == "anisotropic" and not hasattr(features, "selection"):
            raise InputError("kind='anisotropic' needs shrinkage and selection, which this model has not: choose another kind")
        exact = {name: getattr(features, name).to(self._image) for name in MATCHED if hasattr(features, name)}
        self._features = features._replace(**exact)  # compared in full precision

    def _crop(self, x: Float[Tensor, "k H2 W2"]) -> Float[Tensor, "k H W"]:
        left, _, top, _ = self._padding
        return x[:, top : top + self._size[0], left : left + self._size[1]]

    def _settle(self, prob: Float[Tensor, "k H W"]) -> Float[Tensor, "classes H W"]:
        """From each object's own probability to a distribution over background and objects."""
        self._prob = soft_aggregate(prob, dim=0).softmax(0)
        if self.prior is not None:
            shares = F.avg_pool2d(F.pad(self._prob[1:], self._padding), self.model.stride)  # (k,h,w)
            for group, share in zip(self.groups, shares.split([len(group.ids) for group in self.groups])):
                group.share = share[None]
                found, before = centres_of(share), group.centres.get(self.frame - 1)
                group.centres[self.frame] = found if before is None else torch.where(found.isnan(), before, found)
        return self._prob

    def _remember(self) -> None:
        """Write the current frame to memory where the policy wants it. Done at the next step, since until then objects may be
        added, and a frame that is not remembered needs no value. What is written is soft: probabilities, never an argmax."""
        staying = [self.policy.keep([*group.bank.frames, self.frame]) for group in self.groups]
        forget = getattr(self.policy, "forget", MemoryBank.keep)
        for group, frames in zip(self.groups, staying):
            forget(group.bank, frames)
            if self.frame not in frames and group.sensed is not None:
                group.sensory = group.sensed
        if not any(self.frame in frames for frames in staying):
            return
        values, sensory = self._encode()
        sizes = [len(group.ids) for group in self.groups]
        deep = [None] * len(sizes) if sensory is None else sensory.split(sizes, dim=1)  # after the deep update
        for group, frames, value, updated in zip(self.groups, staying, values.split(sizes, dim=1), deep):
            if self.frame in frames:
                self._write(group, value)
                group.sensory = updated

    def _write(self, group: Group, value: Float[Tensor, "1 k cv h w"]) -> None:
        group.bank.write(self.frame, self._features.key, value, *self._reach(), group.share)

    def _encode(self) -> tuple[Float[Tensor, "1 k cv h w"], Float[Tensor, "1 k cs h w"] | None]:
        """The current frame's values with its masks, and the sensory memory after their deep update where the model has one."""
        masks = F.pad(self._prob[None, 1:].to(self._image), self._padding)  # (1,k,H',W')
        with fast(self.model, masks.device):
            if not senses(self.model):
                return self.model.encode_value(self._image, self._features, masks).to(masks), None
            values, sensory = self.model.encode_value(self._image, self._features, masks, self._sensory())
        return values.to(masks), sensory.to(masks)

    def _to_ids(self, prob: Float[Tensor, "classes H W"]) -> UInt8[np.ndarray, "H W"]:
        best = prob.max(0).indices  # argmax, which takes 30 times as long here: it does not vectorise over the first axis
        return np.array([0, *self.ids], dtype=np.uint8)[best.cpu().numpy()]


def check_image(image: Tensor) -> None:
    """A network would make a mask of anything."""
    if image.ndim != 3 or len(image) != 3 or not image.is_floating_point():
        raise InputError(f"image must be float (3,H,W), normalised as Clip.images does, got {image.dtype} {tuple(image.shape)}")
    if not image.isfinite().all():
        raise InputError("image must be finite, but it holds nan or infinity: give normalised pixels, as Clip.images does")


def long_term(bank: MemoryBank) -> LongTermCells:
    n = bank.long_term
    shrinkage = bank.content("shrinkage")[None, None, :n].cpu() if bank.has("shrinkage") else None
    share = bank.content("share")[:n].cpu() if bank.has("share") else None
    return LongTermCells(bank.content("origin")[:n].cpu(), shrinkage, share)


def first_frames(clip: Clip) -> dict[int, int]:
    """The first annotated frame of each object, by id. Raises InputError where there is no object to follow."""
    masks, ids = clip.known_masks, clip.object_ids
    if not len(ids):
        raise InputError(f"the masks of clip '{clip.name}' are empty: mark at least one object, with an id from 1 to 254")
    return {int(i): int((masks == i).any((1, 2)).argmax()) for i in ids}


def appearing(clip: Clip, frame: int, first_seen: dict[int, int]) -> tuple[list[int], Float[Tensor, "k H W"]]:
    """The ids of the objects that `frame` is the first to show, and their masks; first_seen: from `first_frames`."""
    new = [i for i, seen in first_seen.items() if seen == frame]
    masks = clip.known_masks[frame] == np.array(new, dtype=np.uint8).reshape(-1, 1, 1)  # (k,H,W)
    return new, torch.from_numpy(masks).float()
