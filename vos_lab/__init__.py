"""vos_lab: learn, see and teach matching-based video object segmentation."""

import importlib
from typing import Any

__version__ = "0.1.0.dev0"

# Where each public name lives. Modules load when first used: `import vos_lab` is quick and needs no video or plot library.
HOMES = {
    "Clip": "clip",
    "Tracker": "tracker",
    "Track": "tracker",
    "EveryNth": "memory",
    "Fifo": "memory",
    "FirstAndLast": "memory",
    "MemoryBank": "memory",
    "evaluate": "metrics",
    "load_model": "models",
    "soft_aggregate": "models.aggregate",
    "InputError": "errors",
    "World": "datasets.world",
}
MODULES = ("clip", "datasets", "draw", "losses", "masks", "memory", "metrics", "models", "show", "tracker", "video")

__all__ = [*HOMES, *MODULES]


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"vos_lab has no '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
