"""Similarity, affinity, readout."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError

Kind = Literal["l2", "dot", "cosine", "anisotropic"]
TILE = 2**21  # affinity entries that `read` holds at a time: 8 MB in float32
TILE_CELLS = 2**14  # of them memory cells at most
FAINT = -60.0  # a weight of e^-60 of the best one is nothing, even in double precision


def similarity(
    memory_key: Float[Tensor, "b c n"],
    query_key: Float[Tensor, "b c m"],
    kind: Kind = "l2",
    shrinkage: Float[Tensor, "b 1 n"] | None = None,
    selection: Float[Tensor, "b c m"] | None = None,
) -> Float[Tensor, "b n m"]:
    """How well each memory cell k matches each query cell q; higher is better.

    l2           -|k - q|^2 / sqrt(c), up to a constant per query cell (Cheng et al. 2021, STCN)
    dot          k.q / sqrt(c)
    cosine       k.q / (|k| |q|)
    anisotropic  -s * sum_c e_c (k_c - q_c)^2 / sqrt(c), with a shrinkage s per memory cell and a selection e per query cell
                 and channel, each 1 where not given (Cheng and Schwing 2022, XMem)

    Of float16 keys it is float32: squares soon pass 65504, the largest number of float16.
    """
    check_keys(memory_key, query_key, kind, shrinkage, selection)
    memory_key, query_key = widened(memory_key), widened(query_key)
    c = memory_key.shape[1]
    memory_rows = memory_key.transpose(1, 2)  # (b,n,c)
    if kind == "l2":  # -|k - q|^2 = 2 k.q - |k|^2 - |q|^2; the softmax over memory cannot see |q|^2, the same for all of it
        norm = memory_key.square().sum(1, keepdim=True)  # (b,1,n)
        scale = 1 / math.sqrt(c)
        # all memory of a query cell lies together, which makes top-k over it twice as fast
        return torch.baddbmm(-scale * norm, (2 * scale * query_key).transpose(1, 2), memory_key).transpose(1, 2)
    if kind == "dot":
        return memory_rows @ query_key / math.sqrt(c)
    if kind == "cosine":
        return F.normalize(memory_rows, dim=2) @ F.normalize(query_key, dim=1)
    if kind == "anisotropic":
        e = torch.ones_like(query_key) if selection is None else widened(selection)
        # the same expansion, now with a weight per channel; here |q|^2 stays, since s scales it differently per memory cell
        distance = memory_rows.square() @ e - 2 * memory_rows @ (query_key * e) + (e * query_key.square()).sum(1, keepdim=True)
        s = 1.0 if shrinkage is None else widened(shrinkage).transpose(1, 2)  # (b,n,1)
        return -s * distance / math.sqrt(c)
    raise InputError(f"similarity kind '{kind}' is unknown: choose l2, dot, cosine or anisotropic")


def widened(x: Tensor) -> Tensor:
    """float16 and bfloat16 become float32: the one overflows, the other has too few digits to subtract squares."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def check_keys(memory_key: Tensor, query_key: Tensor, kind: str, shrinkage: Tensor | None, selection: Tensor | None) -> None:
    c, others = memory_key.shape[1], query_key.shape[1]
    if others != c:
        raise InputError(f"memory keys have {c} channels and query keys {others}: both must come from one model")
    if kind != "anisotropic" and (shrinkage is not None or selection is not None):
        raise InputError(f"shrinkage and selection belong to kind='anisotropic', not to kind='{kind}'")


def affinity(
    similarity: Float[Tensor, "b n m"],
    top_k: int | None = None,
    temperature: float = 1.0,
    prior: Float[Tensor, "#b #n #m"] | None = None,
) -> Float[Tensor, "b n m"]:
    """Softmax over memory: each column says where one query cell looks, and sums to 1.

    top_k: keep only the k best memory cells of each query cell (all of them where memory holds fewer).
    temperature: divides the similarity; small is sharp. prior: log-weights that are added to it.
    """
    check_options(similarity.shape[1], top_k, temperature)
    logits = to_logits(similarity, temperature, prior)
    if top_k is None or top_k >= logits.shape[1]:
        return logits.transpose(1, 2).softmax(dim=2).transpose(1, 2)  # faster than dim=1, see `similarity`
    best, where = best_cells(logits, top_k)  # (b,k,m)
    return torch.zeros_like(logits).scatter(1, where, best.softmax(dim=1))


