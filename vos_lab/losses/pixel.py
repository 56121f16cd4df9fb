"""Correspondence between pixels, learned without labels from two views of a clip (Zhang et al. 2023, arXiv 2304.06211).

Equations and constants are those of the authors' released code, exact to its arrays.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError
from ..memory import similarity


class PixelCorrespondence(NamedTuple):
    """temporal, cross_view: the two losses, unweighted (the paper: 0.20 and 0.04).

    pseudo_label: for each cell of view 2, which anchor of its own clip it is most like, counted through the batch (clip i has
    i*g*g .. (i+1)*g*g - 1) · error_map: what each cell adds to the temporal loss.
    """

    temporal: Float[Tensor, ""]
    cross_view: Float[Tensor, ""]
    pseudo_label: Int64[Tensor, "b t h w"]
    error_map: Float[Tensor, "b t h w"]


def pixel_correspondence(
    key_view1: Float[Tensor, "b t c h w"],
    key_view2: Float[Tensor, "b t c h w"],
    theta: Float[Tensor, "b 2 3"],
    grid: int = 8,
    cross_grid: int = 4,
    anchors: Int64[Tensor, "b g g"] | None = None,
    cross_anchors: Int64[Tensor, "b g2 g2"] | None = None,
) -> PixelCorrespondence:
    """Two views of a clip must agree on what corresponds to what.

    temporal: each cell of every frame is compared with anchors, cells of frame 0 on a grid. Where view 2 is most like anchor a
    (a pseudo-label, without gradient), view 1 at the same place must say a too, among the anchors of the whole batch.
    cross_view: in frame 0, a cell must find itself in the other view among cells of the whole batch.

    theta: the affine map from view 2 to view 1, in the coordinates -1..1 of `affine_grid`. anchors, cross_anchors: flat cell
    indices; drawn unless given. Let no gradient into view 2's frames after the first: only frame 0 of it is trained.
    """
    b, t, c, h, w = key_view1.shape
    anchors = draw_anchors(b, h, w, grid, key_view1.device) if anchors is None else anchors
    cross_anchors = draw_anchors(b, h, w, cross_grid, key_view1.device) if cross_anchors is None else cross_anchors

    # temporal: how each cell sees all anchors of the batch
    per_clip = anchors[0].numel()
    rows = at_cells(key_view1[:, 0], anchors)  # (b*g*g,c)
    says = compare(rows, key_view1)  # (b,t,b*g*g,h,w)
    there = to_view2(says.flatten(1, 2), theta).unflatten(1, (t, -1))  # in view 2's coordinates
    with torch.no_grad():
        seen = compare(rows, key_view2).unflatten(2, (b, per_clip))  # (b,t,b,g*g,h,w)
        # the best among the clip's own anchors, (b,t,h,w)
        pseudo_label = torch.stack([i * per_clip + seen[i, :, i].argmax(1) for i in range(b)])
    prob = there.softmax(2).gather(2, pseudo_label.unsqueeze(2)).squeeze(2)  # (b,t,h,w)
    error_map = -torch.log(prob + 1e-8)
    temporal = error_map[:, 1:].mean() if t > 1 else error_map.new_zeros(())

    # cross-view: the same place in both views, against all other places of the batch
    from_view1 = at_cells(to_view2(key_view1[:, 0], theta), cross_anchors)  # (b*g2*g2,c)
    from_view2 = at_cells(key_view2[:, 0], cross_anchors)
    logits = similarity(from_view2.T[None], from_view1.T[None])[0]  # (view 2, view 1): softmax over view 2
    cross_view = F.cross_entropy(logits.T, torch.arange(len(logits), device=logits.device))
    return PixelCorrespondence(temporal, cross_view, pseudo_label, error_map)


def compare(rows: Float[Tensor, "n c"], keys: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t n h w"]:
    """The similarity of each cell with each row, as if the rows were memory."""
    b, t, c, h, w = keys.shape
    queries = keys.movedim(2, 1).reshape(b, c, t * h * w)
    memory = rows.T[None].expand(b, c, -1)  # (b,c,n)
    return similarity(memory, queries).unflatten(2, (t, h, w)).movedim(1, 2)


def to_view2(x: Float[Tensor, "b n h w"], theta: Float[Tensor, "b 2 3"]) -> Float[Tensor, "b n h w"]:
    """What lies in view 1 where each cell of view 2 looks; 0 beyond its edge."""
    where = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, where, mode="nearest", align_corners=False)


def at_cells(x: Float[Tensor, "b c h w"], cells: Int64[Tensor, "b g g"]) -> Float[Tensor, "n c"]:
    """The vectors at these cells, clip after clip."""
    picked = x.flatten(2).gather(2, cells.flatten(1)[:, None].expand(-1, x.shape[1], -1))  # (b,c,g*g)
    return picked.transpose(1, 2).flatten(0, 1)


def draw_anchors(b: int, h: int, w: int, grid: int, device: torch.device) -> Int64[Tensor, "b g g"]:
    """A regular grid of cells, shifted at random for each clip."""
    if not 1 <= grid <= min(h, w):
        raise InputError(f"a grid of {grid}x{grid} anchors does not fit into {h}x{w} cells: choose 1 to {min(h, w)}")
    lines = []
    for side in (h, w):
        step = side / grid  # evenly spaced, also where the side is no multiple of the grid
        offset = torch.rand(b, 1, device=device) * step
        lines.append((offset + step * torch.arange(grid, device=device)).long().clamp(max=side - 1))  # (b,g)
    return lines[0][:, :, None] * w + lines[1][:, None, :]
