"""Captures of any size for benches: connections of a few packets, as a client in dr sees them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Ints = npt.NDArray[np.int64]

Step = tuple[int, bool]
ZERO_NS = 1_700_000_000 * 10**9
CLIENT_MAC, DIRECTOR_MAC, SERVER_MAC = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
VIP = "10.9.9.9"
SYN, SYN_ACK, ACK, PSH_ACK, FIN_ACK, RST = 0x02, 0x12, 0x10, 0x18, 0x11, 0x04
LIFE = (  # the flags, and whether the client sent them
    (SYN, True),
    (SYN_ACK, False),
    (ACK, True),
    (PSH_ACK, True),
    (ACK, False),
    (PSH_ACK, False),
    (ACK, True),
    (FIN_ACK, True),
    (FIN_ACK, False),
    (ACK, True),
)
PACKETS_EACH = len(LIFE)
_REQUEST = (LIFE[0], LIFE[1], LIFE[2], LIFE[3], LIFE[5])
_MS, _S = 10**6, 10**9
KINDS: dict[str, tuple[tuple[Step, ...], tuple[int, ...]]] = {
    "a packet after the entry's end": (
        (*_REQUEST, *LIFE[7:], (ACK, True)),
        (*(step * _MS for step in range(8)), 150 * _S),
    ),
    "ended by a RST": ((*_REQUEST, (RST, True)), tuple(step * _MS for step in range(6))),
    "closed by the server alone": (
        (*_REQUEST, LIFE[8], LIFE[9]),
        tuple(step * _MS for step in range(7)),
    ),
    "left open": (_REQUEST, tuple(step * _MS for step in range(5))),
    "a SYN sent again": (
        (LIFE[0], *_REQUEST, *LIFE[7:]),
        (0, *(_S + step * _MS for step in range(8))),
    ),
    "a SYN alone": (LIFE[:1], (0,)),
}
"""Packets of connections, and when each comes after the first, nanoseconds."""

RECORD = np.dtype([("head", "<u4", (4,)), ("frame", "u1", (66,))])
EVERY_NS, PACKET_NS = 100_000, 1_000_000
_PORTS, _HOSTS = 60_000, 250
_SLOTS_AT_ONCE, _RECORDS_AT_ONCE = 50_000, 500_000


def write_capture(path: Path, connections: int) -> Path:
    """10,000 connections a second, their packets a millisecond apart, in order of time."""
    since_ns = np.arange(PACKETS_EACH) * PACKET_NS
    return _write(path, connections, LIFE, since_ns)


def write_kind(path: Path, kind: str, packets: int) -> Path:
    """About so many packets of connections of one of ``KINDS``, as many connections a second."""
    life, since_ns = KINDS[kind]
    return _write(path, packets // len(life), life, np.array(since_ns))


def write_one_connection(path: Path, packets: int) -> Path:
    """A handshake, and then data and acknowledgements in turn, 10 us apart."""
    with path.open("wb") as file:
        write_header(file)
        for first in range(0, packets, _RECORDS_AT_ONCE):
            place = np.arange(first, min(first + _RECORDS_AT_ONCE, packets))
            steps = np.where(place < 3, place, 3 + (place - 3) % 2)
            records = _records(np.zeros_like(place), steps, place * 10_000, LIFE[:5])
            records["frame"][:, 38:42] = _big_endian(place * 100, 4)
            file.write(records.tobytes())
    return path


def _write(path: Path, connections: int, life: Sequence[Step], since_ns: Ints) -> Path:
    """Connections whose packets come so long after the first, ascending, each after another."""
    step = np.arange(len(life))[::-1]
    began = since_ns[step] // EVERY_NS  # how many connections begin before the packet comes
    slots = connections + int(began.max())
    with path.open("wb") as file:
        write_header(file)
        for first in range(0, slots, _SLOTS_AT_ONCE):
            slot = np.arange(first, min(first + _SLOTS_AT_ONCE, slots))
            number = slot[:, None] - began
            there = (number >= 0) & (number < connections)
            steps = np.broadcast_to(step, number.shape)[there]
            at_ns = number[there] * EVERY_NS + since_ns[steps]
            file.write(_records(number[there], steps, at_ns, life).tobytes())
    return path


def write_header(file: BinaryIO) -> None:
    """That of a pcap of Ethernet frames, with nanoseconds."""
    file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))


def _records(number: Ints, steps: Ints, at_ns: Ints, life: Sequence[Step]) -> npt.NDArray[np.void]:
    records = np.zeros(len(number), dtype=RECORD)
    records["head"][:, 0] = ZERO_NS // 10**9 + at_ns // 10**9
    records["head"][:, 1] = at_ns % 10**9
    records["head"][:, 2:] = RECORD["frame"].itemsize
    for step, (flags, forth) in enumerate(life):
        here = steps == step
        records["frame"][here] = _frames(step, number[here], flags, forth=forth)
    return records


def _frames(step: int, number: Ints, flags: int, *, forth: bool) -> Bytes:
    """The same packet of these connections: Ethernet, IPv4, TCP with a timestamp's room."""
    frame = np.zeros((len(number), RECORD["frame"].itemsize), dtype=np.uint8)
    ends = (DIRECTOR_MAC, CLIENT_MAC) if forth else (CLIENT_MAC, SERVER_MAC)
    frame[:, :12] = np.frombuffer(b"".join(ends), np.uint8)
    frame[:, 12:24] = [8, 0, 0x45, 0, 0, 52, 0, 0, 0, 0, 64, 6]
    (client, client_port), vip = client_of(number), [int(one) for one in VIP.split(".")]
    frame[:, 26:30], frame[:, 30:34] = (client, vip) if forth else (vip, client)
    port, service = _big_endian(client_port, 2), [0, 80]
    frame[:, 34:36], frame[:, 36:38] = (port, service) if forth else (service, port)
    frame[:, 38:42] = _big_endian(number * 7919 + (step > 0), 4)
    frame[:, 46:48] = [0x80, flags]
    return frame


def client_of(number: Ints) -> tuple[Ints, Ints]:
    """The four octets of the client's address and the port of these connections."""
    octets = np.tile(np.array([10, 1, 0, 0]), (len(number), 1))
    octets[:, 2], octets[:, 3] = np.divmod(number // _PORTS, _HOSTS)
    octets[:, 3] += 1
    return octets, 1024 + number % _PORTS


def _big_endian(numbers: Ints, width: int) -> Bytes:
    return numbers.astype(f">u{width}").view(np.uint8).reshape(-1, width)
