"""Records found in lanes are those of a walk from the beginning, whatever lies between them."""

from __future__ import annotations

import io
import random
import struct
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader, RawPcapReader

from analyzer.wire.capture.files import CHUNK_BYTES, frame_chunks
from tests.unit.analyzer.builders_packets import (
    MAGIC_BYTES,
    NS,
    Block,
    Interface,
    frame_bytes,
    pcap,
    pcapng,
)
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_NS = 1_795_352_064 * NS
RECORDS = 2000  # more than are walked one by one

Sent = list[tuple[int, bytes]]


def found(content: bytes, chunk_bytes: int = CHUNK_BYTES) -> Sent:
    return [
        (at_ns, frame)
        for frames in frame_chunks(memoryview(content), chunk_bytes)
        for at_ns, frame in zip(frames.at_ns.tolist(), frame_bytes(frames), strict=True)
    ]


def slowly(content: bytes, kind: str) -> Sent:
    """A pcap file, a record after another."""
    order, _, unit_ns = MAGIC_BYTES[kind]
    rows, at = [], 24
    while at + 16 <= len(content):
        seconds, fraction, size, _ = struct.unpack_from(order + "IIII", content, at)
        if at + 16 + size > len(content):
            break
        rows.append((seconds * NS + fraction * unit_ns, content[at + 16 : at + 16 + size]))
        at += 16 + size
    return rows


# What lies in the frames: the harder, the more of it looks like the records around it. ------------


def even(dice: random.Random) -> bytes:
    return dice.randbytes(66)


def uneven(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice([0, 1, 40, 66, 160, 1514]))


def zeros(dice: random.Random) -> bytes:
    return bytes(dice.randrange(200))


def captures(dice: random.Random) -> bytes:
    """Records of a capture that was itself sent over the wire."""
    lies = struct.pack("<IIII", AT_NS // NS, dice.randrange(NS), 40, 60)
    return bytes(dice.randrange(8)) + (lies + bytes(40)) * dice.randrange(4)


def blocks(dice: random.Random) -> bytes:
    """Likewise of pcapng."""
    size = 32 + 8
    return struct.pack("<IIIIIII", 6, size, 0, 0, 0, 8, 8) + bytes(8) + struct.pack("<I", size)


PAYLOADS = [even, uneven, zeros, captures, blocks]
KINDS = list(MAGIC_BYTES)
seeds = st.integers(0, 2**32)


def sent(payload: Callable[[random.Random], bytes], seed: int, records: int = RECORDS) -> Sent:
    dice = random.Random(seed)
    return [(AT_NS + n * 100_000, payload(dice)) for n in range(records)]


@pytest.mark.parametrize("payload", PAYLOADS)
@examples(12)
@given(seed=seeds, kind=st.sampled_from(KINDS), cut=st.integers(0, 3000), damage=st.integers(0, 3))
def test_a_pcap_is_read_as_one_record_after_another(
    payload: Callable[[random.Random], bytes], seed: int, kind: str, cut: int, damage: int
) -> None:
    content = bytearray(pcap(sent(payload, seed), kind, snap=2000))
    dice = random.Random(seed)
    for _ in range(damage):
        content[dice.randrange(24, len(content))] = dice.randrange(256)
    whole = bytes(content[: max(24, len(content) - cut)])
    assert found(whole) == slowly(whole, kind)


@pytest.mark.parametrize("at_s", [0, 2**32 - 1])
def test_the_first_and_the_last_second_that_a_pcap_can_hold_are_read(at_s: int) -> None:
    """As of a host that has no clock before NTP sets it."""
    sent = [(at_s * NS + n, bytes(66)) for n in range(RECORDS)]
    assert found(pcap(sent)) == sent


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("order", ["<", ">"])
@examples(6)
@given(seed=seeds, kind=st.sampled_from([2, 6]))
def test_a_pcapng_gives_back_what_was_sent(
    payload: Callable[[random.Random], bytes], order: str, seed: int, kind: int
) -> None:
    rows = sent(payload, seed)
    made = [Block(at_ns, frame, kind=kind) for at_ns, frame in rows]
    assert found(pcapng([Interface(resolution=9), *made], order)) == rows


@examples(15)
@given(seed=seeds, chunk_bytes=st.integers(1, 60_000), payload=st.sampled_from(PAYLOADS))
def test_chunks_of_any_size_hold_the_same_frames(
    seed: int, chunk_bytes: int, payload: Callable[[random.Random], bytes]
) -> None:
    rows = sent(payload, seed, 60 if chunk_bytes < 1000 else RECORDS)
    assert found(pcap(rows, snap=2000), chunk_bytes) == rows
    named = [Block(at_ns, frame) for at_ns, frame in rows]
    assert found(pcapng([Interface(resolution=9), *named]), chunk_bytes) == rows


# Scapy's readers say the same ---------------------------------------------------------------------


def scapys_pcap(content: bytes) -> Iterator[tuple[int, bytes]]:
    reader = RawPcapReader(cast("str", io.BytesIO(content)))  # it takes an open file too
    unit_ns = 1 if reader.nano else 1000
    for frame, meta in reader:
        yield meta.sec * NS + meta.usec * unit_ns, frame


def scapys_pcapng(content: bytes) -> Iterator[tuple[int, bytes]]:
    reader = RawPcapNgReader(cast("str", io.BytesIO(content)))
    for frame, metadata in reader:  # whose types scapy takes over from RawPcapReader
        meta = cast("RawPcapNgReader.PacketMetadata", metadata)
        if meta.tsresol is None:
            continue
        units = meta.tshigh << 32 | meta.tslow
        yield units * NS // meta.tsresol, frame


frames_sent = st.lists(
    st.tuples(st.integers(0, 2**32 * NS - 1), st.binary(max_size=90)), min_size=0, max_size=20
)


@given(frames_sent, st.sampled_from(KINDS))
def test_scapy_reads_the_same_pcap(rows: Sent, kind: str) -> None:
    content = pcap(rows, kind)
    assert found(content) == list(scapys_pcap(content))


interfaces = st.lists(
    st.builds(Interface, resolution=st.sampled_from([None, 3, 6, 9, 0x80 | 10, 0x80 | 33])),
    min_size=1,
    max_size=3,
)


@given(interfaces, frames_sent, st.sampled_from("<>"), st.data())
def test_scapy_reads_the_same_pcapng(
    known: list[Interface], rows: Sent, order: str, data: st.DataObject
) -> None:
    numbers = st.integers(0, len(known) - 1)
    made = [Block(at_ns, frame, interface=data.draw(numbers)) for at_ns, frame in rows]
    content = pcapng([*known, *made], order)
    assert found(content) == list(scapys_pcapng(content))
