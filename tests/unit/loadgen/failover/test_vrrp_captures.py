"""Captures of VRRP on directors: in the client's time, and what each of them misses is said.

A tcpdump of ours stands in for theirs; ``capture.remote.test_capture`` has the real one.
"""

from __future__ import annotations

import asyncio
import errno
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vrrp import VRRP

from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.wire.vrrp import read_announcements
from loadgen.capture.model import CaptureRefused
from loadgen.capture.remote import capture as remote
from loadgen.capture.remote.clock import ClockOffset
from loadgen.director.links.link import Link
from loadgen.director.links.shell import LinkLost
from loadgen.failover.vrrp_captures import VrrpCaptures
from tests.unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from loadgen.capture.remote.stream import Packet

NS = 1_000_000_000
SEEN_NS = 1_700_000_000 * NS
NETWORK = IP(src="192.168.10.11", dst="192.168.10.12", ttl=255)
ADVERT = bytes(Ether() / NETWORK / VRRP(vrid=41, addrlist=["192.168.10.2"]))


@dataclass
class Scripted:
    """What tcpdump on one director does, and its clock."""

    offset: ClockOffset | Exception = field(default_factory=lambda: ClockOffset(uncertainty_ns=9))
    refusal: str | None = None
    packets: tuple[Packet, ...] = ((SEEN_NS, ADVERT, len(ADVERT)),)
    stops: str | None = None  # in its own words; "" in none
    fails: OSError | None = None
    dropped: int = 0
    script: str = ""
    is_through: bool = False


class Tcpdump:
    """Stands in for ``FarTcpdump``."""

    link_type = 1

    def __init__(self, scripted: Scripted) -> None:
        self._scripted = scripted
        self._over = asyncio.Event()

    async def start(self, script: str) -> None:
        self._scripted.script = script
        if self._scripted.refusal is not None:
            self._scripted.is_through = True
            raise CaptureRefused(self._scripted.refusal)

    async def packets(self) -> AsyncIterator[list[Packet]]:
        yield list(self._scripted.packets)
        self._scripted.is_through = True
        if self._scripted.fails is not None:
            raise self._scripted.fails
        if self._scripted.stops is None:
            await self._over.wait()

    async def end(self) -> None:
        self._over.set()

    async def close(self) -> None:
        pass

    def complaint(self) -> str | None:
        return self._scripted.stops or None

    def dropped(self) -> int | None:
        return self._scripted.dropped


@dataclass(frozen=True)
class Ran:
    """The rows of what was not measured, and the recording."""

    missed: list[dict[str, str]]
    recording: Recording


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def ran(fault_on: str | None = None, **directors: Scripted) -> Ran:
        async def measured(link: Link) -> ClockOffset:
            offset = directors[link.name].offset
            if isinstance(offset, Exception):
                directors[link.name].is_through = True
                raise offset
            return offset

        monkeypatch.setattr(remote, "measure_offset", measured)
        monkeypatch.setattr(remote, "FarTcpdump", lambda link: Tcpdump(directors[link.name]))
        links = [Link(name=n, kind="exec", spec=f"exec:{n}", argv=("sh",)) for n in directors]
        writer = RecordingWriter(tmp_path / "run", {"command": "failover", "failover": {}})

        async def main() -> VrrpCaptures:
            captures = VrrpCaptures(links, writer, fault_on)
            async with captures:
                assert await until(lambda: all(each.is_through for each in directors.values()))
            return captures

        captures = asyncio.run(main())
        writer.close("completed")
        return Ran(captures.not_measured(), Recording.open(tmp_path / "run"))

    return ran


def times(recording: Recording, director: str) -> list[int]:
    content = recording.vrrp_captures()[director]
    return [row.at_ns for row in read_announcements(content).advertisements]


def test_packets_are_in_the_clients_time_and_the_clock_is_in_the_manifest(run: Any) -> None:
    ahead = ClockOffset(offset_ns=-7 * NS, uncertainty_ns=250_000)
    one, other = Scripted(), Scripted(offset=ahead)
    ran = run(bal01=one, bal02=other)
    assert times(ran.recording, "bal01") == [SEEN_NS]
    assert times(ran.recording, "bal02") == [SEEN_NS + 7 * NS]
    facts = ran.recording.manifest.failover
    assert facts.vrrp_captured_on == ("bal01", "bal02")
    assert ran.recording.manifest.raw["failover"]["vrrp_captures"] == [
        {"host": "bal01", "clock_offset_ns": 0, "clock_uncertainty_ns": 9},
        {"host": "bal02", "clock_offset_ns": -7 * NS, "clock_uncertainty_ns": 250_000},
    ]
    assert facts.clock_uncertainty_s("bal02") == pytest.approx(0.00025)
    assert "ip proto 112" in one.script
    assert ran.missed == []


@pytest.mark.parametrize(
    ("director", "why"),
    [
        (Scripted(refusal="no capture on bal01: tcpdump: not found"), "tcpdump: not found"),
        (Scripted(offset=LinkLost("no answer within 5 s")), "no answer"),
    ],
)
def test_a_director_that_cannot_capture_is_a_gap_and_the_others_go_on(
    run: Any, director: Scripted, why: str
) -> None:
    ran = run(bal01=director, bal02=Scripted())
    (row,) = ran.missed
    assert row["what"] == "VRRP as bal01 sees it"
    assert why in row["why"]
    assert list(ran.recording.vrrp_captures()) == ["bal02"]
    (clock,) = ran.recording.manifest.raw["failover"]["vrrp_captures"]
    assert clock["host"] == "bal02"


STOPS = {
    "the link": (Scripted(stops=""), "the capture stopped: tcpdump or the link ended"),
    "tcpdump": (Scripted(stops="tcpdump: pcap_loop: down"), "the program behind it ended"),
    "the disk": (Scripted(fails=OSError(errno.ENOSPC, "No space left on device")), "No space left"),
}


@pytest.mark.parametrize("which", STOPS)
def test_a_capture_that_stops_midway_is_a_gap_from_then_on(run: Any, which: str) -> None:
    director, why = STOPS[which]
    ran = run(bal01=Scripted(), bal02=director)
    (row,) = ran.missed
    assert re.fullmatch(r"VRRP as bal02 sees it, from [\d:.]+ UTC on", row["what"])
    assert why in row["why"]
    assert times(ran.recording, "bal02") == [SEEN_NS]


def test_that_the_fault_stops_its_own_directors_capture_is_no_gap(run: Any) -> None:
    ran = run(fault_on="bal01", bal01=Scripted(stops=""), bal02=Scripted(dropped=3))
    assert ran.missed == [
        {
            "what": "3 packets of VRRP as bal02 sees it",
            "why": "tcpdump did not keep up there, and the kernel dropped them",
        }
    ]


def test_a_clock_that_is_not_known_is_a_gap(run: Any) -> None:
    ran = run(bal01=Scripted(offset=ClockOffset()), bal02=Scripted())
    (row,) = ran.missed
    assert row["what"] == "the clock of bal01 against ours"
    assert ran.recording.manifest.failover.clock_uncertainty_s("bal01") is None
