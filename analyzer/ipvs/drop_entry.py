"""drop_entry: how long a droppable entry survives while the director defends its memory.

Once a second the kernel draws as many random buckets as 1/32 of the table, with repetition, and
drops what is droppable in them: SYN_RECV and SYNACK, and idle ESTABLISHED entries of few packets
(``ip_vs_random_dropentry``). So an entry's end is a matter of chance, with a known distribution.
"""

from __future__ import annotations

import math

DRAWN_SHARE = 1 / 32
PERIOD_S = 1.0


def survival(age_s: float) -> float:
    """The share of droppable entries that are still there at an age in seconds, timers aside."""
    return math.exp(-_periods(age_s))


def mean_life_s(timer_s: float) -> float:
    """The mean life of droppable entries whose timer would end them at ``timer_s``."""
    return PERIOD_S / DRAWN_SHARE * -math.expm1(-_periods(timer_s))


def _periods(age_s: float) -> float:
    """An age as a multiple of the mean life of an entry without a timer."""
    return DRAWN_SHARE * max(age_s, 0) / PERIOD_S
