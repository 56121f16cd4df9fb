"""Configs: read, overridden, checked and saved."""

from dataclasses import asdict

import pytest

from vos_lab import InputError
from vos_lab.models.presets import PRESETS
from vos_lab.training.config import CONFIGS, load_config

NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_configs_that_ship_load_and_survive_saving(name, tmp_path):
    config = load_config(name)
    assert config.model in PRESETS and config.steps > 0
    config.save(tmp_path / "config.yaml")
    assert asdict(load_config(tmp_path / "config.yaml")) == asdict(config)


def test_the_published_recipe_is_the_papers():
    """Cheng et al. 2021 and the authors' code, as noted in ../shared/reference."""
    static, main = load_config("stcn-static"), load_config("stcn-main")
    for config in (static, main):
        assert (config.optimizer, config.lr, config.weight_decay, config.freeze_norm) == ("adam", 1e-5, 1e-7, True)
        assert (config.hardest_from, config.hardest_to, config.hardest) == (20_000, 70_000, 0.15)
        assert all((stage.frames, stage.size) == (3, 384) for stage in config.stages)
    assert (static.steps, static.lr_drops, static.stages[0].batch, static.stages[0].objects) == (300_000, [150_000], 16, 1)
    assert (main.steps, main.lr_drops, main.stages[0].batch, main.stages[0].objects) == (150_000, [125_000], 8, 2)
    assert main.stages[0].jumps == {0: 5, 0.1: 10, 0.2: 15, 0.3: 20, 0.4: 25, 0.9: 5}
    assert main.stages[0].data == {"davis": 5, "youtube-vos": 1}


def test_overrides_change_what_they_name_and_nothing_else():
    plain = asdict(load_config("stcn-small"))
    changed = asdict(load_config("stcn-small", ["lr=1e-4", "stages.0.steps=7", "workers=0", "leave_out=[boat, bus]"]))
    assert changed["lr"] == 1e-4 and changed["stages"][0]["steps"] == 7
    assert changed["workers"] == 0 and changed["leave_out"] == ["boat", "bus"]
    for values in (plain, changed):
        del values["lr"], values["stages"][0]["steps"], values["workers"], values["leave_out"]
    assert plain == changed


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("lr", "write key=value"),
        ("learning=1", "there is no 'learning'; choose from model, stages"),
        ("lr=fast", "lr: wanted float, got 'fast'"),
        ("seed=1.5", "seed: wanted int, got 1.5"),
        ("channels_last=1", "channels_last: wanted bool, got 1"),
        ("stages.9.steps=1", "stages have numbers"),
        ("stages.0.steps=0", "stage 0: needs data"),
        ("stages.0.frames=1", "at least 2 frames"),
        ("stages.0.jumps={0.5: 5}", "must begin at 0 and rise"),
        ("stages.0.data={}", "needs data"),
        ("stages.0.size=100", "must be a multiple of 16"),
        ("log_every=0", "log_every=0 must be at least 1"),
        ("lr=-1", "lr=-1.0 must lie in 0.."),
        ("ema=2", "ema=2.0 must lie in 0..1"),
        ("hardest_from=80000", "hardest_from=80000 must lie in 0..70000"),
        ("stages.0.colour=[0.1]", "must be three numbers of 0 or more"),
        ("optimizer=sgd", "choose adam, adamw"),
        ("stages=[]", "stages is empty"),
        ("model=[", "cannot be read as YAML"),
    ],
)
def test_a_wrong_override_is_one_sentence(override, sentence, as_user):
    with pytest.raises(InputError, match=sentence.replace("[", r"\[")) as error:
        load_config("stcn-small", [override])
    assert "\n" not in str(error.value)


def test_a_config_must_exist_and_be_a_config(tmp_path):
    with pytest.raises(InputError, match="no config 'stcn-large': choose .*stcn-small"):
        load_config("stcn-large")
    for content, sentence in (
        ("a: [", "cannot be read as YAML"),
        ("- 1", "must hold names"),
        ("model: stcn", "'stages' is missing"),
    ):
        (tmp_path / "c.yaml").write_text(content)
        with pytest.raises(InputError, match=sentence):
            load_config(tmp_path / "c.yaml")
