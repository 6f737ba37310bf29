"""How much memory a process has while it runs, and whether that grows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from tests.memory import memory_bytes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    import numpy.typing as npt

SAMPLED_S = 2.0
WARM_UP_S = 60.0
LONG_S = 600.0
"""A shorter soak shows no slope."""


def watch_memory(
    process: subprocess.Popen[str], resident: list[tuple[float, float]], until_s: float
) -> None:
    """Sample it until an instant of the monotonic clock: seconds since now, MB."""
    began_s = time.monotonic()
    while time.monotonic() < until_s and process.poll() is None:
        mb = memory_bytes("VmRSS", process.pid) / (1 << 20)
        resident.append((time.monotonic() - began_s, mb))
        time.sleep(SAMPLED_S)


def warm_mb(
    resident: Sequence[tuple[float, float]], most_mb_an_hour: float
) -> npt.NDArray[np.float64]:
    """Print it, and hold its slope where the run is long; the samples after the warm-up, MB."""
    warm = np.array([point for point in resident if point[0] > WARM_UP_S], dtype=np.float64)
    t_s, mb = warm[:, 0], warm[:, 1]
    slope_mb_h = float(np.polyfit(t_s, mb, 1)[0] * 3600)
    print(
        f"\nmemory {mb[0]:.1f} MB after a minute, {mb[-1]:.1f} MB at the end, at most "
        f"{mb.max():.1f}; {slope_mb_h:+.1f} MB an hour"
    )
    if t_s[-1] - t_s[0] > LONG_S:
        assert slope_mb_h < most_mb_an_hour
    return mb
