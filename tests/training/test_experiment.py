"""Experiments: every run once, scored by clip, and a difference that is only called one where it is."""

import csv

import numpy as np
import pytest

from vos_lab import InputError
from vos_lab.cli import main
from vos_lab.training import experiment as module
from vos_lab.training.experiment import interval, load_experiment, read_table, run_experiment, summary

SMALL = """
config: stcn-tiny
settings: ["rendered={world: 2}", rendered_length=4, rendered_size=64, workers=0, validate_every=0]
stages:
- {data: {world: 1}, steps: 2, batch: 2, frames: 3, size: 64, objects: 1, jumps: {0: 1}}
baseline: masks
variants: {masks: [], all: [affinity=0.1, temporal=0.2, cross_view=0.04, object_level=0.1, discovered=true]}
seeds: [0]
clips: 1
length: 4
every: 1
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_every_run_is_made_once_and_scored_on_every_group(small, tmp_path, monkeypatch, capsys):
    table = tmp_path / "table.csv"
    run_experiment(load_experiment(small), tmp_path / "runs", table)
    rows = read_table(table)
    assert [(row["variant"], row["group"]) for row in rows] == [
        (variant, group) for variant in ("masks", "all") for group in ("world", "look-alike", "occlusion")
    ]
    assert all(0 <= row[name] <= 1 for row in rows for name in module.MEASURES)
    assert rows[0]["clip"] == rows[3]["clip"] and rows[0]["J&F"] != rows[3]["J&F"]
    printed = capsys.readouterr().out
    assert "occlusion" in printed and "background_as_foreground - masks" in printed
    assert "2 runs, trained in" in printed

    trained = []
    monkeypatch.setattr(module, "train", lambda config, out: trained.append(out.name) or train(config, out))
    train = __import__("vos_lab.training.loop", fromlist=["train"]).train
    run_experiment(load_experiment(small, ["seeds=[0, 1]"]), tmp_path / "runs", table)
    assert trained == ["masks-1", "all-1"]  # seed 0 is in the table
    assert read_table(table)[: len(rows)] == rows and len(read_table(table)) == 2 * len(rows)

    run_experiment(load_experiment(small, ["seeds=[2]", "only=[all]"]), tmp_path / "runs", table)
    assert trained[2:] == ["all-2"]

    alone = tmp_path / "alone.csv"  # nothing to compare with, nothing to draw
    assert main(["experiment", str(small), "only=[all]", "--out", str(tmp_path / "runs"), "--table", str(alone)]) == 0
    assert len(read_table(alone)) == 3 and not alone.with_suffix(".png").exists()

    before = table.read_bytes()
    assert main(["experiment", str(small), "--out", str(tmp_path / "runs"), "--table", str(table)]) == 0
    assert table.read_bytes() == before and table.with_suffix(".png").stat().st_size > 1000


def made_up(differences, seeds=3, clips=12):
    rows = []
    rng = np.random.default_rng(0)
    for seed in range(seeds):
        for clip in range(clips):
            base = rng.uniform(0.3, 0.9)  # clips differ far more than variants do
            for variant, shift in differences.items():
                score = {name: base + shift + rng.normal(0, 0.01) for name in module.MEASURES}
                rows.append({"variant": variant, "seed": seed, "group": "world", "clip": str(clip), **score})
    return rows


def test_a_small_difference_is_found_because_clips_are_paired():
    header, lines = summary(made_up({"masks": 0.0, "better": 0.02, "same": 0.0}), "masks", ("J&F",))
    found = {line[1]: line[-1] for line in lines}
    assert header[-1] == "J&F - masks" and found["masks"] == ""
    ends = {name: [float(x) for x in text.split("[")[1].strip("]").split(",")] for name, text in found.items() if text}
    assert 0 < ends["better"][0] and ends["same"][0] < 0 < ends["same"][1]


def test_unequal_tables_are_summed_up_over_what_both_have():
    rows = made_up({"masks": 0.0, "better": 0.1})
    rows = [row for row in rows if not (row["variant"] == "better" and (row["seed"] == 2 or row["clip"] == "5"))]
    line = summary(rows, "masks", ("J&F",))[1][1]
    assert line[2] == "2" and line[-1].startswith("+0.1") or line[-1].startswith("+0.09")


@pytest.mark.parametrize("seed_effect", [0.0, 0.02, 0.05])
def test_the_interval_covers_the_truth_as_often_as_it_says(seed_effect):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        clips, seeds = rng.normal(0, 0.05, size=(1, 20)), rng.normal(0, seed_effect, size=(3, 1))
        low, high = interval(0.1 + clips + seeds + rng.normal(0, 0.05, size=(3, 20)))[1:]
        covered += low <= 0.1 <= high
    assert covered >= 0.91 * 400  # a little too narrow where three seeds decide


def test_runs_of_another_length_are_not_mixed_in(small, tmp_path):
    table = tmp_path / "table.csv"
    row = {"variant": "masks", "seed": 0, "group": "world", "clip": "a", "steps": 50, "hours": 0.1}
    module.write_table(table, [row | dict.fromkeys(module.MEASURES, 0.5)])
    with pytest.raises(InputError, match="holds runs of 50 steps, these have 2: choose another --table"):
        run_experiment(load_experiment(small), tmp_path / "runs", table)


@pytest.mark.parametrize(
    "words, override, settings",
    [
        ("there is no experiment 'nothing'", [], None),
        ("baseline=none", ["baseline=none"], ""),
        ("only=nought: none of the variants: choose from masks, all", ["only=[masks, nought]"], ""),
        ("sets nothing", ["seeds"], ""),
        ("every=4, length=4", ["every=4"], ""),
    ],
)
def test_what_cannot_be_run_is_refused(small, words, override, settings):
    with pytest.raises(InputError, match=words):
        load_experiment("nothing" if settings is None else small, override)


def test_a_table_of_something_else_is_refused(small, tmp_path):
    table = tmp_path / "table.csv"
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], [1, 2]])
    with pytest.raises(InputError, match="a table of something else"):
        run_experiment(load_experiment(small), tmp_path / "runs", table)


def test_the_shipped_experiment_differs_in_the_losses_alone(as_user):
    experiment = load_experiment("correspondence", ["photographs=somewhere"])
    plain = experiment.run("masks", 0)
    for variant in experiment.variants:
        config = experiment.run(variant, 0)
        differs = {name for name in vars(plain) if getattr(plain, name) != getattr(config, name)}
        assert differs <= {"affinity", "temporal", "cross_view", "object_level", "discovered", "projection", "ramp"}
        assert bool(differs) == (variant != "masks")
