"""Numbers that are too small to matter, and slow."""

import numpy as np
import torch


def flush_denormals(on: bool = True) -> None:
    """Count numbers below 1e-38 as 0, or no longer: sharp affinities hold them, and with them a CPU is ten times as slow."""
    np.finfo(np.float32)  # NumPy up to 2.3 warns if it first measures its types afterwards, and remembers them if before
    np.finfo(np.float64)
    torch.set_flush_denormal(on)
