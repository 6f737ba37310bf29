"""The datagrams of a proof: sent on schedule inside the client, seen to arrive inside the servers.

A process of its own, ``python -m loadgen.capacity_proof.traffic``: a pickled ``Stream`` on standard
input, then nothing; the end of that stream, also when our parent was killed, is the order to stop.
On standard output go rows of ``ROW``, a second or two after each datagram's fate is known. Sender
and receivers are of one machine and one clock, so a delay is one way and needs no answer.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import select
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analyzer.units import NS_PER_S
from loadgen.capacity_proof.schedule import HEADERS_BYTES, PAYLOAD_BYTES, Pacer, due_s
from loadgen.errors import RunFailed
from loadgen.lab.system import netns

ROW = np.dtype(
    [("due", "<i8"), ("sent", "<i8"), ("received", "<i8"), ("flow", "<u2"), ("server", "<u2")]
)
"""Instants are Unix nanoseconds; ``received`` is 0 of a datagram that no server got."""

FIRST_SOURCE_PORT = 20_000
SETTLED_S = 1.5
"""Longer than a datagram can wait anywhere on its way."""
_EVERY_S = 0.5
_BLOCK = 1 << 16
_RECEIVE_BYTES = 8 << 20
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35  # include/uapi/asm-generic/socket.h
_TIMESPEC = struct.Struct("@qq")
_HEAD = struct.Struct("!QQ")
"""Of a payload: the run's token and the datagram's number."""
_PUNCTUAL = -10
_PIPE_BYTES = 1 << 20
"""Room for half a minute of rows, so that the sender never waits for who records them."""
_IP_UDP_BYTES = HEADERS_BYTES - 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What is to be sent, and where the ends are.

    Attributes:
        client, servers: network namespaces; never the machine's own.
        vips: in the order in which the flows take them.
        token: marks the datagrams of this stream.
    """

    client: str
    servers: tuple[str, ...]
    vips: tuple[str, ...]
    port: int
    flows: int
    rate_per_s: float
    burst: float
    token: int


def socket_inside(namespace: str, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
    """A socket in a namespace that is not ours.

    Raises:
        RunFailed: there is none of that name, or it is the machine's own.
    """
    outside = Path("/proc/self/ns/net").stat()

    def make() -> socket.socket:
        network = Path("/proc/thread-self/ns/net").stat()
        if (network.st_dev, network.st_ino) == (outside.st_dev, outside.st_ino):
            raise RunFailed(f"network namespace {namespace} is the machine's own; nothing is sent")
        return socket.socket(socket.AF_INET, kind, protocol)

    return netns.within(namespace, make)


class Traffic:
    """Sender and receivers of one stream, in turns, in one thread."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rows = np.zeros(_BLOCK, ROW)
        self._base = self._next = 0  # number of the first row kept, and of the next datagram
        self._out = [self._sender(flow) for flow in range(stream.flows)]
        self._in = [self._receiver(server) for server in stream.servers]
        self._pacer = Pacer()
        self._filling = bytes(PAYLOAD_BYTES - _HEAD.size)

    def run(self, stopped: threading.Event, output: int) -> None:
        """Send until told to stop, then wait for what is on its way."""
        began_ns = time.time_ns()
        flushed_s = time.monotonic()
        while not stopped.is_set():
            due_ns = began_ns + int(1e9 * self._due_s(self._next))
            turn_ns = self._pacer.turn_ns(due_ns, time.time_ns())
            if time.time_ns() >= turn_ns:
                self._send(due_ns)
            else:
                self._receive(turn_ns)
            if time.monotonic() > flushed_s + _EVERY_S:
                flushed_s = time.monotonic()
                self._let_go(output, time.time_ns() - int(1e9 * SETTLED_S))
        until_ns = time.time_ns() + int(1e9 * SETTLED_S)
        while time.time_ns() < until_ns:
            self._receive(until_ns)
        self._let_go(output, until_ns)

    def _due_s(self, number: int) -> float:
        return due_s(number, self._stream.rate_per_s, self._stream.burst)

    def _sender(self, flow: int) -> socket.socket:
        made = socket_inside(self._stream.client, socket.SOCK_DGRAM)
        made.bind(("", FIRST_SOURCE_PORT + flow))
        made.setblocking(False)
        return made

    def _receiver(self, namespace: str) -> socket.socket:
        """A raw socket gets a copy of each datagram beside the lab's own echo (raw(7))."""
        made = socket_inside(namespace, socket.SOCK_RAW, socket.IPPROTO_UDP)
        try:
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
        except PermissionError:  # an ordinary user's lab has what the machine allows
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        made.setblocking(False)
        return made

    def _send(self, due_ns: int) -> None:
        number, flow = self._next, self._next % self._stream.flows
        if number - self._base == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros(_BLOCK, ROW)])
        vip = self._stream.vips[flow % len(self._stream.vips)]
        payload = _HEAD.pack(self._stream.token, number) + self._filling
        self._rows[number - self._base] = (due_ns, time.time_ns(), 0, flow, 0)
        self._next += 1
        with suppress(OSError):  # a full queue, or no neighbour: lost, and counted as that
            self._out[flow].sendto(payload, (vip, self._stream.port))

    def _receive(self, until_ns: int) -> None:
        wait_s = max(0.0, (until_ns - time.time_ns()) / NS_PER_S)  # poll(2) knows but milliseconds
        ready, _, _ = select.select(self._in, [], [], wait_s)
        for receiver in ready:
            self._drain(self._in.index(receiver))

    def _drain(self, server: int) -> None:
        with suppress(BlockingIOError):
            for _ in range(64):
                data, control, *_ = self._in[server].recvmsg(_IP_UDP_BYTES + _HEAD.size, 64)
                if len(data) < _IP_UDP_BYTES + _HEAD.size:
                    continue
                token, number = _HEAD.unpack_from(data, _IP_UDP_BYTES)
                if token == self._stream.token and self._base <= number < self._next and control:
                    seconds, nanoseconds = _TIMESPEC.unpack(control[0][2])
                    row = self._rows[number - self._base]
                    row["received"], row["server"] = seconds * NS_PER_S + nanoseconds, server

    def _let_go(self, output: int, sent_before_ns: int) -> None:
        """Write the rows whose fate is known."""
        known = self._rows[: self._next - self._base]
        count = int(np.searchsorted(known["sent"], sent_before_ns))
        if not count:
            return
        rest = memoryview(known[:count].tobytes())
        with suppress(BrokenPipeError):  # nobody is left to read it; the stop is on its way
            while rest:
                rest = rest[os.write(output, rest) :]
        remaining = np.zeros(max(_BLOCK, len(known) - count), ROW)
        remaining[: len(known) - count] = known[count:]
        self._rows, self._base = remaining, self._base + count


def main() -> None:
    """Take the order, carry it out."""
    try:
        stream: Stream = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent's
    except EOFError:
        return
    stopped = threading.Event()
    threading.Thread(target=_await_stop, args=(stopped,), daemon=True).start()
    _be_punctual()
    with suppress(OSError):
        fcntl.fcntl(sys.stdout.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        Traffic(stream).run(stopped, sys.stdout.fileno())
    except (RunFailed, OSError) as error:
        sys.exit(f"{error}")


def _be_punctual() -> None:
    """Go before others when a datagram is due: in real time, or where that may not be, by nice."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _PUNCTUAL)


def _await_stop(stopped: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):  # raw: a buffered one could not be left at the end
        pass
    stopped.set()


if __name__ == "__main__":
    main()
