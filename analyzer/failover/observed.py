"""A fail-over that was only watched: a capture of VRRP, without load."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from analyzer.failover.election import masters
from analyzer.failover.results import Failover, MasterGap, Mastership
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.failover.election.masters import MasterInterval
    from analyzer.failover.results import How
    from analyzer.wire.vrrp import Announcements

    Since = Callable[[int], float]

PREEMPTED_INTERVALS = 1
"""A master that is preempted advertises once more at most."""

ENDED_INTERVALS = 4
"""Of silence before a capture's last advertisement, after which a router has no master."""


def failover_observed(announcements: Announcements, zero_ns: int) -> Failover | None:
    """The masters of every virtual router of a capture, and how they changed.

    Args:
        announcements: in the capture.
        zero_ns: the run's start, Unix time.

    Returns:
        None where nobody advertised. ``old_master`` and ``new_master`` are those of the first
        take-over; changes, gaps and times of two masters count over all virtual routers.
    """
    routers = masters.all_intervals(announcements)
    if not routers:
        return None

    def at_s(at_ns: int) -> float:
        return (at_ns - zero_ns) / NS_PER_S

    end_ns = max(advert.at_ns for advert in announcements.advertisements)
    every = sorted((one for router in routers for one in router), key=lambda one: one.from_ns)
    takeovers = [pair for router in routers for pair in _takeovers(router)]
    old, new = min(takeovers, key=lambda pair: pair[1].from_ns, default=(None, None))
    return Failover(
        valid=True,
        why_invalid=None,
        fault=None,
        how=_how(old, new),
        old_master=old.director if old else None,
        new_master=new.director if new else None,
        outage_s=None,
        outage_over=False,
        resolution_s=None,
        client_late_s=0.0,
        predicted_outage_s=None,
        predicted_range_s=None,
        prediction_uncertainty_s=None,
        advert_age_s=None,
        master_down_interval_s=new.down_interval_s(old) if old and new else None,
        skew_s=new.skew_s(old) if old and new else None,
        fault_s=None,
        takeover_s=at_s(new.from_ns) if new else None,
        undone_s=None,
        sent=0,
        late=0,
        failed=0,
        parts_s=None,
        syn_retries={},
        in_flight={},
        would_survive=None,
        failback=None,
        reigns=tuple(mastership_of(interval, at_s) for interval in every),
        master_changes=len(takeovers),
        two_masters_s=sum(map(masters.two_masters_s, routers)),
        black_hole=None,
        entries=(),
        observed_only=True,
        gaps=tuple(gap for router in routers for gap in _gaps(router, end_ns, at_s)),
    )


def mastership_of(interval: MasterInterval, at_s: Since) -> Mastership:
    """An interval as it is reported.

    Args:
        interval: of one master.
        at_s: Unix ns to seconds since the run's start.
    """
    return Mastership(
        director=interval.director,
        vrid=interval.vrid,
        priority=interval.priority,
        interval_s=interval.interval_s,
        from_s=at_s(interval.from_ns),
        to_s=at_s(interval.to_ns),
        gave_up_s=None if interval.gave_up_ns is None else at_s(interval.gave_up_ns),
        claims=len(interval.claims_ns),
        first_claim_s=at_s(interval.claims_ns[0]) if interval.claims_ns else None,
        vips=interval.vips,
    )


def _takeovers(
    router: Sequence[MasterInterval],
) -> list[tuple[MasterInterval, MasterInterval]]:
    """Who followed whom: a master that went on for long beside another was not replaced by it."""
    return [
        (old, new)
        for old, new in pairwise(router)
        if old.sender != new.sender
        and old.to_ns <= new.from_ns + PREEMPTED_INTERVALS * old.interval_s * NS_PER_S
    ]


def _how(old: MasterInterval | None, new: MasterInterval | None) -> How | None:
    if old is None or new is None or old.to_ns >= new.from_ns:
        return None  # it was preempted, or both were master
    return "clean-stop" if old.gave_up_ns is not None else "silence"


def _gaps(router: Sequence[MasterInterval], end_ns: int, at_s: Since) -> list[MasterGap]:
    """The times without a master of one virtual router: nobody advertised when it was due."""
    gaps = []
    last = router[0]
    for new in router[1:]:
        if new.from_ns > last.until_ns:
            gaps.append(_gap(last, new, new.from_ns, at_s))
        last = max(last, new, key=lambda interval: interval.until_ns)
    if end_ns > last.to_ns + ENDED_INTERVALS * last.interval_s * NS_PER_S:
        gaps.append(_gap(last, None, end_ns, at_s))
    return gaps


def _gap(old: MasterInterval, new: MasterInterval | None, to_ns: int, at_s: Since) -> MasterGap:
    gave_up = old.gave_up_ns is not None
    from_ns = old.gave_up_ns if old.gave_up_ns is not None else old.to_ns
    due_s = None
    if new is not None and new.sender != old.sender:
        due_s = new.skew_s(old) if gave_up else new.down_interval_s(old)
    return MasterGap(
        vrid=old.vrid,
        old_master=old.director,
        new_master=new.director if new else None,
        from_s=at_s(from_ns),
        to_s=at_s(to_ns),
        due_s=due_s,
    )
