"""What is in a world and how it moves: background, objects, look-alikes and passers-by as a stack of surfaces."""

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .shapes import Part, blob_level, shape
from .textures import noise, pattern, pixel_grid, smooth
from .truth import Layer, Pose

SOFT = 1.8          # pixels: the standard deviation of the blur that makes every texture safe to interpolate
CONTRAST = 0.12     # standard deviation of a texture's colours
Path = Callable[[np.ndarray], np.ndarray]       # times (T) -> places (T,2), in short sides from the middle of the frame


@dataclass
class Look:
    """How a surface is coloured."""

    colour: np.ndarray
    texture: str
    feature: float                              # short sides


@dataclass
class Stage:
    """The frame and the take: all lengths are in short sides of the frame, all times in frames."""

    world: "World"                              # noqa: F821 (world.py imports this module)
    length: int
    size: tuple[int, int]

    def __post_init__(self):
        self.short = min(self.size)
        self.half = np.array([self.size[1], self.size[0]]) / 2 / self.short             # half width, half height
        rng = self.world.stream("camera")
        self.waves = rng.uniform(0, 2 * np.pi, 8), rng.uniform(0.04, 0.12, 8)

    def camera(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pan (T,2), roll in radians (T) and zoom (T)."""
        strength, (phase, rate) = self.world.camera, self.waves
        wave = lambda i: np.sin(rate[i] * times + phase[i])                             # (T,)
        shake = lambda i: 0.006 * np.sin(8 * rate[i] * times + phase[i])
        pan = np.stack([0.4 * wave(0) + shake(4), 0.2 * wave(1) + shake(5)], axis=1)
        return strength * pan, strength * 0.15 * wave(2), np.exp(strength * 0.18 * wave(3))

    def view(self, times: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        """World to pixels as matrix (T,2,2) and shift (T,2). Only a share of the pan moves what the camera follows."""
        pan, roll, zoom = self.camera(times)
        matrix = self.short * zoom[:, None, None] * turn(roll)
        return matrix, (np.array(self.size[::-1]) - 1) / 2 - share * (matrix @ pan[:, :, None])[:, :, 0]


def turn(angle: np.ndarray) -> np.ndarray:
    """Rotation matrices (T,2,2)."""
    return np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)


def build(world, length: int, size: tuple[int, int], objects: int) -> list[Layer]:
    """The surfaces of a scene, bottom to top; the first is the background."""
    stage = Stage(world, length, size)
    grounds, looks = colours(stage, objects)
    bottom = background(stage, grounds, looks)
    crowd = min(1.0, math.sqrt(4 / (objects + 1)))
    things, taken = [], []
    for k in range(1, objects + 1):
        rng = world.stream("object", k)
        parts = shape(world.shapes[rng.integers(len(world.shapes))], rng)
        unit = unit_of(parts, rng.uniform(0.03, 0.1), stage) * crowd
        start = free_place(stage, rng, unit, taken)
        taken.append((start, unit))
        path = comings_and_goings(stage, k, path_from(stage, rng, start), unit)
        things.append((rng.uniform(), actor(stage, f"object {k}", k, parts, unit, path, looks[k - 1]), path, unit))
    for j in range(1, int(world.distractors) + 1):
        rng = world.stream("distractor", j)
        model = world.stream("object", (j - 1) % objects + 1)
        parts = shape(world.shapes[model.integers(len(world.shapes))], rng)
        unit = unit_of(parts, model.uniform(0.03, 0.07), stage) * crowd
        start = free_place(stage, rng, unit, taken)
        taken.append((start, unit))
        path = path_from(stage, rng, start)
        layers = actor(stage, f"distractor {j}", 0, parts, unit, path, looks[(j - 1) % objects])
        things.append((rng.uniform(), layers, None, unit))
    passers = [passer_by(stage, k, path, unit, taken) for k, (_, _, path, unit) in enumerate(things[:objects], start=1)]
    in_depth = sorted(things, key=lambda thing: thing[0])
    return [bottom, *(layer for stack in [*(layers for _, layers, *_ in in_depth), *passers] for layer in stack)]


# --- colours -------------------------------------------------------------------------------------------------------------


def colours(stage: Stage, objects: int) -> tuple[list[Look], list[Look]]:
    """The looks of the regions of the background, and of the objects."""
    world = stage.world
    rng = world.stream("colours")
    hue = rng.uniform()
    grounds = [
        Look(
            np.array(colorsys.hsv_to_rgb((hue + rng.uniform(-0.1, 0.1)) % 1, rng.uniform(0.1, 0.45), rng.uniform(0.35, 0.75))),
            world.textures[rng.integers(len(world.textures))],
            rng.uniform(0.03, 0.09),
        )
        for _ in range(3)
    ]
    looks = []
    for k in range(1, objects + 1):
        rng = world.stream("look", k)
        # golden steps around the colour circle, away from the background's hue: any few are far apart
        own_hue = hue + 0.5 + 0.382 * (k - 1) + rng.uniform(-0.08, 0.08)
        own = np.array(colorsys.hsv_to_rgb(own_hue % 1, rng.uniform(0.4, 0.75), rng.uniform(0.4, 0.9)))
        ground = grounds[rng.integers(len(grounds))]
        texture, blends = world.textures[rng.integers(len(world.textures))], rng.uniform() < world.similarity
        feature = rng.uniform(0.025, 0.06)
        colour = own + world.similarity * (ground.colour - own)
        looks.append(Look(colour, ground.texture if blends else texture, feature))
    return grounds, looks


def paint(stage: Stage, look: Look, rng: np.random.Generator, height: int, width: int) -> Float[Tensor, "3 h w"]:
    """A texture of this look, one texel per pixel, not yet smooth."""
    mean = torch.from_numpy(look.colour).float()[:, None, None]
    return (mean + CONTRAST * pattern(look.texture, rng, height, width, max(3.0, look.feature * stage.short))).clamp(0.02, 0.98)


def shaded(image: Float[Tensor, "3 h w"], level: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
    """Darker towards the outline, as round things are."""
    return image * (0.65 + 0.35 * (level / 0.3).clamp(0, 1).sqrt())


def background(stage: Stage, grounds: list[Look], looks: list[Look]) -> Layer:
    """Three textured regions with wavy borders, and clutter strewn over them."""
    world, rng = stage.world, stage.world.stream("background")
    extent = stage.half + 0.35
    height, width = (int(2 * e * stage.short) for e in extent[::-1])
    x, y = pixel_grid(height, width)
    x, y = x / stage.short - extent[0], y / stage.short - extent[1]
    wavy = 0.12 * noise(rng, height, width, 0.3 * stage.short, channels=2)
    image = paint(stage, grounds[0], rng, height, width)
    lower = y + wavy[0] > rng.uniform(-0.15, 0.15)
    image = torch.where(lower, paint(stage, grounds[1], rng, height, width), image)
    angle = rng.uniform(0, 2 * np.pi)
    beside = x * math.cos(angle) + y * math.sin(angle) + wavy[1] > rng.uniform(0.15, 0.45)
    image = torch.where(beside, paint(stage, grounds[2], rng, height, width), image)
    strew(stage, image, looks, extent)
    shrink = np.exp(-0.18 * world.camera)
    image = smooth(image, SOFT / shrink)
    raster = torch.cat([image, torch.ones(1, height, width)])

    def pose(times: np.ndarray) -> Pose:
        matrix, shift = stage.view(times, share=1.0)
        return Pose(affine(matrix, shift))

    return Layer(pose, raster, tuple(extent.tolist()), endless=True)


def strew(stage: Stage, image: Float[Tensor, "3 h w"], looks: list[Look], extent: np.ndarray) -> None:
    """Paint clutter into the background: blobs, half of them in an object's colours."""
    world = stage.world
    height, width = image.shape[1:]
    for i in range(round(24 * world.clutter)):
        rng = world.stream("clutter", i)
        level, radius = blob_level(rng), rng.uniform(0.06, 0.18) * stage.short
        like = looks[i % len(looks)] if i % 2 else None
        own = np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.1, 0.7), rng.uniform(0.25, 0.9)))
        colour = torch.from_numpy(own if like is None else like.colour).float()[:, None, None]
        n = int(2 * radius)
        (top, there), (left, elsewhere) = (rng.integers(0, side - n, 2) for side in (height, width))
        stuff = image[:, there : there + n, elsewhere : elsewhere + n]                  # patterned like some other place
        stuff = (stuff - stuff.mean((1, 2), keepdim=True) + colour).clamp(0.02, 0.98)
        drawn = Part(level, (1.02, 1.02)).draw(n, n)
        window = image[:, top : top + n, left : left + n]
        window[:, drawn > 0] = shaded(stuff, drawn)[:, drawn > 0]


