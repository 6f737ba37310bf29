"""A client of the machine that we run on: netlink where we may, the files of /proc as they are.

Without CAP_NET_ADMIN, which netlink asks for, everything is as over any other link.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from analyzer.ipvs.proc.formats import parse_services, parse_uptime
from loadgen.director.links.client import DirectorClient
from loadgen.director.links.netlink import Netlink, NetlinkRefused
from loadgen.director.links.shell import LinkLost
from loadgen.director.links.snapshot import Snapshot
from loadgen.director.settings import ask_script, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.ipvs.states import Timeouts
    from loadgen.director.links.link import Link
    from loadgen.director.links.shell import Shell
    from loadgen.director.links.snapshot import What
    from loadgen.director.settings import DirectorSettings

_UPTIME, _ENTRIES = Path("/proc/uptime"), Path("/proc/net/ip_vs_conn")
_SERVICES = Path("/proc/net/ip_vs")
_LONGEST_HEADING = 200
_ASK_S = 15.0

Result = TypeVar("Result")


class LocalDirectorClient(DirectorClient):
    """This machine's own IPVS. Netlink is asked by a thread of its own: its calls block."""

    def __init__(self, link: Link, shell: Shell | None = None) -> None:
        super().__init__(link, shell)
        self._thread: ThreadPoolExecutor | None = None
        self._netlink: Netlink | None = None

    async def open(self) -> None:
        """Open netlink if we may, and a shell for the rest.

        Raises:
            LinkLost: no shell to be had.
        """
        await self.close()
        await super().open()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        try:
            self._netlink = await self._call(Netlink, _ASK_S)
        except NetlinkRefused:
            self._netlink = None

    async def close(self) -> None:
        """Let go of it."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
        await super().close()

    async def poll(self, what: What, *, timeout_s: float, expected: int = 0) -> Snapshot:
        """Take a snapshot; by netlink, each has the counters.

        Raises:
            LinkLost: no answer in time, or none that a kernel gives.
        """
        netlink = self._ipvs_by_netlink
        if netlink is None:
            return await super().poll(what, timeout_s=timeout_s, expected=expected)
        return await self._call(
            lambda: _snapshot(netlink, with_entries=what == "entries"), timeout_s
        )

    async def director_settings(self, *, timeout_s: float) -> DirectorSettings:
        """Settings: the timeouts and the sync daemon's role by netlink.

        Raises:
            LinkLost: no whole answer in time.
        """
        netlink = self._ipvs_by_netlink
        if netlink is None:
            return await super().director_settings(timeout_s=timeout_s)
        answer = await self.ask(ask_script(ipvsadm=False), timeout_s=timeout_s)
        timeouts = await self._call(netlink.timeouts, timeout_s)
        sync_daemon = await self._call(netlink.sync_daemon, timeout_s)
        return replace(
            parse_settings(answer.text),
            timeouts=timeouts,
            timeouts_source="netlink",
            sync_daemon=sync_daemon,
        )

    async def timeouts(self, *, timeout_s: float) -> Timeouts | None:
        """The three, by netlink where we may.

        Raises:
            LinkLost: no whole answer in time.
        """
        netlink = self._ipvs_by_netlink
        if netlink is None:
            return await super().timeouts(timeout_s=timeout_s)
        return await self._call(netlink.timeouts, timeout_s)

    async def set_timeouts(self, timeouts: Timeouts, *, timeout_s: float) -> str:
        """Set the three, by netlink where we may; 0 leaves one as it is.

        Raises:
            LinkLost: no whole answer in time; they may be set or not.
        """
        netlink = self._netlink
        if netlink is None:
            return await super().set_timeouts(timeouts, timeout_s=timeout_s)
        await self._call(lambda: netlink.set_timeouts(timeouts), timeout_s)
        return ""

    @property
    def _ipvs_by_netlink(self) -> Netlink | None:
        """Netlink, where we may use it and the director's connections are IPVS's."""
        return self._netlink if self.source.kind == "ipvs" else None

    async def _call(self, act: Callable[[], Result], timeout_s: float) -> Result:
        if self._thread is None:
            raise LinkLost(f"{self.link.spec}: not connected")
        call = asyncio.get_running_loop().run_in_executor(self._thread, act)
        try:
            return await asyncio.wait_for(call, timeout_s)
        except TimeoutError:
            raise LinkLost(f"{self.link.spec}: no answer in {timeout_s:g} s") from None
        except OSError as error:
            raise LinkLost(f"{self.link.spec}: {error}") from error
        except NetlinkRefused as error:
            if self._netlink is None:
                raise
            raise LinkLost(f"{self.link.spec}: {error}") from error


def _snapshot(netlink: Netlink, *, with_entries: bool) -> Snapshot:
    asked_ns = time.time_ns()
    split = parse_uptime(_UPTIME.read_text())
    if split is None:
        raise OSError(f"{_UPTIME}: cannot be parsed")
    counted = netlink.services()
    entries, cpu_s = _read_entries() if with_entries else (None, None)
    return Snapshot(
        asked_ns=asked_ns,
        answered_ns=time.time_ns(),
        uptime_s=split[0],
        services=replace(counted.table, conn_tab_size=_conn_tab_size()),
        counters=counted.counters,
        entries=entries,
        cpu_s=cpu_s,
    )


def _conn_tab_size() -> int | None:
    """Buckets of the table, which only the heading of ``/proc/net/ip_vs`` tells."""
    try:
        with _SERVICES.open() as text:
            return parse_services(text.readline(_LONGEST_HEADING)).conn_tab_size
    except OSError:
        return None


def _read_entries() -> tuple[str | None, float | None]:
    """The text, and what this thread's reading it took; None where there is none to read."""
    began_s = time.thread_time()
    try:
        text = _ENTRIES.read_text(errors="replace")
    except OSError:
        return None, None
    return text, time.thread_time() - began_s
