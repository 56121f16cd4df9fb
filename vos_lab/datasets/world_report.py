"""Does each knob of the world make tracking harder? `python -m vos_lab.datasets.world_report` tells."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..metrics import evaluate, region_similarity, text_table
from ..models import load_model
from ..progress import progress
from ..tracker import Tracker
from .world import World


def accuracy(worlds: Sequence[World], length: int = 24, size: tuple[int, int] = (96, 168), objects: int = 3) -> list[float]:
    """How well `colour` follows on every second frame of a small clip of each world: J&F over the frames that show the object.

    Frames without the object are left out: drawing nothing there scores 1, and a knob that hides objects would look easy.
    """
    model, scores = load_model("colour"), []
    for world in worlds:
        clip = world.clip(length, size, objects, frames=range(0, length, 2))
        found = evaluate(Tracker(model).run(clip).masks, clip.known_masks)
        shown = (clip.known_masks == np.array(found.object_ids)[:, None, None, None]).any((2, 3))     # (k, T)
        scores.append(float(np.nanmean(np.where(shown, (found.j + found.f) / 2, np.nan))))
    return scores


def knob_table(knobs: Sequence[str], seeds: int, **clip: Any) -> list[list]:
    """A row per knob: its lowest, default and highest value and the mean accuracy at each, all others at their defaults."""
    about = World.knobs()
    standard = float(np.mean(accuracy([World(seed) for seed in range(seeds)], **clip)))
    rows = []
    for name in progress(knobs, desc="knobs", unit="knob"):
        low, high = about[name]["low"], about[name]["high"]
        ends = [accuracy([World(seed, **{name: end}) for seed in range(seeds)], **clip) for end in (low, high)]
        values = [f"{value:g}" for value in (low, about[name]["default"], high)]
        rows.append([name, *values, float(np.mean(ends[0])), standard, float(np.mean(ends[1]))])
    return rows


def copying_the_first_mask(seeds: int, length: int = 24, size: tuple[int, int] = (240, 432), objects: int = 3) -> float:
    """Mean J over objects and frames, first and last left out, of a prediction that never moves. Default knobs."""
    scores = []
    for seed in range(seeds):
        masks = World(seed, blur=0, noise=0, lighting=0).clip(length, size, objects).known_masks      # these three move no mask
        for k in range(1, objects + 1):
            truth = masks[1:-1] == k
            scores.append(region_similarity(truth, np.broadcast_to(masks[0] == k, truth.shape)).mean())
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--knobs", nargs="*", default=list(World.knobs()), choices=list(World.knobs()), metavar="KNOB")
    options = parser.parse_args()
    print(f"copying the first mask: J {copying_the_first_mask(options.seeds):.3f}")
    rows = knob_table(options.knobs, options.seeds)
    print(text_table(["J&F of colour", "low", "default", "high", "at low", "at default", "at high"], rows))


if __name__ == "__main__":
    main()
