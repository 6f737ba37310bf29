"""The parts of a recording, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from analyzer.observed.masquerades import no_masquerades
from analyzer.observed.record import DirectorRecord, record_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from analyzer.evidence.captures import Captured
    from analyzer.evidence.forwarding import Forwarding
    from analyzer.observed.parted import Parted
    from analyzer.recording.director import Director
    from analyzer.recording.manifest import Manifest
    from analyzer.recording.requests import RequestRows
    from analyzer.results import NotMeasured
    from analyzer.wire.packets import CaptureFacts
    from analyzer.wire.segments import Segments, VirtualEnd
    from analyzer.wire.vrrp import Announcements


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The parts of a recording, before anything is concluded.

    Attributes:
        zero_ns: the run's start, Unix time.
        services: polls with ActiveConn and InActConn.
        counted: polls of real servers that had their counters (``conns`` and the like) or rates
            (``cps``), with ActiveConn or, from ``ipvsadm --stats`` or ``--rate`` alone, without.
        service: the virtual service that the run was about; None where it watched all, or sent
            to several.
        services_sent_to: those, where it sent to several.
        entries: ``observed.entries.numbered`` changes.
        changes: the same as recorded, persistence templates included.
        captured: the packets of all services that are known of; None without a capture.
        in_flight: the connections that a fail-over held open.
        announcements: VRRP and ARP, of a fail-over, where no request had a connection, and of a
            capture of others without a service; else, and without a capture, None.
        seen_on: VRRP of a fail-over as each director captured it, by the director's name.
        forwarded: the forwarding method and its evidence; None where nothing depends on it.
        masquerades: entries of netfilter directors that hide their clients.
        by_director: each director's part of these tables.
    """

    manifest: Manifest
    directors: tuple[Director, ...]
    zero_ns: int
    service: VirtualEnd | None
    requests: RequestRows
    services: pd.DataFrame
    counted: pd.DataFrame
    entries: Parted
    changes: Parted
    polls: pd.DataFrame
    events: pd.DataFrame
    sockets: pd.DataFrame
    captured: Captured | None
    not_measured: tuple[NotMeasured, ...]
    in_flight: pd.DataFrame
    announcements: Announcements | None
    forwarded: Forwarding | None = None
    services_sent_to: tuple[VirtualEnd, ...] = ()
    masquerades: Parted = field(default_factory=no_masquerades)
    by_director: Mapping[str, DirectorRecord] = field(default_factory=dict)
    seen_on: Mapping[str, Announcements] = field(default_factory=dict)

    @property
    def sent_to(self) -> tuple[VirtualEnd, ...]:
        """The services that the run was about: one, several, or none where it watched all."""
        return self.services_sent_to or ((self.service,) if self.service else ())

    @property
    def is_vrrp_alone(self) -> bool:
        """Whether it is a capture of others in which directors advertise, and nothing is served."""
        advertised = self.announcements is not None and self.announcements.advertisements
        return self.manifest.command == "import" and self.service is None and bool(advertised)

    @property
    def facts(self) -> CaptureFacts | None:
        """What the captures say beside each packet; None without a capture."""
        return self.captured.facts if self.captured else None

    @property
    def misses_packets(self) -> bool:
        """Whether packets were dropped while they were captured, or cut too short to be read."""
        cut_short = self.facts.skipped["truncated"] if self.facts else 0
        return bool(self.manifest.capture.dropped) or cut_short > 0

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


def macs_of(directors: Iterable[Director]) -> frozenset[int]:
    """The directors' MACs, as recorded."""
    return frozenset().union(*(director.macs for director in directors))
