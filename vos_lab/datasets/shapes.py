"""Outlines of things: smooth blobs, holes, thin arms, and bodies with swinging limbs.

A shape is a list of parts, back to front. A part's level is positive inside, negative outside and close to the distance to
the outline near it, in shape units: a shape is about 2 across.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SHAPES = ("blob", "holed", "thin", "walker", "beast")
Level = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Part:
    """One rigid piece: its level over |x| <= extent[0], |y| <= extent[1]; a limb swings about `joint` of the body."""

    level: Level
    extent: tuple[float, float]
    joint: tuple[float, float] | None = None
    rest: float = 0.0                           # radians
    swing: float = 0.0                          # phase of the swing, radians

    def area(self) -> float:
        """In squared shape units."""
        return float((self.draw(32, 32) > 0).double().mean()) * 4 * self.extent[0] * self.extent[1]

    def draw(self, height: int, width: int) -> Float[Tensor, "h w"]:
        """The level at the centres of a grid over the part's box."""
        x = (torch.arange(width) + 0.5) / width * 2 - 1
        y = (torch.arange(height) + 0.5) / height * 2 - 1
        x, y = torch.meshgrid(x * self.extent[0], y * self.extent[1], indexing="xy")    # (h, w) each
        return self.level(x, y)


def shape(family: str, rng: np.random.Generator) -> list[Part]:
    """A random shape of a family of SHAPES."""
    return {"blob": blob, "holed": holed, "thin": thin, "walker": walker, "beast": beast}[family](rng)


def blob(rng: np.random.Generator) -> list[Part]:
    """A smooth closed outline: a circle whose radius is a short Fourier series of the angle."""
    return [Part(blob_level(rng), (1.02, 1.02))]


def blob_level(rng: np.random.Generator) -> Level:
    """The level of one blob that just fits into the unit circle."""
    waves = [(k, rng.uniform(0.0, 0.45) / k**0.6, rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5)]
    squeeze = rng.uniform(0.6, 1.0)
    largest = 1 + sum(a for _, a, _ in waves)

    def level(x: Tensor, y: Tensor) -> Tensor:
        y = y / squeeze
        angle, radius = torch.atan2(y, x), torch.hypot(x, y)
        outline = (1 + sum(a * torch.cos(k * angle + phase) for k, a, phase in waves)) / largest
        return 0.8 * squeeze * (outline - radius)

    return level


def holed(rng: np.random.Generator) -> list[Part]:
    """A blob with one or two round holes."""
    outline = blob_level(rng)
    holes = [(*rng.uniform(-0.3, 0.3, 2), rng.uniform(0.14, 0.24)) for _ in range(rng.integers(1, 3))]

    def level(x: Tensor, y: Tensor) -> Tensor:
        inside = outline(x, y)
        for at_x, at_y, radius in holes:
            inside = torch.minimum(inside, torch.hypot(x - at_x, y - at_y) - radius)
        return inside

    return [Part(level, (1.02, 1.02))]


def thin(rng: np.random.Generator) -> list[Part]:
    """A small core with long curved arms."""
    count, turn, core = rng.integers(3, 7), rng.uniform(0, 2 * np.pi), rng.uniform(0.28, 0.4)
    thickness, curl = rng.uniform(0.09, 0.14), rng.uniform(-1.0, 1.0)
    strokes = []
    for i in range(count):
        along = np.linspace(0, rng.uniform(0.75, 0.88), 4)
        angle = turn + 2 * np.pi * i / count + rng.uniform(-0.2, 0.2) + curl * along
        joints = np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1)
        strokes += [(*a, *b, thickness) for a, b in zip(joints[:-1], joints[1:])]
    return [Part(union([(0, 0, 0, 0, core), *strokes]), (1.02, 1.02))]


def walker(rng: np.random.Generator) -> list[Part]:
    """Torso and head, with two arms and two legs that swing."""
    plump, leg = rng.uniform(0.18, 0.26), rng.uniform(0.5, 0.62)
    body = union([(0, -0.28, 0, 0.22, plump), (0, -0.68, 0, -0.68, rng.uniform(0.17, 0.22))])
    limb = lambda x, y, length, rest, swing: limb_part((x, y), length, rng.uniform(0.085, 0.115), rest, swing)
    behind = [limb(-0.1, 0.25, leg, 0.15, 0.0), limb(-0.15, -0.32, 0.48, 0.5, np.pi)]
    before = [limb(0.1, 0.25, leg, -0.15, np.pi), limb(0.15, -0.32, 0.48, -0.5, 0.0)]
    return [*behind, Part(body, (0.4, 0.92)), *before]


def beast(rng: np.random.Generator) -> list[Part]:
    """A long body with head and tail on four swinging legs."""
    plump, leg = rng.uniform(0.22, 0.3), rng.uniform(0.4, 0.55)
    body = union(
        [
            (-0.42, 0, 0.35, 0, plump),
            (0.4, -0.05, 0.68, -0.32, 0.12),
            (0.68, -0.34, 0.8, -0.3, 0.16),
            (-0.55, -0.05, -0.88, rng.uniform(-0.4, 0.1), 0.07),
        ]
    )
    limb = lambda x, rest, swing: limb_part((x, 0.1), leg, rng.uniform(0.08, 0.11), rest, swing)
    behind, before = [limb(-0.48, 0.1, np.pi), limb(0.3, 0.1, 0.0)], [limb(-0.38, -0.1, 0.0), limb(0.4, -0.1, np.pi)]
    return [*behind, Part(body, (1.02, 0.58)), *before]


def limb_part(joint: tuple[float, float], length: float, thickness: float, rest: float, swing: float) -> Part:
    """A limb that hangs down from its joint."""
    return Part(union([(0, 0, 0, length, thickness)]), (thickness + 0.05, length + thickness + 0.05), joint, rest, swing)


def union(strokes: list[tuple[float | int, ...]]) -> Level:
    """Round-ended strokes (x0, y0, x1, y1, radius) joined: the level is the exact distance to the nearest outline."""

    def level(x: Tensor, y: Tensor) -> Tensor:
        inside = torch.full_like(x, -10.0)
        for x0, y0, x1, y1, radius in strokes:
            dx, dy = x1 - x0, y1 - y0
            along = (((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-9)).clamp(0, 1)
            inside = torch.maximum(inside, radius - torch.hypot(x - x0 - along * dx, y - y0 - along * dy))
        return inside

    return level
