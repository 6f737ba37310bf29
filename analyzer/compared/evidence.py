"""A recording's parts, brought together for an analysis."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.observed.entries import ns, numbered
from analyzer.observed.record import DirectorRecord, record_of
from analyzer.predicted.forwarding import HOW_TO_SETTLE, forwarding_of
from analyzer.recording.captures import read_captures, with_host
from analyzer.recording.clock import iso
from analyzer.recording.director import Director, directors_of
from analyzer.recording.ending import ending_of
from analyzer.results import NotMeasured
from analyzer.wire.segments import PROTOCOLS, Segments, VirtualEnd
from analyzer.wire.vrrp import read_announcements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from analyzer.predicted.forwarding import Forwarding
    from analyzer.recording.captures import Captured
    from analyzer.recording.directory import Recording
    from analyzer.recording.manifest import Manifest
    from analyzer.wire.packets import PacketTable
    from analyzer.wire.vrrp import Announcements


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The parts of a recording, before anything is concluded.

    Attributes:
        zero_ns: the run's start, Unix time.
        services: polls with ActiveConn and InActConn.
        counted: polls of real servers that had their counters (``conns`` and the like) or rates
            (``cps``), with ActiveConn or, from ``ipvsadm --stats`` or ``--rate`` alone, without.
        service: the virtual service that the run was about; None where it watched all.
        entries: ``observed.numbered`` changes.
        changes: the same as recorded, persistence templates included.
        captured: the packets of all services that are known of; None without a capture.
        in_flight: the connections that a fail-over held open.
        announcements: VRRP and ARP, of a fail-over, and where no request had a connection; else,
            and without a capture, None.
        forwarded: the forwarding method and its evidence; None where nothing depends on it.
        by_director: each director's part of these tables.
    """

    manifest: Manifest
    directors: tuple[Director, ...]
    zero_ns: int
    service: VirtualEnd | None
    requests: pd.DataFrame
    services: pd.DataFrame
    counted: pd.DataFrame
    entries: pd.DataFrame
    changes: pd.DataFrame
    polls: pd.DataFrame
    events: pd.DataFrame
    sockets: pd.DataFrame
    captured: Captured | None
    not_measured: tuple[NotMeasured, ...]
    in_flight: pd.DataFrame
    announcements: Announcements | None
    forwarded: Forwarding | None = None
    by_director: Mapping[str, DirectorRecord] = field(default_factory=dict)

    @property
    def packets(self) -> PacketTable | None:
        """All that was captured; None without a capture."""
        return self.captured.packets if self.captured else None

    @property
    def segments(self) -> Segments | None:
        """Segments of the services; None without a capture."""
        return self.captured.segments if self.captured else None

    @property
    def forwarder_macs(self) -> frozenset[int]:
        """The directors' MACs, as recorded, else as the packets show them."""
        if self.captured:
            return self.captured.forwarder_macs
        return macs_of(self.directors)

    @property
    def forwarding(self) -> str | None:
        """How most real servers are forwarded to; None where that is not known."""
        known = self.forwarded is not None and self.forwarded.basis != "assumed"
        return self.forwarded.method if self.forwarded and known else None


def gather(recording: Recording) -> Evidence:
    """Read a recording.

    Raises:
        RecordingError: its manifest is not one.
    """
    manifest = recording.manifest
    service = manifest.service.end if manifest.service else None
    directors = directors_of(manifest)
    polled, entries = recording.table("services"), recording.table("entries")
    services = polled[polled["active"].notna()]
    ends = _virtual_ends(service, polled, entries)
    captured, packets_lost = read_captures(recording.captures(), ends, macs_of(directors))
    evidence = Evidence(
        manifest=manifest,
        directors=_in_capture(directors, captured),
        zero_ns=0,
        service=service,
        requests=_by_id(recording.table("requests")),
        services=services,
        counted=polled[polled["conns"].notna() | polled["cps"].notna()],
        entries=numbered(entries, captured.segments.flows if captured else None),
        changes=entries,
        polls=recording.table("polls"),
        events=recording.table("events").sort_values("at"),
        sockets=recording.table("sockets"),
        captured=captured,
        not_measured=(),
        in_flight=recording.table("in_flight"),
        announcements=None,
        forwarded=forwarding_of(manifest, services, entries, captured),
    )
    if captured and (manifest.failover or _none_connected(evidence.requests)):
        announcements = read_announcements(*captured.files)
        evidence = replace(evidence, announcements=announcements)
    lost = [NotMeasured(what="part of the recording", why=line) for line in recording.problems]
    zero_ns = _zero_ns(evidence)
    evidence = replace(
        evidence,
        zero_ns=zero_ns,
        not_measured=(*_not_measured(evidence), *packets_lost, *lost),
    )
    return with_records(evidence)


def with_records(evidence: Evidence) -> Evidence:
    """The evidence with each director's part taken out (``by_director``)."""
    records = {
        director.name: record_of(
            director,
            services=evidence.services,
            counted=evidence.counted,
            entries=evidence.entries,
            changes=evidence.changes,
            polls=evidence.polls,
            events=evidence.events,
            zero_ns=evidence.zero_ns,
        )
        for director in evidence.directors
    }
    return replace(evidence, by_director=records)


