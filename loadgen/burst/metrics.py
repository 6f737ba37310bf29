"""A burst's requests for Prometheus: under way, ended, failed by kind, latency, lateness.

All but those under way are folded from rows; these the engines count.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from analyzer.client.failures import KINDS
from analyzer.units import NS_PER_S
from loadgen.load.engines.rows import NONE, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from prometheus_client.core import Metric

    from loadgen.load.engines.rows import Block

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram's buckets; a retransmitted SYN falls beyond 1 s."""

_OTHER = KINDS.index("other")
_BOUNDS_NS = np.array([round(bound * NS_PER_S) for bound in BOUNDS_S], np.int64)
_COLUMNS = ("scheduled", "started", "ended", "error", "failure", "followed")
_SCHEDULED, _STARTED, _ENDED, _ERROR, _FAILURE, _FOLLOWED = map(Row._fields.index, _COLUMNS)


def _zeros(size: int) -> Callable[[], npt.NDArray[np.int64]]:
    return lambda: np.zeros(size, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """What has become of the requests that have ended.

    Attributes:
        ended: in all, failed ones too.
        failed: by kind, in the order of ``KINDS``.
        buckets: successful requests by latency, from start to end: a count for each of
            ``BOUNDS_S``, and for all that took longer.
        latency_ns: the sum of these latencies.
        latest_ns: the longest that a request was begun after it was due.
    """

    ended: int = 0
    failed: npt.NDArray[np.int64] = field(default_factory=_zeros(len(KINDS)))
    buckets: npt.NDArray[np.int64] = field(default_factory=_zeros(len(BOUNDS_S) + 1))
    latency_ns: int = 0
    latest_ns: int = 0

    def with_rows(self, rows: Block) -> RequestCounts:
        """These counts and those of a block; a redirect that was followed ends no request."""
        rows = rows[rows[:, _FOLLOWED] == NONE]
        bad = rows[rows[:, _ERROR] != NONE, _FAILURE]
        kinds = np.where(bad == NONE, _OTHER, bad)
        good = rows[(rows[:, _ERROR] == NONE) & (rows[:, _STARTED] != NONE)]
        took_ns = (good[:, _ENDED] - good[:, _STARTED])[good[:, _ENDED] != NONE]
        begun = rows[rows[:, _STARTED] != NONE]
        late_ns = (begun[:, _STARTED] - begun[:, _SCHEDULED]).max(initial=0)
        places = np.searchsorted(_BOUNDS_NS, took_ns)  # a latency of just a bound is within it
        return replace(
            self,
            ended=self.ended + len(rows),
            failed=self.failed + np.bincount(kinds, minlength=len(KINDS)),
            buckets=self.buckets + np.bincount(places, minlength=len(BOUNDS_S) + 1),
            latency_ns=self.latency_ns + int(took_ns.sum()),
            latest_ns=max(self.latest_ns, int(late_ns)),
        )


class RequestMetrics:
    """A prometheus_client collector over a burst's requests, and a follower of its rows.

    A scrape runs in a thread of its own: it reads one immutable ``RequestCounts``.

    Args:
        planned: how many requests; None until time is up.
        sending: whether requests are still sent.
        under_way: how many requests have begun and not ended.
    """

    def __init__(
        self, planned: int | None, sending: Callable[[], bool], under_way: Callable[[], int]
    ) -> None:
        self._planned = planned
        self._under_way = under_way
        self._sending = sending
        self._counts = RequestCounts()

    def add(self, rows: Block) -> None:
        """Fold a block in."""
        self._counts = self._counts.with_rows(rows)

    def collect(self) -> Iterator[Metric]:
        """All families, of one instant."""
        counts = self._counts
        yield GaugeMetricFamily(
            "loadgen_burst_sending",
            "1 while requests are sent, 0 while the decay is watched.",
            value=float(self._sending()),
        )
        if self._planned is not None:
            yield GaugeMetricFamily(
                "loadgen_requests_planned", "Requests of the plan.", value=self._planned
            )
        yield GaugeMetricFamily(
            "loadgen_requests_under_way",
            "Requests that have begun and not ended.",
            value=self._under_way(),
        )
        yield CounterMetricFamily(
            "loadgen_requests_ended", "Requests that have ended, failed or not.", value=counts.ended
        )
        yield _failed(counts)
        yield _latencies(counts)
        yield GaugeMetricFamily(
            "loadgen_request_lateness_seconds_max",
            "The longest that a request was begun after it was due.",
            value=counts.latest_ns / NS_PER_S,
        )


def _failed(counts: RequestCounts) -> Metric:
    family = CounterMetricFamily(
        "loadgen_requests_failed", "Requests that failed, by kind of failure.", labels=["kind"]
    )
    for kind, n in zip(KINDS, counts.failed.tolist(), strict=True):
        family.add_metric([kind], n)
    return family


def _latencies(counts: RequestCounts) -> Metric:
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    return HistogramMetricFamily(
        "loadgen_request_duration_seconds",
        "Successful requests by the time from their start to their end.",
        buckets=list(zip(bounds, np.cumsum(counts.buckets).tolist(), strict=True)),
        sum_value=counts.latency_ns / NS_PER_S,
    )
