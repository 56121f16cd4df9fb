"""Shared by all tests. The hook checks every jaxtyping annotation of vos_lab at run time, shapes included, in every module."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from filled import filled
from jaxtyping import config, install_import_hook

install_import_hook("vos_lab", "beartype.beartype")

from vos_lab import Clip  # noqa: E402

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """For `pytest -n`: a file's tests stay together, for they share what is costly to make; notebooks run one by one.

    Not by xdist's own groups: pytest 9.2 no longer sees them, and says nothing (pytest-xdist issue 1386)."""
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            if file.endswith("test_notebooks.py"):
                return nodeid
            return "browser" if "tests/browser/" in file else file

    return Grouped(config, log)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture
def as_user():
    """Without the run-time shape checks, which users do not have: what they see of bad input is our own sentence."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Arrays that the public implementations gave, in a smaller form (tests/reference)."""
    return Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def whole_reference() -> Path:
    """The same arrays whole; they do not ship."""
    if not (SHARED / "reference").is_dir():
        pytest.skip("../shared/reference is absent")
    return SHARED / "reference"


@pytest.fixture(scope="session")
def davis_240p() -> Path:
    """Real clips; they do not ship."""
    if not (SHARED / "DAVIS-240p").is_dir():
        pytest.skip("../shared/DAVIS-240p is absent")
    return SHARED / "DAVIS-240p"


@pytest.fixture(scope="session")
def stcn_state(reference) -> dict[str, torch.Tensor]:
    """Weights in the published layout, filled by the rule that made the reference arrays."""
    return filled(json.loads((reference / "stcn_state_dict_shapes.json").read_text()))


@pytest.fixture(scope="session")
def stcn_file(stcn_state, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "stcn.pth"
    torch.save(stcn_state, path)
    return path


@pytest.fixture(scope="session")
def stcn(stcn_file):
    from vos_lab import load_model

    return load_model("stcn", weights=stcn_file)


@pytest.fixture
def ball() -> Clip:
    """A red ball (id 3) and a blue box (id 7) cross a grey gradient: 8 frames of 48x80, easy to follow by colour."""
    frames, masks = np.zeros((8, 48, 80, 3), np.uint8), np.zeros((8, 48, 80), np.uint8)
    y, x = np.mgrid[:48, :80]
    for t in range(8):
        frames[t] = (90 + x)[..., None]
        masks[t][(y - 24) ** 2 + (x - 16 - 5 * t) ** 2 < 100] = 3
        masks[t, 2:13, 58 - 3 * t : 78 - 3 * t] = 7
        frames[t][masks[t] == 3] = (200, 40, 40)
        frames[t][masks[t] == 7] = (40, 60, 200)
    return Clip(frames, masks, name="ball")
