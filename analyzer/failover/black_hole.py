"""A VIP that returned to a director without gratuitous ARP: clients send to the other one.

After a silent partition has healed, the old master never stopped being master in its own view. So
it sends no gratuitous ARP, and whoever has the other director's MAC keeps it until that neighbour
entry expires.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from analyzer.failover import clients
from analyzer.failover.results import BlackHole
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.failover.clients import Sent
    from analyzer.failover.election.masters import MasterInterval

SOON_NS = NS_PER_S // 2
"""A new master sends its gratuitous ARP within this time, not only at its next refresh."""

SHORT_S = 0.5
AROUND_NS = 2 * NS_PER_S


def black_hole(intervals: Sequence[MasterInterval], sent: Sent, zero_ns: int) -> BlackHole | None:
    """The first return of an old master without gratuitous ARP that delayed or failed requests."""
    for before, interval in pairwise(intervals):
        if before.sender == interval.sender or not before.claims_ns or _announced(interval):
            continue
        if not any(
            earlier.sender == interval.sender for earlier in intervals[: intervals.index(interval)]
        ):
            continue
        end_ns = interval.until_ns + AROUND_NS
        gap = clients.longest_gap(sent, interval.from_ns, min(end_ns, _last_ns(sent)))
        if gap is None or gap.length_s < SHORT_S or gap.from_ns > interval.from_ns + AROUND_NS:
            continue
        met = sent.due(gap.from_ns, gap.to_ns or end_ns) & (sent.late | sent.failed)
        return BlackHole(
            director=interval.director,
            from_s=(gap.from_ns - zero_ns) / NS_PER_S,
            lasted_s=None if gap.to_ns is None else gap.length_s,
            requests=int(met.sum()),
        )
    return None


def _announced(interval: MasterInterval) -> bool:
    return any(at_ns <= interval.from_ns + SOON_NS for at_ns in interval.claims_ns)


def _last_ns(sent: Sent) -> int:
    return int(sent.scheduled.max(initial=0))
