"""Where clips come from: the field's data sets as they are released, and worlds whose correspondence is known."""

import importlib
from typing import Any

# Where each public name lives; modules load when first used, as in the package itself.
HOMES = {
    "DAVIS": "davis",
    "YouTubeVOS": "youtube_vos",
    "Triplets": "sampling",
    "MainTraining": "sampling",
    "World": "world",
    "Photos": "photos",
}
MODULES = ("davis", "download", "photos", "samples", "sampling", "world", "youtube_vos")

__all__ = [*HOMES, *MODULES]


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"vos_lab.datasets has no '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
