"""What training minimises: the mask (segmentation) and, beside it, the matching itself (affinity, pixel, objects)."""

from .affinity import affinity_supervision
from .objects import object_correspondence
from .pixel import pixel_correspondence
from .segmentation import bootstrapped_cross_entropy, dice

__all__ = [
    "affinity_supervision",
    "bootstrapped_cross_entropy",
    "dice",
    "object_correspondence",
    "pixel_correspondence",
]