# --- places and paths ----------------------------------------------------------------------------------------------------


def unit_of(parts: list[Part], share: float, stage: Stage) -> float:
    """How long a shape unit is, in short sides, for the shape to cover a share of the frame."""
    frame = 4 * stage.half[0] * stage.half[1]
    return min(0.34, math.sqrt(share * frame / sum(part.area() for part in parts)))


def free_place(stage: Stage, rng: np.random.Generator, unit: float, taken: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """Of 24 random places inside the frame, the one with most room."""
    room = np.maximum(stage.half - 0.75 * unit, 0.05)
    places = rng.uniform(-room, room, (24, 2))
    if not taken:
        return 0.6 * places[0]
    gap = lambda place: min(np.linalg.norm(place - other) - 0.8 * (unit + its_unit) for other, its_unit in taken)
    return max(places, key=gap)


def path_from(stage: Stage, rng: np.random.Generator, start: np.ndarray) -> Path:
    """A round trip that begins at `start` and bends towards the middle of the frame."""
    towards = math.atan2(-start[1], -start[0]) + rng.uniform(-1.0, 1.0)
    radius, sense = rng.uniform(0.2, 0.4), rng.choice([-1, 1])
    stretch = np.minimum(2 * stage.half, 1.6)
    spoke = radius * np.array([math.cos(towards), math.sin(towards)])
    rate = sense * stage.world.speed / (radius * stretch.mean())                        # radians per frame

    def path(times: np.ndarray) -> np.ndarray:
        return start + stretch * (spoke - turn(rate * times) @ spoke)

    return path


def comings_and_goings(stage: Stage, k: int, path: Path, unit: float) -> Path:
    """The same path, with a way out of the frame and back in over another side, or in from outside, where its lot says so."""
    rng = stage.world.stream("comings and goings", k)
    leaves, late = rng.uniform() < stage.world.leaving, k > 1 and rng.uniform() < stage.world.late
    middle, arrival = rng.uniform(0.4, 0.5) * stage.length, rng.uniform(0.35, 0.6) * stage.length
    reach = 1.25 * unit * math.exp(0.47 * stage.world.scaling) + 0.15 + 0.3 * stage.world.camera

    def ways_out(time: float) -> list[np.ndarray]:
        place = path(np.array([time]))[0]
        room = stage.half - np.abs(place) + reach                                       # to the nearer side, either way
        return [room[axis] * (1 if place[axis] >= 0 else -1) * np.eye(2)[axis] for axis in room.argsort()]

    (out, back), entrance = ways_out(middle), ways_out(arrival)[0]

    def gone(times: np.ndarray) -> np.ndarray:
        places, tenth = path(times), 0.1 * stage.length
        if leaves:
            on_the_way, returned = ease((times - middle) / tenth + 3, 3.0), ease((times - middle) / tenth - 0.5, 3.0)
            away = np.where((times < middle + 0.25 * tenth)[:, None], on_the_way[:, None] * out, (1 - returned)[:, None] * back)
            places = places + away
        if late:
            places = places + (1 - ease((times - arrival) / tenth + 3, 3.0))[:, None] * entrance
        return places

    return gone if leaves or late else path


def ease(x: np.ndarray, width: float) -> np.ndarray:
    """0 up to 0, 1 from `width` on, smooth between."""
    x = np.clip(x / width, 0, 1)
    return x * x * (3 - 2 * x)


# --- things --------------------------------------------------------------------------------------------------------------


def actor(
    stage: Stage, name: str, object_id: int, parts: list[Part], unit: float, path: Path, look: Look, share: float = 0.3
) -> list[Layer]:
    """The surfaces of one thing that moves: one per part, all with the same bending, turning, growing and path."""
    world, rng = stage.world, stage.world.stream("motion", name)
    rates, phases = rng.uniform(0.1, 0.25, 4), rng.uniform(0, 2 * np.pi, 4)
    stride = rng.uniform(0.35, 0.6)
    first, waves = rng.integers(2), rng.uniform(1.6, 2.8, 2)
    slope = 0.6 * world.deformation                                                     # of the bends, at the steepest
    amplitudes = slope / waves

    def whole(times: np.ndarray) -> tuple[Tensor, list]:
        angle = world.rotation * np.pi * np.sin(rates[0] * times + phases[0])
        scale = unit * np.exp(world.scaling * 0.47 * np.sin(rates[1] * times + phases[1]))
        matrix, shift = stage.view(times, share)
        after = affine(matrix @ (scale[:, None, None] * turn(angle)), shift + (matrix @ path(times)[:, :, None])[:, :, 0])
        bends = [
            (int(axis), float(amplitudes[i]), float(waves[i]), torch.from_numpy(rates[2 + i] * times + phases[2 + i]))
            for i, axis in enumerate((first, 1 - first))
        ]
        return after, bends

    def pose_of(part: Part) -> Callable[[np.ndarray], Pose]:
        def pose(times: np.ndarray) -> Pose:
            after, bends = whole(times)
            if part.joint is None:
                return Pose(after, None, bends)
            angle = part.rest + 1.2 * world.deformation * np.sin(stride * times + part.swing)
            return Pose(after, affine(turn(angle), np.broadcast_to(part.joint, (len(times), 2))), bends)

        return pose

    every = np.arange(stage.length, dtype=np.float64)
    squeeze = (math.sqrt(1 + slope**2 / 4) - slope / 2) ** 2                            # the least stretch of two shears
    smallest = squeeze * pixels_per_unit(whole(every)[0]).min().item()
    texels = unit * stage.short                                                         # per shape unit
    layers = []
    for i, part in enumerate(parts):
        height, width = (max(8, math.ceil(2 * e * texels)) for e in part.extent[::-1])
        level = part.draw(height, width)                                                # (h, w)
        image = shaded(paint(stage, look, world.stream("texture", name, i), height, width), level)
        image = smooth(image, SOFT * texels / smallest)
        layers.append(Layer(pose_of(part), torch.cat([image, level[None]]), part.extent, object_id, name))
    return layers


def passer_by(stage: Stage, k: int, path: Path, unit: float, taken: list[tuple[np.ndarray, float]]) -> list[Layer]:
    """Something that crosses in front of object k at some time after the first frame, and then is gone."""
    world, rng = stage.world, stage.world.stream("passer-by", k)
    if world.occlusion == 0:
        return []
    moment = max(1.0, rng.uniform(0.35, 0.65) * stage.length)
    look = Look(
        np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.1, 0.5), rng.uniform(0.2, 0.8))),
        world.textures[rng.integers(len(world.textures))],
        0.05,
    )
    its_unit = 1.3 * world.occlusion * unit
    meeting = path(np.array([moment]))[0]
    pace = max(1.3 * (its_unit + unit) / moment, 0.01)
    headings = rng.uniform(0, 2 * np.pi) + np.arange(12) * np.pi / 6
    directions = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    # come from where the first frame is freest: no object may be hidden when its mask is given
    gap = lambda way: min(np.linalg.norm(meeting - way * pace * moment - place) - size - its_unit for place, size in taken)
    way = max(directions, key=gap)
    crossing = lambda times: meeting + (times[:, None] - moment) * pace * way
    return actor(stage, f"passer-by {k}", 0, shape("blob", rng), its_unit, crossing, look)


def affine(matrix: np.ndarray, shift: np.ndarray) -> Float[Tensor, "T 2 3"]:
    """Matrix (T,2,2) and shift (T,2) side by side."""
    return torch.from_numpy(np.concatenate([matrix, shift[:, :, None]], axis=2))


def pixels_per_unit(after: Float[Tensor, "T 2 3"]) -> Float[Tensor, "T"]:
    """Pixels per surface unit: the square root of the area that a unit square takes in the frame."""
    return torch.linalg.det(after[:, :, :2]).abs().sqrt()
