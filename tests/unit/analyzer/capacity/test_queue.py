"""What a link loses of a stream that comes in bursts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capacity.queue import TokenBucket, lost_share

LINK = TokenBucket(rate_bps=10e6, bucket_bytes=15_000, queue_bytes=77_500)

CASES = [
    (7.5e6, 1.3, 0.0),  # 9.75 at its height
    (10e6, 1.0, 0.0),  # even: the whole link, and no more
    (10e6, 1.3, (0.5 * 3e6 - 8 * 92_500) / 10e6),  # the queue and the bucket hold a part
    (12e6, 1.0, 2 / 12),  # always too much: the queue does not help
    (20e6, 2.0, (0.5 * 30e6 - 8 * 92_500) / 20e6),
    (0.0, 1.3, 0.0),
]


@pytest.mark.parametrize(("offered_bps", "burst", "lost"), CASES)
def test_what_neither_link_nor_queue_can_hold_is_lost(
    offered_bps: float, burst: float, lost: float
) -> None:
    assert lost_share(offered_bps, LINK, burst) == pytest.approx(lost, abs=1e-9)


@given(
    offered_bps=st.floats(0, 40e6),
    burst=st.floats(1, 2),
    queue_bytes=st.integers(0, 10**6),
)
def test_a_link_never_carries_more_than_its_rate_nor_loses_more_than_it_is_offered(
    offered_bps: float, burst: float, queue_bytes: int
) -> None:
    link = TokenBucket(rate_bps=10e6, bucket_bytes=15_000, queue_bytes=queue_bytes)
    lost = lost_share(offered_bps, link, burst)
    assert 0 <= lost <= 1
    assert offered_bps * (1 - lost) <= link.rate_bps * (1 + 1e-9)


@given(burst=st.floats(1, 2), queue_bytes=st.integers(0, 10**6))
def test_a_longer_queue_loses_no_more(burst: float, queue_bytes: int) -> None:
    short, long = (
        TokenBucket(rate_bps=10e6, bucket_bytes=15_000, queue_bytes=size)
        for size in (queue_bytes, 2 * queue_bytes)
    )
    assert lost_share(10e6, long, burst) <= lost_share(10e6, short, burst) + 1e-12
