"""VRRP as each director sends and receives it, captured there.

Unicast advertisements pass from director to director, and a client's link shows none of them; and
of two masters that do not hear each other each director sees its own. The packets are few, so that
tcpdump runs beside the poller without disturbing the director.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self

from analyzer.recording.directory import vrrp_capture_name
from loadgen.capture import tcpdump
from loadgen.capture.files import clock_time
from loadgen.capture.model import CaptureRefused
from loadgen.capture.remote.capture import FarCapture
from loadgen.director.links.complaints import recorded
from loadgen.director.links.shell import LinkLost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.recording.directory import RecordingWriter
    from loadgen.capture.files import Deleted
    from loadgen.director.links.link import Link

EXPRESSION = (
    "ip proto 112 or ip6 proto 112 or (udp and (port 3784 or port 4784)) "
    "or (arp and arp[14:4] = arp[24:4]) or (icmp6 and ip6[40] == 136)"
)
"""VRRP, BFD (RFC 5881, RFC 5883), gratuitous ARP, neighbour advertisements; pcap-filter(7)."""

ANY = "any"
"""Directors may advertise on another interface than the one that leads to the client."""


class VrrpCaptures:
    """An activity: a capture on every director; what one of them misses is recorded as a gap.

    Args:
        links: to the directors; their order numbers the files.
        recording: takes the files, the directors' names (``failover.vrrp_captured_on``) and clocks
            (``failover.vrrp_captures``).
        fault_on: the director that the fault befalls, and whose capture is to stop with it; None
            where that is not known.
    """

    def __init__(
        self, links: Sequence[Link], recording: RecordingWriter, fault_on: str | None
    ) -> None:
        self._recording = recording
        self._captures = [
            _VrrpCapture(
                link,
                recording.path / vrrp_capture_name(number),
                is_to_stop=link.name == fault_on,
            )
            for number, link in enumerate(links)
        ]

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(capture.begin() for capture in self._captures))
        facts = dict(self._recording.manifest["failover"])
        facts["vrrp_captured_on"] = [capture.name for capture in self._captures]
        facts["vrrp_captures"] = [row for capture in self._captures for row in capture.clock()]
        self._recording.update_manifest({"failover": facts})
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(capture.end() for capture in self._captures))

    async def done(self) -> None:
        """A capture never ends a run, and never holds one up."""

    def not_measured(self) -> list[dict[str, str]]:
        """Rows of ``run.json``: what the directors' captures miss."""
        return [row for capture in self._captures for row in capture.not_measured()]


class _VrrpCapture:
    """The capture on one director."""

    def __init__(self, link: Link, path: Path, *, is_to_stop: bool) -> None:
        self.name = link.name
        self._gaps = _Gaps(f"VRRP as {link.name} sees it", is_to_stop=is_to_stop)
        self._capture = FarCapture(link, path, None, self._gaps)

    async def begin(self) -> None:
        try:
            await self._capture.start(tcpdump.script(EXPRESSION, ANY, ""))
        except (CaptureRefused, LinkLost) as error:
            self._gaps.refused(recorded(str(error)))

    async def end(self) -> None:
        await self._capture.end()

    def clock(self) -> list[dict[str, Any]]:
        """Its row of ``vrrp_captures``; none where it was refused."""
        if not self._capture.began:
            return []
        offset = self._capture.offset
        return [
            {
                "host": self.name,
                "clock_offset_ns": offset.offset_ns,
                "clock_uncertainty_ns": offset.uncertainty_ns,
            }
        ]

    def not_measured(self) -> list[dict[str, str]]:
        return [*self._gaps.rows, *self._capture.clock_gaps()]


class _Gaps:
    """What one capture misses, as rows of ``run.json``.

    Attributes:
        rows: so far.
    """

    def __init__(self, what: str, *, is_to_stop: bool) -> None:
        self._what, self._is_to_stop = what, is_to_stop
        self.rows: list[dict[str, str]] = []

    def refused(self, why: str) -> None:
        self.rows.append({"what": self._what, "why": why})

    def stopped(self, why: str) -> None:
        if not self._is_to_stop:
            what = f"{self._what}, from {clock_time(time.time_ns())} on"
            self.rows.append({"what": what, "why": f"the capture stopped: {why}"})

    def dropped(self, packets: int, since_ns: int, until_ns: int) -> None:
        del since_ns, until_ns  # its whole time
        why = "tcpdump did not keep up there, and the kernel dropped them"
        self.rows.append({"what": f"{packets} packets of {self._what}", "why": why})

    def deleted(self, file: Deleted) -> None:
        """Nothing: these captures have no bound."""
