"""Counts of the hosts' sockets by TCP state, about once a second."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from analyzer.client.socket_states import count_script, parse_counts
from analyzer.recording.hosts import CLIENT
from loadgen.director.links.shell import LinkLost, Shell
from loadgen.sockets.sock_diag import SockDiag, SocketsRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from analyzer.recording.directory import RecordingWriter
    from loadgen.director.links.link import Link
    from loadgen.target import Target

INTERVAL_S = 1.0
COST = 50
"""A count waits for this many times what the last one took: two per cent of a host at most."""

ALWAYS_COUNTED = ("ESTABLISHED", "TIME_WAIT")
"""States that each count has, even if no socket is in them."""

_ANSWER_S = 10.0
_AGAIN_AFTER_S = 5.0
_LAST_COUNT_S = 2.0


class Counter(Protocol):
    """One host's sockets."""

    async def count(self) -> tuple[int, Mapping[str, int]]:
        """When (Unix ns, client's clock), and how many sockets by state.

        Raises:
            LinkLost: not now; later perhaps.
            SocketsRefused: never on this host.
        """

    async def close(self) -> None:
        """Give back what it holds."""


class OwnSockets:
    """The client's: connections to the services, by sock_diag, beside the event loop."""

    def __init__(self, services: Sequence[Target]) -> None:
        self._diag = SockDiag(services)

    async def count(self) -> tuple[int, Mapping[str, int]]:
        """See Counter."""
        counts = await asyncio.to_thread(self._diag.count)
        return time.time_ns(), counts

    async def close(self) -> None:
        """See Counter."""
        self._diag.close()


class ServerSockets:
    """A server's: connections at the services' ports, counted by a shell there."""

    def __init__(self, link: Link, ports: Collection[int]) -> None:
        self._shell = Shell(link)
        self._script = count_script(ports)
        self._open = False

    async def count(self) -> tuple[int, Mapping[str, int]]:
        """See Counter."""
        try:
            if not self._open:
                await self._shell.open()
            self._open = True
            answer = await self._shell.ask(self._script, timeout_s=_ANSWER_S)
        except LinkLost:
            self._open = False
            raise
        counts = parse_counts(answer.text)
        if counts is None:
            raise SocketsRefused(f"{self._shell.link.spec}: no /proc/net/tcp or no awk there")
        return (answer.asked_ns + answer.answered_ns) // 2, counts

    async def close(self) -> None:
        """See Counter."""
        await self._shell.close()


class SocketWatch:
    """An activity that records one host's sockets until the run ends."""

    def __init__(self, host: str, counter: Counter, recording: RecordingWriter) -> None:
        self.host = host
        self._counter = counter
        self._recording = recording
        self._known = dict.fromkeys(ALWAYS_COUNTED, 0)
        self._ended = asyncio.Event()
        self._lost = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SocketWatch:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_LAST_COUNT_S)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._counter.close()

    async def done(self) -> None:
        """Sockets never end a run, and never hold one up."""

    async def _run(self) -> None:
        """Count until the end, and once more at it."""
        last = False
        while not last:
            last = self._ended.is_set()
            began = time.monotonic()
            try:
                self._record(*await self._counter.count())
                self._lost = False
            except LinkLost as error:
                self._event_once("sockets-lost", error.recorded)
            except SocketsRefused as error:
                self._event_once("sockets-unreadable", str(error))
                return
            pause_s = max(INTERVAL_S, COST * (time.monotonic() - began))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_AFTER_S if self._lost else pause_s):
                    await self._ended.wait()

    def _record(self, at_ns: int, counts: Mapping[str, int]) -> None:
        """One row for each state that this host was ever seen to have sockets in."""
        self._known = dict.fromkeys(self._known, 0) | dict(counts)
        for state, count in self._known.items():
            row = {"at": at_ns, "host": self.host, "state": state, "count": count}
            self._recording.append("sockets", row)

    def _event_once(self, kind: str, detail: str) -> None:
        if not self._lost:
            row = {"at": time.time_ns(), "host": self.host, "kind": kind, "detail": detail}
            self._recording.append("events", row)
        self._lost = True


def socket_watches(
    services: Sequence[Target],
    servers: Sequence[Link],
    ports: Collection[int],
    recording: RecordingWriter,
) -> list[SocketWatch]:
    """The client's sockets always, and each server's that has a link.

    Args:
        services: whose connections the client's are.
        servers: links to real servers.
        ports: the services', and those of their real servers where these differ.
        recording: where the rows go.
    """
    watches = [SocketWatch(link.name, ServerSockets(link, ports), recording) for link in servers]
    try:
        return [SocketWatch(CLIENT, OwnSockets(services), recording), *watches]
    except SocketsRefused as error:
        row = {"at": time.time_ns(), "host": CLIENT, "kind": "sockets-unreadable"}
        recording.append("events", row | {"detail": str(error)})
        return watches
