"""Photos: one photograph and its mask become a short clip, as in the static-image stage of STM's and STCN's training."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ..clip import IMAGE_ENDINGS, Clip, read_frame
from ..errors import InputError
from ..masks import VOID, object_ids, read_mask
from .shapes import shape
from .textures import photograph, photographs
from .truth import Layer, Truth, inverse, transform

WAY_BACK = 25           # fixed-point steps back through a thin plate: each at least halves the error


@dataclass
class Warp:
    """How a photograph lies in each of T frames: pixel -> affine -> thin plate -> point of the photograph.

    Answers as `truth.Pose` does. The plate is a formula from frame to photograph; the way back is found by iteration, which
    converges as the plate never stretches by half or more.
    """

    affine: Float[Tensor, "T 2 3"]              # frame pixel -> plate
    knots: Float[Tensor, "n 2"]
    bends: Float[Tensor, "T n 2"]               # weights of the thin plate's radial terms, 0 for a flat one

    def to_surface(self, pixels: Float[Tensor, "T *n 2"]) -> Float[Tensor, "T *n 2"]:
        """Frame pixels to points of the photograph."""
        flat = torch.stack(transform(self.affine.to(pixels), *pixels.unbind(-1)), dim=-1)
        return flat + self.bent(flat)

    def to_frame(self, points: Float[Tensor, "T *n 2"]) -> Float[Tensor, "T *n 2"]:
        """Points of the photograph to frame pixels."""
        flat = points
        for _ in range(WAY_BACK if self.bends.any() else 0):
            flat = points - self.bent(flat)
        return torch.stack(transform(inverse(self.affine.to(points)), *flat.unbind(-1)), dim=-1)

    def bent(self, flat: Float[Tensor, "T *n 2"]) -> Float[Tensor, "T *n 2"]:
        """How far the plate moves each point: sum of r^2 log r terms around the knots."""
        moved = torch.zeros_like(flat)
        for t, bend in enumerate(self.bends):
            if bend.any():
                moved[t] = radial(flat[t], self.knots.to(flat)) @ bend.to(flat)
        return moved


def warp_at(affines: Tensor, knots: Tensor, bends: Tensor, times: np.ndarray) -> Warp:
    """The warps of some of the frames."""
    at = torch.from_numpy(times.astype(np.int64))
    return Warp(affines[at], knots, bends[at])


def radial(points: Float[Tensor, "*n 2"], knots: Float[Tensor, "k 2"]) -> Float[Tensor, "*n k"]:
    """The thin plate's r^2 log r between points and knots; its affine part is left out, as the affine map has that."""
    squared = (points.unsqueeze(-2) - knots).square().sum(-1)
    return 0.5 * squared * squared.clamp(min=1e-12).log()


def thin_plate(rng: np.random.Generator, size: tuple[int, int], strength: float) -> tuple[Tensor, Tensor]:
    """Knots on a 4x4 grid and radial weights that move each by about `strength` of the photograph, without any fold."""
    half = torch.tensor([size[1], size[0]], dtype=torch.float64) / 2
    steps = torch.linspace(-0.9, 0.9, 4, dtype=torch.float64)
    unit = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).view(-1, 2)        # (16, 2)
    knots = unit * half
    wanted = torch.from_numpy(rng.standard_normal((16, 2))) * strength * 2 * half
    # radial weights w with radial @ w + affine = wanted and no affine part of their own: the usual bordered system
    border = torch.cat([torch.ones(16, 1, dtype=torch.float64), knots], dim=1)                  # (16, 3)
    system = torch.cat([torch.cat([radial(knots, knots), border], 1), torch.cat([border.T, torch.zeros(3, 3)], 1)])
    bends = torch.linalg.solve(system, torch.cat([wanted, torch.zeros(3, 2)]))[:16]             # (16, 2)
    grid = torch.stack(torch.meshgrid(*(torch.linspace(-1.3, 1.3, 40, dtype=torch.float64),) * 2, indexing="xy"), -1) * half
    moved = radial(grid, knots) @ bends                                                         # (40, 40, 2)
    step = grid[1, 1] - grid[0, 0]
    slopes = torch.stack([moved.diff(dim=0)[:, :-1] / step[1], moved.diff(dim=1)[:-1] / step[0]], dim=-1)
    steepest = torch.linalg.matrix_norm(slopes, ord=2).max().item()
    return knots, bends * min(1.0, 0.45 / max(steepest, 1e-9))


