"""The capture on a director or a server, through its link: tcpdump there, the file here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from analyzer.wire.capture.pcap import MAX_NS
from loadgen.capture import tcpdump
from loadgen.capture.events import CaptureEvents
from loadgen.capture.files import PcapFiles, cut_record
from loadgen.capture.filters import expression
from loadgen.capture.model import SNAP_BYTES, CaptureRefused
from loadgen.capture.remote_clock import ClockOffset, measure_offset
from loadgen.capture.remote_tcpdump import FarTcpdump
from loadgen.capture.stream import NotPcap
from loadgen.director.links.complaints import recorded
from loadgen.director.links.shell import LinkLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.capture.model import CapturePlan, EventSink
    from loadgen.capture.stream import Packet
    from loadgen.director.links.link import Link

_READ_OUT_S = 5.0


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
        self.packets = 0
        self.dropped: int | None = None
        self._link = link
        self._interface = interface
        self._script = tcpdump.script(self.filter, interface, client_ip)
        self._plan = plan
        self._say = say
        self._events = CaptureEvents(link.name, plan, record_event)
        self._tcpdump = FarTcpdump(link)
        self._offset = ClockOffset()
        self._task: asyncio.Task[None] | None = None
        self._began_ns = 0
        self._ending = False

    async def __aenter__(self) -> RemoteCapture:
        self._events.begin(asyncio.get_running_loop())
        try:
            self._offset = await measure_offset(self._link)
            await self._tcpdump.start(self._script)
        except (CaptureRefused, LinkLost) as error:
            self._say(f"{error}; the run goes on without packets")
            self._events.refused(f"no capture on {self._link.name}: {recorded(str(error))}")
        else:
            self._began_ns = time.time_ns()
            self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
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
        self._count_drops()

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
            "clock_offset_ns": self._offset.offset_ns,
            "clock_uncertainty_ns": self._offset.uncertainty_ns,
            "failure": self._events.failure,
        }

    @property
    def has_deleted(self) -> bool:
        """Whether its oldest packets made room for new ones."""
        return self._events.has_deleted

    def not_measured(self) -> list[dict[str, str]]:
        """What went missing, for the manifest."""
        rows = self._events.not_measured()
        if self._task is not None and self._offset.uncertainty_ns is None:
            why = "its date(1) tells no nanoseconds; packets bear its own clock's time"
            rows.append({"what": f"the clock of {self._link.name} against ours", "why": why})
        return rows

    async def _run(self) -> None:
        """Write down what comes, until tcpdump ends: at our word, or before."""
        try:
            with PcapFiles(
                self._plan.path,
                self._tcpdump.link_type,
                self._plan.size_bytes,
                self._events.deleted,
            ) as files:
                async for packets in self._tcpdump.packets():
                    self._write(files, packets)
        except (OSError, NotPcap) as error:
            self._events.stopped(str(error))
        else:
            if not self._ending:
                why = self._tcpdump.complaint()
                self._events.stopped(recorded(why) if why else "tcpdump or the link ended")

    def _write(self, files: PcapFiles, packets: list[Packet]) -> None:
        ahead_ns = self._offset.offset_ns
        ours = [(at_ns - ahead_ns, frame, length) for at_ns, frame, length in packets]
        valid = [packet for packet in ours if 0 <= packet[0] < MAX_NS]
        if valid:
            files.write(b"".join(cut_record(*packet) for packet in valid), len(valid), valid[-1][0])
        self.packets = files.packets

    def _count_drops(self) -> None:
        self.dropped = self._tcpdump.dropped()
        if self.dropped:
            self._events.dropped(self.dropped, self._began_ns, time.time_ns())
