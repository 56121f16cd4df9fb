"""Surfaces of things: noise, stripes, dots, dead leaves and crops of photographs."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

TEXTURES = ("noise", "stripes", "dots", "leaves", "photo")
PHOTOGRAPHS = Path(__file__).with_name("photographs")


def pattern(family: str, rng: np.random.Generator, height: int, width: int, feature: float) -> Float[Tensor, "3 h w"]:
    """A random pattern of a family of TEXTURES: colours with mean 0 and standard deviation 1 over its pixels.

    feature: size in pixels of its typical feature.
    """
    draw = {"noise": noise_pattern, "stripes": stripes, "dots": dots, "leaves": leaves, "photo": photo}[family]
    colours = draw(rng, height, width, feature)
    colours = colours - colours.mean((1, 2), keepdim=True)
    return colours / (colours.std() + 1e-6)


def noise(rng: np.random.Generator, height: int, width: int, feature: float, channels: int = 1) -> Float[Tensor, "c h w"]:
    """Multi-octave noise: smooth random fields of wavelength 2 x feature, half of it, and so on, each weaker. Unit variance.

    Doubling a grid by linear interpolation again and again is Chaikin's corner cutting: it ends in a smooth (quadratic
    B-spline) field, so every octave is added at its own resolution and all of them are refined together.
    """
    wavelength, strength = 2.0 * feature, 1.0
    cells = int(np.ceil(height / wavelength)) + 2, int(np.ceil(width / wavelength)) + 2
    total = torch.zeros(1, channels, *cells)
    while wavelength > 1.0:
        if wavelength >= 5:
            total += strength * torch.from_numpy(rng.standard_normal(total.shape, dtype=np.float32))
        finer = 2 if wavelength >= 2 else wavelength
        total = F.interpolate(total, scale_factor=finer, mode="bilinear", align_corners=False)
        wavelength, strength = wavelength / finer, strength * 0.6
        # what lies beyond the asked size is cut off, but for a margin
        total = total[:, :, : int(height / wavelength) + 3, : int(width / wavelength) + 3]
    total = total[0, :, :height, :width]
    return total / (total.std() + 1e-6)


def two_tone(rng: np.random.Generator, light: Float[Tensor, "h w"], hue: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
    """Colours from two fields: one mostly turns the brightness, the other the hue."""
    bright = torch.from_numpy(1 + 0.25 * rng.standard_normal(3)).float()
    tint = torch.from_numpy(rng.standard_normal(3)).float()
    tint = 0.45 * (tint - tint.mean())
    return bright[:, None, None] * light + tint[:, None, None] * hue                  # (3, h, w)


def noise_pattern(rng: np.random.Generator, height: int, width: int, feature: float) -> Float[Tensor, "3 h w"]:
    """Two independent noise fields: cloud, stone, fur."""
    return two_tone(rng, *noise(rng, height, width, feature, channels=2))


def stripes(rng: np.random.Generator, height: int, width: int, feature: float) -> Float[Tensor, "3 h w"]:
    """Wavy stripes with soft edges."""
    x, y = pixel_grid(height, width)
    angle, bend = rng.uniform(0, np.pi), noise(rng, height, width, 3 * feature)[0]
    phase = np.pi / feature * (x * np.cos(angle) + y * np.sin(angle)) + 0.9 * bend    # period 2 x feature
    return two_tone(rng, torch.tanh(2 * torch.sin(phase)), noise(rng, height, width, 2 * feature)[0])


def dots(rng: np.random.Generator, height: int, width: int, feature: float) -> Float[Tensor, "3 h w"]:
    """Round dots on a warped lattice."""
    x, y = pixel_grid(height, width)
    angle, (bend_x, bend_y) = rng.uniform(0, np.pi), noise(rng, height, width, 3 * feature, channels=2)
    u = np.pi / feature * (x * np.cos(angle) + y * np.sin(angle)) + 0.7 * bend_x
    v = np.pi / feature * (y * np.cos(angle) - x * np.sin(angle)) + 0.7 * bend_y
    return two_tone(rng, torch.tanh(3 * (u.sin() + v.sin() - 0.7)), noise(rng, height, width, 2 * feature)[0])


def leaves(rng: np.random.Generator, height: int, width: int, feature: float) -> Float[Tensor, "3 h w"]:
    """Dead leaves: discs of random size and colour that fall on one another."""
    x, y = pixel_grid(height, width)
    count = min(int(2 * height * width / (math.pi * feature**2)) + 4, 100)
    colours = two_tone(rng, *torch.from_numpy(rng.standard_normal((2, 1, count + 1))).float())[:, 0]        # (3, count + 1)
    at_x, at_y = rng.uniform(0, width, count), rng.uniform(0, height, count)
    radius = feature * rng.uniform(0.5, 1.8, count)
    top = torch.zeros(height, width, dtype=torch.int64)
    for i in range(count):
        rows = slice(max(0, int(at_y[i] - radius[i])), max(0, int(at_y[i] + radius[i]) + 2))
        columns = slice(max(0, int(at_x[i] - radius[i])), max(0, int(at_x[i] + radius[i]) + 2))
        disc = (x[rows, columns] - at_x[i]) ** 2 + (y[rows, columns] - at_y[i]) ** 2 < radius[i] ** 2
        top[rows, columns][disc] = i + 1
    return colours[:, top]


def photo(rng: np.random.Generator, height: int, width: int, feature: float) -> Float[Tensor, "3 h w"]:
    """A random crop of a random photograph of those that ship."""
    names = photographs()
    source = photograph(names[rng.integers(len(names))])                              # (3, H, W)
    room = min(source.shape[1] / height, source.shape[2] / width)
    zoom = min(room, max(0.5 * room, rng.uniform(0.5, 1.5)))                          # source pixels per pixel
    h, w = max(2, int(height * zoom)), max(2, int(width * zoom))
    at_y, at_x = rng.integers(source.shape[1] - h + 1), rng.integers(source.shape[2] - w + 1)
    crop = source[None, :, at_y : at_y + h, at_x : at_x + w]
    return F.interpolate(crop, (height, width), mode="bilinear", antialias=True)[0]


@lru_cache
def photographs() -> list[str]:
    """Names of the photographs that ship, in order."""
    return sorted(path.stem for path in PHOTOGRAPHS.glob("*.jpg"))


@lru_cache
def photograph(name: str) -> Float[Tensor, "3 H W"]:
    """One of them, colours in 0..1."""
    with Image.open(PHOTOGRAPHS / f"{name}.jpg") as file:
        return torch.from_numpy(np.asarray(file.convert("RGB")).copy()).permute(2, 0, 1).float() / 255


def pixel_grid(height: int, width: int) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """x and y of every pixel."""
    x, y = torch.meshgrid(torch.arange(width).float(), torch.arange(height).float(), indexing="xy")
    return x, y


def smooth(image: Float[Tensor, "c h w"], sigma: float) -> Float[Tensor, "c h w"]:
    """Gaussian blur, mirrored at the edges: what is left can be interpolated between pixels without loss."""
    for axis in (1, 2):
        length = image.shape[axis]
        reach = min(math.ceil(2.7 * sigma), length - 1)
        bell = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(reach + 1)]
        bell = [b / (2 * sum(bell) - bell[0]) for b in bell]
        wide = F.pad(image, (0, 0, reach, reach) if axis == 1 else (reach, reach, 0, 0), mode="reflect")
        image = bell[0] * wide.narrow(axis, reach, length)
        for i in range(1, reach + 1):                                                 # faster here than a convolution
            for start in (reach - i, reach + i):
                image.add_(wide.narrow(axis, start, length), alpha=bell[i])
    return image
