"""How many cases hypothesis draws: a few that are always the same, or VOS_LAB_CASES new ones (`make test-long`)."""

import os

import pytest
from hypothesis import HealthCheck, settings

CASES = int(os.environ.get("VOS_LAB_CASES", 0))
settings.register_profile(
    "vos_lab", max_examples=CASES or 10, derandomize=not CASES, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("vos_lab")


@pytest.fixture
def monkeypatch_session():
    """For all cases of a test together, as hypothesis wants it."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def capfd_lines(capfd):
    """What was said on stderr since the last call, line by line."""
    return lambda: capfd.readouterr().err.splitlines()
