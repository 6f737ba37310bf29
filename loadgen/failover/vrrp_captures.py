"""VRRP as each director sends and receives it, captured there.

Unicast advertisements pass from director to director, and a client's link shows none of them; and
of two masters that do not hear each other each director sees its own. The packets are few, so that
tcpdump runs beside the poller without disturbing the director.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from analyzer.recording.directory import vrrp_capture_name
from analyzer.wire.capture.pcap import MAX_NS
from loadgen.capture import tcpdump
from loadgen.capture.files import PcapFiles, cut_record
from loadgen.capture.model import CaptureRefused
from loadgen.capture.remote_clock import ClockOffset, measure_offset
from loadgen.capture.remote_tcpdump import FarTcpdump
from loadgen.capture.stream import NotPcap
from loadgen.director.links.complaints import recorded
from loadgen.director.links.shell import LinkLost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.recording.directory import RecordingWriter
    from loadgen.capture.stream import Packet
    from loadgen.director.links.link import Link

EXPRESSION = (
    "ip proto 112 or ip6 proto 112 or (udp and (port 3784 or port 4784)) "
    "or (arp and arp[14:4] = arp[24:4]) or (icmp6 and ip6[40] == 136)"
)
"""VRRP, BFD (RFC 5881, RFC 5883), gratuitous ARP, neighbour advertisements; pcap-filter(7)."""

ANY = "any"
"""Directors may advertise on another interface than the one that leads to the client."""

_READ_OUT_S = 3.0


class VrrpCaptures:
    """An activity: a capture on every director; one that cannot be had is recorded as a gap.

    Args:
        links: to the directors; their order numbers the files.
        recording: takes the files, and the directors' names (``failover.vrrp_captured_on``).
    """

    def __init__(self, links: Sequence[Link], recording: RecordingWriter) -> None:
        self._recording = recording
        self._captures = [
            _VrrpCapture(link, recording.path / vrrp_capture_name(number))
            for number, link in enumerate(links)
        ]

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(capture.begin() for capture in self._captures))
        names = [capture.name for capture in self._captures]
        facts = dict(self._recording.manifest["failover"])
        self._recording.update_manifest({"failover": facts | {"vrrp_captured_on": names}})
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(capture.end() for capture in self._captures))

    async def done(self) -> None:
        """A capture never ends a run, and never holds one up."""

    def not_measured(self) -> list[dict[str, str]]:
        """Rows of ``run.json``: the directors that could not capture."""
        return [
            {"what": f"VRRP as {capture.name} sees it", "why": capture.refused}
            for capture in self._captures
            if capture.refused is not None
        ]


class _VrrpCapture:
    """The capture on one director.

    Attributes:
        refused: why there is none.
    """

    def __init__(self, link: Link, path: Path) -> None:
        self.name = link.name
        self.refused: str | None = None
        self._link, self._path = link, path
        self._tcpdump = FarTcpdump(link)
        self._offset = ClockOffset()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        try:
            self._offset = await measure_offset(self._link)
            await self._tcpdump.start(tcpdump.script(EXPRESSION, ANY, ""))
        except (CaptureRefused, LinkLost) as error:
            self.refused = recorded(str(error))
        else:
            self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        if self._task is None:
            return
        if not self._task.done():
            await self._tcpdump.end()
        await asyncio.wait({self._task}, timeout=_READ_OUT_S)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._tcpdump.close()

    async def _run(self) -> None:
        """Write down what comes; a director that fails takes its capture with it."""
        link_type = self._tcpdump.link_type
        with (
            contextlib.suppress(OSError, NotPcap),
            PcapFiles(self._path, link_type, None, lambda _: None) as files,
        ):
            async for packets in self._tcpdump.packets():
                self._write(files, packets)

    def _write(self, files: PcapFiles, packets: list[Packet]) -> None:
        ahead_ns = self._offset.offset_ns
        ours = [(at_ns - ahead_ns, frame, length) for at_ns, frame, length in packets]
        valid = [packet for packet in ours if 0 <= packet[0] < MAX_NS]
        if valid:
            files.write(b"".join(cut_record(*packet) for packet in valid), len(valid), valid[-1][0])
