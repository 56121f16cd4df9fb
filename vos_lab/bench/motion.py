"""Appearance and motion, kept apart: does it help to know where a thing can be? As `vos-lab bench motion` measures it."""

import copy
from pathlib import Path

import torch

from .. import table as tables
from ..clip import Clip
from ..datasets.davis import DAVIS
from ..datasets.world import World
from ..memory import MotionPrior
from ..metrics import evaluate, text_table
from ..models import AnyModel, faster, load_model
from ..models.model import senses
from ..progress import progress
from ..tracker import Tracker
from ..training.experiment import interval, paired, values

STRESS = {  # group -> knobs of the world
    "look-alike": {"distractors": 4},
    "fast": {"speed": 0.05},
    "occlusion": {"occlusion": 1.0},
    "leave and return": {"leaving": 1.0},
}
PRIOR, WIPED = " + prior", ", wiped"  # what a variant's name has behind the model's
FIELDS = ("variant", "seed", "group", "clip", "J&F")
FIRST_WORLD = 2000  # no training and no other experiment renders these


def stress_clips(count: int, length: int = 24, size: tuple[int, int] = (240, 432), objects: int = 2) -> dict[str, list[Clip]]:
    """group -> rendered clips, each hard in one way."""
    seeds = range(FIRST_WORLD, FIRST_WORLD + count)
    return {group: [World(s, **knobs).clip(length, size, objects=objects) for s in seeds] for group, knobs in STRESS.items()}


def bench_motion(models: dict[str, AnyModel], groups: dict[str, list[Clip]], table: Path) -> list[dict]:
    """J&F of each model and its `variants` on every clip: rows to the table (CSV), which grows clip by clip.

    What the table holds already is not run again.
    """
    rows = read_table(table)
    held = {(row["variant"], row["group"], row["clip"]) for row in rows}
    wanted = [
        (variant, network, prior, group, clip)
        for group, clips in groups.items()
        for clip in clips
        for name, model in models.items()
        for variant, (network, prior) in variants(name, model).items()
        if (variant, group, clip.name) not in held
    ]
    for variant, network, prior, group, clip in progress(wanted, desc="motion", unit="clip"):
        score = evaluate(Tracker(network, prior=prior).run(clip).masks, clip.masks).JF
        rows.append({"variant": variant, "seed": 0, "group": group, "clip": clip.name, "J&F": score})
        tables.write_table(table, FIELDS, rows)
    return rows


def variants(name: str, model: AnyModel) -> dict[str, tuple[AnyModel, MotionPrior | None]]:
    """The model as it is, with a prior, and (where it has a sensory memory) with that memory wiped before each frame."""
    found = {name: (model, None), name + PRIOR: (model, MotionPrior())}
    if senses(model):
        wiped = copy.copy(model)  # its decoder sees zeros for a state
        wiped.decode = lambda readout, features, sensory: model.decode(readout, features, torch.zeros_like(sensory))
        found[name + WIPED] = (wiped, None)
    return found


def read_table(path: Path) -> list[dict]:
    return [{**row, "seed": int(row["seed"]), "J&F": float(row["J&F"])} for row in tables.read_table(path)]


def summary(rows: list[dict]) -> str:
    """For each group and model the mean J&F, and what the prior and wiping change, clip by clip, with the 95 % interval."""
    lines = []
    for group in dict.fromkeys(row["group"] for row in rows):
        for variant in dict.fromkeys(row["variant"] for row in rows):
            ours = values(rows, group, variant, "J&F")
            scores = list(ours.get(0, {}).values())
            plain = variant.removesuffix(PRIOR).removesuffix(WIPED)
            pairs = paired(ours, values(rows, group, plain, "J&F"))
            change = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(pairs)) if variant != plain and pairs.size else ""
            if scores:
                lines.append([group, variant, str(len(scores)), f"{sum(scores) / len(scores):.3f}", change])
    return text_table(["group", "variant", "clips", "J&F", "change"], lines)


def run(
    models: list[str], count: int, root: str, out: Path, size: tuple[int, int] = (240, 432), names: list[str] | None = None
) -> str:
    """All groups, rendered at this size, and where `root` names a DAVIS tree its clips (or those of these names) at every
    second frame."""
    groups = stress_clips(count, size=size)
    if root:
        davis = DAVIS(root)
        groups["real"] = [davis.folder(name).load()[::2] for name in names or davis.names]
    return summary(bench_motion({name: faster(load_model(name)) for name in models}, groups, out / "motion.csv"))
