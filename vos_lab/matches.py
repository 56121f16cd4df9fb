"""What is a false match, and is the match where the truth says it is?

With labels alone: a query cell that looks at memory cells of another label than its own matches falsely (`false_matches`).
With exact truth, as rendered clips have it: how far the best match lies from the true place (`match_errors`).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, UInt8
from torch import Tensor
from torch.nn import functional as F

from .errors import InputError

if TYPE_CHECKING:
    from .datasets.truth import Truth
    from .track import Track

THRESHOLDS = (1, 2, 4, 8, 16)  # pixels, of TAP-Vid's delta-average (Doersch et al. 2022, arXiv 2211.03726)


class FalseMatches(NamedTuple):
    """Affinity mass per query cell, 0..1, that lies on another label; nan where the query cell is mixed.

    background_as_foreground: background looks at an object · foreground_as_background: an object looks at background ·
    wrong_instance: an object looks at another object · total: all three.
    """

    total: Float[Tensor, "b m"]
    background_as_foreground: Float[Tensor, "b m"]
    foreground_as_background: Float[Tensor, "b m"]
    wrong_instance: Float[Tensor, "b m"]


def false_matches(
    affinity: Float[Tensor, "b n m"], memory_labels: Integer[Tensor, "b n"], query_labels: Integer[Tensor, "b m"]
) -> FalseMatches:
    """The mass of each query cell on memory cells of another label, by kind.

    labels: object id per cell, 0 background, -1 where a cell is mixed. What lies on mixed memory cells is of no kind.
    """
    on_background = mass(affinity, memory_labels == 0)  # (b,m)
    on_objects = mass(affinity, memory_labels > 0)
    on_own = torch.zeros_like(on_objects)
    for label in query_labels.unique():
        on_own += mass(affinity, memory_labels == label) * (query_labels == label)
    query, background, mixed = query_labels > 0, query_labels == 0, query_labels < 0
    zero = torch.zeros_like(on_objects)
    kinds = [
        torch.where(background, on_objects, zero),
        torch.where(query, on_background, zero),
        torch.where(query, on_objects - on_own, zero).clamp(min=0),
    ]
    return FalseMatches(*(kind.masked_fill(mixed, torch.nan) for kind in (torch.stack(kinds).sum(0), *kinds)))


def mass(affinity: Float[Tensor, "*b n m"], chosen: Bool[Tensor, "*b n"]) -> Float[Tensor, "*b m"]:
    """The affinity of each query cell that lies on the chosen memory cells."""
    return (chosen.to(affinity).unsqueeze(-2) @ affinity).squeeze(-2)


def cell_labels(masks: Integer[Tensor, "*b H W"], stride: int, purity: float = 0.75) -> Integer[Tensor, "*b m"]:
    """The object id of each cell of stride x stride pixels, row by row; -1 where less than `purity` of it has one id.

    Void (255) is an id of no cell: where it is the majority, the cell is mixed.
    """
    if masks.shape[-1] % stride or masks.shape[-2] % stride:
        raise InputError(f"masks of {tuple(masks.shape[-2:])} pixels do not divide into cells of {stride}: pad them first")
    pixels = masks.unfold(-2, stride, stride).unfold(-2, stride, stride).flatten(-2)  # (*b,h,w,stride*stride)
    label = pixels.mode(-1).values
    share = (pixels == label.unsqueeze(-1)).float().mean(-1)
    return torch.where((share >= purity) & (label != 255), label.long(), -1).flatten(-2)


def track_labels(track: "Track", masks: UInt8[np.ndarray, "T H W"], purity: float = 0.75) -> Integer[Tensor, "T m"]:
    """`cell_labels` of true masks in the cells of the track's network; what lies in the padding is background."""
    if masks is None:
        raise InputError("there are no true masks to tell false matches by: take a clip that has them in all frames")
    return cell_labels(padded(torch.from_numpy(masks), track), track.stride, purity)


