"""Who was master when, by the advertisements of one virtual router."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from analyzer.wire.vrrp import GIVES_UP, master_down_interval_s, skew_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.wire.vrrp import Advertisement, Announcements, Claim

SILENT_INTERVALS = 2.5
"""A master of whom two advertisements in a row are missing has fallen silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A mastership interval in nanoseconds; see ``analyzer.failover.results.Mastership``.

    Attributes:
        sender, mac: who it is on the wire.
        director: its name, where its MAC is a known one, else its address.
        claims_ns: when it said by gratuitous ARP that the VIP is with it, since its first
            advertisement and until its next one.
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

    @property
    def until_ns(self) -> int:
        """When nobody had to believe in it any more: it gave up, or its next word was due."""
        if self.gave_up_ns is not None:
            return self.gave_up_ns
        return self.to_ns + int(self.interval_s * NS_PER_S)

    @property
    def skew_s(self) -> float:
        """Of a backup of this priority."""
        return skew_s(self.version, self.priority, self.interval_s)

    def down_interval_s(self, of: Rule) -> float:
        """How long this one, as a backup, waits for another's next advertisement.

        In version 3 the master's interval counts, in version 2 all have the same.
        """
        return master_down_interval_s(self.version, self.priority, of.interval_s)


def rules(
    told: Announcements, vip: str, names: Mapping[int, str], vrid: int | None = None
) -> list[Rule]:
    """The mastership intervals of a VIP, in order of their beginning.

    Args:
        told: what the capture holds.
        vip: the address that matters.
        names: directors by their MACs.
        vrid: the virtual router; by the VIP unless told.
    """
    adverts = of_router(told.advertisements, vip, vrid)
    by_sender: dict[str, list[Advertisement]] = {}
    for advert in adverts:
        by_sender.setdefault(advert.sender, []).append(advert)
    found = [rule for own in by_sender.values() for rule in _of_one(own, names)]
    found.sort(key=lambda rule: rule.from_ns)
    claims = [claim for claim in told.claims if claim.unasked and claim.address == vip]
    return [_with_claims(rule, found, claims) for rule in found]


def of_router(
    adverts: Sequence[Advertisement], vip: str, vrid: int | None = None
) -> list[Advertisement]:
    """Those of the virtual router that has the VIP; of the only one, where none names it."""
    sound = [advert for advert in adverts if advert.checksum_ok and advert.ttl == 255]
    if vrid is None:
        having = {advert.vrid for advert in sound if vip in advert.addresses}
        routers = having or {advert.vrid for advert in sound}
        if len(routers) != 1:
            return []
        (vrid,) = routers
    return [advert for advert in sound if advert.vrid == vrid]


def master_at(found: Sequence[Rule], at_ns: int) -> Rule | None:
    """Who was believed to be master at an instant: the last who had begun to say so."""
    ruling = [rule for rule in found if rule.from_ns <= at_ns <= rule.until_ns]
    return max(ruling, key=lambda rule: rule.from_ns, default=None)


def two_masters_s(found: Sequence[Rule]) -> float:
    """For how long two directors advertised; one that is just being relieved does not count."""
    both = 0
    for i, first in enumerate(found):
        for second in found[i + 1 :]:
            if second.sender != first.sender:
                both += max(0, min(first.to_ns, second.to_ns) - second.from_ns)
    return both / NS_PER_S


def changes(found: Sequence[Rule]) -> int:
    """How often another director became master than was before."""
    return sum(first.sender != second.sender for first, second in pairwise(found))


def _of_one(adverts: Sequence[Advertisement], names: Mapping[int, str]) -> list[Rule]:
    """One sender's mastership intervals: a silence, or priority 0, ends one."""
    made: list[Rule] = []
    for advert in adverts:
        last = made[-1] if made else None
        if advert.priority == GIVES_UP:
            if last is not None and last.gave_up_ns is None:
                made[-1] = replace(last, gave_up_ns=advert.at_ns)
        elif last is None or last.gave_up_ns is not None or _was_silent(last, advert):
            made.append(_begun(advert, names))
        else:
            made[-1] = replace(last, to_ns=advert.at_ns, priority=advert.priority)
    return made


def _was_silent(last: Rule, advert: Advertisement) -> bool:
    return advert.at_ns - last.to_ns > SILENT_INTERVALS * last.interval_s * NS_PER_S


def _begun(advert: Advertisement, names: Mapping[int, str]) -> Rule:
    return Rule(
        sender=advert.sender,
        mac=advert.sender_mac,
        director=names.get(advert.sender_mac, advert.sender),
        version=advert.version,
        vrid=advert.vrid,
        priority=advert.priority,
        interval_s=advert.interval_s,
        from_ns=advert.at_ns,
        to_ns=advert.at_ns,
    )


def _with_claims(rule: Rule, found: Sequence[Rule], claims: Sequence[Claim]) -> Rule:
    later = [each.from_ns for each in found if each.sender == rule.sender]
    until_ns = min((at_ns for at_ns in later if at_ns > rule.from_ns), default=None)
    own = [
        claim.at_ns
        for claim in claims
        if rule.mac in (claim.mac, claim.sender_mac)
        and claim.at_ns >= rule.from_ns - _CLOSE_NS
        and (until_ns is None or claim.at_ns < until_ns - _CLOSE_NS)
    ]
    return replace(rule, claims_ns=tuple(own))


_CLOSE_NS = 50_000_000
"""Advertisement and gratuitous ARP of a take-over leave within milliseconds, in either order."""
