"""Snapshots of one director as rows of the recording: ``services``, ``entries``, ``polls``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from analyzer.conntrack.masqueraded import masquerade_columns
from analyzer.conntrack.services import ServicesSeen
from analyzer.ipvs.table_diff.reads import AbsenceProof
from analyzer.recording.tables import table_of
from loadgen.director.polling.rows import RESIZING, poll_row, service_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Service
    from analyzer.ipvs.table_diff.tracking import Numbers
    from analyzer.recording.directory import RecordingWriter
    from loadgen.director.counters import Counters, ServerKey
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.links.snapshot import Snapshot
    from loadgen.director.polling.entries import Entries, Taken
    from loadgen.director.polling.events import DirectorEvents
    from loadgen.director.polling.timekeeper import Noted
    from loadgen.director.polling.watched import Watched

_SERVICE_BYTES = 256
"""Of a service with its real servers, as it is printed: whether a thread makes its rows."""


class SnapshotRecorder:
    """Records what is watched of each snapshot, and keeps the latest.

    Attributes:
        services: those that are watched, as at the last poll; () before it.
        vips: the addresses of all services there were, watched or not.
        polled_ns: when the last poll was taken, Unix time; None before it.
        entries_polled_ns: likewise of the last one that read entries.
        held: the watched entries that are there, as far as is known, as ``ENTRY`` rows, and when
            each was last seen, Unix ns, and so had its ``expires_s`` left.
    """

    def __init__(
        self,
        client: DirectorClient,
        recording: RecordingWriter,
        events: DirectorEvents,
        watched: Watched,
        entries: Entries,
    ) -> None:
        self.services: tuple[Service, ...] = ()
        self.vips: set[str] = set()
        self.polled_ns: int | None = None
        self.entries_polled_ns: int | None = None
        self.held: tuple[Rows, Numbers] = (entries.rows, entries.seen_ns)
        self._client = client
        self._director = client.link.name
        self._recording = recording
        self._events = events
        self._watched = watched
        self._entries = entries
        self._seen = ServicesSeen() if client.source.kind == "netfilter" else None
        self._waiting_row: dict[str, Any] | None = None

    @property
    def counts(self) -> tuple[int, int] | None:
        """ActiveConn and InActConn over all that is watched, at the last poll; None before it."""
        if self.polled_ns is None:
            return None
        servers = [server for service in self.services for server in service.destinations]
        return sum(server.active for server in servers), sum(server.inactive for server in servers)

    async def record(
        self,
        noted: Noted,
        snapshot: Snapshot,
        counters: Mapping[ServerKey, Counters] | None,
        *,
        asked: bool,
    ) -> None:
        """Record one snapshot.

        Args:
            noted: when it was taken.
            snapshot: of the services, and maybe of the entries.
            counters: of the same poll; None where it has none.
            asked: the entries were asked for.
        """
        now_s = time.monotonic()
        if self._seen is None:
            self._events.note_unread("services", snapshot.services.unread)
            await self._record_services(noted.at_ns, snapshot.services.services, counters)
        taken = await self._client.worker_thread.run(
            len(snapshot.entries or ""), lambda: self._entries.take(noted.at_ns, now_s, snapshot)
        )
        self.held = (self._entries.rows, self._entries.seen_ns)
        if self._seen is not None and taken.lines is not None:
            await self._record_services(noted.at_ns, await self._services_seen(self._seen), None)
        self._events.note_unread("entries", self._entries.unread)
        if taken.lines is not None:
            self.entries_polled_ns = noted.at_ns
        self._record_taken(taken)
        self._record_masqueraded(noted.at_ns, taken)
        row = {"director": self._director} | poll_row(noted, snapshot, taken.lines)
        if self._entries.is_waiting:
            self._waiting_row = row
        else:
            self._recording.append("polls", row)
        notice = self._entries.weigh(now_s, snapshot, taken.lines, asked=asked)
        if notice:
            self._events.note(*notice)

    def finish(self) -> None:
        """Record what the last read shows, where no poll comes after it."""
        self._record_taken(self._entries.finish())
        self.held = (self._entries.rows, self._entries.seen_ns)

    async def _record_services(
        self,
        at_ns: int,
        table: tuple[Service, ...],
        counters: Mapping[ServerKey, Counters] | None,
    ) -> None:
        self.vips |= {service.address for service in table if service.address}
        services = tuple(service for service in table if self._watched.has_service(service))
        self.services = services
        known = {"at": at_ns, "director": self._director}
        if any(service.destinations for service in services):
            rows = await self._client.worker_thread.run(
                _SERVICE_BYTES * len(services),
                lambda: table_of("services", known | service_columns(services, counters)),
            )
            self._recording.extend_columns("services", rows)
        self.polled_ns = at_ns

    async def _services_seen(self, seen: ServicesSeen) -> tuple[Service, ...]:
        """The services that the entries show."""
        rows = self._entries.rows
        return await self._client.worker_thread.run(rows.nbytes, lambda: seen.update(rows))

    def _record_taken(self, taken: Taken) -> None:
        """The changes, and the poll of the read that waited to be proved."""
        if self._waiting_row is not None and taken.proof is not None:
            what = RESIZING if taken.proof is AbsenceProof.NOTHING else self._waiting_row["what"]
            self._recording.append("polls", self._waiting_row | {"what": what})
            self._waiting_row = None
        if taken.changes is not None and len(taken.changes):
            columns = taken.changes.columns() | {"director": self._director}
            self._recording.extend_columns("entries", columns)

    def _record_masqueraded(self, at_ns: int, taken: Taken) -> None:
        rows = taken.masqueraded
        if rows is not None and len(rows):
            known = {"at": at_ns, "director": self._director}
            self._recording.extend_columns("masquerades", masquerade_columns(rows) | known)
