"""Photographs, and random parts of them to cut things from."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import InputError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
LARGEST = 640  # pixels: the short side that is kept of a photograph


def find_photographs(folder: Path) -> list[Path]:
    """All of a folder, at any depth, in order."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give one of photographs, or none for those that ship")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
    if len(paths) < 2:
        raise InputError(f"{folder} holds {len(paths)} photographs: a collage needs 2 or more ({', '.join(ENDINGS)})")
    return paths


@lru_cache(maxsize=256)
def photograph(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """One photograph, upright, its short side at most LARGEST: 256 of them take some 400 MB."""
    try:
        with Image.open(path) as file:
            file.draft("RGB", (LARGEST, LARGEST))  # a JPEG is read at half, a quarter ... of its size
            image = ImageOps.exif_transpose(file).convert("RGB")
    except OSError as error:
        raise InputError(f"{path} cannot be read as an image ({error}): replace or remove it") from None
    shrink = min(1.0, LARGEST / min(image.size))
    return np.asarray(image.resize([max(1, round(side * shrink)) for side in image.size], Image.Resampling.BILINEAR))


@dataclass
class Cloth:
    """What a thing may be cut from: a photograph and, where it is to look like another, that one's mean and deviation."""

    path: Path
    colours: tuple[Tensor, Tensor] | None = None

    def cut(self, rng: np.random.Generator, height: int, width: int) -> Float[Tensor, "3 h w"]:
        """A random part of it at a random magnification, colours 0..1: of three, the one with most contrast."""
        photo, parts = photograph(self.path), []
        room = min(photo.shape[0] / height, photo.shape[1] / width)  # source pixels per texel
        for _ in range(3):
            least, most = sorted((math.log(0.8), math.log(room)))
            step = min(room, math.exp(rng.uniform(least, most)))
            h, w = max(1, int(height * step)), max(1, int(width * step))
            top, left = rng.integers(photo.shape[0] - h + 1), rng.integers(photo.shape[1] - w + 1)
            parts.append(photo[top : top + h, left : left + w][:, :: rng.choice([-1, 1])])
        image = resized(max(parts, key=lambda part: part[::7, ::7].std(axis=(0, 1)).sum()), height, width)
        if self.colours is None:
            return image
        (mean, deviation), (own_mean, own_deviation) = self.colours, statistics(image)
        return ((image - own_mean) / (own_deviation + 0.02) * deviation + mean).clamp(0, 1)


def statistics(image: Float[Tensor, "3 h w"]) -> tuple[Float[Tensor, "3 1 1"], Float[Tensor, "3 1 1"]]:
    """Mean and standard deviation of each channel."""
    return image.mean((1, 2), keepdim=True), image.std((1, 2), keepdim=True)


def resized(pixels: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> Float[Tensor, "3 H W"]:
    """At another size, antialiased, colours 0..1."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def patchwork(rng: np.random.Generator, images: list[Tensor]) -> Float[Tensor, "3 h w"]:
    """The first image (3,h,w); each further one covers what lies beyond a wavy border."""
    total, *further = images
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in total.shape[1:]), indexing="ij")
    for image in further:
        angle, wave, phase = rng.uniform(0, 2 * np.pi), rng.uniform(3, 9), rng.uniform(0, 2 * np.pi)
        along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        beyond = along - rng.uniform(-0.3, 0.4) + rng.uniform(0, 0.12) * torch.sin(wave * across + phase)
        total = torch.lerp(total, image, (beyond * total.shape[1] / 2 + 0.5).clamp(0, 1))
    return total