class Photos(Dataset):
    """Clips of `length` frames from single photographs: the first frame is the photograph, cropped; each other is the same,
    warped by an affine map and, with probability `thin_plate_p`, a thin plate, and with colours changed a little.

    root: a folder (searched to any depth) of photographs, each with its mask beside it or in `masks` under the same stem (PNG;
    beside it, the photograph must then be another format). Without root: photographs that ship, with shapes cut from another
    one pasted in as objects; `count` says how many.
    size: (H, W) of the clips · degrees, shear: at most, either way · scale: least and most · bend: of the thin plate, as a
    share of the photograph · colour: at most, of brightness; contrast and saturation change by half of it.
    Items are `Clip`s with exact truth. Where a frame looks beyond the photograph, it sees its mirror image. The same (seed,
    index, draw) gives the same clip. Raises InputError where no photograph or a mask is found. Source of the numbers: STCN.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        masks: str | Path | None = None,
        *,
        length: int = 3,
        size: tuple[int, int] = (384, 384),
        count: int = 100,
        degrees: float = 20.0,
        scale: tuple[float, float] = (0.9, 1.1),
        shear: float = 10.0,
        thin_plate_p: float = 0.33,
        bend: float = 0.02,
        colour: float = 0.1,
        seed: int = 0,
    ):
        self.pairs = None if root is None else find_pairs(Path(root), None if masks is None else Path(masks))
        self.length, self.size, self.count, self.seed = length, size, count, seed
        self.degrees, self.scale, self.shear = degrees, scale, shear
        self.thin_plate_p, self.bend, self.colour = thin_plate_p, bend, colour

    def __len__(self) -> int:
        return self.count if self.pairs is None else len(self.pairs)

    def __getitem__(self, index: int) -> Clip:
        return self.clip(index)

    def clip(self, index: int, draw: int = 0) -> Clip:
        """Photograph `index`, moved; each `draw` moves it in another way."""
        if not 0 <= index < len(self):
            raise IndexError(f"photo {index} is outside 0..{len(self) - 1}")
        rng = np.random.default_rng([self.seed, draw, index])
        if self.pairs is None:
            image, mask = built_in(np.random.default_rng([self.seed, index]), self.size)
            name = f"photo-{index}"
        else:
            image, mask = crop(*read_pair(*self.pairs[index]), self.size, rng)
            name = self.pairs[index][0].stem
        return self.animate(image, mask, rng, name)

    def animate(
        self, image: Float[Tensor, "3 H W"], mask: UInt8[np.ndarray, "H W"], rng: np.random.Generator, name: str = "photo"
    ) -> Clip:
        """The clip of one photograph, colours 0..1, and its mask."""
        height, width = image.shape[1:]
        middle = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=torch.float64)
        affines, bends = [torch.cat([torch.eye(2), -middle[:, None]], 1)], [torch.zeros(16, 2, dtype=torch.float64)]
        knots = thin_plate(rng, (height, width), 0.0)[0]
        for _ in range(self.length - 1):
            matrix = self.random_matrix(rng)
            affines.append(torch.cat([matrix, -(matrix @ middle)[:, None]], 1))
            bent = rng.uniform() < self.thin_plate_p
            bends.append(thin_plate(rng, (height, width), self.bend)[1] if bent else torch.zeros_like(bends[0]))
        extent = (width / 2, height / 2)

        pose = partial(warp_at, torch.stack(affines), knots, torch.stack(bends))                # (T, 2, 3), (T, 16, 2)
        ids = torch.from_numpy(mask.astype(np.float32))[None]
        surface = Layer(pose, torch.cat([image, torch.ones(1, height, width)]), extent, name="photograph", endless=True)
        y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in (height, width)), indexing="ij")
        pixels = torch.stack([x, y], dim=-1)[None]                                              # (1, H, W, 2)
        frames, masks = [], []
        for t in range(self.length):
            points = pose(np.array([t])).to_surface(pixels)                                     # (1, H, W, 2)
            seen = surface.sample(points, slice(0, 3))[:, 0]                                    # (3, H, W)
            frames.append(self.recoloured(seen, rng) if t else seen)
            grid = points / torch.tensor(extent)
            masks.append(F.grid_sample(ids[None], grid, mode="nearest", padding_mode="reflection", align_corners=False)[0, 0])
        pixels8 = (torch.stack(frames).clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        layers = np.zeros((self.length, height, width), dtype=np.uint8)
        truth = Truth([surface], np.arange(self.length), layers)
        return Clip(pixels8, torch.stack(masks).to(torch.uint8).numpy(), name=name, truth=truth)

    def random_matrix(self, rng: np.random.Generator) -> Float[Tensor, "2 2"]:
        """Turn, scale and shear; it leads from the frame to the photograph, so a scale of 1.1 divides by 1.1."""
        angle, shear = (math.radians(rng.uniform(-most, most)) for most in (self.degrees, self.shear))
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
        slant = torch.tensor([[1.0, math.tan(shear)], [0.0, 1.0]], dtype=torch.float64)
        return turn @ slant / rng.uniform(*self.scale)

    def recoloured(self, image: Float[Tensor, "3 H W"], rng: np.random.Generator) -> Float[Tensor, "3 H W"]:
        """Brightness, contrast and saturation changed a little."""
        brightness, contrast, saturation = 1 + self.colour * rng.uniform(-1, 1, 3) * (1, 0.5, 0.5)
        image = image * brightness
        image = image.mean() + contrast * (image - image.mean())
        grey = image.mean(0, keepdim=True)
        return grey + saturation * (image - grey)


def find_pairs(root: Path, masks: Path | None) -> list[tuple[Path, Path]]:
    """Photographs and their masks."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give one of photographs and masks, or none for photographs that ship")
    beside = masks is None
    endings = set(IMAGE_ENDINGS) - ({".png"} if beside else set())
    images = sorted(p for p in root.rglob("*") if p.suffix.lower() in endings)
    if not images:
        raise InputError(f"{root} holds no photographs: JPEGs with PNG masks beside them, or give the masks' folder as masks=")
    mask_of: Callable[[Path], Path] = lambda p: p.with_suffix(".png") if masks is None else masks / f"{p.stem}.png"
    missing = [p for p in images if not mask_of(p).is_file()]
    if missing:
        raise InputError(f"{mask_of(missing[0])} does not exist: {missing[0].name} needs its mask ({len(missing)} are missing)")
    return [(p, mask_of(p)) for p in images]


