"""Models, by name. Each offers encode_key, encode_value and decode (see stcn.STCN), and says how it is published to be used:
`stride`, `matching` (options of memory.read), `policy`."""

from .fast import faster
from .load import load_model

__all__ = ["faster", "load_model"]
