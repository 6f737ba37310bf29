"""Recordings of any number of requests, with and without packets: written part after part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analyzer.recording.directory import RecordingWriter
from tests.bench import captures, long_watch
from tests.bench.long_run import NS, PORT, VIP, ZERO_NS, LongRun
from tests.bench.long_watch import LongWatch

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

AT_A_TIME = 1_000_000
RATE_PER_S = 20_000
ENTRIES_PER_S = 200.0
CLIENTS, PORTS, FIRST_PORT = 200, 28_000, 32_768


def write_requests(path: Path, requests: int, *, shuffled: bool = False) -> Path:
    """A run of so many requests at a steady rate, and polls of its service; ``path``.

    Args:
        path: the run's directory.
        requests: how many.
        shuffled: in no order of their ids, as several processes leave them.
    """
    watched = LongRun(requests=1000, watch_s=requests / RATE_PER_S + 100)
    manifest = replace(watched, requests=requests).manifest()
    writer = RecordingWriter(path, manifest)
    watched.write_services(writer)
    random = np.random.default_rng(1)
    for first in range(0, requests, AT_A_TIME):
        number = np.arange(first, min(first + AT_A_TIME, requests))
        writer.extend_columns("requests", _columns(number, requests, random, shuffled=shuffled))
    writer.close("completed")
    return path


def write_requests_with_packets(path: Path, requests: int) -> Path:
    """A load test of no director that is known: so many requests, ten packets each; ``path``."""
    manifest = LongRun(requests=requests).manifest() | {
        "started_at_ns": captures.ZERO_NS,
        "directors": {},
        "service": {"protocol": "TCP", "vip": captures.VIP, "port": PORT},
    }
    writer = RecordingWriter(path, manifest)
    captures.write_capture(writer.capture_path, requests)
    for first in range(0, requests, AT_A_TIME):
        number = np.arange(first, min(first + AT_A_TIME, requests))
        writer.extend_columns("requests", _captured(number))
    writer.close("completed")
    return path


def write_requests_with_entries(path: Path, requests: int) -> Path:
    """So many requests, and their director's entries: three changes each, no capture; ``path``.

    Each is the only request of its connection, which stays for half a minute.
    """
    seconds = requests / ENTRIES_PER_S
    watch = LongWatch(hours=seconds / 3600, new_per_s=ENTRIES_PER_S, every_long=1)
    writer = RecordingWriter(path, watch.manifest() | _SENT)
    watch.write_polls(writer)
    for first in range(0, requests, AT_A_TIME):
        number = np.arange(first, min(first + AT_A_TIME, requests))
        writer.extend_columns("requests", _polled(number, watch))
    writer.close("completed")
    return path


_SENT = {
    "command": "burst",
    "command_line": ["loadgen", "burst", "--vip", long_watch.VIP],
    "service": {"protocol": "TCP", "vip": long_watch.VIP, "port": long_watch.PORT},
}


def _polled(number: npt.NDArray[np.int64], watch: LongWatch) -> dict[str, object]:
    """The requests of the connections of a watch."""
    begun, closed = (
        long_watch.ZERO_NS + np.rint(at_s * NS).astype(np.int64)
        for at_s in (watch.begun_s(number), watch.closed_s(number))
    )
    connected = begun + NS // 1000
    return {
        "id": number,
        "kind": "HEAD",
        "host": "client",
        "protocol": "TCP",
        "vip": long_watch.VIP,
        "port": long_watch.PORT,
        "scheduled": _at(begun),
        "started": _at(begun),
        "connected": _at(connected),
        "first_byte": _at(connected + NS // 1000),
        "ended": _at(connected + NS // 1000),
        "closed": _at(closed),
        "source_ip": pa.array(long_watch.ADDRESSES[number % long_watch.CLIENTS]),
        "source_port": long_watch.ports(number),
        "status": 200,
        "bytes": 0,
        "error": pa.nulls(len(number), pa.string()),
        "closer": "client",
    }


def _captured(number: npt.NDArray[np.int64]) -> dict[str, object]:
    """The requests of a capture's connections."""
    address, port = captures.client_of(number)
    started = captures.ZERO_NS + number * captures.EVERY_NS
    ended = _at(started + 5 * captures.PACKET_NS)
    return {
        "id": number,
        "kind": "HEAD",
        "host": "client",
        "protocol": "TCP",
        "vip": captures.VIP,
        "port": PORT,
        "scheduled": _at(started),
        "started": _at(started),
        "connected": _at(started + captures.PACKET_NS),
        "first_byte": ended,
        "ended": ended,
        "source_ip": _addresses(address),
        "source_port": port,
        "status": 200,
        "bytes": 0,
        "error": pa.nulls(len(number), pa.string()),
        "closer": "client",
    }


def _addresses(octets: npt.NDArray[np.int64]) -> pa.Array:
    different, place = np.unique(octets, axis=0, return_inverse=True)
    texts = pa.array([".".join(map(str, each)) for each in different.tolist()])
    return texts.take(pa.array(place.ravel()))


def _columns(
    number: npt.NDArray[np.int64], requests: int, random: np.random.Generator, *, shuffled: bool
) -> dict[str, object]:
    if shuffled:  # 7 has no factor in common with these numbers of requests
        number = number * 7 % requests if requests % 7 else requests - 1 - number
    n = len(number)
    due = ZERO_NS + NS + number * (NS // RATE_PER_S)
    started = due + (random.gamma(2, 0.05, n) * 1e6).astype(np.int64)
    connected = started + (random.gamma(4, 0.1, n) * 1e6).astype(np.int64)
    connected[random.random(n) < 0.0005] += NS  # a SYN that came again
    ended = connected + (random.gamma(4, 0.5, n) * 1e6).astype(np.int64)
    failed = random.random(n) < 0.0002
    clients = np.array([f"10.0.{i // 250}.{i % 250 + 1}" for i in range(CLIENTS)])
    return {
        "id": number,
        "kind": "HEAD",
        "host": "client",
        "protocol": "TCP",
        "vip": VIP,
        "port": PORT,
        "scheduled": _at(due),
        "started": _at(started),
        "connected": _at(connected),
        "first_byte": _at(ended),
        "ended": _at(ended),
        "source_ip": pa.array(clients[number % CLIENTS]),
        "source_port": FIRST_PORT + number // CLIENTS % PORTS,
        "status": 200,
        "bytes": 0,
        "error": pa.array(np.where(failed, "reset by peer", ""), mask=~failed),
        "closer": "client",
    }


def _at(at_ns: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(at_ns).cast(pa.timestamp("ns", tz="UTC"))
