"""Polls one director four times a second, in the client's clock, until the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from analyzer.units import NS_PER_S
from loadgen.director.links.shell import LinkLost
from loadgen.director.polling.counter_polls import CounterPolls
from loadgen.director.polling.entries import Entries
from loadgen.director.polling.events import DirectorEvents
from loadgen.director.polling.pace import DIRECTOR_CPU, POLL_TIMEOUT_S
from loadgen.director.polling.recorder import SnapshotRecorder
from loadgen.director.polling.settings_polls import SettingsPolls
from loadgen.director.polling.table_polls import TablePolls
from loadgen.director.polling.timekeeper import Timekeeper
from loadgen.director.polling.watched import ALL
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Service
    from analyzer.ipvs.table_diff.tracking import Numbers
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.directory import RecordingWriter
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.counters import Counters, ServerKey
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.links.snapshot import Snapshot
    from loadgen.director.polling.watched import Watched

INTERVAL_S = 0.25
_TIMES_LAST_POLL = 10

LAST_POLL_S = 1.0
"""For the poll at the end that proves the last read of a table that resizes itself."""

_RECONNECT_AFTER_S = (0.5, 1, 2, 3)


class Poller(Background):
    """An activity that records one director's services and entries until the run ends.

    Attributes:
        name: the director's.
        lost: the link is down at present.
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
            facts: what the director gave when it was connected; later changes are found against it.
            director_cpu: the share of one of its CPUs that reading entries may take.
            boot_ns: when it booted, by our clock, that offsets are counted from; else the first
                poll's reading.
            waits_for_it: a director that gives no first poll is tried again, as one that is lost
                later; else that ends the run before it has begun.
        """
        self.name = client.link.name
        self.lost = False
        kernel = facts.kernel if facts else None
        settings, status = (facts.director_settings, facts.table_status) if facts else (None, None)
        events = DirectorEvents(self.name, recording)
        self._client = client
        self._events = events
        self._clock = Timekeeper(boot_ns)
        self._entries = Entries(watched, director_cpu, kernel, client.source)
        self._recorder = SnapshotRecorder(client, recording, events, watched, self._entries)
        self._counters = CounterPolls(client, events, kernel, director_cpu)
        self._table = TablePolls(client, status, director_cpu)
        self._settings = SettingsPolls(client, events, self._table, settings, director_cpu)
        self._took_s = 0.0
        self._worked_s = 0.0  # on the last answer here; as long again is left to the others
        self._waits_for_it = waits_for_it
        self._lost_by = ""
        self._recording_task: asyncio.Task[None] | None = None

    @property
    def services(self) -> tuple[Service, ...]:
        """Those that are watched, as at the last poll; () before it."""
        return self._recorder.services

    @property
    def counters(self) -> Mapping[ServerKey, Counters]:
        """Of real servers, as last given; empty before, or where they are not to be had."""
        return self._counters.latest

    @property
    def counters_s(self) -> float:
        """When that was, on the monotonic clock."""
        return self._counters.latest_s

    @property
    def polled_ns(self) -> int | None:
        """When the last poll was taken, Unix time; None before it."""
        return self._recorder.polled_ns

    @property
    def entries_polled_ns(self) -> int | None:
        """When the last poll that read entries was taken, Unix time; None before it."""
        return self._recorder.entries_polled_ns

    @property
    def reads_entries(self) -> bool:
        """Whether entries are read at present, not only the counters."""
        return self._entries.reading == "yes"

    @property
    def counts(self) -> tuple[int, int] | None:
        """ActiveConn and InActConn over all that is watched, at the last poll; None before it."""
        return self._recorder.counts

    @property
    def held(self) -> tuple[Rows, Numbers]:
        """``entries``, and when each was last seen (Unix ns) and had its ``expires_s`` left."""
        return self._recorder.held

    @property
    def entries(self) -> Rows:
        """The watched entries that are there, as far as is known, as ``ENTRY`` rows."""
        return self.held[0]

    @property
    def clock(self) -> DirectorClock | None:
        """The director's clock against ours; None before the first poll."""
        return self._clock.clock()

    def not_measured(self) -> list[dict[str, str]]:
        """What this director did not give, a line each, for ``run.json``."""
        why = {
            "entries": self._entries.why_not,
            "entries, in every read,": self._entries.unproved(),
            "counters (Conns, InPkts ...)": self._counters.why_missing(self._settings.sysctl),
        }
        return [
            {"what": f"{what} on {self.name}", "why": reason}
            for what, reason in why.items()
            if reason
        ]

    def manifest(self) -> dict[str, Any]:
        """Its clock against ours, and its table at its fullest and at the end, for ``run.json``."""
        return self._clock.manifest() | self._table.manifest()

    async def _begin(self) -> None:
        try:
            await self._poll()
        except LinkLost as error:
            if not self._waits_for_it:
                raise
            self._lost_by = error.recorded

    async def _end(self) -> None:
        if self._recording_task is not None:
            await self._recording_task
        if self._entries.is_waiting and not self.lost:
            await _briefly(self._poll_once(entries=False))
        if not self.lost:
            await _briefly(self._table.poll())
        self._recorder.finish()
        await self._client.close()

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
        self._events.note("link-lost", why)
        boot_id = self._client.boot_id
        for wait_s in _waits():
            await asyncio.sleep(wait_s)
            with contextlib.suppress(LinkLost):
                await self._client.open()
                if self._client.boot_id != boot_id:
                    boot_id = self._client.boot_id
                    self._clock.restart()
                    self._events.note("rebooted", "it has another boot_id than before")
                lost = await self._poll_once()
                break
        self.lost = False
        self._events.note("link-back", "polling again")
        return lost.recorded if lost else ""

    async def _poll(self) -> None:
        """One poll, and what is due beside it."""
        lost = await self._poll_once()
        if lost is not None:
            raise lost
        if not await self._settings.poll_if_due(self._recorder.vips):
            await self._table.poll_if_fuller(self.counts)

    async def _poll_once(self, *, entries: bool = True) -> LinkLost | None:
        """One poll, recorded, and the counters where it is time.

        Args:
            entries: whether it may read the entries.

        Returns:
            That the link was lost after the poll itself, while the counters were asked for.

        Raises:
            LinkLost: there was no snapshot.
        """
        asked = entries and self._entries.is_due(time.monotonic())
        snapshot = await self._ask(entries=asked)
        noted = self._clock.note(snapshot.asked_ns, snapshot.answered_ns, snapshot.uptime_s)
        if noted.stepped_s is not None:
            self._events.note("clock-stepped", _stepped(noted.stepped_s))
        lost = await self._counters.poll(snapshot, self._settings.sysctl)
        # it goes on beside the event loop, and to its end even if the run ends meanwhile
        self._recording_task = asyncio.create_task(
            self._recorder.record(noted, snapshot, self._counters.of_this_poll, asked=asked)
        )
        await asyncio.shield(self._recording_task)
        self._worked_s = max((time.time_ns() - snapshot.answered_ns) / NS_PER_S, 0.0)
        return lost

    async def _ask(self, *, entries: bool) -> Snapshot:
        expected_s = self._entries.expected_s() if entries else 0
        timeout_s = max(POLL_TIMEOUT_S, _TIMES_LAST_POLL * max(self._took_s, expected_s))
        snapshot = await self._client.poll(
            "entries" if entries else "services",
            timeout_s=timeout_s,
            expected=self._entries.there,
        )
        self._took_s = max(snapshot.took_s, self._took_s / 2)
        return snapshot


async def _briefly(last: Awaitable[object]) -> None:
    """Wait for the answer to a last question, but not long, and not for a director that is lost."""
    with contextlib.suppress(LinkLost, TimeoutError):
        async with asyncio.timeout(LAST_POLL_S):
            await last


def _waits() -> Iterator[float]:
    return chain(_RECONNECT_AFTER_S, repeat(_RECONNECT_AFTER_S[-1]))


def _stepped(moved_s: float) -> str:
    return f"its boot is now {moved_s:+.1f} s from where it was: a clock was set, or it rebooted"
