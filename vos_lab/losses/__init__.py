"""What training minimises: the mask (segmentation) and, beside it, the matching itself (affinity)."""

from .affinity import affinity_supervision
from .segmentation import bootstrapped_cross_entropy, dice

__all__ = ["affinity_supervision", "bootstrapped_cross_entropy", "dice"]