def read_pair(image_path: Path, mask_path: Path) -> tuple[Float[Tensor, "3 H W"], UInt8[np.ndarray, "H W"]]:
    """A photograph, colours 0..1, and its ids; a grey mask is one object wherever it is brighter than half."""
    image, *_ = read_frame(image_path, None)
    mask, grey = read_mask(mask_path)
    if mask.shape != image.shape[:2]:
        raise InputError(f"{mask_path} is {mask.shape} but its photograph {image.shape[:2]} pixels: save it at the same size")
    if grey and VOID in mask:
        mask = (mask > 127).astype(np.uint8)
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255, mask


def crop(
    image: Float[Tensor, "3 h w"], mask: UInt8[np.ndarray, "h w"], size: tuple[int, int], rng: np.random.Generator
) -> tuple[Float[Tensor, "3 H W"], UInt8[np.ndarray, "H W"]]:
    """A random crop that keeps an object where there is one, at the asked size, half of the time flipped."""
    h, w = mask.shape
    ratio = max(size[0] / h, size[1] / w)
    height, width = max(size[0], round(h * ratio)), max(size[1], round(w * ratio))
    image = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True, align_corners=False)[0]
    mask = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    for _ in range(5):
        top, left = rng.integers(height - size[0] + 1), rng.integers(width - size[1] + 1)
        part = mask[top : top + size[0], left : left + size[1]]
        if object_ids(part).size:
            break
    seen = image[:, top : top + size[0], left : left + size[1]]
    return (seen.flip(-1), part[:, ::-1].copy()) if rng.uniform() < 0.5 else (seen.contiguous(), part.copy())


def built_in(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Float[Tensor, "3 H W"], UInt8[np.ndarray, "H W"]]:
    """A photograph that ships, with one or two shapes cut from others pasted in, each an object."""
    height, width = size
    names = list(rng.permutation(photographs()))
    empty = lambda name: (photograph(name), np.zeros(photograph(name).shape[1:], dtype=np.uint8))
    image, mask = crop(*empty(names[0]), size, rng)
    for k in range(1, int(rng.integers(1, 3)) + 1):
        side = int(rng.uniform(0.3, 0.6) * min(size))
        (part,) = shape(("blob", "holed", "thin")[rng.integers(3)], rng)
        inside = part.draw(side, side) > 0
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        stuff, _ = crop(*empty(names[k]), (side, side), rng)
        image[:, top : top + side, left : left + side][:, inside] = stuff[:, inside]
        mask[top : top + side, left : left + side][inside.numpy()] = k
    return image, mask
