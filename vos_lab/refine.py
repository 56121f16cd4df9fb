"""Refinement: a last step after tracking that moves the edges of masks to the edges of the frame.

Both functions take object ids (T,H,W) and give ids, or probabilities (T,classes,H,W), background first, and give probabilities.
Void (255) stays void and speaks for no label. Each frame is refined on its own; nothing goes back into memory.

OpenCV is loaded when first used. It must be opencv-contrib-python-headless alone: opencv-python or opencv-python-headless
beside it put their files into the same folder `cv2`, and `cv2.ximgproc` may be gone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from .errors import InputError
from .masks import VOID

Frame = UInt8[np.ndarray, "H W 3"]
Labels = Float[np.ndarray, "H W classes"]
Masks = UInt8[np.ndarray, "T2 H2 W2"] | Float[np.ndarray, "T2 classes H2 W2"]  # the frames' T, H, W: checked by `refined`


def guided_filter(
    frames: UInt8[np.ndarray, "T H W 3"], masks_or_prob: Masks, *, radius: int = 2, eps: float | int = 1e-3
) -> Masks:
    """Within each window, each label is replaced by the linear function of the frame's colour that fits it best.

    radius: of the window, pixels · eps: variance of colour (white is 1) below which a window counts as flat, and is only
    smoothed. He, Sun and Tang, "Guided image filtering", ECCV 2010. Raises InputError for arguments that do not fit together.
    """
    if radius < 1 or eps <= 0:
        raise InputError(f"radius={radius}, eps={eps}: give a radius of 1 pixel or more and an eps above 0")
    ximgproc = load_ximgproc()
    return refined(frames, masks_or_prob, lambda frame, p: ximgproc.guidedFilter(white_is_1(frame), p, radius, eps))


def dense_crf(
    frames: UInt8[np.ndarray, "T H W 3"],
    masks_or_prob: Masks,
    *,
    near: float | int = 20,
    alike: float | int = 0.1,
    weight: float | int = 4,
    certainty: float = 0.8,
    rounds: int = 5,
) -> Masks:
    """Every pixel asks those that lie near and look alike for their label, and is drawn to what they say, some rounds long.

    near: standard deviation of the distance, pixels · alike: of the colour, white is 1 · weight: of what the others say, in
    nats · certainty: how sure ids are of themselves, 0.5 to 1. Mean field after Krähenbühl and Koltun, "Efficient inference in
    fully connected CRFs", NIPS 2011. Their own code has no maintained package with wheels, so the kernel is another: OpenCV's
    domain transform (Gastal and Oliveira, SIGGRAPH 2011), for which every edge on the way between two pixels keeps them apart.
    Raises InputError for arguments that do not fit together.
    """
    if near < 1 or alike <= 0 or weight < 0 or rounds < 1 or not 0.5 < certainty < 1:
        raise InputError(
            f"near={near}, alike={alike}, weight={weight}, certainty={certainty}, rounds={rounds}: give near and rounds of 1 or "
            "more, alike above 0, weight of 0 or more, and a certainty between 0.5 and 1"
        )
    ximgproc = load_ximgproc()

    def mean_field(frame: Frame, p: Labels) -> Labels:
        unary = np.log(np.clip(p, 1 - certainty, certainty))  # what each pixel thinks alone
        q = softmax(unary)
        for _ in range(rounds):
            others = ximgproc.dtFilter(white_is_1(frame), q, near, alike)  # mean of q over pixels near and alike
            q = softmax(unary + weight * others)
        return q

    return refined(frames, masks_or_prob, mean_field)


def refined(frames: UInt8[np.ndarray, "T H W 3"], masks_or_prob: Masks, refine: Callable[[Frame, Labels], Labels]) -> Masks:
    """refine(frame, labels as planes) of each frame; ids come back as the label with the largest plane."""
    soft = masks_or_prob.ndim == 4
    size = masks_or_prob.shape[-2:]
    if len(masks_or_prob) != len(frames) or size != frames.shape[1:3]:
        raise InputError(
            f"frames are {len(frames)} of {frames.shape[1:3]} pixels, masks_or_prob {len(masks_or_prob)} of {size}: "
            "give a mask of the same size for each frame"
        )
    result = np.empty_like(masks_or_prob)
    for t, (frame, given) in enumerate(zip(frames, masks_or_prob)):
        if soft:
            p = refine(frame, np.ascontiguousarray(given.transpose(1, 2, 0), dtype=np.float32))  # (H,W,classes)
            p = np.maximum(p, 1e-6)
            result[t] = (p / p.sum(2, keepdims=True)).transpose(2, 0, 1)
            continue
        ids = np.unique(given[given != VOID])
        result[t] = given
        if len(ids) > 1:  # else there is no edge
            planes = (given[:, :, None] == ids).astype(np.float32)  # (H,W,classes); all 0 where void
            result[t] = np.where(given == VOID, VOID, ids[refine(frame, planes).argmax(2)])
    return result


def white_is_1(frame: Frame) -> Float[np.ndarray, "H W 3"]:
    return frame.astype(np.float32) / 255


def softmax(x: Labels) -> Labels:
    e = np.exp(x - x.max(2, keepdims=True))
    return e / e.sum(2, keepdims=True)


def load_ximgproc() -> Any:
    """OpenCV's extra image processing."""
    try:
        from cv2 import ximgproc
    except ImportError:
        raise InputError(
            "refinement needs OpenCV's ximgproc: uninstall opencv-python and opencv-python-headless where they are, then "
            "`pip install --force-reinstall opencv-contrib-python-headless`"
        ) from None
    return ximgproc
