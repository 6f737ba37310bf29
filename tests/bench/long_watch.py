"""A recording as ``loadgen collect`` leaves it after hours or a week: no packets.

New entries come at a steady rate, each client's port once before the next round of ports. Seven of
eight connections are over between two polls, so that their entries are first read in FIN_WAIT; the
others stay in ESTABLISHED for half a minute. Each entry expires by the kernel's own rule.
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
UPTIME_S = 5000.0
HZ, TCP_S, TCPFIN_S = 100, 900.0, 120.0
POLLED_S, POLL_TOOK_S = 1.0, 0.004
CLIENTS, FIRST_PORT, PORTS = 200, 10_000, 28_000
SERVERS = tuple(f"192.168.10.{n}" for n in (21, 22, 23, 24))
VIP, PORT = "192.168.10.2", 80
EVERY_LONG, LONG_S, SHORT_S = 8, 30.0, 0.05
STRETCH_S = 600.0
"""What is written at a time."""

ADDRESSES = np.array([f"10.1.0.{1 + each}" for each in range(CLIENTS)])
"""Of the clients, which take turns."""


@dataclass(frozen=True)
class LongWatch:
    """How long it went on, how many entries appeared each second, and which stay ESTABLISHED."""

    hours: float
    new_per_s: float = 20.0
    every_long: int = EVERY_LONG

    def write(self, path: Path) -> Path:
        """The run directory."""
        writer = RecordingWriter(path, self.manifest())
        self.write_polls(writer)
        writer.close("interrupted")
        return path

    def write_polls(self, writer: RecordingWriter) -> None:
        """What the director showed."""
        last_s = self.hours * 3600
        for begin_s in np.arange(0.0, last_s, STRETCH_S).tolist():
            polls_s = np.arange(begin_s, min(begin_s + STRETCH_S, last_s), POLLED_S) + 0.1
            self._entries(writer, polls_s)
            self._services(writer, polls_s)
            _polls(writer, polls_s)
            writer.flush()

    def manifest(self) -> dict[str, Any]:
        """What the run was given and found."""
        return {
            "version": "0",
            "command": "collect",
            "command_line": ["loadgen", "collect"],
            "started_at_ns": ZERO_NS,
            "directors": {
                "bal01": {
                    "kernel": "Linux 6.1.0",
                    "hz": HZ,
                    "timer_phase_s": 0.0,
                    "uptime_step_s": 0.01,
                    "timeouts": {"tcp": TCP_S, "tcpfin": TCPFIN_S, "udp": 300},
                }
            },
        }

    def begun_s(self, number: Ints) -> Floats:
        """When connections begin, seconds since the watch does."""
        return number / self.new_per_s

    def closed_s(self, number: Ints) -> Floats:
        """When they are over."""
        held_s = np.where(number % self.every_long == 0, LONG_S, SHORT_S)
        return self.begun_s(number) + held_s

    def _gone_s(self, number: Ints) -> Floats:
        last_s = UPTIME_S + self.closed_s(number)
        return expiry_uptime_s(last_s, TCPFIN_S, hz=HZ, phase_s=0.0) - UPTIME_S

    def _near(self, polls_s: Floats) -> Ints:
        """The connections that may change at these polls."""
        oldest_s = polls_s[0] - POLLED_S - LONG_S - 1.1 * TCPFIN_S - 60
        first, last = (max(int(at_s * self.new_per_s), 0) for at_s in (oldest_s, polls_s[-1] + 1))
        return np.arange(first, last)

    def _entries(self, writer: RecordingWriter, polls_s: Floats) -> None:
        number = self._near(polls_s)
        begun, closed = self.begun_s(number), self.closed_s(number)
        gone = self._gone_s(number)
        long = number % self.every_long == 0
        left_s = np.floor(TCPFIN_S - 0.5)
        kinds = (
            ("appeared", "ESTABLISHED", begun, TCP_S - 1, long),
            ("appeared", "FIN_WAIT", closed, left_s, ~long),
            ("state", "FIN_WAIT", closed, left_s, long),
            ("gone", "FIN_WAIT", gone, 0.0, np.ones(len(number), dtype=bool)),
        )
        rows = [
            (poll, n, np.full(len(n), change), np.full(len(n), state), np.full(len(n), left))
            for change, state, at_s, left, chosen in kinds
            for poll, n in [_at_polls(polls_s, at_s[chosen], number[chosen])]
        ]
        poll, n, change, state, expires_s = (np.concatenate(one) for one in zip(*rows, strict=True))
        order = np.lexsort((n, poll))
        n = n[order]
        columns = {
            "at": _at(polls_s[poll[order]]),
            "director": "bal01",
            "change": change[order],
            "protocol": "TCP",
            "state": state[order],
            "expires_s": expires_s[order].astype(np.int64),
            "client_ip": ADDRESSES[n % CLIENTS],
            "client_port": ports(n),
            "vip": VIP,
            "port": PORT,
            "real_server": np.array(SERVERS)[n % len(SERVERS)],
            "real_port": PORT,
        }
        writer.extend_columns("entries", columns)

    def _services(self, writer: RecordingWriter, polls_s: Floats) -> None:
        number = self._near(polls_s)
        counts = []
        for i in range(len(SERVERS)):
            mine = number[number % len(SERVERS) == i]
            opened, closed, gone = (
                np.searchsorted(np.sort(at_s), polls_s, side="right")
                for at_s in (self.begun_s(mine), self.closed_s(mine), self._gone_s(mine))
            )
            counts.append((opened - closed, closed - gone))
        active, inactive = (np.stack(one, axis=1).ravel() for one in zip(*counts, strict=True))
        columns = {
            "at": _at(np.repeat(polls_s, len(SERVERS))),
            "director": "bal01",
            "protocol": "TCP",
            "vip": VIP,
            "port": PORT,
            "scheduler": "rr",
            "real_server": np.tile(np.array(SERVERS), len(polls_s)),
            "real_port": PORT,
            "forwarding": "dr",
            "weight": 1,
            "active": active,
            "inactive": inactive,
        }
        writer.extend_columns("services", columns)


def ports(number: Ints) -> Ints:
    """The clients' ports of connections."""
    return FIRST_PORT + number // CLIENTS % PORTS


def _polls(writer: RecordingWriter, polls_s: Floats) -> None:
    columns = {
        "at": _at(polls_s),
        "director": "bal01",
        "what": "entries",
        "took_ms": POLL_TOOK_S * 1e3,
        "entries": 2400,
        "asked": _at(polls_s - 0.002),
        "director_uptime_s": np.round(UPTIME_S + polls_s, 2),
    }
    writer.extend_columns("polls", columns)


def _at_polls(polls_s: Floats, at_s: Floats, number: Ints) -> tuple[Ints, Ints]:
    """What happened between the poll before these and the last of them: which poll saw it."""
    seen = (at_s > polls_s[0] - POLLED_S) & (at_s <= polls_s[-1])
    return np.searchsorted(polls_s, at_s[seen]), number[seen]


def _at(at_s: Floats) -> pa.Array:
    at_ns = ZERO_NS + np.rint(at_s * NS).astype(np.int64)
    return pa.array(at_ns).cast(pa.timestamp("ns", tz="UTC"))
