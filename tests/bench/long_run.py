"""A recording as a long run leaves it: requests, polls with gaps, entries, packets; by arithmetic.

Connections come at a steady rate from twenty clients, each address and port once, and are closed
by the client; every real server gets its turn. Each entry expires by the kernel's own rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analyzer.ipvs.timers import expiry_uptime_s
from analyzer.recording.directory import RecordingWriter

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

NS = 1_000_000_000
ZERO_NS = 1_790_000_000 * NS
UPTIME_S = 5000.0  # of the director when the run starts
HZ, TCPFIN_S = 100, 20.0
CLIENTS, FIRST_PORT, PORTS = 20, 10_000, 50_000
SERVERS = ("192.168.10.21", "192.168.10.22", "192.168.10.23", "192.168.10.24")
VIP, PORT = "192.168.10.2", 80
SERVICES_S, ENTRIES_S = 0.25, 1.0
GAPS_S = ((0.40, 0.42), (0.70, 0.701))  # of the watch, when the link to the director was lost
HELD_S = 0.012
ISN_STEP = 64_013  # of initial sequence numbers, from connection to connection
FLAGS = (0x02, 0x10, 0x11)  # SYN, ACK, FIN
AT_S = (0.0, 0.0006, HELD_S)  # of each, after the connection's start


@dataclass(frozen=True)
class LongRun:
    """How many requests, over how long."""

    requests: int = 1_000_000
    watch_s: float = 7200.0

    @property
    def started_s(self) -> Floats:
        """When each began, seconds since the run's start; the watch goes on a while longer."""
        last_s = self.watch_s - 3 * TCPFIN_S
        return np.linspace(1.0, last_s, self.requests)

    @property
    def expired_s(self) -> Floats:
        """When each entry expires, seconds since the run's start."""
        last_s = UPTIME_S + self.started_s + HELD_S
        return expiry_uptime_s(last_s, TCPFIN_S, hz=HZ, phase_s=0.0) - UPTIME_S

    def polls_s(self, every_s: float) -> Floats:
        """When the director was asked, gaps left out."""
        at_s = np.arange(0.1, self.watch_s, every_s)
        for low, high in GAPS_S:
            at_s = at_s[(at_s < low * self.watch_s) | (at_s > high * self.watch_s)]
        return at_s

    def write(self, path: Path) -> None:
        """The run directory."""
        writer = RecordingWriter(path, self.manifest())
        self._requests(writer)
        self.write_services(writer)
        self._entries(writer)
        self._events(writer)
        writer.capture_path.write_bytes(self.capture())
        writer.close("completed")

    def manifest(self) -> dict[str, Any]:
        """What the run was given and found."""
        return {
            "version": "0",
            "command": "burst",
            "command_line": ["loadgen", "burst", "--vip", VIP, "-n", str(self.requests)],
            "started_at_ns": ZERO_NS,
            "service": {"protocol": "TCP", "vip": VIP, "port": PORT},
            "directors": {
                "bal01": {
                    "kernel": "Linux 6.1.0",
                    "hz": HZ,
                    "timer_phase_s": 0.0,
                    "uptime_step_s": 0.01,
                    "timeouts": {"tcp": 900, "tcpfin": TCPFIN_S, "udp": 300},
                    "macs": ["02:00:00:00:00:11"],
                }
            },
            "capture": {"dropped": 0},
        }

    def _requests(self, writer: RecordingWriter) -> None:
        random = np.random.default_rng(1)
        n, started = self.requests, _ns(self.started_s)
        connect_ns = (random.gamma(4, 0.1, n) * 1e6).astype(np.int64)
        slow = random.random(n) < 0.0005
        connect_ns[slow] += NS  # a SYN that came again
        failed = random.random(n) < 0.0002
        ended = started + connect_ns + (random.gamma(4, 0.5, n) * 1e6).astype(np.int64)
        number = np.arange(n)
        columns = {
            "id": number,
            "kind": "HEAD",
            "host": "client",
            "protocol": "TCP",
            "vip": VIP,
            "port": PORT,
            "scheduled": _at(started),
            "started": _at(started),
            "connected": _at(started + connect_ns),
            "first_byte": _at(ended),
            "ended": _at(ended),
            "source_ip": _clients(number),
            "source_port": FIRST_PORT + number % PORTS,
            "status": 200,
            "bytes": 0,
            "error": pa.array(np.where(failed, "reset by peer", ""), mask=~failed),
            "closer": "client",
        }
        writer.extend_columns("requests", columns)

    def write_services(self, writer: RecordingWriter) -> None:
        """The polls of the service."""
        at_s = self.polls_s(SERVICES_S)
        for i, server in enumerate(SERVERS):
            mine = slice(i, None, len(SERVERS))
            closed, expired = self.started_s[mine] + HELD_S, np.sort(self.expired_s[mine])
            opened = np.searchsorted(self.started_s[mine], at_s)
            ended = np.searchsorted(closed, at_s)
            columns = {
                "at": _at(_ns(at_s)),
                "director": "bal01",
                "protocol": "TCP",
                "vip": VIP,
                "port": PORT,
                "scheduler": "rr",
                "real_server": server,
                "real_port": PORT,
                "forwarding": "dr",
                "weight": 1,
                "active": opened - ended,
                "inactive": ended - np.searchsorted(expired, at_s),
            }
            writer.extend_columns("services", columns)

    def _entries(self, writer: RecordingWriter) -> None:
        polls_s = self.polls_s(ENTRIES_S)
        seen = np.searchsorted(polls_s, self.started_s + HELD_S)
        missed = np.searchsorted(polls_s, self.expired_s)
        known = np.flatnonzero((seen < missed) & (missed < polls_s.size))
        due_s = self.started_s + HELD_S + TCPFIN_S
        for change, poll, last_read in (("appeared", seen, seen), ("gone", missed, missed - 1)):
            left_s = due_s[known] - polls_s[last_read[known]]
            columns = {
                "at": _at(_ns(polls_s[poll[known]])),
                "director": "bal01",
                "change": change,
                "protocol": "TCP",
                "state": "FIN_WAIT",
                "expires_s": np.maximum(left_s, 0).astype(np.int64),
                "client_ip": _clients(known),
                "client_port": FIRST_PORT + known % PORTS,
                "vip": VIP,
                "port": PORT,
                "real_server": pa.array(np.array(SERVERS)[known % len(SERVERS)]),
                "real_port": PORT,
            }
            writer.extend_columns("entries", columns)
        at_ns = _ns(polls_s)
        writer.extend_columns(
            "polls",
            {
                "at": _at(at_ns),
                "director": "bal01",
                "what": "entries",
                "took_ms": 4.0,
                "asked": _at(at_ns - 2_000_000),
                "director_uptime_s": UPTIME_S + polls_s,
            },
        )

    def _events(self, writer: RecordingWriter) -> None:
        for low, high in GAPS_S:
            for at, kind in ((low, "link-lost"), (high, "link-back")):
                at_ns = ZERO_NS + round(at * self.watch_s * NS)
                writer.append("events", {"at": at_ns, "host": "bal01", "kind": kind, "detail": ""})

    def capture(self) -> bytes:
        """Three packets of each connection, as pcap."""
        n = self.requests
        frames = np.zeros((n, len(FLAGS), 70), dtype=np.uint8)
        number = np.arange(n)
        for i, (flag, after_s) in enumerate(zip(FLAGS, AT_S, strict=True)):
            at_ns = _ns(self.started_s + after_s)
            frame = frames[:, i]
            frame[:, 0:4] = _bytes(at_ns // NS, "<u4")
            frame[:, 4:8] = _bytes(at_ns % NS, "<u4")
            frame[:, 8:16] = np.frombuffer(np.array([54, 54], dtype="<u4").tobytes(), np.uint8)
            frame[:, 16:28] = list(bytes.fromhex("0200000000110200000000fa"))
            frame[:, 28:30] = (0x08, 0x00)
            frame[:, 30:42] = list(bytes.fromhex("450000280001000040060000"))
            frame[:, 42:45] = (192, 168, 10)
            frame[:, 45] = 200 + number // PORTS % CLIENTS
            frame[:, 46:50] = (192, 168, 10, 2)
            frame[:, 50:52] = _bytes(FIRST_PORT + number % PORTS, ">u2")
            frame[:, 52:54] = _bytes(np.full(n, PORT), ">u2")
            frame[:, 54:58] = _bytes(
                number * ISN_STEP + (i > 0), ">u4"
            )  # a port's next SYN is another
            frame[:, 62], frame[:, 63] = 0x50, flag
        in_time = np.argsort((self.started_s[:, None] + AT_S).ravel(), kind="stable")
        head = np.array([0xA1B23C4D, 0x00040002, 0, 0, 160, 1], dtype="<u4").tobytes()
        return head + frames.reshape(-1, 70)[in_time].tobytes()


def _ns(at_s: Floats) -> Ints:
    return ZERO_NS + np.rint(at_s * NS).astype(np.int64)


def _at(at_ns: Ints) -> pa.Array:
    return pa.array(at_ns).cast(pa.timestamp("ns", tz="UTC"))


def _clients(number: Ints) -> pa.Array:
    names = np.array([f"192.168.10.{200 + i}" for i in range(CLIENTS)])
    return pa.array(names[number // PORTS % CLIENTS])


def _bytes(values: Ints, kind: str) -> npt.NDArray[np.uint8]:
    return values.astype(kind).view(np.uint8).reshape(values.size, -1)
