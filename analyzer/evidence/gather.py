"""A recording is read, and its parts are brought together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.errors import ParseError
from analyzer.evidence.captures import ReadOnce, cut_off, read_captures, with_host
from analyzer.evidence.changes import read_changes, read_masquerades
from analyzer.evidence.ends import virtual_ends
from analyzer.evidence.evidence import Evidence, macs_of, with_records
from analyzer.evidence.forwarding import forwarding_of
from analyzer.evidence.gaps import gaps_of
from analyzer.evidence.polled import read_services
from analyzer.evidence.virtual_macs import by_master
from analyzer.observed.entries import ns
from analyzer.parts import IN_MEMORY
from analyzer.recording.director import Director, directors_of
from analyzer.recording.requests import NEVER, PIECE_ROWS, request_rows
from analyzer.results import NotMeasured
from analyzer.wire.vrrp import of_router, read_announcements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.evidence.captures import Captured
    from analyzer.parts import Store
    from analyzer.recording.directory import Recording
    from analyzer.recording.requests import RequestRows
    from analyzer.wire.vrrp import Announcements


def gather(
    recording: Recording, store: Store = IN_MEMORY, read: ReadOnce | None = None
) -> Evidence:
    """Read a recording.

    Args:
        recording: the run.
        store: keeps what is known of each packet.
        read: its captures, where their packets were read before; they are not opened again.

    Raises:
        RecordingError: its manifest is not one.
    """
    manifest = recording.manifest
    service = manifest.service.end if manifest.service else None
    several = tuple(dict.fromkeys(each.end for each in manifest.services))
    directors = directors_of(manifest)
    polled = read_services(recording, store)
    read = read or ReadOnce(recording.captures(), store)
    changes = read_changes(recording, store)
    ends = virtual_ends(several or ((service,) if service else ())) | polled.ends | changes.ends
    macs = macs_of(directors)
    by_conntrack = any(director.conntrack_settings is not None for director in directors)
    captured, packets_lost = read_captures(read, ends, macs, tcp=by_conntrack)
    entries = changes.numbered(captured.segments.flows if captured else None)
    evidence = Evidence(
        manifest=manifest,
        directors=_in_capture(directors, captured),
        zero_ns=0,
        service=service,
        services_sent_to=several,
        requests=_requests(recording, store),
        services=polled.services,
        counted=polled.counted,
        entries=entries,
        changes=changes.rows,
        polls=recording.table("polls"),
        events=recording.table("events").sort_values("at"),
        sockets=recording.table("sockets"),
        captured=captured,
        not_measured=(),
        in_flight=recording.table("in_flight"),
        masquerades=read_masquerades(recording, store),
        announcements=None,
        forwarded=forwarding_of(manifest, polled.services, changes.signs, captured),
    )
    is_unexplained = manifest.command == "import" and not ends
    seen_on, unread = _seen_on(recording)
    evidence = replace(evidence, seen_on=seen_on)
    if captured and (manifest.failover or _none_connected(evidence) or is_unexplained):
        announcements = read_announcements(*captured.files)
        if announcements.unread > captured.facts.unread:  # cut off since its packets were read
            unread += cut_off(announcements.unread, "the capture, as to who announced what")
        evidence = _with_masters(replace(evidence, announcements=announcements))
    lost = [NotMeasured(what="part of the recording", why=line) for line in recording.problems]
    zero_ns = _zero_ns(evidence)
    evidence = replace(
        evidence,
        zero_ns=zero_ns,
        not_measured=(*gaps_of(evidence), *packets_lost, *unread, *lost),
    )
    return with_records(evidence)


def _requests(recording: Recording, store: Store) -> RequestRows:
    expected, _ = recording.table_size("requests")
    return request_rows(recording.pieces("requests", PIECE_ROWS), store, expected)


def _none_connected(evidence: Evidence) -> bool:
    """Whether requests were sent to a VIP and none had a connection: who owns it is then asked."""
    begun, connected = set[int](), set[int]()
    for part in evidence.requests.parts():
        columns = part.columns
        is_begun = columns["started"] != NEVER
        begun.update(np.unique(columns["vip"][is_begun]).tolist())
        made = is_begun & (columns["connected"] != NEVER)
        connected.update(np.unique(columns["vip"][made]).tolist())
    if len(evidence.sent_to) > 1:
        return begun != connected
    return bool(begun) and not connected


def _with_masters(evidence: Evidence) -> Evidence:
    """Frames to a MAC that directors share belong to the master of the VIP's family."""
    if evidence.captured is None or evidence.announcements is None or evidence.service is None:
        return evidence
    vip = evidence.service.vip
    views = evidence.seen_on.values()
    by_client = [
        advert
        for advert in of_router(evidence.announcements.advertisements, vip)
        if not (advert.unicast and views)  # a switch flooded that one; directors saw them all
    ]
    by_directors = (advert for view in views for advert in view.advertisements)
    adverts = by_client or of_router(sorted(by_directors, key=lambda advert: advert.at_ns), vip)
    captured, directors = by_master(evidence.captured, adverts, evidence.directors)
    return replace(evidence, captured=captured, directors=directors)


def _seen_on(recording: Recording) -> tuple[dict[str, Announcements], list[NotMeasured]]:
    """VRRP as each director captured it, and a row for what is none, or was cut off."""
    seen_on: dict[str, Announcements] = {}
    unread: list[NotMeasured] = []
    for name, content in recording.vrrp_captures().items():
        try:
            seen_on[name] = read_announcements(content)
            unread += cut_off(seen_on[name].unread, f"VRRP as {name} sees it")
        except ParseError as error:
            unread.append(NotMeasured(what=f"VRRP as {name} sees it", why=str(error)))
    return seen_on, unread


def _in_capture(directors: tuple[Director, ...], captured: Captured | None) -> tuple[Director, ...]:
    """The directors; the one that captured also has the MACs that stand for it there."""
    if captured is None:
        return directors
    facts = captured.facts
    return tuple(replace(director, macs=with_host(director.macs, facts)) for director in directors)


def _zero_ns(evidence: Evidence) -> int:
    """The run's start: as recorded, else the first instant of any part."""
    return evidence.manifest.started_at_ns or min(_first_ns(evidence), default=0)


def _first_ns(evidence: Evidence) -> Iterator[int]:
    """The first instant of each part of a recording that has any."""
    for part in evidence.requests.parts():
        started_ns = part.columns["started"]
        known_ns = started_ns[started_ns != NEVER]
        if len(known_ns):
            yield int(known_ns.min())
    parts = (
        (evidence.services, "at"),
        (evidence.events, "at"),
    )
    for table, column in parts:
        known = table[column].dropna()
        if len(known):
            yield int(ns(known).min())
    for changes in evidence.changes:
        if len(changes):
            yield int(ns(changes["at"]).min())
    if evidence.is_vrrp_alone and evidence.announcements:
        yield evidence.announcements.advertisements[0].at_ns
    if evidence.segments is not None and (span_ns := evidence.segments.span_ns()):
        yield span_ns[0]
