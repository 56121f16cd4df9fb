"""Where samples and weights lie: `data/` of the repository, or `vos_lab_data` beside the package, where a wheel puts it."""

from pathlib import Path

BESIDE = Path(__file__).resolve().parents[1]
DATA = next((p for p in (BESIDE / "data", BESIDE / "vos_lab_data") if (p / "weights" / "SHA256SUMS").exists()), BESIDE / "data")
