"""What a link of a fixed rate carries of a stream that comes in bursts: a fluid in a bucket.

The stream runs at ``burst`` times its average for half a second, then at ``2 - burst`` times for
another half, so that its average holds. A token bucket (tc-tbf(8)) lets its own size pass at once,
then its rate; what is above waits in a queue, and what the queue cannot hold is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BURST_S = 0.5
"""How long the stream runs high, and then low."""
PERIOD_S = 2 * BURST_S
MAX_BURST = 2.0
"""Of a burst that lasts half of the time; the other half is silence then."""
_SETTLED = 100  # periods: a queue that fills at all has filled by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A token bucket: its rate, what may pass at once and what may wait."""

    rate_bps: float
    bucket_bytes: int
    queue_bytes: int


def lost_share(offered_bps: float, link: Link, burst: float) -> float:
    """The share of a stream that a link loses, once it has settled.

    Args:
        offered_bps: the stream's average.
        link: what it passes.
        burst: the stream's highest rate over its average; 1 to ``MAX_BURST``.
    """
    if offered_bps <= 0:
        return 0.0
    *_, lost_bits = _lost_bits(offered_bps, link, burst)
    return lost_bits / (offered_bps * PERIOD_S)


def _lost_bits(offered_bps: float, link: Link, burst: float) -> Iterator[float]:
    """What is lost in each period, from an empty queue and a full bucket on."""
    empty, full = -8.0 * link.bucket_bytes, 8.0 * link.queue_bytes
    waiting = empty
    for _ in repeat(None, _SETTLED):
        lost = 0.0
        for factor in (burst, 2 - burst):
            waiting += (offered_bps * factor - link.rate_bps) * BURST_S
            lost += max(0.0, waiting - full)
            waiting = min(max(waiting, empty), full)
        yield lost
