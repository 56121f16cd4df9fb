"""Region similarity J and contour accuracy F, exact to the DAVIS tool (Perazzi et al. 2016, Pont-Tuset et al. 2017).

F needs "is there a boundary within r pixels?" for every pixel of a boundary: a dilation. Here 64 pixels of a row share one
64-bit word, a bit each, so that one `|` dilates all of them; only the part of the frames that holds the masks is looked at, and
a few frames at a time, whose words then stay in the processor's cache.
"""

import html
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt64

from .errors import InputError
from .masks import VOID, object_ids

Masks = Bool[np.ndarray, "n H W"]
Words = UInt64[np.ndarray, "n h words"]
Cropped = UInt64[np.ndarray, "n rows columns"]
AT_ONCE = 8  # masks
ON = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1, dtype=np.uint8)  # bits that are on in each byte


def region_similarity(truth: Masks, prediction: Masks) -> Float[np.ndarray, "n"]:
    """J = |intersection| / |union| of each pair of masks; 1 where both are empty. Raises InputError for masks of ids."""
    two_masks(truth, prediction)
    return regions_agree(*cropped(pack(truth), pack(prediction))[:2])


def contour_accuracy(truth: Masks, prediction: Masks, radius: int | None = None) -> Float[np.ndarray, "n"]:
    """F = 2PR / (P+R) of each pair of masks, P and R being the shares of one boundary within `radius` pixels of the other.

    radius: 0.8 % of the image diagonal, rounded up, unless given. Two empty boundaries give 1, an empty one against another 0.
    Raises InputError for masks of ids.
    """
    two_masks(truth, prediction)
    radius = default_radius(truth.shape[1:]) if radius is None else radius
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(truth), AT_ONCE)]
    pairs = (cropped(pack(truth[part]), pack(prediction[part])) for part in parts)
    return np.concatenate([np.zeros(0), *(contours_agree(*pair[:2], truth.shape[2] - pair[2], radius) for pair in pairs)])


def default_radius(size: tuple[int, int]) -> int:
    return math.ceil(0.008 * math.hypot(*size))


def regions_agree(truth: Words, prediction: Words) -> Float[np.ndarray, "n"]:
    """J of packed masks."""
    intersection, union = count_bits(truth & prediction), count_bits(truth | prediction)
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def contours_agree(truth: Words, prediction: Words, width: int, radius: int) -> Float[np.ndarray, "n"]:
    """F of packed masks; width: where the frame ends, in pixels from the first word."""
    true_edge, guessed_edge = boundary(truth, width), boundary(prediction, width)
    true_total, guessed_total = count_bits(true_edge), count_bits(guessed_edge)
    recall = count_bits(true_edge & dilate(guessed_edge, radius)) / np.maximum(true_total, 1)
    precision = count_bits(guessed_edge & dilate(true_edge, radius)) / np.maximum(guessed_total, 1)
    f = 2 * precision * recall / np.where(precision + recall == 0, 1, precision + recall)
    return np.where((true_total == 0) & (guessed_total == 0), 1.0, f)


def frame_score(truth: Masks, prediction: Masks) -> float:
    """J&F of one frame: the mean over its objects (n)."""
    return float((region_similarity(truth, prediction) + contour_accuracy(truth, prediction)).mean() / 2)


def two_masks(truth: np.ndarray, prediction: np.ndarray) -> None:
    same_shape(truth, prediction)
    for masks in (truth, prediction):
        if masks.dtype != bool or masks.ndim != 3:
            raise InputError(f"masks must be bool (n,H,W), got {masks.dtype} {masks.shape}: of ids, masks == 1 is object 1")


def same_shape(truth: np.ndarray, prediction: np.ndarray) -> None:
    if truth.shape != prediction.shape:
        raise InputError(f"truth and prediction must have one shape, got {truth.shape} and {prediction.shape}")


