"""Polls one director four times a second, in the client's clock, until the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.table_diff.reads import AbsenceProof
from analyzer.ipvs.table_status import to_manifest
from analyzer.ipvs.versions import why_counters_stand_still
from analyzer.recording.tables import table_of
from analyzer.units import NS_PER_S
from loadgen.director.links.shell import AnswerTooLong, LinkLost
from loadgen.director.polling.entries import Entries, Taken
from loadgen.director.polling.pace import DIRECTOR_CPU, Pace
from loadgen.director.polling.rows import RESIZING, poll_row, service_columns
from loadgen.director.polling.timekeeper import Timekeeper
from loadgen.director.polling.watched import ALL
from loadgen.director.settings import TIMEOUTS_CHANGED
from loadgen.director.settings import changes as changes_of
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Service
    from analyzer.ipvs.table_diff.tracking import Numbers
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.directory import RecordingWriter
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.links.client import DirectorClient, Snapshot, What
    from loadgen.director.polling.counters import Counters, ServerKey
    from loadgen.director.polling.timekeeper import Noted
    from loadgen.director.polling.watched import Watched
    from loadgen.director.settings import DirectorSettings

INTERVAL_S = 0.25
POLL_TIMEOUT_S = 3.0
"""A director that does not answer for this long, or for several times what it took of late, is
lost."""

COUNTERS_EVERY_S = 5.0
COUNTERS_AGAIN_S = 60.0
"""Where they were not to be had: its ipvsadm may come with a reboot."""

STANDING_EVERY_S = 10.0
"""Timeouts, sysctls, addresses and roles; the director's ipvsadm and ip are run for them."""

TIMEOUTS_EVERY_S = 2.5
"""The timeouts alone, between those: entries show a change of them only with their next packet."""

TABLE_EVERY_S = 2.0
"""What the kernel says of its table, while that gets fuller; else with the timeouts and sysctls."""

_TIMES_LAST_POLL = 10
_SERVICE_BYTES = 256
"""Of a service with its real servers, as it is printed: whether its rows are made aside."""

LAST_LOOK_S = 1.0
"""For the look at the end that proves the last read of a table that resizes itself."""

_RECONNECT_AFTER_S = (0.5, 1, 2, 3)
SLOW_S = 1.0
"""What is asked aside of the polls, and takes longer, is told: it has held the next poll up."""


