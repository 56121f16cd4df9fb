"""The published recipe, both stages one after the other, for some tens of steps on small data in the published layouts."""

import numpy as np
import pytest
import torch
from fake_trees import davis_2017, youtube_vos
from PIL import Image
from safetensors.torch import load_file

from vos_lab import InputError, load_model
from vos_lab.training.config import load_config
from vos_lab.training.log import read_log
from vos_lab.training.loop import train

SMALL = ["precision=fp32", "workers=0", "validation_worlds=0", "validate_every=0", "log_every=5", "lr_drops=[15]"]


def static_images(root):
    """Two photographs with grey masks beside them, as in STCN's static root."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        mask = np.zeros((60, 80), np.uint8)
        mask[15:45, 20:60] = 255
        image = rng.integers(0, 80, (60, 80, 3), dtype=np.uint8) + (mask[..., None] // 2)
        Image.fromarray(image).save(root / f"{name}.jpg")
        Image.fromarray(mask).save(root / f"{name}.png")
    return root


def test_both_stages_run_and_hand_over(tmp_path):
    stage = ["stages.0.steps=20", "stages.0.batch=2", "stages.0.size=32"]
    images = static_images(tmp_path / "static")
    static = load_config("stcn-static", [*SMALL, *stage, "init=random", f"static={images}", "hardest_from=5", "hardest_to=15"])
    first = train(static, tmp_path / "first")
    assert [line["step"] for line in read_log(tmp_path / "first")] == [5, 10, 15, 20]
    state = load_file(first)
    assert state["value_encoder.backbone.conv1.weight"].shape[1] == 4
    main = [f"init={first}", f"davis={davis_2017(tmp_path / 'd')}", f"youtube_vos={youtube_vos(tmp_path / 'y')}"]
    second = train(load_config("stcn-main", [*SMALL, *stage, *main]), tmp_path / "second")
    lines = read_log(tmp_path / "second")
    assert [line["lr"] for line in lines] == [1e-5, 1e-5, 1e-5, 1e-6] and all(np.isfinite(line["total"]) for line in lines)
    model = load_model("stcn", weights=second)
    frozen = "key_encoder.bn1.running_mean"  # batch norm's statistics stay as they were
    assert torch.equal(model.state_dict()[frozen].half(), state[frozen])
    trained = "key_encoder.conv1.weight"
    assert not torch.equal(model.state_dict()[trained].half(), state[trained])


def test_xmems_stages_run_and_hand_over(tmp_path):
    """At the published size; four frames in place of eight, since the small data set holds no longer clips of YouTube-VOS."""
    stage = ["stages.0.steps=10", "stages.0.batch=2", "stages.0.size=32", "hardest_from=5", "hardest_to=15"]
    images = static_images(tmp_path / "static")
    static = load_config("xmem-static", [*SMALL, *stage, "init=random", f"static={images}"])
    first = train(static, tmp_path / "first")
    main = [f"init={first}", f"davis={davis_2017(tmp_path / 'd')}", f"youtube_vos={youtube_vos(tmp_path / 'y')}"]
    config = load_config("xmem-main", [*SMALL, *stage, *main, "stages.0.steps=5", "log_every=5", "stages.0.frames=4"])
    assert (config.references, config.stages[0].objects, load_config("xmem-main").stages[0].frames) == (3, 3, 8)
    second = train(config, tmp_path / "second")
    assert np.isfinite(read_log(tmp_path / "second")[-1]["total"])
    assert load_model("xmem", weights=second).sensory_channels == 64
    before, after = load_file(first), load_file(second)
    for trained in ("key_encoder.conv1.weight", "decoder.sensory.transform.weight", "value_encoder.sensory.transform.weight"):
        assert not torch.equal(before[trained], after[trained])
    assert after["value_encoder.backbone.conv1.weight"].shape[1] == 5


def test_data_sets_that_are_not_given_are_named(tmp_path, as_user):
    with pytest.raises(InputError, match="add davis=FOLDER"):
        train(load_config("stcn-main", [*SMALL, "init=random"]), tmp_path / "run")
