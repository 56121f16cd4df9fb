"""Three failures for lab 2, rendered and tracked again when asked for: `failure("A")`."""

import numpy as np

from ..clip import Clip
from ..datasets.world import World
from ..errors import InputError
from ..memory import EveryNth, Fifo
from ..models.load import load_model
from ..track import Track
from ..tracker import Tracker


def failure(name: str) -> Track:
    """A recorded track of stcn-small (with `.clip`, whose masks are true) that has failed in its last frame.

    Raises InputError for a name other than A, B, C.
    """
    if name not in ("A", "B", "C"):
        raise InputError(f"there is no failure '{name}': choose A, B or C")
    clip, policy = {"A": after_a_while, "B": back_again, "C": two_of_a_kind}[name]()
    return Tracker(load_model("stcn-small"), policy).run(clip, record=True)


def after_a_while() -> tuple[Clip, EveryNth]:
    world = World(5, distractors=0, similarity=0.3, occlusion=0.0, leaving=0.0, lighting=1.0, rotation=1.0, deformation=1.0)
    return world.clip(24, (144, 256), objects=2, frames=[0, 18], name="A"), EveryNth(1000)


def back_again() -> tuple[Clip, Fifo]:
    world = World(5, distractors=0, similarity=0.2, occlusion=0.0, leaving=1.0, camera=0.2)
    return world.clip(24, (144, 256), objects=2, frames=range(0, 24, 3), name="B"), Fifo(2)


def two_of_a_kind() -> tuple[Clip, EveryNth]:
    """The same thing twice, side by side, the right one some frames ahead."""
    world = World(1, distractors=0, similarity=0.2, occlusion=0.0, leaving=0.0)
    one = world.clip(24, (144, 128), objects=1, frames=[0, 4, 8])
    frames = np.concatenate([one.frames[:2], one.frames[1:]], axis=2)
    masks = np.concatenate([one.masks[:2], 2 * one.masks[1:]], axis=2)
    return Clip(frames, masks.astype(np.uint8), "C"), EveryNth(1000)