def annotated(track: "Track", masks: UInt8[np.ndarray, "T H W"], frame: int, reader: int | None = None) -> bool:
    """Whether this frame has a true mask, and all that it reads."""
    cells = track.keys[frame][0, 0].numel()
    read = (track.origins(frame, reader) // cells).unique().numpy()
    return bool((masks[[frame, *read]] != 255).any((1, 2)).all())


class TrackMatches(NamedTuple):
    """False matches in a whole track: the mean affinity mass over its query cells, by kind, and how many cells there were.

    total: over all pure query cells · background_as_foreground: over cells of the background · foreground_as_background,
    wrong_instance: over cells of objects. nan where there are no such cells.
    """

    total: float
    background_as_foreground: float
    foreground_as_background: float
    wrong_instance: float
    background_cells: int
    object_cells: int


def track_matches(
    track: "Track",
    masks: UInt8[np.ndarray, "T H W"],
    frames: Iterable[int] | None = None,
    object_id: int | None = None,
    purity: float = 0.75,
) -> TrackMatches:
    """How a recorded track matched, against the true masks of its clip.

    object_id: whose memory, the first object's unless given (objects that appear together share one) · frames: those to
    measure, all that read it unless given. Where a frame or its memory is not annotated, it is left out.
    """
    labels = track_labels(track, masks, purity)
    sums, background, objects = torch.zeros(4, dtype=torch.float64), 0, 0
    if frames is None:
        frames = [frame for frame, by_object in track.memory.items() if object_id is None or object_id in by_object]
    for frame in frames:
        if not annotated(track, masks, frame, object_id):
            continue
        origins = track.origins(frame, object_id)
        found = false_matches(track.affinity(frame, object_id), labels.flatten()[origins][None], labels[frame][None])
        sums += torch.stack([kind.nansum().double() for kind in found])
        background += int((labels[frame] == 0).sum())
        objects += int((labels[frame] > 0).sum())
    counts = torch.tensor([background + objects, background, objects, objects], dtype=torch.float64)
    return TrackMatches._make([*(sums / counts).tolist(), background, objects])


KINDS = FalseMatches._fields[1:]


class FalseCell(NamedTuple):
    """A query cell that matches falsely.

    cell: its number in the frame, row by row · label: its true id, 0 background · kind: of FalseMatches, that with the most
    mass · object_id: the object concerned: what background looks at, else the cell's own · reader: an object whose memory it
    read (as `Track.affinity` takes it) · mass: on other labels, all kinds together, 0..1.
    """

    frame: int
    cell: int
    label: int
    kind: str
    object_id: int
    reader: int
    mass: float


def worst_cells(
    track: "Track",
    masks: UInt8[np.ndarray, "T H W"],
    count: int = 8,
    *,
    least: float = 0.25,
    cells_apart: float = 6.0,
    frames_apart: float = 12.0,
    purity: float = 0.75,
) -> list[FalseCell]:
    """The worst different failures of a recorded track: of each kind and object at most `count`, most false mass first.

    Cells near each other, in place and time, fail together: each failure is shown by its worst cell, and cells of the same kind
    and object in an ellipsoid around it are left out. least: false mass from which on a cell counts as failed.
    Frames without annotation, or with such in memory, are left out, as are objects that no memory holds yet.
    """
    failed = []
    labels = track_labels(track, masks, purity)
    for frame in track.memory:
        for reader, objects in readers(track, frame).items():
            if annotated(track, masks, frame, reader):
                failed += failures(track, frame, reader, objects, labels, least)
    failed.sort(key=lambda cell: -cell.mass)
    return thinned(failed, track.grid[1], count, cells_apart, frames_apart)


def readers(track: "Track", frame: int) -> dict[int, list[int]]:
    """Objects that read the same memory in `frame`: the first of them -> all of them."""
    same: dict[bytes, list[int]] = {}
    for i in track.memory[frame]:
        same.setdefault(track.origins(frame, i).numpy().tobytes(), []).append(i)
    return {objects[0]: objects for objects in same.values()}


def failures(
    track: "Track", frame: int, reader: int, objects: list[int], labels: Integer[Tensor, "T m"], least: float
) -> list[FalseCell]:
    """All cells of background and of these objects with at least so much false mass."""
    affinity, query = track.affinity(frame, reader), labels[frame]
    memory_labels = labels.flatten()[track.origins(frame, reader)]  # (n,)
    found = false_matches(affinity, memory_labels[None], query[None])
    kind = torch.stack(found[1:])[:, 0].argmax(0)  # (m,)
    ids = torch.tensor(track.object_ids)
    looked_at = ids[torch.cat([mass(affinity, memory_labels[None] == i) for i in ids]).argmax(0)]  # (m,): the object
    concerned = torch.where(query == 0, looked_at, query)
    mine = (query == 0) | torch.isin(query, torch.tensor(objects))
    return [
        FalseCell(frame, m, int(query[m]), KINDS[kind[m]], int(concerned[m]), reader, float(found.total[0, m]))
        for m in (mine & (found.total[0] >= least)).nonzero()[:, 0].tolist()
    ]


def thinned(worst_first: list[FalseCell], columns: int, count: int, cells_apart: float, frames_apart: float) -> list[FalseCell]:
    """Without those near a worse one of the same kind and object (non-maximum suppression), and at most `count` of each."""
    places = np.array([(*divmod(cell.cell, columns), cell.frame) for cell in worst_first]).reshape(-1, 3)
    places = places / (cells_apart, cells_apart, frames_apart)
    chosen: dict[tuple, list[int]] = {}
    for i, cell in enumerate(worst_first):
        same = chosen.setdefault((cell.kind, cell.object_id), [])
        if len(same) < count and (np.square(places[same] - places[i]).sum(1) >= 1).all():
            same.append(i)
    return [worst_first[i] for i in sorted(i for same in chosen.values() for i in same)]


def true_places(
    track: "Track", truth: "Truth", frame: int, cells: list[int], reader: int | None = None
) -> list[dict[int, tuple[int, int]]]:
    """Of each of these query cells: remembered frame -> (row, column) of the cell that shows there what its middle shows.

    truth: exact correspondence, as a rendered clip has it. Frames that do not show it are left out.
    """
    check_truth(truth)
    middles = cell_centres(track)[cells]  # (n,2)
    shown = in_frame(middles, track).numpy()
    limits = (track.masks.shape[2] - 1, track.masks.shape[1] - 1)
    found: list[dict[int, tuple[int, int]]] = [{} for _ in cells]
    for other in track.memory_frames(frame, reader):
        places, visible = truth.follow(middles.numpy(), frame, other)
        for i in np.flatnonzero(visible & shown):
            x, y = np.clip(np.rint(places[i]), 0, limits).astype(int)
            found[i][other] = track.cell_at(int(x), int(y))
    return found


def padded(masks: Integer[Tensor, "T H W"], track: "Track") -> Integer[Tensor, "T H2 W2"]:
    """Masks as the network saw them: filled up with background to whole cells."""
    above, left = track.padding
    h, w = track.grid
    below, right = h * track.stride - masks.shape[1] - above, w * track.stride - masks.shape[2] - left
    return F.pad(masks, (left, right, above, below))


class MatchErrors(NamedTuple):
    """One frame's best matches in each remembered frame, against known truth; s remembered frames, m query cells.

    distance: pixels from the centre of the best matching memory cell to the true place of what the query cell's centre shows;
    nan where the remembered frame does not show it · confidence: the affinity mass on that cell and the 8 around it, 0..1, of
    a softmax over that frame alone.
    """

    distance: Float[Tensor, "s m"]
    confidence: Float[Tensor, "s m"]


def match_errors(track: "Track", truth: "Truth", frame: int) -> MatchErrors:
    """Where each query cell of `frame` looks in each frame that was in memory, and how far off that is.

    track: recorded (`run(clip, record=True)`) · truth: of the same clip (`clip.truth`). All cells of these frames count,
    without top-k; single cells in long-term memory do not.
    """
    check_truth(truth)
    remembered = track.memory_frames(frame)
    h, w = track.grid
    grid = cell_centres(track)  # (m,2)
    shown = in_frame(grid, track)
    scores = track.logits(frame)[0, : len(remembered) * h * w]
    alone = scores.unflatten(0, (len(remembered), h * w)).softmax(1)  # (s,h*w,m): a softmax over each remembered frame
    best = alone.argmax(1)  # (s,m)
    around = F.avg_pool2d(alone.mT.unflatten(2, (h, w)), 3, stride=1, padding=1) * 9  # (s,m,h,w): sums over 3x3 cells
    confidence = around.flatten(2).gather(2, best[:, :, None])[:, :, 0]
    distance = torch.full_like(confidence, torch.nan)
    for i, other in enumerate(remembered):
        places, visible = truth.follow(grid[shown].numpy(), frame, other)
        error = (grid[best[i, shown]] - torch.from_numpy(places)).norm(dim=1)  # pixels
        distance[i, shown] = error.masked_fill(~torch.from_numpy(visible), torch.nan).float()
    return MatchErrors(distance, confidence.clamp(max=1))


def check_truth(truth: "Truth | None") -> None:
    if truth is None:
        raise InputError("this clip has no exact truth: take a rendered one, as vl.World(seed=0).clip() or a sample")


def cell_centres(track: "Track") -> Float[Tensor, "m 2"]:
    """(x, y) of the middle of each cell, row by row, in the frame's pixels; of cells in the padding, outside the frame."""
    above, left = track.padding
    h, w = track.grid
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    middle = (track.stride - 1) / 2
    return torch.stack([x * track.stride + middle - left, y * track.stride + middle - above], 2).flatten(0, 1).double()


def in_frame(places: Float[Tensor, "n 2"], track: "Track") -> Bool[Tensor, "n"]:
    """Which of these (x, y) lie in the frame and not in its padding, which shows nothing."""
    height, width = track.masks.shape[1:]
    return ((places >= 0) & (places <= torch.tensor([width - 1, height - 1]))).all(1)


class Accuracy(NamedTuple):
    """pck: share of visible cells whose best match is at most one cell off (PCK@1) · delta_average: mean share within 1, 2, 4,
    8 and 16 pixels of this frame, TAP-Vid's thresholds for frames of 256x256 (a match is a whole cell: half a cell off is the
    best that most can be) · mean_cells: mean distance in cells · cells: how many were visible. nan where none was.
    """

    pck: float
    delta_average: float
    mean_cells: float
    cells: int


def accuracy(errors: list[MatchErrors], stride: int) -> Accuracy:
    """Of all visible cells of these frames together. stride: pixels per cell."""
    distance = visible(errors)[0]
    within = [(distance <= pixels).double().mean().item() for pixels in (stride, *THRESHOLDS)]
    return Accuracy(within[0], sum(within[1:]) / len(THRESHOLDS), distance.mean().item() / stride, len(distance))


class Calibration(NamedTuple):
    """Does mass predict correctness? In each bin of confidence: its mean, the share of matches at most one cell off, how many
    cells.

    error: mean over all matches of |confidence - share correct| of their bin (expected calibration error). nan in empty bins.
    """

    confidence: Float[Tensor, "bins"]
    correct: Float[Tensor, "bins"]
    cells: Integer[Tensor, "bins"]
    error: float


def calibration(errors: list[MatchErrors], stride: int, bins: int = 10) -> Calibration:
    """Of all visible cells of these frames together."""
    distance, confidence = visible(errors)
    which = (confidence * bins).long().clamp(max=bins - 1)
    count = which.bincount(minlength=bins)
    mean, correct = (which.bincount(x, bins) / count for x in (confidence.double(), (distance <= stride).double()))
    error = ((mean - correct).abs() * count).nansum().item() / max(1, len(distance))
    return Calibration(mean.float(), correct.float(), count, error)


def visible(errors: list[MatchErrors]) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Distance and confidence of the matches that have a true place."""
    if not errors:
        raise InputError("there is nothing to measure: give the match_errors of at least one frame")
    distance, confidence = (torch.cat([x.flatten() for x in part]) for part in zip(*errors))
    shown = ~distance.isnan()
    return distance[shown], confidence[shown]