def _none_connected(requests: pd.DataFrame) -> bool:
    """Whether requests were sent and none had a connection: then it is asked who owns the VIP."""
    return bool(requests["started"].notna().any()) and not requests["connected"].notna().any()


def _by_id(requests: pd.DataFrame) -> pd.DataFrame:
    """A table in order of flow numbers, as most are already."""
    in_order = requests["id"].is_monotonic_increasing
    return requests if in_order else requests.sort_values("id", kind="stable")


def macs_of(directors: Iterable[Director]) -> frozenset[int]:
    """The directors' MACs, as recorded."""
    return frozenset().union(*(director.macs for director in directors))


def _in_capture(directors: tuple[Director, ...], captured: Captured | None) -> tuple[Director, ...]:
    """The directors; the one that captured also has the MACs that stand for it there."""
    if captured is None:
        return directors
    packets = captured.packets
    return tuple(
        replace(director, macs=with_host(director.macs, packets)) for director in directors
    )


def _zero_ns(evidence: Evidence) -> int:
    """The run's start: as recorded, else the first instant of any part."""
    return evidence.manifest.started_at_ns or min(_first_ns(evidence), default=0)


def _first_ns(evidence: Evidence) -> Iterator[int]:
    """The first instant of each part of a recording that has any."""
    parts = (
        (evidence.requests, "started"),
        (evidence.services, "at"),
        (evidence.changes, "at"),
        (evidence.events, "at"),
    )
    for table, column in parts:
        known = table[column].dropna()
        if len(known):
            yield int(ns(known).min())
    if evidence.segments is not None and len(evidence.segments.at_ns):
        yield int(evidence.segments.at_ns.min())


def _virtual_ends(
    service: VirtualEnd | None, services: pd.DataFrame, entries: pd.DataFrame
) -> set[VirtualEnd]:
    """Addresses that clients send to; those of a firewall-mark service are in its entries."""
    ends = {service} if service else set()
    for table in (services, entries):
        known = table[["protocol", "vip", "port"]].dropna().drop_duplicates()
        rows = zip(known["protocol"], known["vip"], known["port"], strict=True)
        ends |= {VirtualEnd(name, vip, int(port)) for name, vip, port in rows if port}
    return {end for end in ends if end.protocol in PROTOCOLS}


def _not_measured(evidence: Evidence) -> list[NotMeasured]:
    """Gaps of a recording: noted by the run itself, or visible here."""
    rows = [*evidence.manifest.not_measured, *_after_the_end(evidence.manifest)]
    rows += _deleted_parts(evidence.manifest)
    if evidence.segments is not None and not evidence.forwarder_macs:
        why = "the capture does not show who forwards; all packets to the VIP are taken to pass it"
        rows.append(NotMeasured(what="which packets passed the director", why=why))
    rows += _no_packets_of_the_service(evidence)
    if evidence.forwarded and evidence.forwarded.basis == "assumed" and evidence.directors:
        why = f"{evidence.forwarded.why}; dr is assumed. What would tell: {HOW_TO_SETTLE}"
        rows.append(NotMeasured(what="forwarding (dr, tun or nat)", why=why))
    return rows


def _no_packets_of_the_service(evidence: Evidence) -> list[NotMeasured]:
    """A capture from behind a director in nat has packets of real servers, and none of the VIP."""
    captured, packets = evidence.captured, evidence.packets
    if captured is None or packets is None or len(captured.segments.flow):
        return []
    known = pd.concat([evidence.services["real_server"], evidence.changes["real_server"]])
    ours = np.isin(packets.addresses, known.dropna().unique().tolist())
    n = int((ours[packets.source] | ours[packets.destination]).sum()) if len(ours) else 0
    if not _virtual_ends(evidence.service, evidence.services, evidence.changes):
        why = (
            f"of the {len(packets.at_ns)} packets read none opens a TCP connection (what tunnels "
            "carry may not be read), and nothing says what is a virtual service: give "
            '"vip", "port" and "protocol" in meta.json, or a log of `ipvsadm -Ln` beside it'
        )
        return [NotMeasured(what="packets of the virtual services", why=why)]
    why = f"of the {len(packets.at_ns)} packets captured none is to or from a virtual service"
    if n:
        why += (
            f", but {n} are a real server's: so it is behind a director in nat; capture on the "
            "director or a client"
        )
    return [NotMeasured(what="packets of the virtual services", why=why)]


def _deleted_parts(manifest: Manifest) -> list[NotMeasured]:
    """Gaps of a long watch: what it did not keep (``kept`` in the manifest)."""
    kept = manifest.kept
    if not kept.from_ns:
        return []
    what = f"what came before {iso(kept.from_ns)}"
    return [NotMeasured(what=what, why=f"--keep {kept.limit}: the oldest was deleted")]


def _after_the_end(manifest: Manifest) -> list[NotMeasured]:
    """Gaps of a run that did not end as planned."""
    ending = ending_of(manifest)
    if ending.is_whole:
        return []
    why = f"the recording was {ending.cause}"
    return [NotMeasured(what="what came after the recording's end", why=why)]
