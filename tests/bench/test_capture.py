"""Packets captured at 100,000 a second for 30 s, on one core: by the ring, scapy and tcpdump.

Sender and capture stand in network namespaces of this benchmark, a veth pair between them. The
sender is a ring of ours that takes its frames ready made, on a core of its own where there are two.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Process = subprocess.Popen[str]

RATE, SECONDS = 100_000, 30
FILTER = "(host 10.0.0.1 and tcp port 80) or arp or ip proto 112"
REPOSITORY = Path(__file__).parents[2]
ENOUGH = 0.98  # of the rate: a sender that lags measures nothing
READY_S = 20.0

SENDER = """
import sys, time
import numpy as np
from loadgen.rings.slots import SendRing
interface, rate, seconds, mac = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
flows = 1000
headers = bytes.fromhex(mac.replace(":", "")) + bytes([2, 0, 0, 0, 0, 1]) + b"\\x08\\x00"
headers += bytes([0x45, 0, 0, 52, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1])
headers += bytes([0, 0, 0, 80]) + bytes(8) + b"\\x80\\x10\\x04\\x00" + bytes(16) + bytes(86)
frames = np.tile(np.frombuffer(headers, dtype=np.uint8), (flows, 1))
frames[:, 34:36] = np.arange(1024, 1024 + flows).astype(">u2").view(np.uint8).reshape(-1, 2)
length = np.array([66, 74, 66, 140])[np.arange(flows) % 4]
ring = SendRing(interface, slots=4096)
began, sent = time.monotonic(), 0
while (now := time.monotonic() - began) < seconds:
    due = min(int(now * rate) - sent, flows)
    sent += ring.send(frames[:due], length[:due]) if due > 0 else 0
    time.sleep(0.0005)
while ring.waiting():
    ring.flush()
print(sent)
"""

OURS = """
import asyncio, json, signal, sys
from pathlib import Path
from loadgen.capture.local import Capture
from loadgen.capture.model import CapturePlan
from loadgen.target import Target
plan = CapturePlan(
    targets=(Target(vip="10.0.0.1", port=80),), path=Path(sys.argv[3]), captured_with=sys.argv[2]
)
async def main():
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    capture = Capture(sys.argv[1], plan, lambda row: None)
    async with capture:
        print("listening", file=sys.stderr, flush=True)
        await ended.wait()
    print(json.dumps(capture.manifest()))
asyncio.run(main())
"""


@dataclass(frozen=True)
class Result:
    """What one way of capturing kept of what was sent, and its CPU time."""

    sent: int
    kept: int
    dropped: int
    cpu_s: float

    @property
    def share(self) -> float:
        """Kept of sent."""
        return self.kept / self.sent

    def shown(self, name: str, peer: Result) -> str:
        """One line, with the ratios to a peer."""
        return (
            f"{name:>8}: {self.kept:>9,} of {self.sent:,} kept, {self.dropped:,} dropped, "
            f"CPU {self.cpu_s:5.2f} s ({self.cpu_s / SECONDS:.0%} of a core); beside tcpdump: "
            f"kept {self.share / peer.share:.3f}x, CPU {self.cpu_s / peer.cpu_s:.2f}x"
        )


@dataclass(frozen=True)
class Wire:
    """Two namespaces, ``va`` in the one and ``vb`` in the other."""

    sender: str
    receiver: str
    mac: str


@contextmanager
def a_wire() -> Iterator[Wire]:
    remove_left_behind()
    sender, receiver = (f"lgb{end}{os.getpid()}" for end in "sc")
    mac = "02:00:00:00:00:02"
    try:
        for name in (sender, receiver):
            subprocess.run(["ip", "netns", "add", name], check=True)
        for line in (
            f"-n {sender} link add name va type veth peer name vb netns {receiver} address {mac}",
            f"-n {sender} link set va up",
            f"-n {receiver} link set vb up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        yield Wire(sender, receiver, mac)
    finally:
        for name in (sender, receiver):
            subprocess.run(["ip", "netns", "del", name], check=False)


def remove_left_behind() -> None:
    """Namespaces of a benchmark that was killed."""
    with suppress(FileNotFoundError):
        for path in Path("/run/netns").iterdir():
            found = re.fullmatch(r"lgb[sc](\d+)", path.name)
            if found and not Path("/proc", found[1]).exists():
                subprocess.run(["ip", "netns", "del", path.name], check=False)


def start(namespace: str, core: int, argv: Sequence[str]) -> Process:
    pinned = ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 else []
    return subprocess.Popen(
        ["ip", "netns", "exec", namespace, *pinned, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def measured(wire: Wire, argv: Sequence[str]) -> tuple[int, str, float]:
    """How many frames were sent, what the capture said, and its CPU time, seconds."""
    capture = start(wire.receiver, 1, argv)
    assert capture.stderr is not None
    assert capture.stdout is not None
    deadline_s = time.monotonic() + READY_S
    while "listening" not in (line := capture.stderr.readline()):
        assert line, "the capture did not start"
        assert time.monotonic() < deadline_s
    used_s = cpu_s(capture.pid)  # without its start
    send_argv = [sys.executable, "-c", SENDER, "va", str(RATE), str(SECONDS), wire.mac]
    sender = start(wire.sender, 0, send_argv)
    sent, complaint = sender.communicate(timeout=SECONDS + 30)
    assert sender.returncode == 0, complaint
    time.sleep(1.5)  # what tcpdump has in its ring comes within a second
    used_s = cpu_s(capture.pid) - used_s
    capture.send_signal(signal.SIGTERM)
    said, end = capture.communicate(timeout=30)
    return int(sent), said + end, used_s


def cpu_s(pid: int) -> float:
    """User and system time of a process and its threads (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def by_us(wire: Wire, captured_with: str, path: Path) -> Result:
    sent, said, used_s = measured(
        wire, [sys.executable, "-c", OURS, "vb", captured_with, str(path)]
    )
    counts = json.loads(said.splitlines()[0])
    return Result(sent, counts["packets"], counts["dropped"], used_s)


def by_tcpdump(wire: Wire, path: Path) -> Result:
    flags = ["-p", "-n", "-s", "160", "--time-stamp-precision=nano", "-Z", "root"]
    argv = ["tcpdump", *flags, "-i", "vb", "-w", str(path), FILTER]
    sent, said, used_s = measured(wire, argv)
    counts = {
        what: int(n) for n, what in re.findall(r"(\d+) packets? (captured|dropped by k)", said)
    }
    return Result(sent, counts["captured"], counts["dropped by k"], used_s)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="the peer is tcpdump")
def test_the_ring_keeps_as_many_packets_as_tcpdump(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_wire() as wire:
        peer = by_tcpdump(wire, tmp_path / "tcpdump.pcap")
        ours = {name: by_us(wire, name, tmp_path / f"{name}.pcap") for name in ("ring", "scapy")}
    with capsys.disabled():
        print(f"\n{RATE:,} packets/s for {SECONDS} s, capture on one core:")
        for name, result in {"tcpdump": peer, **ours}.items():
            print(result.shown(name, peer))
    assert min(peer.sent, ours["ring"].sent) >= ENOUGH * RATE * SECONDS
    assert (ours["ring"].kept, ours["ring"].dropped) == (ours["ring"].sent, 0)
    assert ours["ring"].cpu_s <= SECONDS
