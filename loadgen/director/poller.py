"""The eye on one director: four looks a second, through one shell, in the client's clock."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.clock import clock_from_polls
from analyzer.ipvs.entry_rows import is_address
from analyzer.ipvs.entry_text import read_entries
from analyzer.ipvs.formats import parse_services, parse_uptime
from analyzer.ipvs.tracking import TableTracker
from loadgen.director.link import LinkLost, Shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from numpy.typing import NDArray

    from analyzer.clock import DirectorClock
    from analyzer.ipvs.changes import Key
    from analyzer.ipvs.entry_rows import Rows
    from analyzer.ipvs.formats import Service
    from analyzer.recording import RecordingWriter
    from loadgen.director.link import Answer
    from loadgen.plan import Target

INTERVAL_S = 0.25
POLL_TIMEOUT_S = 3.0
"""A director that does not answer for this long, or for several times what it took of late, is
lost."""

_TIMES_LAST_POLL = 10
SMALL_TABLE = 5000
"""Up to here every poll reads the entries too; a read is quadratic in the table."""

LARGE_TABLE_COST = 50
"""Above it, a read of the entries waits for this many times what the last one took."""

_RECONNECT_AFTER_S = (0.5, 1, 2, 5, 10)
_CLOCK_POLLS = 200
_SERVICES = "cat /proc/uptime /proc/net/ip_vs 2>/dev/null"
_ENTRIES = "cat /proc/uptime /proc/net/ip_vs /proc/net/ip_vs_conn 2>/dev/null"
_ENTRIES_HEADER = "Pro FromIP"


class Poller:
    """An activity that records one director's services and entries until the run ends.

    Attributes:
        counts: ActiveConn and InActConn of the service, at the last poll; None before it.
        lost: the link is down at present.
    """

    def __init__(
        self, shell: Shell, target: Target, recording: RecordingWriter, boot_ns: int | None = None
    ) -> None:
        self.name = shell.link.name
        self.counts: tuple[int, int] | None = None
        self.lost = False
        self._shell = shell
        self._target = target
        self._recording = recording
        self._tracker = TableTracker()
        self._boot_ns = boot_ns
        self._readings: list[tuple[int, int, float]] = []
        self._entries_next: float = 0
        self._took_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Poller:
        await self._poll()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._shell.close()

    async def done(self) -> None:
        """A poller never ends a run, and never holds one up."""

    @property
    def reads_entries(self) -> bool:
        """Whether entries are read, not only the counters."""
        return self._entries_next < math.inf

    def held(self) -> set[Key]:
        """The service's entries that are there, as far as is known."""
        return self._tracker.held()

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + INTERVAL_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            try:
                await self._poll()
            except LinkLost as error:
                await self._reconnect(str(error))

    async def _reconnect(self, why: str) -> None:
        self.lost = True
        self._event("link-lost", why)
        for wait_s in _waits():
            await asyncio.sleep(wait_s)
            with contextlib.suppress(LinkLost):
                await self._shell.open()
                await self._poll()
                break
        self.lost = False
        self._event("link-back", "polling again")

    async def _poll(self) -> None:
        with_entries = time.monotonic() >= self._entries_next
        answer = await self._shell.ask(
            _ENTRIES if with_entries else _SERVICES,
            timeout_s=max(POLL_TIMEOUT_S, self._took_s * _TIMES_LAST_POLL),
        )
        took_s = (answer.answered_ns - answer.asked_ns) / 1e9
        self._took_s = max(took_s, self._took_s / 2) if with_entries else self._took_s
        split = parse_uptime(answer.text)
        if split is None:
            raise LinkLost(f"{self._shell.link.spec}: /proc/uptime is not what it should be")
        uptime_s, rest = split
        at_ns = self._client_ns(answer, uptime_s)
        services_text, header, entries_text = rest.partition(_ENTRIES_HEADER)
        self._record_services(at_ns, services_text)
        lines = self._record_entries(at_ns, entries_text) if header else None
        self._record_poll(at_ns, answer, uptime_s, lines)
        if with_entries:
            self._plan_entries(lines, took_s)

    def _plan_entries(self, lines: int | None, took_s: float) -> None:
        """When to read the entries again: never, soon, or as seldom as the read is dear."""
        if lines is None:
            self._entries_next = math.inf
            self._event("entries-unreadable", "/proc/net/ip_vs_conn gave nothing")
        elif lines > SMALL_TABLE:
            self._entries_next = time.monotonic() + took_s * LARGE_TABLE_COST

    def _client_ns(self, answer: Answer, uptime_s: float) -> int:
        """When the director took this look, by all readings of its clock so far."""
        self._readings.append((answer.asked_ns, answer.answered_ns, uptime_s))
        del self._readings[:-_CLOCK_POLLS]
        clock = self._clock()
        at_ns = int(clock.client_ns(np.array([uptime_s]))[0])
        return min(max(at_ns, answer.asked_ns), answer.answered_ns)

    def _record_services(self, at_ns: int, text: str) -> None:
        active = inactive = 0
        for service in parse_services(text).services:
            if not self._is_ours(service):
                continue
            for row in service_rows(service):
                self._recording.append("services", {"at": at_ns, "director": self.name} | row)
                active += row["active"]
                inactive += row["inactive"]
        self.counts = (active, inactive)

    def _record_entries(self, at_ns: int, text: str) -> int:
        table = read_entries(text)
        ours = table.rows[self._are_our_entries(table.rows)]
        changes = self._tracker.update(at_ns, ours, table.lines)
        if len(changes):
            columns = changes.columns() | {"director": self.name}
            self._recording.extend_columns("entries", columns)
        return table.lines

    def _record_poll(self, at_ns: int, answer: Answer, uptime_s: float, lines: int | None) -> None:
        middle_ns = (answer.asked_ns + answer.answered_ns) // 2
        boot_ns = middle_ns - round(uptime_s * 1e9)
        if self._boot_ns is None:
            self._boot_ns = boot_ns
        self._recording.append(
            "polls",
            {
                "at": at_ns,
                "director": self.name,
                "what": "services" if lines is None else "entries",
                "took_ms": (answer.answered_ns - answer.asked_ns) / 1e6,
                "entries": lines,
                "offset_ms": (boot_ns - self._boot_ns) / 1e6,
                "asked": answer.asked_ns,
                "director_uptime_s": uptime_s,
            },
        )

    def clock_manifest(self) -> dict[str, Any]:
        """The director's clock against ours, for ``run.json``."""
        uncertainty_ms = self._clock().uncertainty_s * 1e3
        return {"boot_at_ns": self._boot_ns, "clock_uncertainty_ms": round(uncertainty_ms, 3)}

    def _clock(self) -> DirectorClock:
        asked, answered, uptimes = zip(*self._readings, strict=True)
        return clock_from_polls(np.array(asked), np.array(answered), np.array(uptimes))

    def _is_ours(self, service: Service) -> bool:
        target = self._target
        return service.address == target.vip and service.port == target.port

    def _are_our_entries(self, rows: Rows) -> NDArray[np.bool_]:
        ours: NDArray[np.bool_] = rows["port"] == self._target.port
        return ours & is_address(rows, "vip", self._target.vip)

    def _event(self, kind: str, detail: str) -> None:
        self._recording.append(
            "events", {"at": time.time_ns(), "host": self.name, "kind": kind, "detail": detail}
        )


def _waits() -> Iterator[float]:
    return chain(_RECONNECT_AFTER_S, repeat(_RECONNECT_AFTER_S[-1]))


def service_rows(service: Service) -> list[dict[str, Any]]:
    """A service's rows of ``services/``, but for the poll's instant and director."""
    return [
        {
            "protocol": service.protocol,
            "vip": service.address,
            "port": service.port,
            "fwmark": service.fwmark,
            "scheduler": service.scheduler,
            "real_server": server.address,
            "real_port": server.port,
            "forwarding": server.forwarding,
            "weight": server.weight,
            "active": server.active,
            "inactive": server.inactive,
        }
        for server in service.destinations
    ]
