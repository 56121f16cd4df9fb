"""MotionPrior: where a thing can be by now, beside what it looks like. Our own, to make a claim testable: an affinity of keys
alone knows no place and no time."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..errors import InputError
from .reading import similarity


@dataclass(frozen=True)
class MotionPrior:
    """An additive log-prior on the affinity: a Gaussian around the place to which each memory cell should have moved.

    log p = -|x_i + shift_i - x_j|^2 / (2 sigma_i^2) for memory cell i at x_i and query cell j at x_j, in cells.
    shift_i = sum_o share_io (now_o - then_o): how far the objects in this cell have moved since; background stays. now_o is the
    object's last centre plus its last step. sigma_i = sigma + growth * age_i: what was seen long ago may be anywhere.
    """

    sigma: float | int = 4.0  # cells
    growth: float | int = 0.5  # cells per frame

    def __post_init__(self) -> None:
        if not (self.sigma > 0 and self.growth >= 0):
            raise InputError(f"sigma={self.sigma}, growth={self.growth}: wanted sigma above 0 and growth of 0 or more")

    def log_prior(
        self,
        origins: Int64[Tensor, "n"],
        shares: Float[Tensor, "n k"],
        centres: dict[int, Float[Tensor, "k 2"]],
        frame: int,
        size: tuple[int, int],
    ) -> Float[Tensor, "1 n m"]:
        """For the query cells of `frame`, m = h*w of size.

        origins: frame * h*w + cell of each memory cell · shares: how much of it belongs to each object · centres: of each
        object in each frame before, (row, column) in cells, or where it was last seen; nan where it never was.
        """
        h, w = size
        cells = torch.arange(h * w, device=origins.device)
        grid = torch.stack([cells // w, cells % w], 1).to(shares)  # (m,2): row, column
        frames, which = (origins // (h * w)).unique(return_inverse=True)
        now = expected(centres, frame)  # (k,2)
        moved = torch.stack([(now - centres[int(f)]).nan_to_num(0) for f in frames])  # (frames,k,2)
        places = grid[origins % (h * w)] + torch.einsum("nk,nkd->nd", shares, moved[which])  # (n,2)
        sigma = self.sigma + self.growth * (frame - frames[which]).to(shares)  # (n,)
        sharpness = 2**0.5 / (2 * sigma.square())  # the similarity divides by sqrt(2 channels)
        return similarity(places.T[None], grid.T[None], "anisotropic", shrinkage=sharpness[None, None])


def expected(centres: dict[int, Float[Tensor, "k 2"]], frame: int) -> Float[Tensor, "k 2"]:
    """Where each object's centre should be in `frame`: the last one, moved on by the last step."""
    last = centres[frame - 1]
    return last + (last - centres.get(frame - 2, last)).nan_to_num(0)


def centres_of(shares: Float[Tensor, "k h w"], least: float = 0.5) -> Float[Tensor, "k 2"]:
    """(row, column) of each object's centre, in cells; nan where less than `least` cells of it are seen."""
    _, h, w = shares.shape
    mass = shares.sum((1, 2))  # (k,)
    row = (shares.sum(2) * torch.arange(h, device=shares.device)).sum(1) / mass
    column = (shares.sum(1) * torch.arange(w, device=shares.device)).sum(1) / mass
    return torch.stack([row, column], 1).masked_fill(mass[:, None] < least, torch.nan)
