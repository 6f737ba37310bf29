"""drop_entry: how long a droppable entry survives while the director defends its memory.

Once a second the kernel examines buckets for 1/32 of the table, and drops what is droppable in
them: SYN_RECV and SYNACK, and idle ESTABLISHED entries of few packets (``ip_vs_random_dropentry``).
So an entry's end is a matter of chance, with a known distribution. Before Linux 7.1 each of the
buckets is drawn by itself, some twice: a bucket is spared with (1 - 1/size)^(size/32), which is
e^(-1/32). Since then they lie in a row from one that is drawn: a bucket is spared with 31/32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analyzer.ipvs.versions import law_of

SHARE = 1 / 32
"""The share of the table's buckets that one sweep examines."""

PERIOD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSweep:
    """How buckets are chosen.

    Attributes:
        spared: the probability that a bucket is not looked at in a period.
        how: the choice in words.
    """

    spared: float
    how: str


_DRAWN = BucketSweep(spared=math.exp(-SHARE), how="buckets drawn one by one, some of them twice")
_IN_A_ROW = BucketSweep(spared=1 - SHARE, how="buckets in a row, from one that is drawn")


def sweep_of(kernel: str | None) -> BucketSweep:
    """The sweep of a kernel of this release; that of ``ASSUMED`` where it is not known."""
    return _IN_A_ROW if law_of(kernel).sweeps_in_a_row else _DRAWN


def half_life_s(kernel: str | None) -> float:
    """After how many seconds half of the droppable entries are dropped, timers aside."""
    return -math.log(2) / math.log(sweep_of(kernel).spared) * PERIOD_S


def in_words(kernel: str | None) -> str:
    """What drop_entry does on a kernel, as a sentence."""
    return (
        f"drop_entry looks at 1/32 of the table each second ({sweep_of(kernel).how}): of what may "
        f"be dropped, half is gone after {half_life_s(kernel):.1f} s."
    )
