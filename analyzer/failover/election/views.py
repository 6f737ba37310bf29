"""Whose capture shows the advertisements: the client's, or a director's.

Multicast reaches the client's link too. Unicast advertisements pass from director to director, so
that only these see them, and of two masters that do not hear each other each sees its own. What a
backup received decides when it takes over: so one view predicts, and all of them together say how
long there were two masters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.failover.election import masters
from analyzer.recording.hosts import CLIENT
from analyzer.wire.segments import is_virtual_router
from analyzer.wire.vrrp import Announcements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.evidence.evidence import Evidence
    from analyzer.failover.election.masters import MasterInterval, Names
    from analyzer.wire.bfd import BfdSpan
    from analyzer.wire.vrrp import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What the captures show of one virtual router.

    Attributes:
        seen_by: whose view ``intervals`` are: ``client``, or a director's name; None where no
            capture shows an advertisement.
        intervals: of mastership, in that view.
        all_intervals: the same in all views together, but for those whose clock is not known; one
            of these stands alone.
        bfd: the sessions that any view shows.
        clock_s: the most that the view's clock may be off the client's; None where that is not
            known.
        tolerance_s: the most that any two views' clocks may differ.
    """

    seen_by: str | None
    intervals: Sequence[MasterInterval]
    all_intervals: Sequence[MasterInterval]
    bfd: Sequence[BfdSpan]
    clock_s: float | None = 0.0
    tolerance_s: float = 0.0


def views_of(evidence: Evidence, since_ns: int | None) -> Views:
    """The views of the virtual router of the run's VIP.

    Args:
        evidence: with the client's capture, and those of directors.
        since_ns: the fault was ordered then; None if nobody ordered one.
    """
    vip = evidence.service.vip if evidence.service else ""
    names = names_of(evidence)
    client = evidence.announcements
    if client and evidence.seen_on:  # a switch floods unicast to a MAC that it has forgotten
        heard = tuple(advert for advert in client.advertisements if not advert.unicast)
        client = replace(client, advertisements=heard)
    claims = client.claims if client else ()
    by_client = masters.master_intervals(client, vip, names) if client else []
    by_director = {
        name: masters.master_intervals(_with_claims(seen, claims), vip, names)
        for name, seen in evidence.seen_on.items()
    }
    seen_by = CLIENT if by_client else _closest(by_director, since_ns or 0)
    clock_s = _clocks_s(evidence)
    known_s = {host: error_s for host, error_s in clock_s.items() if error_s is not None}
    joined = {CLIENT: client, **evidence.seen_on} if client else dict(evidence.seen_on)
    if seen_by is not None:
        comparable = {seen_by} if clock_s[seen_by] is None else set(known_s)
        joined = {host: seen for host, seen in joined.items() if host in comparable}
    return Views(
        seen_by=seen_by,
        intervals=by_client or (by_director[seen_by] if seen_by else []),
        all_intervals=masters.master_intervals(
            _with_claims(_joined(list(joined.values())), claims), vip, names
        ),
        bfd=_bfd(joined, names),
        clock_s=clock_s[seen_by] if seen_by else 0.0,
        tolerance_s=sum(sorted(known_s[host] for host in joined if host in known_s)[-2:]),
    )


def _clocks_s(evidence: Evidence) -> dict[str, float | None]:
    """By the capturing host, how far its clock may be off the client's."""
    facts = evidence.manifest.failover
    known = {name: facts.clock_uncertainty_s(name) if facts else 0.0 for name in evidence.seen_on}
    return {CLIENT: 0.0, **known}


def names_of(evidence: Evidence) -> Names:
    """Directors by their MACs and addresses, but for those that several have, as with use_vmac."""
    names: dict[int | str, str] = {}
    shared: set[int | str] = set()
    for director in evidence.directors:
        keys: list[int | str] = [*director.macs, *director.addresses]
        for key in keys:
            if names.setdefault(key, director.name) != director.name:
                shared.add(key)
    return {
        key: name
        for key, name in names.items()
        if key not in shared and not (isinstance(key, int) and is_virtual_router(key))
    }


def _with_claims(seen: Announcements, claims: Sequence[Claim]) -> Announcements:
    """Gratuitous ARP as the client's link shows it; the director's own where it shows none."""
    return replace(seen, claims=tuple(claims)) if claims else seen


def _joined(views: Sequence[Announcements]) -> Announcements:
    """Advertisements and claims of all views, in order of time."""
    return Announcements(
        advertisements=tuple(
            sorted((a for view in views for a in view.advertisements), key=lambda a: a.at_ns)
        ),
        claims=tuple(sorted((c for view in views for c in view.claims), key=lambda c: c.at_ns)),
        malformed=0,
        left_out=0,
    )


def _bfd(views: Mapping[str, Announcements], names: Names) -> Sequence[BfdSpan]:
    """Each session once: as its receiver captured it, for what reaches it decides; else by any."""
    sessions: dict[tuple[str, str], list[BfdSpan]] = {}
    for host, view in views.items():
        seen: dict[tuple[str, str], list[BfdSpan]] = {}
        for span in view.bfd:
            seen.setdefault((span.sender, span.receiver), []).append(span)
        own = {session: spans for session, spans in seen.items() if names.get(session[1]) == host}
        sessions = {**seen, **sessions, **own}
    return sorted((span for spans in sessions.values() for span in spans), key=lambda s: s.to_ns)


def _closest(by_director: Mapping[str, Sequence[MasterInterval]], since_ns: int) -> str | None:
    """The director that took over first, for it knows why; without one, the one that saw most."""
    took_over = [
        (interval.from_ns, name)
        for name, intervals in by_director.items()
        for number, interval in enumerate(intervals)
        if interval.director == name and interval.from_ns >= since_ns
        if any(earlier.sender != interval.sender for earlier in intervals[:number])
    ]
    if took_over:
        return min(took_over)[1]
    seen = {name: intervals for name, intervals in by_director.items() if intervals}
    return max(seen, key=lambda name: _seen_ns(seen[name]), default=None)


def _seen_ns(intervals: Sequence[MasterInterval]) -> int:
    return sum(interval.to_ns - interval.from_ns for interval in intervals)
