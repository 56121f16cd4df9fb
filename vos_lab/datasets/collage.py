"""Collage: cut-outs of sharp photographs move over a photograph. Closer to real video than the World, without exact truth."""

import io
import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ..clip import Clip
from ..errors import InputError
from .cutouts import Cloth, find_photographs, patchwork, photograph, resized, statistics
from .motions import Bend, Motion, body, camera, crossing, matrices, moved, wander, waves
from .shapes import SHAPES, Part, shape
from .textures import PHOTOGRAPHS

TEXELS = 1.25  # of a picture per pixel of the frame: sharp, with little aliasing
COARSE = 8  # pixels between the points where a map is worked out; between them it is interpolated
VISIBLE = 0.005  # the share of frame 0 that an object must cover


class Collage(Dataset[Clip]):
    """Clips of 1 to 3 objects cut out of photographs, that move, turn, bend and swing their limbs over another photograph,
    under a moving camera and a real sensor's faults, among distractors: cut-outs that are not in the masks.

    photographs: a folder (searched to any depth) of JPEGs, PNGs or WebPs; without it, those that ship · length: frames ·
    size: (H, W) · hardness: 0..1, of speed, bending, camera, distractors, camouflage and occlusion alike.
    Items are `Clip`s with masks, ids 1..k, each of at least 0.5 % of frame 0. The same arguments and index give the same
    bytes. Raises InputError for a folder without two photographs and for hardness out of range.
    """

    def __init__(
        self,
        photographs: str | Path | None = None,
        *,
        length: int = 12,
        size: tuple[int, int] = (192, 192),
        count: int = 1000,
        hardness: float | int = 0.5,
        seed: int = 0,
    ):
        if not 0 <= hardness <= 1:
            raise InputError(f"hardness={hardness} is out of range: give 0 to 1")
        self.photographs = find_photographs(PHOTOGRAPHS if photographs is None else Path(photographs))
        self.length, self.size, self.count, self.hardness, self.seed = length, size, count, hardness, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Clip:
        if not 0 <= index < self.count:
            raise IndexError(f"collage {index} is outside 0..{self.count - 1}")
        for attempt in itertools.count():
            rng = np.random.default_rng([self.seed, index, attempt])
            background, things = scene(rng, self.photographs, self.length, self.size, self.hardness)
            _, first = compose(background, things, np.zeros(1), self.size)
            areas = first.flatten().bincount(minlength=256)
            seen = [i for i in range(1, 256) if areas[i] >= VISIBLE * first.numel()]
            if seen:
                break
        instants = shutter(rng, things, self.length, min(self.size))  # (s,)
        times = (np.arange(self.length)[:, None] + instants).reshape(-1)  # (T * s,)
        colours, ids = compose(background, things, times, self.size)  # (3, T * s, H, W), (T * s, H, W)
        frames = sensor(rng, colours.unflatten(1, (self.length, -1)).mean(2))
        number = torch.zeros(256, dtype=torch.uint8)  # an object that frame 0 hides becomes a distractor
        number[seen] = torch.arange(1, len(seen) + 1, dtype=torch.uint8)
        masks = number[ids[len(instants) // 2 :: len(instants)].long()]
        return Clip(frames, masks.numpy(), name=f"collage-{index}")


# --- what is in a clip ---------------------------------------------------------------------------------------------------


@dataclass
class Layer:
    """A picture that lies on a body, and how both move."""

    paint: Float[Tensor, "3 h w"] | None  # none: a shadow
    opacity: Float[Tensor, "1 h w"] | None  # none: opaque, and mirrored without end
    extent: tuple[float, float]  # the picture spans |x| <= extent[0], |y| <= extent[1]
    to_body: Motion  # from the picture to the body
    to_frame: Motion  # from the body to the frame
    bend: Bend  # of the body, as seen from the frame
    slide: Motion  # of the paint within the outline, in extents
    object_id: int = 0  # 0: hides what is behind it, but is no object


def scene(
    rng: np.random.Generator, photographs: list[Path], length: int, size: tuple[int, int], hardness: float | int
) -> tuple[Layer, list[Layer]]:
    """The background, and all that lies on it, back to front; objects have ids from 1 on."""
    short, half = min(size), np.array([size[1], size[0]]) / min(size) / 2
    ground, *others = [photographs[i] for i in rng.permutation(len(photographs))]
    pick = lambda: others[rng.integers(len(others))]
    objects, distractors = int(rng.choice(3, p=[0.45, 0.4, 0.15])) + 1, int(rng.binomial(4, 0.1 + 0.4 * hardness))
    first_path, pace = wander(rng, speed(rng, hardness), 2), lambda: speed(rng, hardness)
    view = camera(rng, first_path, hardness)
    background = wall(rng, ground, pick() if rng.uniform() < 0.3 else None, short, view)
    mean, deviation = statistics(background.paint)
    mean = mean + rng.uniform(0.06, 0.16) * (1 if mean.mean() < 0.5 else -1)  # a shade off, or nobody could follow
    camouflage = Cloth(ground, (mean, deviation)), Cloth(pick(), (mean, deviation))

    def clothes() -> list[Cloth]:
        """One to three photographs to wear; the harder, the more often the background's own, or its colours."""
        if rng.uniform() < 0.05 + 0.25 * hardness:
            return [camouflage[rng.integers(2)]]
        return [Cloth(pick()) for _ in range(rng.choice(3, p=[0.5, 0.3, 0.2]) + 1)]

    looks, places, paths, units, layers = [], [], [], [], []  # first of the objects, then of the distractors
    for k in range(objects + distractors):
        friend, is_object, chance = k % objects, k < objects, rng.uniform()
        looks.append(clothes() if is_object or rng.uniform() < 0.5 else looks[friend])
        units.append(0.5 * math.exp(rng.uniform(math.log(0.25), math.log(0.85))))
        place, path = rng.uniform(-1, 1, 2) * (half - 0.12) * (0.6 if k == 0 else 1), wander(rng, pace(), 2)
        crosses = objects <= k < objects + 2 and chance < 0.1 + 0.5 * hardness
        if k == 0:
            path = first_path
        elif crosses:
            units[k] = min(units[k], units[friend])
            place, path = crossing(rng, places[friend], paths[friend], units[k] + units[friend], length)
        elif not is_object and chance > 0.8:  # it just lies there
            path = wander(rng, 0.0, 2)
        elif k == 1 and is_object and chance < 0.3:  # as a rider goes with the horse
            place, jolt = places[0] + rng.uniform(-0.7, 0.7, 2) * (units[0] + units[1]), wander(rng, 0.2 * pace(), 2)
            path = lambda times, jolt=jolt: first_path(times) + jolt(times)
        places.append(place), paths.append(path)
        moves = body(rng, place, path, units[k], view, hardness)
        depth = 1 + rng.uniform() if crosses else rng.uniform()
        layers.append((depth, thing(rng, looks[k], units[k] * short, *moves, hardness, k + 1 if is_object else 0)))
    return background, [layer for _, parts in sorted(layers, key=lambda x: x[0]) for layer in parts]


def speed(rng: np.random.Generator, hardness: float | int) -> float:
    """Of one thing, in short sides per frame."""
    return (0.012 + 0.048 * hardness) * rng.uniform(0.1, 1.0)


def wall(rng: np.random.Generator, ground: Path, second: Path | None, short: int, view: Motion) -> Layer:
    """A photograph, of which the frame shows a part, perhaps with another over some of it."""
    photo = photograph(ground)
    side = min(photo.shape[:2])
    shown = rng.uniform(min(0.9 * side, max(0.35 * side, 0.8 * short)), 0.9 * side)  # source pixels per short side
    shrink = min(1.0, TEXELS * short / shown)
    height, width = (max(1, round(n * shrink)) for n in photo.shape[:2])
    images = [resized(photo[:, :: rng.choice([-1, 1])], height, width)]
    if second is not None:
        images.append(Cloth(second).cut(rng, height, width))
    extent = np.array(photo.shape[1::-1]) / shown / 2
    place = rng.uniform(-1, 1, (1, 2)) * np.maximum(extent - 0.5, 0)
    # parallax: what is nearer shifts more against the camera
    nearness = waves(rng, rng.uniform(0, 0.35), 0.0)
    parallax = lambda times, points: nearness(times, points)[..., :1] * view(times)[:, None, None, :2, 2]
    put = lambda times: matrices(np.repeat(place, len(times), axis=0))
    return Layer(patchwork(rng, images), None, tuple(extent.tolist()), put, view, parallax, wander(rng, 0.0, 2))


def thing(
    rng: np.random.Generator,
    look: list[Cloth],
    unit: float,
    to_frame: Motion,
    bend: Bend,
    slide: Motion,
    hardness: float | int,
    object_id: int,
) -> list[Layer]:
    """The layers of one body, one per part, each with its texture; its shadow first. unit: pixels per shape unit."""
    parts = shape(SHAPES[rng.choice(5, p=[0.5, 0.08, 0.07, 0.2, 0.15])], rng)
    stride, reach, texels = rng.uniform(0.25, 0.6), (0.3 + 0.9 * hardness) * rng.uniform(0.3, 1.0), unit * TEXELS
    sun, sleeves = rng.uniform(-0.25, 0.25, 2), look[rng.integers(len(look))]
    fall, dark = rng.uniform(-0.25, 0.25, (1, 2)) * (1, 0.6) + (0, 0.12), rng.uniform(0.2, 0.6)
    shadows, layers = [], []
    for part in parts:
        height, width = (max(8, math.ceil(2 * e * texels)) for e in part.extent[::-1])
        paint = patchwork(rng, [cloth.cut(rng, height, width) for cloth in ([sleeves] if part.joint else look)])
        y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in (height, width)), indexing="ij")
        paint = (paint * (1 + sun[0] * x + sun[1] * y)).clamp(0, 1)  # lit from one side
        opacity, hang = (part.draw(height, width) * texels + 0.5).clamp(0, 1), swing(part, stride, reach)
        layers.append(Layer(paint, opacity[None], part.extent, hang, to_frame, bend, slide, object_id))
        if part.joint is None:
            wide = replace(part, extent=(part.extent[0] + 0.4, part.extent[1] + 0.4))
            veil = dark * torch.sigmoid(10 * wide.draw(32, 32))
            cast = lambda times: matrices(np.repeat(fall, len(times), axis=0))
            shadows.append(Layer(None, veil[None], wide.extent, cast, to_frame, bend, slide))
    return [*(shadows if rng.uniform() < 0.5 else []), *layers]