def pack(
    frames: Bool[np.ndarray, "T H W"] | UInt8[np.ndarray, "T H W"], value: int = 1, which: Int64[np.ndarray, "n"] | None = None
) -> Words:
    """Put 64 pixels of a row into the bits of one word, the first in the lowest: (n,H,W) -> (n,H,W // 64 + 1), on where a pixel
    has this value. which: only these frames."""
    which = np.arange(len(frames)) if which is None else which
    height, width = frames.shape[1:]
    words = np.empty((len(which), height, width // 64 + 1), dtype="<u8")  # little-endian: byte 0 holds pixels 0..7 everywhere
    on = np.zeros((height, 64 * words.shape[2]), dtype=bool)
    for row, t in zip(words, which):  # frame by frame: what a cache holds
        np.equal(frames[t], value, out=on[:, :width])
        row.view(np.uint8).reshape(-1)[:] = np.packbits(on, bitorder="little")
    return words.astype(np.uint64, copy=False)


def cropped(first: Words, second: Words) -> tuple[Cropped, Cropped, int]:
    """Of both, the rows and words that hold all that is on, with one more on each side; and the column where they begin."""
    together = np.bitwise_or.reduce(first | second, axis=0)
    on = np.flatnonzero(together.any(1)), np.flatnonzero(together.any(0))
    rows, columns = (slice(max(0, x[0] - 1), x[-1] + 2) if x.size else slice(0, 1) for x in on)
    return first[:, rows, columns], second[:, rows, columns], 64 * int(columns.start)


def count_bits(words: Words) -> Int64[np.ndarray, "n"]:
    """How many pixels of each mask are on."""
    if hasattr(np, "bitwise_count"):  # from NumPy 2 on
        return np.bitwise_count(words).sum((1, 2), dtype=np.int64)
    return ON[np.ascontiguousarray(words).view(np.uint8)].sum((1, 2), dtype=np.int64)


def east(words: Words) -> Words:
    """All pixels moved one to the right: the highest bit of a word goes to the next word."""
    moved = words << 1
    moved[:, :, 1:] |= words[:, :, :-1] >> 63
    return moved


def west(words: Words) -> Words:
    """All pixels moved one to the left."""
    moved = words >> 1
    moved[:, :, :-1] |= words[:, :, 1:] << 63
    return moved


def boundary(masks: Words, width: int) -> Words:
    """Pixels that differ from their east, south or south-east neighbour; beyond the border a pixel equals its neighbour."""
    word, bit = divmod(width, 64)  # the first pixel beyond the border; where words reach so far, it takes its neighbour's value
    at_border = word < masks.shape[2]
    if at_border:
        masks = masks.copy()
        masks[:, :, word] |= (masks[:, :, (width - 1) // 64] >> ((width - 1) % 64) & 1) << bit
    south = np.concatenate([masks[:, 1:], masks[:, -1:]], 1)
    edge = (masks ^ west(masks)) | (masks ^ south) | (masks ^ west(south))
    if at_border:
        edge[:, :, word] &= (1 << bit) - 1
    return edge


def dilate(masks: Words, radius: int) -> Words:
    """Grow each mask by a disk: on where some pixel within `radius` (Euclidean, inclusive) is on.

    Row by row of the disk: the row at height y reaches sqrt(radius^2 - y^2) pixels to either side.
    """
    height = masks.shape[1]
    grown = np.zeros_like(masks)
    rows, reach = masks, 0  # masks, grown sideways by `reach`
    for y in range(min(radius, height - 1), -1, -1):  # from the top row of the disk, the narrowest, to its middle
        while reach < min(math.isqrt(radius * radius - y * y), 64 * masks.shape[2]):
            rows, reach = rows | east(rows) | west(rows), reach + 1
        grown[:, y:] |= rows[:, : height - y]
        grown[:, : height - y] |= rows[:, y:]
    return grown


def mean(values: Float[np.ndarray, "t"]) -> float:
    """The mean over frames, without those that are not scored (nan)."""
    scored = values[~np.isnan(values)]
    return float(scored.mean()) if scored.size else math.nan


def recall(values: Float[np.ndarray, "t"]) -> float:
    """The share of scored frames above 0.5."""
    scored = values[~np.isnan(values)]
    return float((scored > 0.5).mean()) if scored.size else math.nan


def decay(values: Float[np.ndarray, "t"]) -> float:
    """How much is lost over the clip: mean of the first quarter minus mean of the last; neighbouring quarters share a frame."""
    edges = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(int)
    return mean(values[: edges[1] + 1]) - mean(values[edges[3] :])


STATISTICS = {"mean": mean, "recall": recall, "decay": decay}


@dataclass(repr=False)
class Scores:
    """J and F of each object in each frame, nan where a frame is not scored; prints as a table.

    `scores.J["mean"]` is the mean over objects, `scores.per_object["J"]["mean"]` one number per object.
    """

    object_ids: list[int]
    j: Float[np.ndarray, "k T"]
    f: Float[np.ndarray, "k T"]
    name: str = ""

    @property
    def per_object(self) -> dict[str, dict[str, list[float]]]:
        """{"J" | "F": {"mean" | "recall" | "decay": one number per object}}"""
        return {
            measure: {name: [of(row[scored_span(row)]) for row in values] for name, of in STATISTICS.items()}
            for measure, values in (("J", self.j), ("F", self.f))
        }

    @property
    def J(self) -> dict[str, float]:
        """Mean, recall and decay of region similarity, each the mean over objects."""
        return {name: mean(np.array(values)) for name, values in self.per_object["J"].items()}

    @property
    def F(self) -> dict[str, float]:
        """Mean, recall and decay of contour accuracy, each the mean over objects."""
        return {name: mean(np.array(values)) for name, values in self.per_object["F"].items()}

    @property
    def JF(self) -> float:
        """J&F: the mean of J mean and F mean, the score that papers rank by."""
        return (self.J["mean"] + self.F["mean"]) / 2

    def rows(self) -> list[list]:
        """A row per object and one for their mean: object, J&F, J mean, recall, decay, F mean, recall, decay."""
        per_object = self.per_object
        rows = []
        for i, object_id in enumerate(self.object_ids):
            j = [per_object["J"][statistic][i] for statistic in STATISTICS]
            f = [per_object["F"][statistic][i] for statistic in STATISTICS]
            rows.append([f"object {object_id}", (j[0] + f[0]) / 2, *j, *f])
        rows.append(["mean", self.JF, *self.J.values(), *self.F.values()])
        return rows

    def __repr__(self) -> str:
        return text_table(HEADER, self.rows())

    def _repr_html_(self) -> str:
        return html_table(HEADER, self.rows())


@dataclass(repr=False)
class DatasetScores:
    """Scores of many clips; J, F and J&F are means over all objects, as on the DAVIS leaderboard."""

    clips: list[Scores]

    @property
    def pooled(self) -> Scores:
        """All objects of all clips as if of one clip."""
        longest = max(s.j.shape[1] for s in self.clips)
        pad = lambda x: np.pad(x, ((0, 0), (0, longest - x.shape[1])), constant_values=np.nan)
        return Scores(
            [k for s in self.clips for k in s.object_ids],
            np.concatenate([pad(s.j) for s in self.clips]),
            np.concatenate([pad(s.f) for s in self.clips]),
        )

    J = property(lambda self: self.pooled.J)
    F = property(lambda self: self.pooled.F)
    JF = property(lambda self: self.pooled.JF)

    def rows(self) -> list[list]:
        """A row per clip, then the mean over all objects."""
        return [[f"{s.name} ({len(s.object_ids)})", *s.rows()[-1][1:]] for s in self.clips] + self.pooled.rows()[-1:]

    def object_rows(self) -> list[list]:
        """A row per object of each clip: clip, object id, then the columns of HEADER."""
        return [[s.name, k, *row[1:]] for s in self.clips for k, row in zip(s.object_ids, s.rows()[:-1])]

    def __repr__(self) -> str:
        return text_table(["clip (objects)", *HEADER[1:]], self.rows())

    def _repr_html_(self) -> str:
        return html_table(["clip (objects)", *HEADER[1:]], self.rows())


HEADER = ["", "J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay"]


def scored_span(values: Float[np.ndarray, "T"]) -> slice:
    """From the first scored frame to the last: decay divides this span into quarters."""
    scored = np.flatnonzero(~np.isnan(values))
    return slice(scored[0], scored[-1] + 1) if scored.size else slice(0, 0)


def evaluate(
    prediction: UInt8[np.ndarray, "T H W"],
    truth: UInt8[np.ndarray, "T H W"],
    *,
    davis: bool = False,
    sparse: bool | None = None,
    name: str = "",
) -> Scores:
    """Score the object ids of a prediction against the truth.

    The ids that truth holds are scored, each from the frame after its first (that mask was given) to the last frame but one, as
    the DAVIS tool leaves out both ends; frames without annotation (truth is 255 all over) are not scored. Void pixels count as
    background. davis=True counts objects as the DAVIS tool does: all of 1..(largest id of the first frame), from frame 1 on.
    sparse: score the last frame too, as YouTube-VOS does; by default where some frame has no annotation.
    Raises InputError for shapes that differ and clips in which nothing is left to score.
    """
    if truth is None or prediction is None:
        raise InputError("there are no masks to score: give those of the prediction and the true ones of the same frames")
    same_shape(truth, prediction)
    if truth.ndim != 3 or len(truth) < 3:
        raise InputError(
            f"scoring needs ids (T,H,W) of 3 frames or more, since the first and last are left out, got {truth.shape}"
        )
    ids = [object_ids(frame) for frame in truth]
    annotated = np.array([bool(present.size or (frame != VOID).any()) for present, frame in zip(ids, truth)])
    sparse = not annotated.all() if sparse is None else sparse
    if davis:
        first = {k: 0 for k in range(1, int(ids[0].max(initial=0)) + 1)}
    else:
        seen = [(int(k), t) for t, present in enumerate(ids) for k in present]
        first = {k: t for k, t in sorted(seen, key=lambda pair: (pair[0], -pair[1]))}  # the first frame of each comes last
    if not first:
        raise InputError("truth holds no object: there is nothing to score")
    radius = default_radius(truth.shape[1:])
    j, f = (np.full((len(first), len(truth)), np.nan) for _ in range(2))
    for row, (k, start) in enumerate(first.items()):
        scored = annotated.copy()
        scored[: start + 1] = False
        scored[-1] &= sparse
        frames = np.flatnonzero(scored)
        for few in np.split(frames, range(AT_ONCE, len(frames), AT_ONCE)):
            there, found, column = cropped(pack(truth, k, few), pack(prediction, k, few))
            j[row, few] = regions_agree(there, found)
            f[row, few] = contours_agree(there, found, truth.shape[2] - column, radius)
    if np.isnan(j).all():
        raise InputError("truth is annotated in no frame between an object's first and the last one: there is nothing to score")
    return Scores(list(first), j, f, name)


def shown(x: float | str) -> str:
    return f"{x:.3f}" if isinstance(x, float) else str(x)


def text_table(header: list[str], rows: list[list]) -> str:
    """Numbers to three digits, columns aligned."""
    cells = [header] + [[shown(x) for x in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in cells
    )


def html_table(header: list[str], rows: list[list]) -> str:
    """The same table for a notebook or a report."""

    def line(tag: str, row: list) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(shown(x))}</{tag}>" for x in row) + "</tr>"

    return f"<table>{line('th', header)}{''.join(line('td', row) for row in rows)}</table>"
