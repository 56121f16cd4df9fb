"""Checkpoints: everything that the next step depends on, in one file that is whole or not there."""

from pathlib import Path

import torch

from ..atomic import whole_file
from ..errors import InputError


def save(path: Path, state: dict) -> None:
    """Write beside, then rename: whatever happens, the last checkpoint stays whole."""
    try:
        with whole_file(path) as draft:
            torch.save(state, draft)
    except (OSError, RuntimeError) as error:  # torch's own writer raises RuntimeError where the disk is full
        reason = getattr(error, "strerror", None) or "the disk is full or may not be written"
        kept = f"the checkpoint there is whole: step {load(path)['step']}" if path.exists() else "there is none yet"
        raise InputError(f"{path} could not be written ({reason}): make room and start again; {kept}") from None


def load(path: Path) -> dict:
    """What `save` was given."""
    for draft in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):  # left by a kill in the middle of writing
        draft.unlink(missing_ok=True)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path} is no checkpoint ({type(error).__name__}): delete it to start from the beginning") from None
