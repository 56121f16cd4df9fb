"""The plain forms that `vos-lab bench speed` compares with: each as it stands in a textbook, or as it is commonly written."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..models import Model
from ..models.aggregate import soft_aggregate


def plain_read(
    memory_key: Float[Tensor, "b c n"],
    query_key: Float[Tensor, "b c m"],
    values: Float[Tensor, "b k cv n"],
    *,
    top_k: int | None = None,
    kind: str = "l2",
) -> Float[Tensor, "b k cv m"]:
    """Dense affinity, softmax, matrix product; with top_k: topk, scatter into the dense matrix, matrix product."""
    dot = memory_key.transpose(1, 2) @ query_key  # (b,n,m)
    norm = memory_key.square().sum(1).unsqueeze(2)  # (b,n,1)
    similarity = (2 * dot - norm) / math.sqrt(memory_key.shape[1])
    if top_k is None or top_k >= similarity.shape[1]:
        affinity = similarity.softmax(1)
    else:
        best, where = similarity.topk(top_k, dim=1)
        affinity = torch.zeros_like(similarity).scatter_(1, where, best.softmax(1))
    return (values.flatten(1, 2) @ affinity).unflatten(1, values.shape[1:3])


@torch.no_grad()
def plain_tracking(
    model: Model, images: Float[Tensor, "t 3 H W"], masks: Float[Tensor, "k H W"], every: int = 5
) -> Iterator[Float[Tensor, "classes H W"]]:
    """STCN over a clip, frame by frame and object by object; only frames that are remembered get values."""
    keys, values = [], []
    for t, image in enumerate(images.split(1)):
        features = model.encode_key(image)
        if t == 0:
            alone = masks[None]
        else:
            memory = torch.cat(keys, 2), features.key.flatten(2), torch.cat(values, 3)
            readout = plain_read(*memory, **model.matching).unflatten(3, features.key.shape[2:])
            alone = torch.cat([model.decode(one, features) for one in readout.split(1, dim=1)], 1)  # (1,k,H,W)
        prob = soft_aggregate(alone[0], dim=0).softmax(0)
        yield prob
        if t % every == 0:
            keys.append(features.key.flatten(2))
            values.append(model.encode_value(image, features, prob[None, 1:]).flatten(3))


def plain_scores(truth: UInt8[np.ndarray, "T H W"], prediction: UInt8[np.ndarray, "T H W"]) -> Float[np.ndarray, "k two T"]:
    """J and F of each object and frame, one after the other, with OpenCV's dilation by a disk of scikit-image."""
    import cv2
    from skimage.morphology import disk

    radius = math.ceil(0.008 * math.hypot(*truth.shape[1:]))
    grow = lambda edge: cv2.dilate(edge.astype(np.uint8), disk(radius).astype(np.uint8)) > 0
    scores = []
    for k in range(1, int(truth.max()) + 1):
        pairs = [(t == k, p == k) for t, p in zip(truth, prediction)]
        j = [(t & p).sum() / max(1, (t | p).sum()) for t, p in pairs]
        f = []
        for true_edge, edge in ((outline(t), outline(p)) for t, p in pairs):
            precision = (edge & grow(true_edge)).sum() / max(1, edge.sum())
            recall = (true_edge & grow(edge)).sum() / max(1, true_edge.sum())
            f.append(2 * precision * recall / max(1e-300, precision + recall))
        scores.append([j, f])
    return np.array(scores)


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from their east, south or south-east neighbour."""
    east, south, corner = (np.zeros_like(mask) for _ in range(3))
    east[:, :-1], south[:-1], corner[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edge = mask ^ east | mask ^ south | mask ^ corner
    edge[-1], edge[:, -1] = mask[-1] ^ east[-1], mask[:, -1] ^ south[:, -1]
    edge[-1, -1] = False
    return edge
