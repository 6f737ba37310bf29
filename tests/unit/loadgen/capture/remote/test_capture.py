"""The capture through a link, with the real tcpdump: here, by a shell of our own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.capture import tcpdump
from loadgen.capture.events import NO_PACKETS
from loadgen.capture.model import CapturePlan
from loadgen.capture.remote.capture import RemoteCapture
from loadgen.capture.remote.clock import ClockOffset, measure_offset, offset_of
from loadgen.capture.remote.tcpdump import FarTcpdump
from loadgen.director.links.link import Link, parse_link
from loadgen.director.links.shell import ShellAnswer
from loadgen.target import Target
from tests.unit.loadgen.servers import own_address
from tests.unit.loadgen.wire import needs_root, packets_of
from tests.unit.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

HOST, PORT = own_address(), 9
REFUSED_PACKETS = 2  # a SYN and the RST to it
needs_tcpdump = pytest.mark.skipif(
    shutil.which("tcpdump") is None or os.geteuid() != 0, reason="tcpdump, as root"
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The far side has all the time that a busy machine takes; packets are waited for."""
    monkeypatch.setattr(tcpdump, "RING_S", 0)
    for name in ("capture._READ_OUT_S", "clock._ANSWER_S", "tcpdump._START_S", "tcpdump._END_S"):
        monkeypatch.setattr(f"loadgen.capture.remote.{name}", LIMIT_S)


@dataclass(frozen=True)
class Ran:
    """A capture that has ended, and what it said."""

    capture: RemoteCapture
    events: Sequence[dict[str, Any]]
    said: Sequence[str]
    path: Path


def run(
    path: Path,
    link: Link,
    *,
    interface: str | None = None,
    connections: int = 5,
    when_seen: Callable[[], object] = lambda: None,
    till_event: bool = False,
) -> Ran:
    """Connections to a port where nobody listens, captured through a link.

    Args:
        path: of the run.
        link: to the host that captures.
        interface: there.
        connections: how many.
        when_seen: called when their packets have come.
        till_event: an event is waited for after that.
    """
    events: list[dict[str, Any]] = []
    said: list[str] = []
    plan = CapturePlan(targets=(Target(vip=HOST, port=PORT),), path=path / "capture.pcap")
    capture = RemoteCapture(
        link, interface, HOST, plan, lambda row: events.append(dict(row)), said.append
    )

    async def main() -> None:
        async with capture:
            for _ in range(connections):
                with socket.socket() as sock:
                    sock.connect_ex((HOST, PORT))
            seen = REFUSED_PACKETS * connections
            assert await until(lambda: capture.packets >= seen or said)
            when_seen()
            assert not till_event or await until(lambda: events)

    asyncio.run(main())
    return Ran(capture, events, said, path / "capture.pcap")


def link_of(argv: Sequence[str]) -> Link:
    return Link(name="bal01", kind="exec", spec="exec:bal01", argv=tuple(argv))


@needs_tcpdump
def test_what_the_far_tcpdump_sees_is_written_here_and_it_is_gone_after(tmp_path: Path) -> None:
    ran = run(tmp_path, link_of(["sh"]))
    found = ran.capture.manifest()
    assert (found["host"], found["with"]) == ("bal01", "tcpdump")
    assert (found["packets"], found["dropped"]) == (5 * REFUSED_PACKETS, 0)
    assert found["clock_uncertainty_ns"] > 0
    assert [length for *_, length in packets_of(ran.path)] == [74, 54] * 5
    assert (ran.events, ran.said, ran.capture.not_measured()) == ([], [], [])
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"port {PORT})" not in running.stdout


@needs_tcpdump
@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["env", "PATH=/nowhere", "/bin/sh"], "tcpdump: not found"),
        (["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "sh"], "permission"),
        (["sh", "-c", "exit 3"], "the link was closed"),
        (["/nowhere/ssh"], "No such file"),
    ],
)
def test_where_tcpdump_is_not_to_be_had_one_line_says_why(
    tmp_path: Path, argv: Sequence[str], why: str
) -> None:
    ran = run(tmp_path, link_of(argv), connections=0)
    (line,) = ran.said
    assert why in line
    assert "\n" not in line
    (row,) = ran.capture.not_measured()
    assert row["what"] == NO_PACKETS
    assert why in row["why"]
    assert not ran.path.exists()


@needs_tcpdump
def test_an_interface_that_is_not_there_is_reported_in_tcpdumps_words(tmp_path: Path) -> None:
    ran = run(tmp_path, parse_link("local"), interface="nowhere0", connections=0)
    assert "tcpdump: nowhere0: No such device exists" in ran.said[0]


@needs_tcpdump
def test_a_link_that_is_cut_off_is_an_event_and_leaves_what_was_captured(tmp_path: Path) -> None:
    link = link_of(["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sh"])

    def cut_off() -> None:
        os.killpg(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    ran = run(tmp_path, link, when_seen=cut_off, till_event=True)
    assert [event["kind"] for event in ran.events] == ["capture-stopped"]
    assert ran.events[0]["host"] == "bal01"
    assert len(list(packets_of(ran.path))) == 5 * REFUSED_PACKETS
    assert any("packets from" in row["what"] for row in ran.capture.not_measured())


def test_at_its_end_tcpdump_has_time_for_a_last_look_into_its_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept_s: list[float] = []

    async def sleep(seconds: float) -> None:
        slept_s.append(seconds)

    monkeypatch.setattr(tcpdump, "RING_S", 1.5)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(FarTcpdump(link_of(["sh"])).end())
    assert slept_s == [1.5]


@needs_root
def test_what_is_no_capture_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "tcpdump"
    fake.write_text("#!/bin/sh\necho nothing that one could call a capture\n")
    fake.chmod(0o755)
    ran = run(tmp_path, link_of(["env", f"PATH={tmp_path}:{os.environ['PATH']}", "sh"]))
    assert "what came does not begin as a pcap file" in ran.said[0]
    assert not ran.path.exists()


def answer(asked_ns: int, answered_ns: int, text: str) -> ShellAnswer:
    return ShellAnswer(content=text.encode(), asked_ns=asked_ns, answered_ns=answered_ns)


def test_the_offset_is_by_the_quickest_answer_with_half_its_time_as_uncertainty() -> None:
    slow = answer(0, 9_000_000, "4.000000000\n")
    quick = answer(1_000_000_000, 1_000_200_000, "5.000150000\n")
    assert offset_of([slow, quick]) == ClockOffset(offset_ns=4_000_050_000, uncertainty_ns=100_000)


@pytest.mark.parametrize("text", ["1795372100.%N", "1795372100", "", "x", "9" * 30 + ".000000000"])
def test_a_date_that_tells_no_nanoseconds_leaves_the_offset_unknown(text: str) -> None:
    assert offset_of([answer(0, 1, text)]) == ClockOffset(offset_ns=0, uncertainty_ns=None)


def test_our_own_clock_is_ours() -> None:
    assert asyncio.run(measure_offset(parse_link("local"))) == ClockOffset(uncertainty_ns=0)
