"""A VIP that came back to a director that told nobody: clients go on sending to the other one.

After a silent partition has healed the old master may hear nothing that makes it speak: it never
stopped being master. Then it sends no gratuitous ARP, and who learnt the other director's MAC
keeps it until that neighbour entry dies.
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
    from analyzer.failover.masters import Rule

SOON_NS = NS_PER_S // 2
"""A director that has just become master says so at once, not only at its next refresh."""

SHORT_S = 0.5
AROUND_NS = 2 * NS_PER_S


def black_hole(found: Sequence[Rule], sent: Sent, zero_ns: int) -> BlackHole | None:
    """The first mastership of a relieved director that came back unheard, to clients' harm."""
    for before, rule in pairwise(found):
        if before.sender == rule.sender or not before.claims_ns or _said_so(rule):
            continue
        if not any(each.sender == rule.sender for each in found[: found.index(rule)]):
            continue
        end_ns = rule.until_ns + AROUND_NS
        gap = clients.longest_gap(sent, rule.from_ns, min(end_ns, _last_ns(sent)))
        if gap is None or gap.length_s < SHORT_S or gap.from_ns > rule.from_ns + AROUND_NS:
            continue
        met = sent.due(gap.from_ns, gap.to_ns or end_ns) & (sent.late | sent.failed)
        return BlackHole(
            director=rule.director,
            from_s=(gap.from_ns - zero_ns) / NS_PER_S,
            lasted_s=None if gap.to_ns is None else gap.length_s,
            requests=int(met.sum()),
        )
    return None


def _said_so(rule: Rule) -> bool:
    return any(at_ns <= rule.from_ns + SOON_NS for at_ns in rule.claims_ns)


def _last_ns(sent: Sent) -> int:
    return int(sent.scheduled.max(initial=0))
