"""A rendered world with known answers: every difficulty is a knob, and where every pixel goes is known exactly."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np
import torch

from ..clip import Clip
from ..errors import InputError
from .render import render
from .scene import build
from .shapes import SHAPES
from .textures import TEXTURES
from .truth import Truth


def knob(default: float | int, low: float | int, high: float | int, doc: str) -> Any:
    """A dataclass field with a range and a sentence, for checks, widgets and reports."""
    return field(default=default, metadata={"low": low, "high": high, "doc": doc})


@dataclass(frozen=True)
class World:
    """Renders clips. The same seed gives the same scene; a knob changes only what it names, so each can be turned alone.

    `World(seed=0, similarity=0.9).clip(length=24, size=(240, 432), objects=3)`. Raises InputError for a knob out of range.
    """

    seed: int = 0
    # what things look like
    similarity: float | int = knob(0.4, 0, 1, "how far objects take the colours and patterns of the background")
    distractors: int = knob(1, 0, 4, "look-alikes: things made like an object that are not in the masks")
    clutter: float | int = knob(0.5, 0, 1, "how many things in the colours of objects lie about in the background")
    # how things move
    speed: float | int = knob(0.015, 0, 0.05, "how far objects go per frame, in short sides of the frame")
    rotation: float | int = knob(0.2, 0, 1, "how far objects turn to and fro: 1 is half a turn each way")
    scaling: float | int = knob(0.3, 0, 1, "how much objects grow and shrink: 1 is by a factor of 1.6 each way")
    deformation: float | int = knob(0.35, 0, 1, "how much objects bend and swing their limbs")
    camera: float | int = knob(0.4, 0, 1, "how much the camera pans, rolls, zooms and shakes")
    # what comes between
    occlusion: float | int = knob(0.4, 0, 1, "how much of each object a passer-by hides at the worst moment")
    leaving: float | int = knob(0.2, 0, 1, "the share of objects that leave the frame and return")
    late: float | int = knob(0.0, 0, 1, "the share of objects that appear later; the first is always there from the start")
    # what the sensor does
    lighting: float | int = knob(0.3, 0, 1, "how much the light changes and a shadow sweeps across")
    blur: float | int = knob(0.25, 0, 1, "how long the shutter is open, in frames: motion blur")
    noise: float | int = knob(0.015, 0, 0.2, "standard deviation of the sensor's noise, where white is 1")
    # what to choose from
    shapes: tuple[str, ...] = SHAPES
    textures: tuple[str, ...] = TEXTURES

    def __post_init__(self) -> None:
        for name, about in self.knobs().items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not about["low"] <= value <= about["high"]:
                raise InputError(f"{name}={value!r} is out of range: give {about['low']} to {about['high']} ({about['doc']})")
        if int(self.distractors) != self.distractors:
            raise InputError(f"distractors={self.distractors} is not a whole number")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise InputError(f"seed={self.seed!r} is not a whole number from 0 on")
        for name, known in (("shapes", SHAPES), ("textures", TEXTURES)):
            chosen = getattr(self, name)
            if not chosen or isinstance(chosen, str) or set(chosen) - set(known):
                raise InputError(f"{name}={chosen!r}: give a tuple with some of {', '.join(known)}")

    @classmethod
    def knobs(cls) -> dict[str, dict]:
        """name -> default, low, high, doc of every knob that is a number."""
        return {f.name: {"default": f.default, **f.metadata} for f in fields(cls) if f.metadata}

    def stream(self, *what: str | int) -> np.random.Generator:
        """Random numbers for one subject alone, so that drawing more for one thing changes nothing elsewhere."""
        return np.random.default_rng([self.seed, zlib.crc32(repr(what).encode())])

    def clip(
        self,
        length: int = 24,
        size: tuple[int, int] = (240, 432),
        objects: int = 3,
        frames: Sequence[int] | None = None,
        device: torch.device | str = "cpu",
        name: str | None = None,
    ) -> Clip:
        """Render a clip with masks and exact truth.

        length: frames of the whole take · size: (H, W) in pixels · objects: how many, ids 1..objects · frames: render only
        these of the take, say [0, 7, 15], each the same bytes as in the whole take · device: where to render.
        Same seed, knobs and arguments: same bytes on one kind of machine. Raises InputError for arguments out of range.
        """
        times = np.arange(length) if frames is None else np.asarray(frames)
        if length < 1 or times.size < 1 or times.min() < 0 or times.max() >= length:
            raise InputError(f"frames={frames}, length={length}: give at least one frame, each from 0 to length - 1")
        if min(size) < 32 or max(size) > 4096:
            raise InputError(f"size={size}: give (height, width) from 32 to 4096 pixels")
        if not 1 <= objects <= 10:
            raise InputError(f"objects={objects}: give 1 to 10")
        scene = partial(build, self, length, size, objects)
        surfaces = scene()
        pixels, layers = render(self, surfaces, times, size, device)
        ids = np.array([surface.object_id for surface in surfaces], dtype=np.uint8)
        return Clip(
            frames=pixels,
            masks=ids[layers],
            name=name or f"world-{self.seed}",
            frame_names=[f"{t:05d}" for t in times],
            truth=Truth(surfaces, times, layers, again=scene),
        )
