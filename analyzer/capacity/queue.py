"""The share of a bursty stream that a link of a fixed rate loses: a fluid model.

The stream runs at ``burst`` times its average for half a second, then at ``2 - burst`` times for
another half, so that its average holds. A token bucket (tc-tbf(8)) lets its own size pass at once,
then its rate; the excess waits in a queue, and is lost if the queue is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BURST_S = 0.5
"""How long the stream is above its average, and then below."""
PERIOD_S = 2 * BURST_S
MAX_BURST = 2.0
"""The largest factor: the other half of the period is silent then."""
_SETTLED = 100  # periods: a queue that fills at all has filled by then


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """A link limited by a token bucket: rate, bytes passed at once, bytes queued."""

    rate_bps: float
    bucket_bytes: int
    queue_bytes: int


def lost_share(offered_bps: float, link: TokenBucket, burst: float) -> float:
    """The share of a stream that a link loses in the steady state.

    Args:
        offered_bps: the stream's average.
        link: that the stream passes.
        burst: the stream's highest rate over its average; 1 to ``MAX_BURST``.
    """
    if offered_bps <= 0:
        return 0.0
    *_, lost_bits = _lost_bits(offered_bps, link, burst)
    return lost_bits / (offered_bps * PERIOD_S)


def _lost_bits(offered_bps: float, link: TokenBucket, burst: float) -> Iterator[float]:
    """The bits lost in each period, starting with an empty queue and a full bucket."""
    empty, full = -8.0 * link.bucket_bytes, 8.0 * link.queue_bytes
    waiting = empty
    for _ in repeat(None, _SETTLED):
        lost = 0.0
        for factor in (burst, 2 - burst):
            waiting += (offered_bps * factor - link.rate_bps) * BURST_S
            lost += max(0.0, waiting - full)
            waiting = min(max(waiting, empty), full)
        yield lost
