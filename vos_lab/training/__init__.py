"""Training: a config, a curriculum, the loop, and checkpoints that survive a kill."""

from ..lazy import lazy

HOMES = {
    "Config": "config",
    "Stage": "config",
    "load_config": "config",
    "Curriculum": "curriculum",
    "Rollout": "rollout",
    "train": "loop",
}
MODULES = ("checkpoint", "config", "curriculum", "initial", "log", "loop", "rollout", "ship", "validation")

__getattr__, __dir__, __all__ = lazy(__name__, HOMES, MODULES)
