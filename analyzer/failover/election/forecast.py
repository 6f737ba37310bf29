"""The predicted outage: how the master left, who followed, and how long that had to take.

All from packets; only the instant of the fault comes from the clients (to within two requests),
because orders take effect late, and a director that is down cannot report when it failed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.failover import clients
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.failover.clients import Sent
    from analyzer.failover.election.masters import MasterInterval
    from analyzer.failover.results import How

_PATIENCE = 1.3
"""Advertisement intervals after which a failed master surely forwards nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageForecast:
    """The predicted outage; None where the packets do not show it.

    Attributes:
        fault_ns: the middle of the span of the fault.
        takeover_due_ns: when the backup's master_down_interval ended.
        range_s: of the outage, for every age that the last advertisement can have.
    """

    old: MasterInterval | None = None
    new: MasterInterval | None = None
    how: How | None = None
    fault_ns: int | None = None
    takeover_due_ns: int | None = None
    outage_s: float | None = None
    range_s: tuple[float, float] | None = None
    uncertainty_s: float | None = None
    advert_age_s: float | None = None
    down_interval_s: float | None = None


def forecast(
    intervals: Sequence[MasterInterval],
    sent: Sent,
    span: tuple[int, int] | None,
    begin_ns: int,
    until_ns: int,
    bfd: Sequence[BfdDown] = (),
) -> OutageForecast:
    """Predict the outage.

    Args:
        intervals: the intervals of mastership.
        sent: the requests.
        span: the fault came between these (Unix ns).
        begin_ns: earlier advertisements do not count.
        until_ns: what came later likewise.
        bfd: when hosts learnt by BFD that a master was down.
    """
    old = next(
        (
            interval
            for interval in reversed(intervals)
            if interval.from_ns < begin_ns <= _end(interval)
        ),
        None,
    )
    if old is None:
        return OutageForecast(fault_ns=None if span is None else sum(span) // 2)
    later = [
        interval
        for interval in intervals
        if interval.sender != old.sender and interval.from_ns > old.from_ns
    ]
    new = next((interval for interval in later if begin_ns < interval.from_ns < until_ns), None)
    if new is None or span is None:
        return OutageForecast(old=old, fault_ns=None if span is None else sum(span) // 2)
    gave_up_ns = old.gave_up_ns
    if gave_up_ns is not None and gave_up_ns > new.from_ns:
        gave_up_ns = None  # too late to have caused this take-over
    down = _by_bfd(old, new, gave_up_ns, bfd)
    if down is not None:
        return _bfd(old, new, span, down.at_ns, gave_up_ns)
    if gave_up_ns is not None:
        return _clean_stop(old, new, gave_up_ns)
    if clients.kept_connecting(
        sent, old.to_ns + int(_PATIENCE * old.interval_s * NS_PER_S), new.from_ns
    ):
        return _keepalived_alone(old, new, begin_ns)
    return _silence(old, new, span)


def with_clock(predicted: OutageForecast, clock_s: float | None) -> OutageForecast:
    """The same, by advertisements that another clock timed than the clients' fault.

    Args:
        predicted: as if it were one clock.
        clock_s: the most that one may be off the other; None where that is not known, and so the
            age of the last advertisement is not either.
    """
    if predicted.uncertainty_s is None or predicted.how not in _SINCE_THE_FAULT:
        return predicted
    if clock_s is None:
        return replace(predicted, outage_s=None, uncertainty_s=None, advert_age_s=None)
    return replace(predicted, uncertainty_s=predicted.uncertainty_s + clock_s)


_SINCE_THE_FAULT = ("silence", "bfd")
"""Outages that are predicted from the instant of the fault, as the clients show it."""


def _end(interval: MasterInterval) -> int:
    """When a mastership counts as ended: at the latest an interval after its last advertisement."""
    return max(interval.until_ns, interval.to_ns + int(interval.interval_s * NS_PER_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdDown:
    """A director's BFD neighbour was lost; Unix ns.

    Attributes:
        director: whose session it was, at either end; by its name or address.
    """

    director: str
    at_ns: int


_BFD_SOON_S = 1.0
"""A director acts on BFD at once; its log has whole seconds."""


def _by_bfd(
    old: MasterInterval, new: MasterInterval, gave_up_ns: int | None, bfd: Sequence[BfdDown]
) -> BfdDown | None:
    """The loss of a neighbour that explains the take-over: shortly before it, and before VRRP's."""
    acted_ns = gave_up_ns if gave_up_ns is not None else new.from_ns
    due_ns = old.to_ns + int(new.down_interval_s(old) * NS_PER_S)
    if gave_up_ns is None and new.from_ns >= due_ns - int(_EARLY_S * NS_PER_S):
        return None
    close = [
        down
        for down in bfd
        if down.director in (old.director, old.sender)
        and 0 <= acted_ns - down.at_ns <= _BFD_SOON_S * NS_PER_S
    ]
    return max(close, key=lambda down: down.at_ns, default=None)


_EARLY_S = 0.1
"""A take-over so much before its master_down_interval ends has another cause."""


def _bfd(
    old: MasterInterval,
    new: MasterInterval,
    span: tuple[int, int],
    down_ns: int,
    gave_up_ns: int | None,
) -> OutageForecast:
    """Told by BFD, the master gives up and its backup waits for the skew, or that acts at once."""
    due_ns = down_ns if gave_up_ns is None else gave_up_ns + int(new.skew_s(old) * NS_PER_S)
    from_ns, to_ns = min(span[0], due_ns), min(max(span), due_ns)
    fault_ns = (from_ns + to_ns) // 2
    return OutageForecast(
        old=old,
        new=new,
        how="bfd",
        fault_ns=fault_ns,
        takeover_due_ns=due_ns,
        outage_s=(due_ns - fault_ns) / NS_PER_S,
        uncertainty_s=(to_ns - from_ns) / 2 / NS_PER_S,
        down_interval_s=new.down_interval_s(old),
    )


def _clean_stop(old: MasterInterval, new: MasterInterval, gave_up_ns: int) -> OutageForecast:
    skew_s = new.skew_s(old)
    return OutageForecast(
        old=old,
        new=new,
        how="clean-stop",
        fault_ns=gave_up_ns,
        takeover_due_ns=gave_up_ns + int(skew_s * NS_PER_S),
        outage_s=skew_s,
        range_s=(skew_s, skew_s),
        uncertainty_s=0.0,
        down_interval_s=new.down_interval_s(old),
    )


def _keepalived_alone(old: MasterInterval, new: MasterInterval, begin_ns: int) -> OutageForecast:
    """Only the advertisements stopped: no outage, until a client resolves the VIP anew."""
    wait_s = new.down_interval_s(old)
    return OutageForecast(
        old=old,
        new=new,
        how="keepalived-alone",
        fault_ns=max(begin_ns, old.to_ns),
        takeover_due_ns=old.to_ns + int(wait_s * NS_PER_S),
        outage_s=0.0,
        range_s=(0.0, 0.0),
        uncertainty_s=0.0,
        advert_age_s=max(begin_ns - old.to_ns, 0) / NS_PER_S,
        down_interval_s=wait_s,
    )


def _silence(old: MasterInterval, new: MasterInterval, span: tuple[int, int]) -> OutageForecast:
    wait_s = new.down_interval_s(old)
    from_ns, to_ns = max(span[0], old.to_ns), max(span[1], old.to_ns)
    fault_ns = (from_ns + to_ns) // 2
    age_s = (fault_ns - old.to_ns) / NS_PER_S
    return OutageForecast(
        old=old,
        new=new,
        how="silence",
        fault_ns=fault_ns,
        takeover_due_ns=old.to_ns + int(wait_s * NS_PER_S),
        outage_s=wait_s - age_s,
        range_s=(wait_s - old.interval_s, wait_s),
        uncertainty_s=(to_ns - from_ns) / 2 / NS_PER_S,
        advert_age_s=age_s,
        down_interval_s=wait_s,
    )
