"""Intervals of mastership, by the advertisements of one virtual router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from analyzer.wire.vrrp import GIVES_UP, master_down_interval_s, of_router, skew_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.wire.vrrp import Advertisement, Announcements, Claim

Names = Mapping[int | str, str]
"""Directors by their MACs and by their addresses."""

SILENT_INTERVALS = 2.5
"""A master is silent if two of its advertisements in a row are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterInterval:
    """An interval of mastership in nanoseconds; see ``analyzer.failover.results.Mastership``.

    Attributes:
        sender, mac: the master's addresses in its packets.
        director: its name if its MAC or address is known, else its address.
        claims_ns: its gratuitous ARPs for the VIP, until its next interval.
    """

    sender: str
    mac: int
    director: str
    version: int
    vrid: int
    priority: int
    interval_s: float
    from_ns: int
    to_ns: int
    gave_up_ns: int | None = None
    claims_ns: tuple[int, ...] = ()
    vips: tuple[str, ...] = ()

    @property
    def until_ns(self) -> int:
        """When its mastership ended for others: it gave up, or its next advertisement was due."""
        if self.gave_up_ns is not None:
            return self.gave_up_ns
        return self.to_ns + int(self.interval_s * NS_PER_S)

    def skew_s(self, of: MasterInterval) -> float:
        """How long this director, as a backup, waits after another gave up.

        In version 3 the interval of the master counts, and the backup's own until it heard one.
        """
        return skew_s(self.version, self.priority, of.interval_s)

    def down_interval_s(self, of: MasterInterval) -> float:
        """How long this director, as a backup, waits for another's next advertisement.

        In version 3 the master's interval counts, in version 2 all have the same.
        """
        return master_down_interval_s(self.version, self.priority, of.interval_s)


def master_intervals(
    announcements: Announcements, vip: str, names: Names, vrid: int | None = None
) -> list[MasterInterval]:
    """The intervals of mastership of a VIP, in order of their beginning.

    Args:
        announcements: in the capture.
        vip: the virtual IP.
        names: directors by their MACs and addresses.
        vrid: the virtual router; by default the VIP's.
    """
    adverts = of_router(announcements.advertisements, vip, vrid)
    claims = [claim for claim in announcements.claims if claim.unasked and claim.address == vip]
    return _intervals(adverts, claims, names)


def all_intervals(announcements: Announcements) -> list[list[MasterInterval]]:
    """The intervals of mastership of every virtual router, each in order of their beginning.

    A router is known by its number, by whether it is one of IPv4 or of IPv6, and, where it
    advertises by unicast, by its peers: others elsewhere may have the same number.
    """
    sound = [advert for advert in announcements.advertisements if advert.is_sound]
    peers = _peers(sound)
    routers: dict[tuple[int, bool, str], list[Advertisement]] = {}
    for advert in sound:
        key = (advert.vrid, advert.is_ipv6, peers[advert.sender])
        routers.setdefault(key, []).append(advert)
    return [
        _intervals(adverts, _claims_of(announcements.claims, adverts), {})
        for adverts in routers.values()
        if any(advert.priority != GIVES_UP for advert in adverts)
    ]


def _peers(adverts: Sequence[Advertisement]) -> dict[str, str]:
    """For each sender one address that stands for all that it exchanges advertisements with."""
    leads: dict[str, str] = {}

    def lead(address: str) -> str:
        while leads.setdefault(address, address) != address:
            address = leads[address]
        return address

    for sender, receiver in dict.fromkeys((advert.sender, advert.receiver) for advert in adverts):
        leads[lead(sender)] = lead(receiver)
    return {sender: lead(sender) for sender in {advert.sender for advert in adverts}}


def _claims_of(claims: Sequence[Claim], adverts: Sequence[Advertisement]) -> list[Claim]:
    vips = {vip for advert in adverts for vip in advert.addresses}
    return [claim for claim in claims if claim.unasked and claim.address in vips]


