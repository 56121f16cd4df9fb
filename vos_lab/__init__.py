"""vos_lab: learn, see and teach matching-based video object segmentation."""

from .lazy import lazy

__version__ = "0.1.0"

# Where each public name lives. Modules load when first used: `import vos_lab` is quick and needs no video or plot library.
HOMES = {
    "Clip": "clip",
    "Tracker": "tracker",
    "Track": "track",
    "EveryNth": "memory",
    "Fifo": "memory",
    "FirstAndLast": "memory",
    "LongTerm": "memory",
    "MemoryBank": "memory",
    "evaluate": "metrics",
    "flush_denormals": "numbers",
    "load_model": "models",
    "soft_aggregate": "models.aggregate",
    "InputError": "errors",
    "World": "datasets.world",
}
MODULES = (
    "clip",
    "datasets",
    "draw",
    "losses",
    "masks",
    "matches",
    "memory",
    "metrics",
    "models",
    "refine",
    "show",
    "tracker",
    "video",
)

__getattr__, __dir__, __all__ = lazy(__name__, HOMES, MODULES)
