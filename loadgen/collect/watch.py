"""A view of all directors, refreshed about once a second."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import host_port
from analyzer.units import NS_PER_S
from loadgen.collect.arrivals import ArrivalRates
from loadgen.collect.holdings import (
    Draining,
    GroupsByServer,
    groups,
    held_by,
    rows_of_server,
)
from loadgen.director.counters import server_key
from loadgen.live.view import DirectorView, ServerView, View
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Destination, Service
    from analyzer.ipvs.table_diff.tracking import Numbers
    from analyzer.recording.directory import RecordingWriter
    from loadgen.collect.totals import Totals
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.counters import Counters, ServerKey
    from loadgen.director.polling.poller import Poller
    from loadgen.live.view import DrainForecast

VIEW_EVERY_S = 1.0
_REST = 4
"""A view waits for so many times what the last one took."""

_SLICE = 1000
"""Real servers of a view between which others have their turn."""

_MANY_ENTRIES = 20_000
"""So many are grouped in a thread."""

FRESH_S = 15.0
"""What was polled longer ago than this is not of now, whatever the link says."""


@dataclass(slots=True)
class _Watched:
    """One poller, and what is remembered between two views of it."""

    poller: Poller
    draining: Draining
    totals: Totals | None = None
    counters: Mapping[ServerKey, Counters] = field(default_factory=dict)
    arrivals: ArrivalRates = field(default_factory=ArrivalRates)
    rows: Rows | None = None
    read_ns: int | None = None
    groups: GroupsByServer = field(default_factory=GroupsByServer)


class DirectorsWatch(Background):
    """An activity that keeps a view of what pollers know.

    Attributes:
        view: the last one.
    """

    def __init__(
        self,
        pollers: Sequence[Poller],
        facts: Sequence[BootFacts],
        recording: RecordingWriter,
        *,
        every_s: float,
        show: Callable[[View], None],
        totals: Sequence[Totals] = (),
    ) -> None:
        """A watch that has not begun.

        Args:
            pollers: one for each director.
            facts: what each said of itself.
            recording: that takes the restarts of draining entries' timers.
            every_s: how often a view is shown.
            show: what takes it.
            totals: the directors', in the same order; none where they are not wanted.
        """
        self.view = View(at_ns=0, directors=())
        self._watched = [
            _Watched(poller, Draining(poller.name, known, recording), total)
            for poller, known, total in zip(
                pollers, facts, totals or repeat(None, len(pollers)), strict=True
            )
        ]
        self._every_s = every_s
        self._show = show

    async def _run(self) -> None:
        shown_s = float("-inf")
        while True:
            began_s = time.monotonic()
            self.view = await self._view_at(time.time_ns())
            if time.monotonic() - shown_s >= self._every_s - 0.05:
                shown_s = time.monotonic()
                self._show(self.view)
            took_s = time.monotonic() - began_s
            await asyncio.sleep(max(min(VIEW_EVERY_S, self._every_s), _REST * took_s))

    async def _end(self) -> None:
        self.view = await self._view_at(time.time_ns())
        self._show(self.view)

    async def _view_at(self, now_ns: int) -> View:
        views = [await _director(watched, now_ns) for watched in self._watched]
        return View(at_ns=now_ns, directors=tuple(views))


async def _director(watched: _Watched, now_ns: int) -> DirectorView:
    poller = watched.poller
    if poller.entries is not watched.rows:
        watched.rows, seen_ns = poller.held
        watched.read_ns = poller.polled_ns
        _note_draining(watched)
        watched.groups = await _grouped(watched.rows, seen_ns)
    if poller.counters is not watched.counters:
        watched.counters = poller.counters
        watched.arrivals.note(poller.counters, poller.counters_s)
    polled_ns = poller.polled_ns
    fresh = polled_ns is not None and now_ns - polled_ns <= FRESH_S * NS_PER_S
    servers = await _servers(watched)
    return DirectorView(
        name=poller.name,
        up=fresh and not poller.lost,
        polled_ns=polled_ns,
        reads_entries=poller.reads_entries,
        totals=watched.totals.now if watched.totals else None,
        entries_read_ns=watched.read_ns if poller.reads_entries else None,
        servers=servers,
    )


async def _grouped(rows: Rows, seen_ns: Numbers) -> GroupsByServer:
    if len(rows) < _MANY_ENTRIES:
        return GroupsByServer(groups(rows, seen_ns))
    return await asyncio.to_thread(lambda: GroupsByServer(groups(rows, seen_ns)))


async def _servers(watched: _Watched) -> tuple[ServerView, ...]:
    """Every real server; of many, some at a time."""
    pairs = [
        (service, server) for service in watched.poller.services for server in service.destinations
    ]
    views: list[ServerView] = []
    for start in range(0, len(pairs), _SLICE):
        if start:
            await asyncio.sleep(0)
        views += [_server(watched, *pair) for pair in pairs[start : start + _SLICE]]
    return tuple(views)


def _note_draining(watched: _Watched) -> None:
    """Which of the draining real servers' entries were renewed."""
    rows, seen_ns = watched.poller.held
    draining = np.zeros(len(rows), dtype=bool)
    for service in watched.poller.services:
        for server in service.destinations:
            if server.weight == 0 and len(rows):
                draining |= rows_of_server(rows, service, server)
    watched.draining.note(rows[draining], seen_ns[draining])


def _server(watched: _Watched, service: Service, server: Destination) -> ServerView:
    key = server_key(service, server)
    reads = watched.poller.reads_entries
    return ServerView(
        service=service_label(service),
        protocol=service.protocol,
        vip=service.address,
        port=service.port,
        fwmark=service.fwmark,
        scheduler=service.scheduler,
        real_server=server.address,
        real_port=server.port,
        forwarding=server.forwarding,
        weight=server.weight,
        active=server.active,
        inactive=server.inactive,
        counters=watched.counters.get(key),
        arrivals=watched.arrivals.of(key, time.monotonic()),
        held=held_by(watched.groups.candidates(service, server), service, server)
        if reads
        else None,
        forecast=_forecast(watched, service, server) if reads and server.weight == 0 else None,
    )


def _forecast(watched: _Watched, service: Service, server: Destination) -> DrainForecast | None:
    clock = watched.poller.clock
    if clock is None:
        return None
    rows, seen_ns = watched.poller.held
    if not len(rows):
        return None
    mask = rows_of_server(rows, service, server)
    return watched.draining.forecast(rows[mask], seen_ns[mask], clock)


def service_label(service: Service) -> str:
    """``TCP 192.168.10.2:80``, or ``FWM 258``."""
    if service.address is None or service.port is None:
        return f"{service.protocol} {service.fwmark}"
    return f"{service.protocol} {host_port(service.address, service.port)}"
