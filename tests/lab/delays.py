"""How long a host of a lab takes to answer, so that a stall of the machine is no fault of ours.

A machine that other machines share stops for tenths of a second now and then. What a test of real
timers may be off by is its limit and the longest such stall that its lab was seen to have.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.lab import Lab

ASK = """
import signal, socket, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job of a shell ignores it
longest = 0.0
try:
    while True:
        with socket.socket() as client:
            began = time.monotonic()
            client.connect_ex((sys.argv[1], 9))  # nobody listens: the kernel itself says so
            longest = max(longest, time.monotonic() - began)
        time.sleep(0.02)
except KeyboardInterrupt:
    print(longest)
"""
LONGEST_STALL_S = 2.0
"""A machine that stops for longer measures nothing."""


@dataclass
class Delays:
    """The longest answer; not known before the asking ends."""

    longest_s: float | None = None

    def allowed_s(self, limit_s: float) -> float:
        """The limit on a machine that never stops, and what this one was seen to stop for."""
        assert self.longest_s is not None
        assert self.longest_s < LONGEST_STALL_S, "the machine stopped for too long to measure on"
        return limit_s + self.longest_s


@contextmanager
def measured_delays(lab: Lab, host_name: str) -> Iterator[Delays]:
    """Ask a host's kernel 50 times a second, from the lab's client, until the block ends."""
    address = lab.topology.host(host_name).address
    argv = lab.command("client", [sys.executable, "-I", "-S", "-c", ASK, address])
    delays = Delays()
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as asking:
        try:
            yield delays
        finally:
            asking.send_signal(signal.SIGINT)
            output, complaint = asking.communicate(timeout=30)
    assert output, complaint
    delays.longest_s = float(output)
