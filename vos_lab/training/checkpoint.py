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
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "inline_container" not in str(error):  # torch's own writer, the disk full
            raise
        reason = getattr(error, "strerror", None) or "is the disk full?"
        kept = f"the checkpoint there is whole: step {load(path)['step']}" if path.exists() else "there is none yet"
        raise InputError(f"{path} could not be written ({reason}): make room and start again; {kept}") from None


def load(path: Path) -> dict:
    """What `save` was given."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path} is no checkpoint ({type(error).__name__}): delete it to start from the beginning") from None


def sweep(folder: Path) -> None:
    """Delete the drafts that a kill in the middle of writing left."""
    for draft in folder.glob(".*.part*"):
        draft.unlink(missing_ok=True)
