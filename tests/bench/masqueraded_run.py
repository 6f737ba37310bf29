"""Recordings of a netfilter director that hides its clients: requests, entries, packets, ports.

By arithmetic, and written part after part. Two clients each open a connection from the same port to
the same real server, one after the other: the second gets another port, one that comes back while
the recording goes on. The client alone closes each connection, whose entry waits in FIN_WAIT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analyzer.recording.directory import RecordingWriter
from tests.bench.captures import FIN_ACK, RECORD, SYN, SYN_ACK, write_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

NS = 1_000_000_000
ZERO_NS = 1_790_000_000 * NS
UPTIME_S, FIN_WAIT_S, HELD_S = 5000.0, 20.0, 0.012
POLL_S, SERVICES_S, TAIL_S = 1.0, 5.0, 60.0
CLIENTS, FIRST_PORT, PORTS = 20, 10_000, 50_000
FIRST_TAKEN, TAKEN = 1024, 8_976  # ports that the director chooses from
SERVERS = np.array([f"192.168.20.{21 + i}" for i in range(4)])
ADDRESSES = np.array([f"192.168.10.{200 + i}" for i in range(CLIENTS)])
VIP, PORT, SOURCE = "192.168.10.2", 80, "192.168.20.11"
CLIENT_MAC, DIRECTOR_MAC = "0200000000fa", "02000000000b"
LIFE = ((SYN, True, 0.0), (SYN_ACK, False, 0.0006), (FIN_ACK, True, HELD_S))
"""The flags of each packet, whether the client sent it, and when after the connection's start."""

ISN_STEP = 64_013
AT_A_TIME = 250_000

SYSCTLS = {
    **dict.fromkeys(
        (
            f"nf_conntrack_tcp_timeout_{name}"
            for name in (
                *("syn_sent", "syn_recv", "established", "close_wait", "last_ack", "time_wait"),
                *("close", "max_retrans", "unacknowledged"),
            )
        ),
        120,
    ),
    "nf_conntrack_tcp_timeout_fin_wait": int(FIN_WAIT_S),
    "nf_conntrack_tcp_be_liberal": 0,
    "nf_conntrack_tcp_loose": 1,
    "nf_conntrack_tcp_max_retrans": 3,
    "nf_conntrack_udp_timeout": 30,
    "nf_conntrack_udp_timeout_stream": 120,
    "nf_conntrack_max": 262_144,
    "nf_conntrack_buckets": 262_144,
}


