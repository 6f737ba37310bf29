"""Packets captured on loopback, and on a wire of our own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Flag
from analyzer.wire.connections import connections
from analyzer.wire.packets import PacketTable, read_packets
from analyzer.wire.segments import VirtualEnd, dealt_out
from loadgen.capture.local import Capture
from loadgen.capture.model import SNAP_BYTES, CapturePlan, CaptureRefused
from loadgen.target import Target
from tests.unit.loadgen.wire import (
    MAC_THERE,
    PORT,
    VIP,
    arp,
    needs_root,
    on_a_wire,
    packets_of,
    send,
    tcp,
    vrrp,
    vrrp6,
)
from tests.unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loadgen.capture.model import CaptureWith

HOST = "127.0.0.1"


class Echo:
    """A listener on loopback, and connections to it that exchange a few bytes."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                while data := sock.recv(1 << 16):
                    sock.sendall(data[:1])

    def connect(self, content: bytes = b"hello") -> int:
        """One connection that the client closes; its source port."""
        with socket.create_connection((HOST, self.port)) as sock:
            sock.sendall(content)
            sock.recv(1)
            return int(sock.getsockname()[1])

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def echo() -> Echo:
    return Echo()


def ignore(row: Mapping[str, Any]) -> None:
    """Take an event that no test here looks at."""


def plan(path: Path, vip: str, port: int, captured_with: CaptureWith = "auto") -> CapturePlan:
    target = Target(vip=vip, port=port)
    return CapturePlan(targets=(target,), path=path / "capture.pcap", captured_with=captured_with)


@pytest.fixture(params=["ring", "scapy"])
def captured(
    request: pytest.FixtureRequest, tmp_path: Path, echo: Echo
) -> tuple[Capture, PacketTable, bytes, list[int]]:
    """Three connections to the target and two to another port, captured on lo."""
    other = Echo()
    capture = Capture("lo", plan(tmp_path, HOST, echo.port, request.param), ignore)

    async def main() -> list[int]:
        async with capture:
            ports = [echo.connect(), echo.connect(b"x" * 1000), echo.connect()]
            other.connect()
            other.connect()
            await capture.done()
        return ports

    ports = asyncio.run(main())
    echo.close()
    other.close()
    content = (tmp_path / "capture.pcap").read_bytes()
    return capture, read_packets(memoryview(content)), content, ports


WAYS: tuple[CaptureWith, ...] = ("ring", "scapy")


Captured = tuple[Capture, PacketTable, bytes, list[int]]


@needs_root
def test_the_targets_packets_are_there_and_no_others(captured: Captured) -> None:
    capture, packets, _, ports = captured
    target = int(capture.filter.split(" port ")[1].split(")")[0])
    ends = set(packets.source_port.tolist()) | set(packets.destination_port.tolist())
    assert ends == {*ports, target}


@needs_root
def test_each_connection_is_whole_and_seen_once_also_on_loopback(captured: Captured) -> None:
    capture, packets, _, ports = captured
    segments = dealt_out(packets, [VirtualEnd("TCP", HOST, _port(capture))]).segments()
    rows = connections(segments)
    client_ports = segments.flows.loc[rows["flow"], "client_port"]
    assert sorted(client_ports) == sorted(ports)
    assert set(rows["closer"]) == {"client"}
    assert set(rows["syns"]) == {1}
    assert int(((segments.flag == Flag.FIN) & segments.to_vip).sum()) == 3


@needs_root
def test_the_file_is_a_nanosecond_pcap_with_the_instants_of_the_kernel(captured: Captured) -> None:
    _, packets, content, _ = captured
    assert content[:4] == b"\x4d\x3c\xb2\xa1"
    now_ns = time.time_ns()
    assert all(now_ns - 60 * 10**9 < at_ns <= now_ns for at_ns in packets.at_ns.tolist())
    assert any(at_ns % 1000 for at_ns in packets.at_ns.tolist())


