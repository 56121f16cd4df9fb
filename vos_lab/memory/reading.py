"""Similarity, affinity, readout."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from ..errors import InputError

Kind = Literal["l2", "dot", "cosine", "anisotropic"]
SLICE = 2**22  # affinity entries that `read` holds at a time: 16 MB in float32
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
    """
    check_keys(memory_key, query_key, kind, shrinkage, selection)
    c = memory_key.shape[1]
    memory_rows = memory_key.transpose(1, 2)  # (b,n,c)
    if kind == "l2":
        return product(*l2_as_dot(memory_key, query_key))
    if kind == "dot":
        return memory_rows @ query_key / math.sqrt(c)
    if kind == "cosine":
        return F.normalize(memory_rows, dim=2) @ F.normalize(query_key, dim=1)
    if kind == "anisotropic":
        e = torch.ones_like(query_key) if selection is None else selection
        # the same expansion, now with a weight per channel; here |q|^2 stays, since s scales it differently per memory cell
        distance = memory_rows.square() @ e - 2 * memory_rows @ (query_key * e) + (e * query_key.square()).sum(1, keepdim=True)
        s = 1.0 if shrinkage is None else shrinkage.transpose(1, 2)  # (b,n,1)
        return -s * distance / math.sqrt(c)
    raise InputError(f"similarity kind '{kind}' is unknown: choose l2, dot, cosine or anisotropic")


def check_keys(memory_key: Tensor, query_key: Tensor, kind: str, shrinkage: Tensor | None, selection: Tensor | None) -> None:
    c, others = memory_key.shape[1], query_key.shape[1]
    if others != c:
        raise InputError(f"memory keys have {c} channels and query keys {others}: both must come from one model")
    if kind != "anisotropic" and (shrinkage is not None or selection is not None):
        raise InputError(f"shrinkage and selection belong to kind='anisotropic', not to kind='{kind}'")


def l2_as_dot(
    memory_key: Float[Tensor, "b c n"], query_key: Float[Tensor, "b c m"]
) -> tuple[Float[Tensor, "b c1 n"], Float[Tensor, "b c1 m"]]:
    """Keys with one more channel, whose plain product is the l2 similarity: (k, |k|^2) and (2 q, -1) / sqrt(c).

    -|k - q|^2 = 2 k.q - |k|^2 - |q|^2, and |q|^2 is the same for every memory cell of a query cell: the softmax over memory
    cannot see it, so it is left out.
    """
    scale = 1 / math.sqrt(memory_key.shape[1])
    norm = memory_key.square().sum(1, keepdim=True)  # (b,1,n)
    ones = torch.ones_like(query_key[:, :1])
    return torch.cat([memory_key, norm], 1), scale * torch.cat([2 * query_key, -ones], 1)


def product(memory_key: Float[Tensor, "b c n"], query_key: Float[Tensor, "b c m"]) -> Float[Tensor, "b n m"]:
    """k.q; laid out so that all memory of a query cell lies together, which makes top-k over it twice as fast."""
    return (query_key.transpose(1, 2) @ memory_key).transpose(1, 2)


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
    logits = checked_logits(similarity, top_k, temperature, prior)
    if top_k is None or top_k >= logits.shape[1]:
        return logits.transpose(1, 2).softmax(dim=2).transpose(1, 2)  # faster than dim=1, see `similarity`
    best, where = best_cells(logits, top_k)  # (b,k,m)
    return torch.zeros_like(logits).scatter(1, where, best.softmax(dim=1))


def checked_logits(
    similarity: Float[Tensor, "b n m"], top_k: int | None, temperature: float, prior: Float[Tensor, "#b #n #m"] | None
) -> Float[Tensor, "b n m"]:
    """What the softmax is taken of, options checked."""
    if similarity.shape[1] == 0:
        raise InputError("memory is empty: write a frame before reading")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k={top_k} keeps no memory cell: give 1 or more, or None for all")
    if not temperature > 0:
        raise InputError(f"temperature={temperature} must be above 0")
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

    Query cells do not see each other, so they are taken in slices, and the affinity of only one slice exists at a time. With
    top_k, only the k values that a query cell keeps are fetched and summed; the other weights are 0.
    usage: what each memory cell is given by all query cells together is added to it.
    """
    b, objects, channels, n = values.shape
    m = query_key.shape[2]
    if memory_key.shape[2] != n:
        raise InputError(f"memory has {memory_key.shape[2]} keys but {n} values: each memory cell needs both")
    step = max(1, SLICE // max(1, n * b))
    table = values.permute(0, 3, 1, 2).flatten(2)  # (b,n,k*cv): what each memory cell holds, for all objects
    check_keys(memory_key, query_key, kind, shrinkage, selection)
    if kind == "l2":  # prepared once for all slices
        memory_key, query_key = l2_as_dot(memory_key, query_key)
    readout = table.new_empty(b, m, objects * channels)  # at once: pieces kept between slices would scatter the free memory
    for start in range(0, m, step):
        part = slice(start, start + step)
        if kind == "l2":
            sliced = product(memory_key, query_key[:, :, part])
        else:
            some = None if selection is None else selection[:, :, part]
            sliced = similarity(memory_key, query_key[:, :, part], kind, shrinkage, some)
        prior_part = prior if prior is None or prior.shape[2] == 1 else prior[:, :, part]
        if top_k is None or top_k >= n:
            weights = softmax_before_division(checked_logits(sliced, None, temperature, prior_part))  # (b,n,step)
            total = weights.sum(1)[:, :, None]  # (b,step,1)
            readout[:, part] = weights.transpose(1, 2) @ table / total  # (b,step,k*cv): fewer numbers to divide than weights
            if usage is not None:
                usage += (weights @ (1 / total))[:, :, 0]
        else:
            best, where = best_cells(checked_logits(sliced, top_k, temperature, prior_part), top_k)  # (b,top_k,step)
            weights = best.softmax(dim=1)
            if usage is not None:
                usage.scatter_add_(1, where.flatten(1), weights.flatten(1))
            per_sample = zip(table, where.mT, weights.mT)  # (n,k*cv), (step,top_k), (step,top_k)
            readout[:, part] = torch.stack([weighted_rows(rows, which, weight) for rows, which, weight in per_sample])
    return readout.unflatten(2, (objects, channels)).permute(0, 2, 3, 1)  # (b,k,cv,m)


def softmax_before_division(logits: Float[Tensor, "b n m"]) -> Float[Tensor, "b n m"]:
    """exp(logit - best of its query cell): divided by their sum over memory, these are the softmax.

    Trained keys are sharp: most weights are so small that float32 holds them only as denormal numbers, which a CPU multiplies
    some ten times as slowly as others. Raised to e^-60 of the best they change no digit of the sum, and none is denormal.
    """
    best = logits.amax(1, keepdim=True).detach()  # a constant taken from all logits of a cell has no gradient
    return (logits - best).clamp_(min=FAINT).exp_()


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
