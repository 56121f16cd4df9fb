"""Plots with matplotlib. Each returns its figure; colours and marks can be read in grey and by colour-blind people.

A plot of one panel takes `ax`, to draw there; the figure of that panel then keeps its own caption.
"""

from ...lazy import lazy

SUBJECTS = {
    "frames": ("frame_overlay", "contact_sheet"),
    "keys": ("keys_as_colours", "key_norms"),
    "affinity": ("affinity_of_pixel", "affinity_matrix", "memory_usage"),
    "matches": ("correspondences", "false_match_map", "false_match_timeline", "reliability"),
    "compare": ("before_after",),
    "variants": ("differences",),
    "growth": ("read_growth",),
    "curves": ("scores_over_time", "policy_costs", "training_curves"),
}
HOMES = {name: subject for subject, names in SUBJECTS.items() for name in names}

__getattr__, __dir__, __all__ = lazy(__name__, HOMES, ())