class Poller(Background):
    """An activity that records one director's services and entries until the run ends.

    Attributes:
        name: the director's.
        services: those that are watched, as at the last poll; () before it.
        counters: of real servers, as last given; empty before, or where they are not to be had.
        counters_s: when that was, on the monotonic clock.
        polled_ns: when the last poll was taken, Unix time; None before it.
        entries_polled_ns: likewise of the last one that read entries.
        lost: the link is down at present.
        table_status: what the kernel said last of its table; None where it does not tell.
    """

    def __init__(
        self,
        client: DirectorClient,
        recording: RecordingWriter,
        *,
        watched: Watched = ALL,
        facts: BootFacts | None = None,
        director_cpu: float = DIRECTOR_CPU,
        boot_ns: int | None = None,
        waits_for_it: bool = False,
    ) -> None:
        """A poller that has not begun.

        Args:
            client: on the director, open.
            recording: that takes its rows.
            watched: which services are recorded.
            facts: what was learnt of the director; its later changes are told from it.
            director_cpu: the share of one of its CPUs that reading entries may take.
            boot_ns: when it booted, by our clock, that offsets are told from; else the first
                poll's reading.
            waits_for_it: a director that gives no first poll is tried again, as one that is lost
                later; else that ends the run before it has begun.
        """
        self.name = client.link.name
        self.services: tuple[Service, ...] = ()
        self.counters: Mapping[ServerKey, Counters] = {}
        self.counters_s = 0.0
        self.polled_ns: int | None = None
        self.entries_polled_ns: int | None = None
        self.lost = False
        self.table_status = self._fullest = facts.table_status if facts else None
        self._eye = client
        self._recording = recording
        self._watched = watched
        self._clock = Timekeeper(boot_ns)
        self._kernel = facts.kernel if facts else None
        self._entries = Entries(watched, director_cpu, self._kernel)
        self._counters_pace = Pace(director_cpu / 2, COUNTERS_EVERY_S)
        self._standing = facts.director_settings if facts else None
        self._standing_pace = Pace(director_cpu / 2, STANDING_EVERY_S)
        self._standing_pace.note(time.monotonic(), 0.0)
        self._table_pace = Pace(director_cpu / 4, TABLE_EVERY_S)
        self._timeouts_ns: int | None = None
        self._timeouts_pace = Pace(director_cpu / 4, TIMEOUTS_EVERY_S)
        self._timeouts_pace.note(time.monotonic(), 0.0)
        self._fresh: Mapping[ServerKey, Counters] | None = None
        self._waiting_row: dict[str, Any] | None = None
        self._vips: set[str] = set()
        self._took_s = 0.0
        self._worked_s = 0.0  # on the last answer here; as long again is left to the others
        self._waits_for_it = waits_for_it
        self._lost_by = ""
        self._unread: dict[str, int] = {}
        self._recording_look: asyncio.Task[None] | None = None
        self._held: tuple[Rows, Numbers] = (self._entries.rows, self._entries.seen_ns)

    @property
    def reads_entries(self) -> bool:
        """Whether entries are read at present, not only the counters."""
        return self._entries.reading == "yes"

    @property
    def counts(self) -> tuple[int, int] | None:
        """ActiveConn and InActConn over all that is watched, at the last poll; None before it."""
        if self.polled_ns is None:
            return None
        servers = [server for service in self.services for server in service.destinations]
        return sum(server.active for server in servers), sum(server.inactive for server in servers)

    @property
    def held(self) -> tuple[Rows, Numbers]:
        """``entries`` and ``entries_seen_ns`` of one read."""
        return self._held

    @property
    def entries(self) -> Rows:
        """The watched entries that are there, as far as is known, as ``ENTRY`` rows."""
        return self._held[0]

    @property
    def entries_seen_ns(self) -> Numbers:
        """When each of ``entries`` was last seen, and so had its ``expires_s`` left."""
        return self._held[1]

    @property
    def clock(self) -> DirectorClock | None:
        """The director's clock against ours; None before the first poll."""
        return self._clock.clock()

    def not_measured(self) -> list[dict[str, str]]:
        """What this director did not give, a line each, for ``run.json``."""
        why = {
            "entries": self._entries.why_not,
            "entries, in every read,": self._entries.unproved(),
        }
        if not self.counters:
            why["counters (Conns, InPkts ...)"] = (
                self._stand_still() or "it has no ipvsadm that we may run"
            )
        return [
            {"what": f"{what} on {self.name}", "why": reason}
            for what, reason in why.items()
            if reason
        ]

    def table_manifest(self) -> dict[str, Any]:
        """The table of entries at its fullest and at the end, for ``run.json``; {} if not told."""
        if self._fullest is None:
            return {}
        return {
            "table_status_fullest": to_manifest(self._fullest),
            "table_status_at_end": to_manifest(self.table_status),
        }

    def clock_manifest(self) -> dict[str, Any]:
        """The director's clock against ours, for ``run.json``."""
        return self._clock.manifest()

    async def _begin(self) -> None:
        try:
            await self._poll()
        except LinkLost as error:
            if not self._waits_for_it:
                raise
            self._lost_by = error.recorded

    async def _end(self) -> None:
        if self._recording_look is not None:
            await self._recording_look
        if self._entries.is_waiting and not self.lost:
            with contextlib.suppress(LinkLost, TimeoutError):
                async with asyncio.timeout(LAST_LOOK_S):
                    await self._look_once(entries=False)
        if not self.lost:
            with contextlib.suppress(LinkLost, TimeoutError):
                async with asyncio.timeout(LAST_LOOK_S):
                    await self._look_at_table()
        self._record_taken(self._entries.finish())
        self._held = (self._entries.rows, self._entries.seen_ns)
        await self._eye.close()

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            while self._lost_by:
                self._lost_by = await self._reconnect(self._lost_by)
            due = max(due + INTERVAL_S, time.monotonic() + self._worked_s)
            await asyncio.sleep(due - time.monotonic())
            try:
                await self._poll()
            except LinkLost as error:
                self._lost_by = error.recorded

    async def _reconnect(self, why: str) -> str:
        """Try until it answers; why it was lost again with its first answer, "" if it was not."""
        self.lost = True
        self._event("link-lost", why)
        boot_id = self._eye.boot_id
        for wait_s in _waits():
            await asyncio.sleep(wait_s)
            with contextlib.suppress(LinkLost):
                await self._eye.open()
                if self._eye.boot_id != boot_id:
                    boot_id = self._eye.boot_id
                    self._clock.restart()
                    self._event("rebooted", "it has another boot_id than before")
                lost = await self._look_once()
                break
        self.lost = False
        self._event("link-back", "polling again")
        return lost.recorded if lost else ""

    async def _poll(self) -> None:
        lost = await self._look_once()
        if lost is not None:
            raise lost
        if self._standing_pace.is_due(time.monotonic()):
            await self._look_around()
        elif self._timeouts_pace.is_due(time.monotonic()):
            await self._look_at_timeouts()
        elif self._is_fuller() and self._table_pace.is_due(time.monotonic()):
            await self._look_at_table()

    async def _look_once(self, *, entries: bool = True) -> LinkLost | None:
        """One look, recorded, and the counters where it is time.

        Args:
            entries: whether it may read the entries.

        Returns:
            That the link was lost after the look itself, while the counters were asked for.

        Raises:
            LinkLost: there was no look.
        """
        asked = entries and self._entries.is_due(time.monotonic())
        look = await self._look("entries" if asked else "services")
        noted = self._clock.note(look.asked_ns, look.answered_ns, look.uptime_s)
        if noted.stepped_s is not None:
            self._event("clock-stepped", _stepped(noted.stepped_s))
        lost = await self._take_counters(look)
        # it goes on beside the event loop, and to its end even if the run ends meanwhile
        self._recording_look = asyncio.create_task(self._record(noted, look, asked=asked))
        await asyncio.shield(self._recording_look)
        self._worked_s = max((time.time_ns() - look.answered_ns) / NS_PER_S, 0.0)
        return lost

    async def _record(self, noted: Noted, look: Snapshot, *, asked: bool) -> None:
        """What a look has shown; ``asked``: for the entries."""
        now_s = time.monotonic()
        self._note_unread("services", look.services.unread)
        await self._record_services(noted.at_ns, look)
        taken = await self._eye.aside.run(
            len(look.entries or ""), lambda: self._entries.take(noted.at_ns, now_s, look)
        )
        self._held = (self._entries.rows, self._entries.seen_ns)
        self._note_unread("entries", self._entries.unread)
        if taken.lines is not None:
            self.entries_polled_ns = noted.at_ns
        self._record_taken(taken)
        row = {"director": self.name} | poll_row(noted, look, taken.lines)
        if self._entries.is_waiting:
            self._waiting_row = row
        else:
            self._recording.append("polls", row)
        notice = self._entries.weigh(now_s, look, taken.lines, asked=asked)
        if notice:
            self._event(*notice)

    def _record_taken(self, taken: Taken) -> None:
        """The changes, and the poll of the read that waited to be proved."""
        if self._waiting_row is not None and taken.proof is not None:
            what = RESIZING if taken.proof is AbsenceProof.NOTHING else self._waiting_row["what"]
            self._recording.append("polls", self._waiting_row | {"what": what})
            self._waiting_row = None
        if taken.changes is not None and len(taken.changes):
            columns = taken.changes.columns() | {"director": self.name}
            self._recording.extend_columns("entries", columns)

    async def _look_around(self) -> None:
        """Settings: each change is an event."""
        began_s, began_ns = time.monotonic(), time.time_ns()
        now = await self._eye.director_settings(timeout_s=POLL_TIMEOUT_S)
        await self._look_at_table()
        took_s = self._took_aside("timeouts, sysctls and addresses", began_s)
        self._standing_pace.note(began_s + took_s, took_s)
        self._timeouts_pace.note(began_s + took_s, took_s)
        self._note_standing(now, began_ns)

    async def _look_at_table(self) -> None:
        """What the kernel says of its table, where it said something before the run began."""
        if self._fullest is None:
            return
        began_s = time.monotonic()
        self.table_status = await self._eye.table_status(timeout_s=POLL_TIMEOUT_S)
        took_s = time.monotonic() - began_s
        self._table_pace.note(began_s + took_s, took_s)
        if self.table_status is not None and self.table_status.entries >= self._fullest.entries:
            self._fullest = self.table_status

    def _is_fuller(self) -> bool:
        """Whether more entries are counted than the kernel ever said there were, if it said so."""
        counted = self.counts
        return (
            self._fullest is not None
            and counted is not None
            and sum(counted) > self._fullest.entries
        )

    async def _look_at_timeouts(self) -> None:
        """The timeouts alone; where the director does not tell them it is asked less often."""
        began_s, began_ns = time.monotonic(), time.time_ns()
        timeouts = await self._eye.timeouts(timeout_s=POLL_TIMEOUT_S)
        took_s = self._took_aside("timeouts", began_s)
        wait_s = COUNTERS_AGAIN_S if timeouts is None else 0.0
        self._timeouts_pace.note(began_s + took_s + wait_s, took_s)
        if timeouts is not None and self._standing is not None:
            self._note_standing(replace(self._standing, timeouts=timeouts), began_ns)

    def _note_standing(self, now: DirectorSettings, began_ns: int) -> None:
        """Events of what has changed; timeouts did so after the last look at them began."""
        if self._standing is not None:
            for kind, detail in changes_of(self._standing, now, self._vips):
                since_ns = self._timeouts_ns if kind == TIMEOUTS_CHANGED else None
                self._event(kind, detail, since_ns=since_ns)
        self._standing, self._timeouts_ns = now, began_ns

    async def _look(self, what: What) -> Snapshot:
        expected_s = self._entries.expected_s() if what == "entries" else 0
        timeout_s = max(POLL_TIMEOUT_S, _TIMES_LAST_POLL * max(self._took_s, expected_s))
        look = await self._eye.look(what, timeout_s=timeout_s, expected=self._entries.there)
        self._took_s = max(look.took_s, self._took_s / 2)
        return look

    async def _take_counters(self, look: Snapshot) -> LinkLost | None:
        """The counters of this poll, where they came with it or it is time to ask for them.

        Returns:
            What went wrong on the way: the look itself is to be recorded all the same.
        """
        if self._stand_still():
            self._fresh = None
            return None
        self._fresh = look.counters
        began_s = time.monotonic()
        if self._fresh is None and self._counters_pace.is_due(began_s):
            try:
                table = await self._eye.counters(timeout_s=POLL_TIMEOUT_S)
            except AnswerTooLong as error:
                self._counters_pace.note(time.monotonic() + COUNTERS_AGAIN_S, 0.0)
                return error
            except LinkLost as error:
                return error
            self._fresh = table.counters if table else None
            self._note_unread("counters", table.unread if table else 0)
            cost_s = self._took_aside("counters", began_s)
            wait_s = COUNTERS_AGAIN_S if self._fresh is None else 0.0
            self._counters_pace.note(began_s + cost_s + wait_s, cost_s)
        if self._fresh:
            self.counters, self.counters_s = self._fresh, time.monotonic()
        return None

    def _stand_still(self) -> str | None:
        """Why the counters are of some earlier time, if they are."""
        sysctl = self._standing.sysctl if self._standing else {}
        return why_counters_stand_still(self._kernel, sysctl)

    def _took_aside(self, what: str, began_s: float) -> float:
        """How long it took, seconds; an event where that was long."""
        took_s = time.monotonic() - began_s
        if took_s > SLOW_S:
            self._event("slow-answer", f"{what}: {took_s:.1f} s")
        return took_s

    async def _record_services(self, at_ns: int, look: Snapshot) -> None:
        table = look.services.services
        self._vips |= {service.address for service in table if service.address}
        self.services = tuple(service for service in table if self._watched.has_service(service))
        services, fresh = self.services, self._fresh
        known = {"at": at_ns, "director": self.name}
        if any(service.destinations for service in services):
            rows = await self._eye.aside.run(
                _SERVICE_BYTES * len(services),
                lambda: table_of("services", known | service_columns(services, fresh)),
            )
            self._recording.extend_columns("services", rows)
        self.polled_ns = at_ns

    def _note_unread(self, what: str, lines: int) -> None:
        """An event of lines that are not as a kernel prints them: they are left out.

        Said when more of them come than ever before, twice as many at least.
        """
        if lines >= max(1, 2 * self._unread.get(what, 0)):
            self._unread[what] = lines
            self._event("lines-unreadable", f"{lines} of {what}")

    def _event(self, kind: str, detail: str, *, since_ns: int | None = None) -> None:
        row = {"at": time.time_ns(), "host": self.name, "kind": kind, "detail": detail}
        self._recording.append("events", row | {"since": since_ns})


def _waits() -> Iterator[float]:
    return chain(_RECONNECT_AFTER_S, repeat(_RECONNECT_AFTER_S[-1]))


def _stepped(moved_s: float) -> str:
    return f"its boot is now {moved_s:+.1f} s from where it was: a clock was set, or it rebooted"
