"""What is really where: surfaces, how they move, and the exact correspondence that follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Integer, Num
from torch import Tensor

from ..errors import InputError


@runtime_checkable
class Placement(Protocol):
    """How a surface lies in the frame at T times: surface points to pixels (x, y), and back."""

    def to_frame(self, points: Float[Tensor, "T *n 2"]) -> Float[Tensor, "T *n 2"]: ...

    def to_surface(self, pixels: Float[Tensor, "T *n 2"]) -> Float[Tensor, "T *n 2"]: ...


@dataclass
class Pose:
    """The placement of a thing that moves and bends: surface point -> `before` -> shears -> `after` -> pixel (x, y).

    A shear moves x by `amplitude * sin(wavenumber * y + phase)` and leaves y alone (or the other way round), so it is undone
    exactly by subtracting the same term. However strong the bending, the way back is a formula, not a search.
    Pixel centres have whole coordinates: the top left pixel is (0, 0).
    """

    after: Float[Tensor, "T 2 3"]
    before: Float[Tensor, "T 2 3"] | None = None
    # one per shear: the axis that moves (0 or 1), amplitude, wave number, phase (T)
    shears: list[tuple[int, float, float, Float[Tensor, "T"]]] = field(default_factory=list)

    def to_frame(self, points: Float[Tensor, "T *n 2"]) -> Float[Tensor, "T *n 2"]:
        """Surface points to pixels."""
        x, y = points.unbind(-1)
        if self.before is not None:
            x, y = transform(self.before, x, y)
        for shear in self.shears:
            x, y = sheared(x, y, *shear, sign=1)
        return torch.stack(transform(self.after, x, y), dim=-1)

    def to_surface(self, pixels: Float[Tensor, "T *n 2"]) -> Float[Tensor, "T *n 2"]:
        """Pixels to surface points, the exact inverse of `to_frame`."""
        return torch.stack(self.back(*pixels.unbind(-1)), dim=-1)

    def back(
        self, x: Float[Tensor, "T ..."], y: Float[Tensor, "T ..."]
    ) -> tuple[Float[Tensor, "T ..."], Float[Tensor, "T ..."]]:
        """`to_surface` for x and y apart; a row of x (T,1,w) and a column of y (T,h,1) make a grid."""
        x, y = transform(inverse(self.after), x, y)
        for shear in reversed(self.shears):
            x, y = sheared(x, y, *shear, sign=-1)
        if self.before is not None:
            x, y = transform(inverse(self.before), x, y)
        return x, y

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Pose":
        """The same pose on another device, in another precision."""
        move = lambda x: x.to(device, dtype)
        before = None if self.before is None else move(self.before)
        return Pose(move(self.after), before, [(axis, a, k, move(phase)) for axis, a, k, phase in self.shears])


def transform(
    affine: Float[Tensor, "T 2 3"], x: Float[Tensor, "T ..."], y: Float[Tensor, "T ..."]
) -> tuple[Float[Tensor, "T ..."], Float[Tensor, "T ..."]]:
    """Apply one affine map per time. Written out: a matrix product of inner size 2 is slower."""
    a, b, c, d, e, f = affine.reshape(len(affine), 6, *[1] * (x.ndim - 1)).unbind(1)       # (T, 1 ...) each
    return torch.addcmul(c + a * x, b, y), torch.addcmul(f + d * x, e, y)


def inverse(affine: Float[Tensor, "T 2 3"]) -> Float[Tensor, "T 2 3"]:
    """The affine maps that lead back."""
    back = torch.linalg.inv(affine[:, :, :2])                       # (T, 2, 2)
    return torch.cat([back, -back @ affine[:, :, 2:]], dim=2)       # (T, 2, 3)


def sheared(
    x: Float[Tensor, "T *n"],
    y: Float[Tensor, "T *n"],
    axis: int,
    amplitude: float,
    wavenumber: float,
    phase: Float[Tensor, "T"],
    sign: int,
) -> tuple[Float[Tensor, "T *n"], Float[Tensor, "T *n"]]:
    """Move one coordinate by a sine of the other."""
    phase, still = phase.view(-1, *[1] * (x.ndim - 1)), y if axis == 0 else x
    move = sign * amplitude * torch.sin(wavenumber * still + phase)
    return (x + move, y) if axis == 0 else (x, y + move)


@dataclass
class Layer:
    """One surface. It covers a frame wherever its level is above 0.

    pose: times in frames (T) -> Placement · raster: red, green, blue in 0..1 and the level (in surface units), over the box of
    surface points |x| <= extent[0], |y| <= extent[1] · object_id: the id in the masks, 0 for what is not an object.
    """

    pose: Callable[[np.ndarray], Placement]
    raster: Float[Tensor, "4 h w"]
    extent: tuple[float, float]
    object_id: int = 0
    name: str = "background"
    endless: bool = False                       # mirrored on and on beyond its box, like a background

    def sample(self, points: Float[Tensor, "*n 2"], channels: slice = slice(0, 4)) -> Float[Tensor, "c *n"]:
        """Colour and level at surface points."""
        grid = points / torch.tensor(self.extent, dtype=points.dtype, device=points.device)
        raster = self.raster[channels].to(points)
        padding = "reflection" if self.endless else "border"
        found = F.grid_sample(raster[None], grid.reshape(1, 1, -1, 2), padding_mode=padding, align_corners=False)
        return found.view(len(raster), *points.shape[:-1])

    def covers(self, points: Float[Tensor, "*n 2"]) -> Bool[Tensor, "*n"]:
        """Is there surface at these surface points?"""
        return self.sample(points, slice(3, 4))[0] > 0


class Truth:
    """Exact correspondence between the frames of a rendered clip. Slicing it follows the slicing of the clip.

    layers: integer (T,H,W), which surface is on top at each pixel, 0 the background · ids: the object id of each surface ·
    names: of each surface ("object 2", "distractor 1", ...) · times: when each frame was taken, in frames.
    Pixels are (x, y), whole at pixel centres.
    """

    def __init__(
        self,
        surfaces: Sequence[Layer],
        times: Num[np.ndarray, "T"],
        layers: Integer[np.ndarray, "T H W"],
        again: Callable[[], list[Layer]] | None = None,
    ):
        """again: makes the surfaces once more, in another process, where they cannot be pickled."""
        self.surfaces, self.times, self.layers = list(surfaces), np.asarray(times, dtype=np.float64), layers
        self.again = again

    def __reduce__(self) -> tuple:
        if self.again:
            return remade, (self.again, self.times, self.layers)
        return Truth, (self.surfaces, self.times, self.layers)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, which: slice) -> "Truth":
        return Truth(self.surfaces, self.times[which], self.layers[which], self.again)

    @property
    def ids(self) -> list[int]:
        """The object id of each surface."""
        return [surface.object_id for surface in self.surfaces]

    @property
    def names(self) -> list[str]:
        """What each surface is."""
        return [surface.name for surface in self.surfaces]

    def follow(
        self, points: Num[np.ndarray, "n 2"], a: int, b: int
    ) -> tuple[Float[np.ndarray, "n 2"], Bool[np.ndarray, "n"]]:
        """Where the surface seen at `points` (x, y) of frame a is in frame b, in pixels, and whether it can be seen there.

        Coordinates are given even where the point is hidden in b or outside its frame.
        """
        asked = torch.as_tensor(np.asarray(points, dtype=np.float64))
        return self._follow(asked, self._top(asked, a), a, b)

    def correspond(self, a: int, b: int) -> tuple[Float[np.ndarray, "H W 2"], Bool[np.ndarray, "H W"]]:
        """`follow` for every pixel of frame a: positions (x, y) in frame b and whether they can be seen there."""
        height, width = self.layers.shape[1:]
        y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (height, width)), indexing="ij")
        top = torch.as_tensor(self.layers[self._frame(a)].astype(np.int64)).flatten()
        xy, visible = self._follow(torch.stack([x, y], dim=-1).view(-1, 2), top, a, b)
        return xy.reshape(height, width, 2), visible.reshape(height, width)

    def flow(self, a: int, b: int) -> Float[np.ndarray, "H W 2"]:
        """Optical flow in pixels (dx, dy) for every pixel of frame a: its surface point's place in frame b, minus its own."""
        xy, _ = self.correspond(a, b)
        height, width = xy.shape[:2]
        return xy - np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)

    def extent(self, object_id: int, frame: int) -> Bool[np.ndarray, "H W"]:
        """The whole outline of an object, also where something hides it."""
        height, width = self.layers.shape[1:]
        y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (height, width)), indexing="ij")
        covered = torch.zeros(height * width, dtype=torch.bool)
        for surface in self.surfaces:
            if surface.object_id == object_id:
                covered |= surface.covers(self._pose(surface, frame).to_surface(torch.stack([x, y], -1).view(1, -1, 2))[0])
        return covered.view(height, width).numpy()

    def _frame(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise InputError(f"frame {index} is outside the clip, whose frames are 0..{len(self) - 1}")
        return int(index) % len(self)

    def _pose(self, surface: Layer, frame: int) -> Placement:
        return surface.pose(self.times[[self._frame(frame)]])

    def _follow(
        self, points: Float[Tensor, "n 2"], top: Integer[Tensor, "n"], a: int, b: int
    ) -> tuple[Float[np.ndarray, "n 2"], Bool[np.ndarray, "n"]]:
        moved = torch.empty_like(points)
        for layer in top.unique().tolist():
            here = top == layer
            surface = self.surfaces[layer]
            on_surface = self._pose(surface, a).to_surface(points[None, here])          # (1, n, 2)
            moved[here] = self._pose(surface, b).to_frame(on_surface)[0]
        height, width = self.layers.shape[1:]
        x, y = moved.unbind(-1)
        inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
        visible = inside & (self._top(moved, b) == top)
        return moved.numpy(), visible.numpy()

    def _top(self, points: Float[Tensor, "n 2"], frame: int) -> Integer[Tensor, "n"]:
        """The topmost surface at each point."""
        top = torch.zeros(len(points), dtype=torch.int64)
        unknown = torch.arange(len(points))
        for layer in range(len(self.surfaces) - 1, 0, -1):
            surface = self.surfaces[layer]
            on_surface = self._pose(surface, frame).to_surface(points[None, unknown])[0]
            within = (on_surface.abs() <= torch.tensor(surface.extent, dtype=torch.float64)).all(-1)
            hit = within.clone()
            hit[within] = surface.covers(on_surface[within])
            top[unknown[hit]] = layer
            unknown = unknown[~hit]
        return top


def remade(again: Callable[[], list[Layer]], times: np.ndarray, layers: np.ndarray) -> Truth:
    """A truth from its pickle: what moves in a world is made of functions, so the scene is built again from its seed."""
    return Truth(again(), times, layers, again)
