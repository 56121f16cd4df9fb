"""Experiments: variants of one training, several seeds each, the same steps and data; one table that grows run by run."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .. import table as tables
from ..clip import Clip
from ..datasets.davis import DAVIS
from ..datasets.world import World
from ..errors import InputError
from ..matches import accuracy, match_errors, track_matches
from ..metrics import evaluate, text_table
from ..models import AnyModel, load_model
from ..progress import progress
from ..tracker import Tracker
from .config import Config, Stage, load_config, parsed, settings, typed
from .loop import train

EXPERIMENTS = Path(__file__).with_name("experiments")
MEASURES = ("J&F", "J", "F", "false", "background_as_foreground", "foreground_as_background", "wrong_instance", "pck", "delta")
SHOWN = ("J&F", "background_as_foreground", "foreground_as_background", "false", "pck")  # in the summary and the figure
FIELDS = ("variant", "seed", "group", "clip", *MEASURES, "steps", "hours")
STRESS = {"look-alike": "similarity", "occlusion": "occlusion"}  # group -> the knob of the world that is at its highest
FIRST_WORLD = 1000  # training renders from FIRST_SEED = 10,000 on, and the worlds below 1000 are for choosing recipes


@dataclass
class Experiment:
    """See `experiments/correspondence.yaml`. variants: name -> overrides of the config; settings: overrides for all."""

    config: str
    variants: dict[str, list[str]]
    baseline: str
    settings: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)  # in place of the config's
    only: list[str] = field(default_factory=list)  # of the variants; all unless named
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    clips: int = 8  # of each rendered group
    length: int = 24  # frames of each of these
    every: int = 3  # matches are measured at every n-th frame
    photographs: str = ""

    def __post_init__(self):
        if self.baseline not in self.variants:
            raise InputError(f"baseline={self.baseline} is none of the variants: choose {', '.join(self.variants)}")
        if unknown := set(self.only) - set(self.variants):
            raise InputError(f"only={', '.join(sorted(unknown))}: none of the variants: choose from {', '.join(self.variants)}")
        if not 1 <= self.every < self.length:
            raise InputError(f"every={self.every}, length={self.length}: wanted matches at some frame of each clip")

    def run(self, variant: str, seed: int) -> Config:
        """The config of one run."""
        photographs = [f"photographs={self.photographs}"] if self.photographs else []
        config = load_config(self.config, [*self.settings, *photographs, *self.variants[variant], f"seed={seed}"])
        return replace(config, stages=self.stages) if self.stages else config


def load_experiment(name: str | Path, overrides: list[str] | None = None) -> Experiment:
    """The committed experiment of this name, or a YAML file, with overrides as `seeds=[0,1]` or `stages.0.steps=100`."""
    return typed(Experiment, *settings(name, EXPERIMENTS, "experiment", overrides))


def run_experiment(experiment: Experiment, out: Path, table: Path, root: str = "", clips: list[str] | None = None) -> None:
    """Every run that the table does not hold yet: train in OUT/VARIANT-SEED, score, add its rows to the table (CSV).

    Seed by seed, so that an unfinished table compares all variants. root: of real clips (DAVIS), which are scored as well.
    Raises InputError where the table holds runs of another length, and for real clips that were trained on.
    """
    variants = experiment.only or list(experiment.variants)
    runs = {(variant, seed): experiment.run(variant, seed) for seed in experiment.seeds for variant in variants}
    rows = read_table(table)
    for row in rows:
        config = runs.get((row["variant"], row["seed"]))
        if config and config.steps != row["steps"]:
            raise InputError(f"{table} holds runs of {row['steps']} steps, these have {config.steps}: choose another --table")
    groups = ["world", *STRESS, *(["real"] if root else [])]
    held = {(row["variant"], row["seed"], row["group"]) for row in rows}
    missing = {run: [group for group in groups if (*run, group) not in held] for run in runs}
    missing = {run: wanted for run, wanted in missing.items() if wanted}
    found = scored_clips(experiment, root, clips) if missing else {}
    seen = {source for config in runs.values() for stage in config.stages for source in stage.data}
    if root and missing and "davis" in seen:
        left_out = set.intersection(*(set(config.leave_out) for config in runs.values()))
        if trained := [clip.name for clip in found["real"] if clip.name not in left_out]:
            raise InputError(f"{', '.join(trained[:3])} were trained on: name others with --clips, and leave_out= in settings")
    for (variant, seed), wanted in progress(missing.items(), desc="experiment", unit="run"):
        config = runs[variant, seed]
        weights = train(config, out / f"{variant}-{seed}")
        model = load_model(config.model, weights)
        facts = parsed(weights.with_suffix(".json").read_text(encoding="utf-8"), weights)
        for group in wanted:
            for clip in progress(found[group], desc=f"scoring {group}", unit="clip"):
                row = {"variant": variant, "seed": seed, "group": group, "clip": clip.name}
                rows.append({**row, **measure(model, clip, experiment.every), "steps": facts["steps"], "hours": facts["hours"]})
        write_table(table, rows)
    print(text_table(*summary(rows, experiment.baseline)))
    hours = {(row["variant"], row["seed"]): row["hours"] for row in rows}
    print(f"{len(hours)} runs, trained in {sum(hours.values()):.1f} hours")


def scored_clips(experiment: Experiment, root: str, names: list[str] | None) -> dict[str, list[Clip]]:
    """group -> clips that no run has seen; real ones at every second frame."""
    seeds = range(FIRST_WORLD, FIRST_WORLD + experiment.clips)
    groups = {"world": [World(seed) for seed in seeds]}
    for group, knob in STRESS.items():
        groups[group] = [World(seed, **{knob: World.knobs()[knob]["high"]}) for seed in seeds]
    found = {group: [world.clip(experiment.length, (240, 432), objects=3) for world in ws] for group, ws in groups.items()}
    if root:
        davis = DAVIS(root)
        found["real"] = [davis.folder(name).load()[::2] for name in names or davis.names]
    return found


def measure(model: AnyModel, clip: Clip, every: int) -> dict[str, float]:
    """J&F, false matches and, where truth is known, the accuracy of the matches at every n-th frame; nan where it is not."""
    track = Tracker(model).run(clip, record=True)
    scores = evaluate(track.masks, clip.masks)
    frames = list(track.memory)[every - 1 :: every]
    matches = track_matches(track, clip.masks, frames)
    pck = delta = float("nan")
    if clip.truth is not None:
        found = accuracy([match_errors(track, clip.truth, frame) for frame in frames], track.stride)
        pck, delta = found.pck, found.delta_average
    found = (scores.JF, scores.J["mean"], scores.F["mean"], *matches[:4], pck, delta)
    return {name: float(value) for name, value in zip(MEASURES, found)}


def read_table(path: Path) -> list[dict]:
    rows = tables.read_table(path)
    if rows and tuple(rows[0]) != FIELDS:
        raise InputError(f"{path} is a table of something else (its columns: {', '.join(rows[0])}): choose another --table")
    kinds = {"variant": str, "seed": int, "group": str, "clip": str, "steps": int}
    return [{name: kinds.get(name, float)(x) for name, x in row.items()} for row in rows]


def write_table(path: Path, rows: list[dict]) -> None:
    tables.write_table(path, FIELDS, rows, digits=5)


def summary(rows: list[dict], baseline: str, measures: tuple[str, ...] = SHOWN):
    """Header and rows: for each group and variant the mean of each measure, and its paired difference from the baseline with
    the 95 % interval."""
    header = ["group", "variant", "seeds", *(title for name in measures for title in (name, f"{name} - {baseline}"))]
    lines = []
    for group in dict.fromkeys(row["group"] for row in rows):
        for variant in dict.fromkeys(row["variant"] for row in rows):
            line = []
            for name in measures:
                ours, theirs = (values(rows, group, v, name) for v in (variant, baseline))
                numbers = [x for clips in ours.values() for x in clips.values() if not np.isnan(x)]
                pairs = paired(ours, theirs) if variant != baseline else np.zeros((0, 0))
                difference = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(pairs)) if pairs.size else ""
                line += [f"{np.mean(numbers):.3f}" if numbers else "-", difference]
            lines.append([group, variant, str(len(ours)), *line])
    return header, lines


def paired(ours: dict[int, dict[str, float]], theirs: dict[int, dict[str, float]]) -> np.ndarray:
    """Differences (seeds, clips), of the seeds that both have and the clips that all of these have."""
    seeds = sorted(set(ours) & set(theirs))
    clips = sorted(set.intersection(*(set(run[seed]) for run in (ours, theirs) for seed in seeds))) if seeds else []
    found = np.array([[ours[seed][clip] - theirs[seed][clip] for clip in clips] for seed in seeds])
    return found[:, ~np.isnan(found).any(0)] if found.size else np.zeros((0, 0))


def values(rows: list[dict], group: str, variant: str, name: str) -> dict[int, dict[str, float]]:
    """seed -> clip -> the measure."""
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        if (row["group"], row["variant"]) == (group, variant):
            found.setdefault(row["seed"], {})[row["clip"]] = row[name]
    return found


def interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval of paired differences (seeds, clips): for other seeds and other clips than these.

    Both are drawn at random, so both variances count: of the seeds' means and of the clips' means, each over its number;
    t-distributed with Satterthwaite's degrees of freedom. With one seed the interval speaks of other clips alone.
    """
    from scipy.stats import t

    parts = []
    for axis in (0, 1):
        means = differences.mean(axis)  # of each clip, then of each seed
        if len(means) > 1:
            parts.append((means.var(ddof=1) / len(means), len(means) - 1))
    mean, total = float(differences.mean()), sum(part for part, _ in parts)
    if not total:
        return mean, mean, mean
    freedom = total**2 / sum(part**2 / df for part, df in parts)
    half = float(t.ppf(0.975, freedom)) * total**0.5
    return mean, mean - half, mean + half