def swing(part: Part, stride: float, reach: float) -> Motion:
    """How a part hangs on its body."""
    joint = np.array([part.joint or (0.0, 0.0)])
    angle = lambda times: part.rest + (reach * np.sin(stride * times + part.swing) if part.joint else 0 * times)
    return lambda times: matrices(np.repeat(joint, len(times), axis=0), angle(times))


# --- from layers to pixels -----------------------------------------------------------------------------------------------


def compose(
    background: Layer, things: list[Layer], times: Float[np.ndarray, "n"], size: tuple[int, int]
) -> tuple[Float[Tensor, "3 n H W"], UInt8[Tensor, "n H W"]]:
    """Colours 0..1, and the ids of what is on top: each thing is painted only in a window around it."""
    short, half = min(size), np.array([size[1], size[0]]) / 2
    colours, _ = sample(background, times, np.repeat(0.5 - half[None], len(times), axis=0), size, short)
    ids = torch.zeros(colours.shape[1:], dtype=torch.uint8)
    for layer in things:
        box = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (np.array(layer.extent) + 0.15)  # room for its bending
        box = moved(layer.to_frame(times) @ layer.to_body(times), np.broadcast_to(box, (len(times), 1, 4, 2)))[:, 0]
        low, high = (np.clip(limit * short + half, 0, 2 * half).astype(int) for limit in (box.min(1), box.max(1)))
        shown = np.flatnonzero((high > low).all(1))  # the times when it is in the frame
        if not len(shown):
            continue
        w, h = (high - low)[shown].max(0).tolist()
        low = np.minimum(low[shown], [size[1] - w, size[0] - h])
        paint, opacity = sample(layer, times[shown], low + 0.5 - half, (h, w), short)  # (3, n, h, w), (n, h, w)
        for i, (t, (left, top)) in enumerate(zip(shown, low)):
            rows, columns = slice(top, top + h), slice(left, left + w)
            if paint is None:
                colours[:, t, rows, columns].mul_(1 - opacity[i])
            else:
                colours[:, t, rows, columns].lerp_(paint[:, i], opacity[i])
                ids[t, rows, columns].masked_fill_(opacity[i] > 0.5, layer.object_id)
    return colours, ids