@dataclass(frozen=True)
class MasqueradedRun:
    """How many connections, and how many of them each second."""

    connections: int
    per_s: float = 139.0

    @property
    def seconds(self) -> float:
        """How long the director is watched."""
        return self.connections / self.per_s + TAIL_S

    def began_s(self, number: Ints) -> Floats:
        """When these connections began, seconds since the run's start."""
        return 1.0 + number / self.per_s

    def write(self, path: Path) -> None:
        """The run directory."""
        writer = RecordingWriter(path, self._manifest())
        with writer.capture_path.open("wb") as capture:
            write_header(capture)
            for number in self._numbers():
                writer.extend_columns("requests", self._requests(number))
                self._write_entries(writer, number)
                capture.write(self._packets(number).tobytes())
        self._write_polls(writer)
        writer.close("completed")

    def _numbers(self) -> Iterator[Ints]:
        for first in range(0, self.connections, AT_A_TIME):
            yield np.arange(first, min(first + AT_A_TIME, self.connections))

    def _manifest(self) -> dict[str, Any]:
        return {
            "version": "0",
            "command": "burst",
            "command_line": ["loadgen", "burst", "--vip", VIP, "-n", str(self.connections)],
            "started_at_ns": ZERO_NS,
            "service": {"protocol": "TCP", "vip": VIP, "port": PORT},
            "directors": {
                "bal01": {
                    "kind": "netfilter",
                    "kernel": "Linux 6.12.0",
                    "hz": 250,
                    "timer_phase_s": 0.0,
                    "timeouts": None,
                    "sysctl": SYSCTLS,
                    "macs": [":".join(DIRECTOR_MAC[i : i + 2] for i in range(0, 12, 2))],
                }
            },
            "capture": {"dropped": 0},
        }

    def _requests(self, number: Ints) -> dict[str, Any]:
        began = _ns(self.began_s(number))
        ended = _at(began + round(HELD_S * NS))
        return {
            "id": number,
            "kind": "HEAD",
            "host": "client",
            "protocol": "TCP",
            "vip": VIP,
            "port": PORT,
            "scheduled": _at(began),
            "started": _at(began),
            "connected": _at(began + NS // 1000),
            "first_byte": ended,
            "ended": ended,
            "source_ip": pa.array(_addresses(number)),
            "source_port": _ports(number),
            "status": 200,
            "bytes": 0,
            "error": pa.nulls(len(number), pa.string()),
            "closer": "client",
        }

    def _write_entries(self, writer: RecordingWriter, number: Ints) -> None:
        """The changes of entries, and the masquerades."""
        last_s = self.began_s(number) + HELD_S
        seen, missed = (np.ceil(at_s / POLL_S) * POLL_S for at_s in (last_s, last_s + FIN_WAIT_S))
        ends = {
            "director": "bal01",
            "protocol": "TCP",
            "client_ip": pa.array(_addresses(number)),
            "client_port": _ports(number),
            "vip": VIP,
            "port": PORT,
            "real_server": pa.array(SERVERS[number // 2 % len(SERVERS)]),
            "real_port": PORT,
        }
        for change, at_s, read_s in (("appeared", seen, seen), ("gone", missed, missed - POLL_S)):
            left_s = np.maximum(last_s + FIN_WAIT_S - read_s, 0).astype(np.int64)
            row = {"at": _at(_ns(at_s)), "change": change, "state": "FIN_WAIT", "expires_s": left_s}
            writer.extend_columns("entries", {**ends, **row})
        moved = FIRST_TAKEN + number // 2 % TAKEN
        port = np.where(number % 2, moved, _ports(number))
        made = {"at": _at(_ns(seen)), "source_ip": SOURCE, "source_port": port}
        writer.extend_columns("masquerades", {**ends, **made})

    def _write_polls(self, writer: RecordingWriter) -> None:
        at_s = np.arange(POLL_S, self.seconds, POLL_S)
        at_ns = _ns(at_s)
        writer.extend_columns(
            "polls",
            {
                "at": _at(at_ns),
                "director": "bal01",
                "what": "entries",
                "took_ms": 4.0,
                "asked": _at(at_ns - 2_000_000),
                "director_uptime_s": UPTIME_S + at_s,
            },
        )
        at_s = np.arange(SERVICES_S, self.seconds, SERVICES_S)
        opened, gone = (
            np.clip((at_s - 1.0 - after_s) * self.per_s, 0, self.connections).astype(np.int64)
            for after_s in (0.0, FIN_WAIT_S)
        )
        for server in SERVERS:
            columns = {
                "at": _at(_ns(at_s)),
                "director": "bal01",
                "protocol": "TCP",
                "vip": VIP,
                "port": PORT,
                "scheduler": "netfilter",
                "real_server": str(server),
                "real_port": PORT,
                "forwarding": "nat",
                "weight": 1,
                "active": 0,
                "inactive": (opened - gone) // len(SERVERS),
            }
            writer.extend_columns("services", columns)

    def _packets(self, number: Ints) -> npt.NDArray[np.void]:
        """Three packets of each connection, in order of time, as the client has them."""
        made = [self._packet(number, *each) for each in LIFE]
        at_ns = np.concatenate([at for at, _ in made])
        return np.concatenate([records for _, records in made])[np.argsort(at_ns, kind="stable")]

    def _packet(
        self, number: Ints, flags: int, forth: bool, after_s: float
    ) -> tuple[Ints, npt.NDArray[np.void]]:
        at_ns = _ns(self.began_s(number) + after_s)
        records = np.zeros(len(number), dtype=RECORD)
        records["head"][:, 0], records["head"][:, 1] = np.divmod(at_ns, NS)
        records["head"][:, 2:] = RECORD["frame"].itemsize
        frame = records["frame"]
        macs = (DIRECTOR_MAC, CLIENT_MAC) if forth else (CLIENT_MAC, DIRECTOR_MAC)
        frame[:, :12] = np.frombuffer(bytes.fromhex("".join(macs)), np.uint8)
        frame[:, 12:24] = [8, 0, 0x45, 0, 0, 52, 0, 0, 0, 0, 64, 6]
        client = np.tile(np.array([192, 168, 10, 0], dtype=np.uint8), (len(number), 1))
        client[:, 3] = 200 + _client(number)
        vip = [int(octet) for octet in VIP.split(".")]
        frame[:, 26:30], frame[:, 30:34] = (client, vip) if forth else (vip, client)
        port, service = _bytes(_ports(number), ">u2"), _bytes(np.full(len(number), PORT), ">u2")
        frame[:, 34:36], frame[:, 36:38] = (port, service) if forth else (service, port)
        isn = number * ISN_STEP
        frame[:, 38:42] = _bytes(isn + (flags == FIN_ACK), ">u4")
        frame[:, 42:46] = _bytes(np.where(flags == SYN, 0, isn + 1), ">u4")
        frame[:, 46:48] = [0x80, flags]
        frame[:, 48:50] = [0xFA, 0xF0]
        frame[:, 54:66] = 1  # options: nothing
        return at_ns, records


def _client(number: Ints) -> Ints:
    """Which client: a pair of them takes its turn with each run of ports."""
    return number // (2 * PORTS) * 2 % CLIENTS + number % 2


def _addresses(number: Ints) -> npt.NDArray[np.str_]:
    return ADDRESSES[_client(number)]


def _ports(number: Ints) -> Ints:
    return FIRST_PORT + number // 2 % PORTS


def _ns(at_s: Floats) -> Ints:
    return ZERO_NS + np.rint(at_s * NS).astype(np.int64)


def _at(at_ns: Ints) -> pa.Array:
    return pa.array(at_ns).cast(pa.timestamp("ns", tz="UTC"))


def _bytes(values: Ints, kind: str) -> npt.NDArray[np.uint8]:
    return values.astype(kind).view(np.uint8).reshape(values.size, -1)
