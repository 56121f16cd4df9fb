"""Pictures that answer a question."""

from .plots import affinity_of_pixel

__all__ = ["affinity_of_pixel"]