def sample(
    layer: Layer, times: Float[np.ndarray, "n"], corner: Float[np.ndarray, "n 2"], size: tuple[int, int], short: int
) -> tuple[Float[Tensor, "3 n h w"] | None, Float[Tensor, "n h w"] | None]:
    """Colours and opacity that windows of the frame see, whose first pixels are at `corner` (x, y), from the middle."""
    nodes = [math.ceil(side / COARSE) + 1 for side in size]
    y, x = np.meshgrid(*(np.arange(n) * float(COARSE) for n in nodes), indexing="ij")
    points = (corner[:, None, None] + np.stack([x, y], axis=-1)) / short  # (n, *nodes, 2)
    points = moved(np.linalg.inv(layer.to_frame(times)), points)
    points = moved(np.linalg.inv(layer.to_body(times)), points + layer.bend(times, points)) / layer.extent
    coarse = torch.from_numpy(points).float().permute(0, 3, 1, 2).contiguous()  # (n, 2, *nodes)
    fine = F.interpolate(coarse, [COARSE * (n - 1) + 1 for n in nodes], mode="bilinear", align_corners=True)
    grid = fine[:, :, : size[0], : size[1]].permute(0, 2, 3, 1).contiguous()  # (n, h, w, 2)
    shift = torch.from_numpy(layer.slide(times)).float()[:, None, None]
    slid = grid + shift if shift.any() else grid

    def look(picture: Tensor, grid: Tensor, beyond: str) -> Tensor:
        # the n windows below one another are one tall picture, so the paint need not be repeated
        tall = F.grid_sample(picture[None], grid.view(1, -1, size[1], 2), padding_mode=beyond, align_corners=False)
        return tall[0].unflatten(1, (len(times), size[0]))  # (c, n, h, w)

    paint = None if layer.paint is None else look(layer.paint, slid, "reflection")
    return paint, None if layer.opacity is None else look(layer.opacity, grid, "zeros")[0]


