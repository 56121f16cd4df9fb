"""Weights that ship: the files agree with one another, and the card with the run."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file

from vos_lab import InputError, load_model
from vos_lab.models import load
from vos_lab.models.presets import build
from vos_lab.training import ship
from vos_lab.training.config import load_config


@pytest.mark.parametrize("name", load.SHIPPED)
def test_shipped_weights_are_whole_small_half_precision_and_described(name):
    path = load.shipped_weights(name)
    model = load_model(name)
    card, config = path.with_suffix(".md").read_text(), load_config(path.with_suffix(".yaml"))
    most = 4_000_000 if name.startswith("xmem") else 3_000_000
    assert path.stat().st_size <= 12e6 and sum(p.numel() for p in model.parameters()) <= most
    for wanted in (f"| seed | {config.seed} |", f"{config.steps}", "\nvos-lab ", "licence", "J&F", "hours"):
        assert wanted in card
    if "-davis" in name:
        assert "CC BY-NC 4.0" in card and {"dog-agility", "drift-turn", "dogs-jump", "motocross-bumps"} <= set(config.leave_out)
    else:
        assert not any("davis" in stage.data for stage in config.stages)


def test_weights_that_were_changed_are_refused(tmp_path, monkeypatch):
    save_file({"x": torch.zeros(1)}, tmp_path / "stcn-small.safetensors")
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'other').hexdigest()}  stcn-small.safetensors\n")
    monkeypatch.setattr(load, "SHIPPED_WEIGHTS", tmp_path)
    with pytest.raises(InputError, match="is not the file that ships .its SHA-256 differs"):
        load_model("stcn-small")
    (tmp_path / "stcn-small.safetensors").unlink()
    with pytest.raises(InputError, match="is missing: clone the repository again"):
        load_model("stcn-small")


def test_a_card_says_what_the_run_and_the_scores_say(tmp_path, monkeypatch):
    run, out = tmp_path / "run", tmp_path / "weights"
    run.mkdir()
    with pytest.raises(InputError, match="holds no finished run"):
        ship.ship(run, "stcn-small", "About.", "command", "MIT", [])
    config = load_config("stcn-tiny", ["seed=5"])
    config.save(run / "config.yaml")
    save_file(build("stcn-tiny").half().state_dict(), run / "stcn-tiny.safetensors")
    facts = {"config": json.loads(json.dumps(config.__dict__, default=vars)), "parameters": 411_000, "steps": 400}
    facts |= {"samples": 3200, "hours": 0.125, "hardware": "1 x a laptop", "versions": {"torch": "2.9"}}
    (run / "stcn-tiny.json").write_text(json.dumps(facts))
    scores = {"mean": {"J&F": 0.61234, "J": {"mean": 0.6}, "F": {"mean": 0.62}}}
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    monkeypatch.setattr(ship, "SHIPPED_WEIGHTS", out)
    monkeypatch.setattr(load, "SHIPPED_WEIGHTS", out)
    path = ship.ship(run, "stcn-small", "About.", "vos-lab train x", "MIT", [("30 clips", tmp_path / "scores.json")])
    card = (out / "stcn-small.md").read_text()
    for wanted in (
        "| 0.612 | 0.600 | 0.620 | 30 clips |",
        "0.41 million",
        "| seed | 5 |",
        "0.12 hours",
        "vos-lab train x",
        "`world`",
    ):
        assert wanted in card
    assert load.shipped_weights("stcn-small") == path and load_config(out / "stcn-small.yaml").seed == 5
