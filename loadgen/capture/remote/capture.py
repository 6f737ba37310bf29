"""The capture on a director or a server, through its link: tcpdump there, the file here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Protocol

from analyzer.wire.capture.pcap import MAX_NS
from loadgen.capture import tcpdump
from loadgen.capture.events import CaptureEvents
from loadgen.capture.files import PcapFiles, cut_record
from loadgen.capture.filters import expression
from loadgen.capture.model import SNAP_BYTES, CaptureRefused
from loadgen.capture.remote.clock import ClockOffset, measure_offset
from loadgen.capture.remote.stream import NotPcap
from loadgen.capture.remote.tcpdump import FarTcpdump
from loadgen.director.links.complaints import recorded
from loadgen.director.links.shell import LinkLost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadgen.capture.files import Deleted
    from loadgen.capture.model import CapturePlan, EventSink
    from loadgen.capture.remote.stream import Packet
    from loadgen.director.links.link import Link

_READ_OUT_S = 5.0


class CaptureReports(Protocol):
    """Takes what happens to a capture, as ``CaptureEvents`` does."""

    def deleted(self, file: Deleted) -> None:
        """A file had to make room for new packets."""

    def stopped(self, why: str) -> None:
        """The capture ended before it was told to."""

    def dropped(self, packets: int, since_ns: int, until_ns: int) -> None:
        """The other host's kernel had no room."""


class FarCapture:
    """Writes down what tcpdump sees on another host, in our clock, from its start to its end.

    Args:
        link: to the host.
        path: of the first file.
        size_bytes: of all files together; None for no bound.
        reports: takes what happens meanwhile.

    Attributes:
        packets: written so far.
        dropped: packets lost there; None where tcpdump did not say.
        offset: the host's clock, as measured at the start.
    """

    def __init__(
        self, link: Link, path: Path, size_bytes: int | None, reports: CaptureReports
    ) -> None:
        self.packets = 0
        self.dropped: int | None = None
        self.offset = ClockOffset()
        self._link, self._path, self._size_bytes = link, path, size_bytes
        self._reports = reports
        self._tcpdump = FarTcpdump(link)
        self._task: asyncio.Task[None] | None = None
        self._began_ns = 0
        self._ending = False

    @property
    def began(self) -> bool:
        """Whether there are packets from it, or could be."""
        return self._task is not None

    async def start(self, script: str) -> None:
        """Measure the clock, and have tcpdump run.

        Raises:
            CaptureRefused: no tcpdump, no privilege, no such interface.
            LinkLost: no answer.
        """
        self.offset = await measure_offset(self._link)
        await self._tcpdump.start(script)
        self._began_ns = time.time_ns()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Have tcpdump end, and write down the rest; no harm if it never began."""
        if self._task is None:
            return
        if not self._task.done():
            self._ending = True
            await self._tcpdump.end()
        await asyncio.wait({self._task}, timeout=_READ_OUT_S)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._tcpdump.close()
        self.dropped = self._tcpdump.dropped()
        if self.dropped:
            self._reports.dropped(self.dropped, self._began_ns, time.time_ns())

    def clock_gaps(self) -> list[dict[str, str]]:
        """The row of ``not_measured`` where the clock is not known."""
        if not self.began or self.offset.uncertainty_ns is not None:
            return []
        why = "its date(1) tells no nanoseconds; packets bear its own clock's time"
        return [{"what": f"the clock of {self._link.name} against ours", "why": why}]

    async def _run(self) -> None:
        """Write down what comes, until tcpdump ends: at our word, or before."""
        link_type = self._tcpdump.link_type
        try:
            with PcapFiles(self._path, link_type, self._size_bytes, self._reports.deleted) as files:
                async for packets in self._tcpdump.packets():
                    self._write(files, packets)
        except (OSError, NotPcap) as error:
            self._reports.stopped(str(error))
        else:
            if not self._ending:
                why = self._tcpdump.complaint()
                self._reports.stopped(recorded(why) if why else "tcpdump or the link ended")

    def _write(self, files: PcapFiles, packets: list[Packet]) -> None:
        ahead_ns = self.offset.offset_ns
        ours = [(at_ns - ahead_ns, frame, length) for at_ns, frame, length in packets]
        valid = [packet for packet in ours if 0 <= packet[0] < MAX_NS]
        if valid:
            files.write(b"".join(cut_record(*packet) for packet in valid), len(valid), valid[-1][0])
        self.packets = files.packets


class RemoteCapture:
    """An activity that writes down what tcpdump sees on another host, in our clock.

    Where tcpdump is missing or refused, the run goes on without packets, and says so.

    Args:
        link: to the host.
        interface: there; None for the one that leads back to the client.
        client_ip: the client's address.
        plan: what is wanted, and where it goes; how packets are read is tcpdump's business.
        record_event: takes a row of ``events/``.
        say: takes a line for the operator.
    """

    def __init__(
        self,
        link: Link,
        interface: str | None,
        client_ip: str,
        plan: CapturePlan,
        record_event: EventSink,
        say: Callable[[str], None],
    ) -> None:
        self.filter = expression(plan.targets)
        self._link = link
        self._interface = interface
        self._script = tcpdump.script(self.filter, interface, client_ip)
        self._say = say
        self._events = CaptureEvents(link.name, plan, record_event)
        self._capture = FarCapture(link, plan.path, plan.size_bytes, self._events)

    @property
    def packets(self) -> int:
        """Packets written so far."""
        return self._capture.packets

    @property
    def dropped(self) -> int | None:
        """Packets lost; None until it has ended, or where tcpdump did not say."""
        return self._capture.dropped

    async def __aenter__(self) -> RemoteCapture:
        self._events.begin(asyncio.get_running_loop())
        try:
            await self._capture.start(self._script)
        except (CaptureRefused, LinkLost) as error:
            self._say(f"{error}; the run goes on without packets")
            self._events.refused(f"no capture on {self._link.name}: {recorded(str(error))}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._capture.end()

    async def done(self) -> None:
        """A capture never ends a run, and never holds one up."""

    def manifest(self) -> dict[str, Any]:
        """The capture's part of ``run.json``."""
        return {
            "host": self._link.name,
            "interface": self._interface,
            "with": "tcpdump",
            "filter": self.filter,
            "snap_bytes": SNAP_BYTES,
            "packets": self.packets,
            "dropped": self.dropped,
            "clock_offset_ns": self._capture.offset.offset_ns,
            "clock_uncertainty_ns": self._capture.offset.uncertainty_ns,
            "failure": self._events.failure,
        }

    @property
    def has_deleted(self) -> bool:
        """Whether its oldest packets made room for new ones."""
        return self._events.has_deleted

    def not_measured(self) -> list[dict[str, str]]:
        """What went missing, for the manifest."""
        return [*self._events.not_measured(), *self._capture.clock_gaps()]