def shutter(rng: np.random.Generator, things: list[Layer], length: int, short: int) -> Float[np.ndarray, "s"]:
    """The instants of a frame's exposure that are averaged: one, or three where things move fast."""
    opened, every = rng.uniform(0, 0.6) * (rng.uniform() < 0.7), np.arange(length + 1.0)
    steps = [np.diff(layer.to_frame(every)[:, :2, 2] * short, axis=0) for layer in things]  # pixels per frame
    fastest = max(np.linalg.norm(step, axis=1).mean() for step in steps)
    return opened * np.array([-1, 0, 1]) / 3 if opened * fastest > 1.5 else np.zeros(1)


def sensor(rng: np.random.Generator, colours: Float[Tensor, "3 T H W"]) -> UInt8[np.ndarray, "T H W 3"]:
    """A lens that is not quite sharp, exposure and tint that drift, noise, and JPEG."""
    times, size = np.arange(float(colours.shape[1])), colours.shape[2:]
    if rng.uniform() < 0.4:
        fewer = [max(1, round(side * rng.uniform(0.5, 0.9))) for side in size]
        colours = F.interpolate(F.interpolate(colours, fewer, mode="bilinear"), size, mode="bilinear")
    gain = np.exp(wander(rng, rng.uniform(0, 0.015))(times) + wander(rng, rng.uniform(0, 0.004), 3)(times))  # (T, 3)
    contrast, middle = rng.uniform(0.75, 1.1) * np.exp(wander(rng, rng.uniform(0, 0.01))(times)), rng.uniform(0.4, 0.6)
    scale, offset = (torch.from_numpy(x.T).float()[:, :, None, None] for x in (gain * contrast, gain * middle * (1 - contrast)))
    grain = torch.from_numpy(rng.standard_normal((3, *(side + 64 for side in size)), dtype=np.float32))
    grain *= rng.uniform(0, 0.025)
    for t, (top, left) in enumerate(rng.integers(64, size=(len(times), 2))):  # one sheet of it, shifted about
        colours[:, t] += grain[:, top : top + size[0], left : left + size[1]]
    frames = ((colours * scale + offset).clamp_(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 3, 0).contiguous().numpy()
    if rng.uniform() < 0.4:
        return frames
    quality = int(rng.integers(40, 91))
    return np.stack([compressed(frame, quality) for frame in frames])


def compressed(frame: UInt8[np.ndarray, "H W 3"], quality: int) -> UInt8[np.ndarray, "H W 3"]:
    """What JPEG leaves of it."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, format="JPEG", quality=quality)
    return np.asarray(Image.open(file))
