"""The networks in other sizes: the same classes with other widths."""

from typing import Any

from ..errors import InputError
from ..memory import LongTerm
from .stcn import STCN
from .xmem import XMem

SMALL = dict(
    key_depth=18,
    value_depth=10,
    key_channels=64,
    value_channels=96,
    key_widths=(32, 64, 160),
    value_widths=(16, 48, 96),
    decoder_channels=(96, 64, 32),
    pool=False,
)
LONG = LongTerm(every=5, min_working=3, max_working=6)  # on our clips as good as EveryNth(5), and it does not grow
PRESETS: dict[str, dict[str, Any]] = {
    "stcn": {},  # as published
    "stcn-single": dict(single_object=True),  # its first training stage
    "stcn-small": SMALL,
    "stcn-tiny": dict(
        key_depth=10,
        value_depth=10,
        key_channels=32,
        value_channels=32,
        key_widths=(16, 32, 64),
        value_widths=(16, 32, 48),
        decoder_channels=(48, 32, 16),
        pool=False,
    ),
    "xmem": {},
    "xmem-single": dict(single_object=True),
    "xmem-small": {**SMALL, "sensory_channels": 32},
}


def build(name: str, **changes: Any) -> STCN | XMem:
    """An untrained model of this name; changes: other arguments of STCN or XMem."""
    if name not in PRESETS:
        raise InputError(f"there is no preset '{name}': choose {', '.join(PRESETS)}")
    arguments = {**PRESETS[name], **changes}
    model = XMem(**arguments) if name.startswith("xmem") else STCN(**arguments)
    if not PRESETS[name].get("pool", True):  # the small ones
        model.precision = "auto"
        model.policy = LONG
    return model
