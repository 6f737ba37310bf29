"""What the kernel does where the program only bounds an end: drop_entry, and templates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analyzer.ipvs.drop_entry import PERIOD_S, sweep_of
from analyzer.ipvs.persistence import PUT_OFF_S
from analyzer.ipvs.timers import expiry_uptime_s

if TYPE_CHECKING:
    from collections.abc import Sequence


def survival(age_s: float, kernel: str | None) -> float:
    """The share of droppable entries that are still there at an age in seconds, timers aside."""
    return math.exp(-_rate_per_s(kernel) * max(age_s, 0))


def mean_life_s(timer_s: float, kernel: str | None) -> float:
    """The mean life of droppable entries whose timer would end them at ``timer_s``."""
    rate_per_s = _rate_per_s(kernel)
    return -math.expm1(-rate_per_s * max(timer_s, 0)) / rate_per_s


def _rate_per_s(kernel: str | None) -> float:
    return -math.log(sweep_of(kernel).spared) / PERIOD_S


def template_gone_s(
    created_s: Sequence[float],
    gone_s: Sequence[float],
    persistence_s: float,
    *,
    hz: int,
    phase_s: float,
) -> float:
    """When a template goes, on the director's uptime clock, seconds.

    Args:
        created_s: when each of its connections' entries was made; at least one.
        gone_s: when each of them went; same length.
        persistence_s: of the service (``ipvsadm -p``).
        hz: the director's.
        phase_s: of its timers.
    """
    at_s = _fires_s(max(created_s), persistence_s, hz, phase_s)
    last_child_s = max(gone_s)
    while last_child_s > at_s:
        at_s = _fires_s(at_s, PUT_OFF_S, hz, phase_s)
    return at_s


def _fires_s(since_s: float, timeout_s: float, hz: int, phase_s: float) -> float:
    return float(expiry_uptime_s(since_s, timeout_s, hz=hz, phase_s=phase_s))