@needs_root
def test_packets_are_cut_to_their_headers(captured: Captured) -> None:
    _, _, content, _ = captured
    kept, lengths, offset = [], [], 24
    while offset < len(content):
        kept.append(int.from_bytes(content[offset + 8 : offset + 12], "little"))
        lengths.append(int.from_bytes(content[offset + 12 : offset + 16], "little"))
        offset += 16 + kept[-1]
    assert offset == len(content)
    assert max(kept) == SNAP_BYTES
    assert max(lengths) > 1000


@needs_root
def test_the_manifest_counts_packets_and_drops(captured: Captured) -> None:
    capture, packets, _, _ = captured
    found = capture.manifest()
    assert (found["host"], found["interface"]) == ("client", "lo")
    assert found["with"] in ("ring", "scapy")
    assert found["packets"] == len(packets.at_ns)
    assert (found["dropped"], found["failure"]) == (0, None)
    assert found["snap_bytes"] == SNAP_BYTES


@needs_root
@pytest.mark.parametrize("end", ["vb", "va"])
def test_ring_and_scapy_see_the_same_packets_at_either_end_of_a_wire(
    tmp_path: Path, end: str
) -> None:
    tagged = tcp(7)[:12] + b"\x81\x00\x00\x2a" + tcp(7)[12:]
    wanted = [tcp(1), arp(), vrrp(), vrrp6(), tcp(2, payload=1000), tagged]
    elsewhere = tcp(3)[:36] + b"\x00\x51" + tcp(3)[38:]  # port 81
    # what a switch floods is left out as it arrives; our own tag is in the frame as it leaves
    expected = [*wanted[:-1], tcp(4, to=MAC_THERE)] if end == "va" else wanted
    size = 24 + sum(16 + len(frame[:SNAP_BYTES]) for frame in expected)  # of a pcap file
    paths = [tmp_path / each / "capture.pcap" for each in WAYS]

    async def both() -> list[Capture]:
        captures = [Capture(end, plan(tmp_path / each, VIP, PORT, each), ignore) for each in WAYS]
        async with captures[0], captures[1]:
            send([elsewhere, *wanted, tcp(4, to=MAC_THERE), elsewhere])
            assert await until(lambda: all(path.stat().st_size >= size for path in paths))
        return captures

    for each in WAYS:
        (tmp_path / each).mkdir()
    captures = on_a_wire(lambda: asyncio.run(both()))
    frames = {each: list(packets_of(tmp_path / each / "capture.pcap")) for each in WAYS}
    expected_packets = [(frame[:SNAP_BYTES], len(frame)) for frame in expected]
    for capture, packets in zip(captures, frames.values(), strict=True):
        assert [(frame, length) for _, frame, length in packets] == expected_packets
        assert capture.packets == len(expected_packets)
    assert [at for at, *_ in frames["ring"]] == [at for at, *_ in frames["scapy"]]


@needs_root
def test_packets_are_on_disk_while_the_run_is_on(tmp_path: Path, echo: Echo) -> None:
    path = tmp_path / "capture.pcap"
    capture = Capture("lo", plan(tmp_path, HOST, echo.port), ignore)

    async def main() -> None:
        async with capture:
            echo.connect()
            assert await until(lambda: path.stat().st_size > 24)

    asyncio.run(main())
    echo.close()


def test_an_interface_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureRefused, match="no capture on nowhere0: ") as caught:
        Capture("nowhere0", plan(tmp_path, HOST, 80), ignore)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "capture.pcap").exists()


def test_without_the_privilege_it_is_refused_in_one_line(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from loadgen.capture.local import Capture\n"
        "from loadgen.capture.model import CapturePlan, CaptureRefused\n"
        "from loadgen.target import Target\n"
        "try:\n"
        f"    path = Path({str(tmp_path)!r}) / 'x.pcap'\n"
        "    plan = CapturePlan(targets=(Target(vip='127.0.0.1', port=80),), path=path)\n"
        "    Capture('lo', plan, print)\n"
        "except CaptureRefused as error:\n"
        "    print(error)\n"
    )
    without = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("dropping a capability needs setpriv")
        without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    shown = subprocess.run(
        [*without, sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "no capture on lo: needs root or CAP_NET_RAW\n"


def _port(capture: Capture) -> int:
    return int(capture.filter.split(" port ")[1].split(")")[0])