def _intervals(
    adverts: Sequence[Advertisement], claims: Sequence[Claim], names: Names
) -> list[MasterInterval]:
    """The intervals of mastership of one virtual router, in order of their beginning."""
    by_sender: dict[str, list[Advertisement]] = {}
    for advert in adverts:
        by_sender.setdefault(advert.sender, []).append(advert)
    intervals = [
        interval
        for adverts_of_sender in by_sender.values()
        for interval in _intervals_of_sender(adverts_of_sender, names)
    ]
    intervals.sort(key=lambda interval: interval.from_ns)
    return [_with_claims(interval, intervals, claims) for interval in intervals]


def master_at(intervals: Sequence[MasterInterval], at_ns: int) -> MasterInterval | None:
    """The master at an instant: of several, the one that began last."""
    masters = [interval for interval in intervals if interval.from_ns <= at_ns <= interval.until_ns]
    return max(masters, key=lambda interval: interval.from_ns, default=None)


def two_masters_s(intervals: Sequence[MasterInterval], tolerance_s: float = 0.0) -> float:
    """How long two directors advertised at once, without the overlap of a take-over.

    Args:
        intervals: of mastership.
        tolerance_s: an overlap that the error of two clocks may make; only what exceeds it counts.
    """
    both, tolerance_ns = 0, round(tolerance_s * NS_PER_S)
    for i, first in enumerate(intervals):
        for second in intervals[i + 1 :]:
            if second.sender != first.sender:
                overlap_ns = min(first.to_ns, second.to_ns) - second.from_ns
                both += max(0, overlap_ns - tolerance_ns)
    return both / NS_PER_S


def changes(intervals: Sequence[MasterInterval]) -> int:
    """How often the mastership changed to another director."""
    return sum(first.sender != second.sender for first, second in pairwise(intervals))


def _intervals_of_sender(adverts: Sequence[Advertisement], names: Names) -> list[MasterInterval]:
    """One sender's intervals of mastership; silence or priority 0 ends an interval."""
    intervals: list[MasterInterval] = []
    for advert in adverts:
        last = intervals[-1] if intervals else None
        if advert.priority == GIVES_UP:
            if last is not None and last.gave_up_ns is None:
                intervals[-1] = replace(last, gave_up_ns=advert.at_ns)
        elif last is None or last.gave_up_ns is not None or _was_silent(last, advert):
            intervals.append(_begun(advert, names))
        else:
            intervals[-1] = replace(last, to_ns=advert.at_ns, priority=advert.priority)
    return intervals


def _was_silent(last: MasterInterval, advert: Advertisement) -> bool:
    return advert.at_ns - last.to_ns > SILENT_INTERVALS * last.interval_s * NS_PER_S


def _begun(advert: Advertisement, names: Names) -> MasterInterval:
    return MasterInterval(
        sender=advert.sender,
        mac=advert.sender_mac,
        director=names.get(advert.sender_mac) or names.get(advert.sender, advert.sender),
        version=advert.version,
        vrid=advert.vrid,
        priority=advert.priority,
        interval_s=advert.interval_s,
        from_ns=advert.at_ns,
        to_ns=advert.at_ns,
        vips=advert.addresses,
    )


def _with_claims(
    interval: MasterInterval, intervals: Sequence[MasterInterval], claims: Sequence[Claim]
) -> MasterInterval:
    later = [other.from_ns for other in intervals if other.sender == interval.sender]
    until_ns = min((at_ns for at_ns in later if at_ns > interval.from_ns), default=None)
    claims_ns = [
        claim.at_ns
        for claim in claims
        if interval.mac in (claim.mac, claim.sender_mac)
        and claim.at_ns >= interval.from_ns - _CLOSE_NS
        and (until_ns is None or claim.at_ns < until_ns - _CLOSE_NS)
    ]
    return replace(interval, claims_ns=tuple(claims_ns))


_CLOSE_NS = 50_000_000
"""Advertisement and gratuitous ARP of a take-over leave within milliseconds, in either order."""