def check_options(cells: int, top_k: int | None, temperature: float) -> None:
    if cells == 0:
        raise InputError("memory is empty: write a frame before reading")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k={top_k} keeps no memory cell: give 1 or more, or None for all")
    if not temperature > 0:
        raise InputError(f"temperature={temperature} must be above 0")


def to_logits(
    similarity: Float[Tensor, "b n m"], temperature: float, prior: Float[Tensor, "#b #n #m"] | None
) -> Float[Tensor, "b n m"]:
    """What the softmax is taken of."""
    logits = similarity if temperature == 1 else similarity / temperature
    return logits if prior is None else logits + prior


def read(
    memory_key: Float[Tensor, "b c n"],
    query_key: Float[Tensor, "b c m"],
    values: Float[Tensor, "b k cv n"],
    *,
    top_k: int | None = None,
    kind: Kind = "l2",
    temperature: float = 1.0,
    prior: Float[Tensor, "#b #n #m"] | None = None,
    shrinkage: Float[Tensor, "b 1 n"] | None = None,
    selection: Float[Tensor, "b c m"] | None = None,
    usage: Float[Tensor, "b n"] | None = None,
) -> Float[Tensor, "b k cv m"]:
    """Values of all k objects, weighted by one affinity: `values @ affinity(similarity(...))`, in less memory and time.

    The affinity is never there as a whole, only a tile of it: some query cells, which do not see each other, by some memory
    cells. Of each tile the read keeps a sum, or the best cells: so its time grows with memory, and (without gradients, and with
    values laid out as a MemoryBank has them) its own memory does not.
    usage: what each memory cell is given by all query cells together is added to it.
    """
    b, objects, channels, n = values.shape
    m = query_key.shape[2]
    if memory_key.shape[2] != n:
        raise InputError(f"memory has {memory_key.shape[2]} keys but {n} values: each memory cell needs both")
    check_options(n, top_k, temperature)
    check_keys(memory_key, query_key, kind, shrinkage, selection)
    table = widened(values).permute(0, 3, 1, 2).flatten(2)  # (b,n,k*cv): what each memory cell holds, for all objects
    readout = table.new_empty(b, m, objects * channels)  # at once: pieces kept between tiles would scatter the free memory

    def tiles(part: slice) -> Iterator[tuple[slice, Tensor]]:
        """Pieces of memory, and the logits (b,piece,part) that some query cells have there."""
        e = None if selection is None else selection[:, :, part]
        for tile in pieces(n, TILE_CELLS):
            s = None if shrinkage is None else shrinkage[:, :, tile]
            p = None if prior is None else prior.expand(b, n, m)[:, tile, part]
            yield tile, to_logits(similarity(memory_key[:, :, tile], query_key[:, :, part], kind, s, e), temperature, p)

    for part in pieces(m, max(1, TILE // max(1, b * min(n, TILE_CELLS)))):
        if top_k is None or top_k >= n:
            readout[:, part] = mean_of_all(partial(tiles, part), table, usage)
        else:
            readout[:, part] = mean_of_best(partial(tiles, part), table, usage, top_k)
    return readout.unflatten(2, (objects, channels)).permute(0, 2, 3, 1).to(values)  # (b,k,cv,m)


def pieces(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def mean_of_all(tiles: Callable, table: Float[Tensor, "b n c"], usage: Float[Tensor, "b n"] | None) -> Float[Tensor, "b m c"]:
    """softmax @ table: exp(logit - best) is summed tile by tile, and divided at the end.

    best: the highest logit of a query cell so far. Where a later tile has a higher one, what was summed before fades.
    """
    lowest = torch.finfo(table.dtype).min
    best = table.new_full((1, 1, 1), lowest)
    total = summed = table.new_zeros(1, 1, 1)
    for tile, logits in tiles():
        higher = torch.maximum(best, logits.detach().amax(1, keepdim=True))  # any constant will do here: it has no gradient
        fade = (best - higher).exp().mT  # (b,m,1)
        weights = exp_below(logits, higher)  # (b,tile,m)
        total = fade * total + weights.sum(1)[:, :, None]  # (b,m,1)
        summed = fade * summed + weights.mT @ table[:, tile]  # (b,m,c)
        best = higher
    total = total.masked_fill(best.mT == lowest, torch.nan)  # all of memory is forbidden: as 0 / 0
    if usage is not None:
        usage[:, tile] += (weights @ (1 / total))[:, :, 0]  # of the last tile they are at hand
        for earlier, logits in islice(tiles(), -(-table.shape[1] // TILE_CELLS) - 1):
            usage[:, earlier] += (exp_below(logits, best) @ (1 / total))[:, :, 0]
    return summed / total  # fewer numbers to divide than weights


def exp_below(logits: Float[Tensor, "b n m"], best: Float[Tensor, "b 1 m"]) -> Float[Tensor, "b n m"]:
    """exp(logits - best).

    Trained keys are sharp: most weights are so small that float32 holds them only as denormal numbers, which a CPU multiplies
    some ten times as slowly as others. Raised to e^-60 of the best they change no digit of the sum, and none is denormal.
    """
    return (logits - best).clamp_(min=FAINT).exp_()


def mean_of_best(
    tiles: Callable, table: Float[Tensor, "b n c"], usage: Float[Tensor, "b n"] | None, top_k: int
) -> Float[Tensor, "b m c"]:
    """The same with the top_k best memory cells of each query cell: only their rows of the table are fetched and summed."""
    found = [(tile.start, *best_cells(logits, min(top_k, logits.shape[1]))) for tile, logits in tiles()]
    best, which = torch.cat([values for _, values, _ in found], 1).topk(top_k, dim=1)  # the best of each tile's best
    where = torch.cat([start + cells for start, _, cells in found], 1).gather(1, which)  # (b,top_k,m)
    weights = best.softmax(dim=1)
    if usage is not None:
        usage.scatter_add_(1, where.flatten(1), weights.flatten(1))
    per_sample = zip(table, where.mT, weights.mT)  # (n,c), (m,top_k), (m,top_k)
    return torch.stack([weighted_rows(rows, cells, weight) for rows, cells, weight in per_sample])


def best_cells(
    logits: Float[Tensor, "b n m"], top_k: int, group: int = 16
) -> tuple[Float[Tensor, "b top m"], Int[Tensor, "b top m"]]:
    """The same as `logits.topk(top_k, dim=1)`, values and memory cells, without sorting through all of memory.

    Memory is cut into groups of 16 cells. The k best cells lie in the k groups whose best cells are best, so only these need a
    closer look. (Between cells of equal value, either may be chosen.)
    """
    rows = logits.transpose(1, 2)  # (b,m,n)
    n = rows.shape[2]
    groups = n // group
    if groups <= 2 * top_k:
        best, where = rows.topk(top_k, dim=2)
        return best.transpose(1, 2), where.transpose(1, 2)
    grouped = rows[:, :, : groups * group].unflatten(2, (group, groups))  # group j: cells j, j + groups, j + 2 * groups ...
    chosen = grouped.amax(2).topk(top_k, dim=2, sorted=False).indices  # (b,m,top_k)
    steps = groups * torch.arange(group, device=rows.device)
    members = (chosen[:, :, None] + steps[:, None]).flatten(2)  # (b,m,group*top_k)
    rest = torch.arange(groups * group, n, device=rows.device).expand(*rows.shape[:2], -1)  # too few for a group of their own
    members = torch.cat([members, rest], 2)
    best, which = rows.gather(2, members).topk(top_k, dim=2)
    return best.transpose(1, 2), members.gather(2, which).transpose(1, 2)


def weighted_rows(
    table: Float[Tensor, "n c"], where: Int[Tensor, "m top"], weights: Float[Tensor, "m top"]
) -> Float[Tensor, "m c"]:
    """sum_i weights[:, i] * table[where[:, i]], without building the (m,top,c) rows."""
    return F.embedding_bag(where.contiguous(), table, per_sample_weights=weights.contiguous(), mode="sum")
