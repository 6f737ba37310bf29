"""Capture files, pcap and pcapng: every frame with its instant and link, and never a crash."""

from __future__ import annotations

import os
import struct
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import ParseError
from analyzer.parts.inputs import opened
from analyzer.wire.capture.files import CHUNK_BYTES, chunks_of, frame_chunks
from tests.unit.analyzer.builders_packets import (
    ACK,
    FIN,
    MAGIC_BYTES,
    NS,
    SYN,
    Block,
    Interface,
    frame_bytes,
    pcap,
    pcapng,
    pcapng_of,
    reply,
    request,
)
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from analyzer.wire.capture.frames import Chunk, Frames

AT_NS = 1_795_352_064 * NS + 123_456_789


def read(content: bytes) -> Frames:
    """Of files that are small enough for one chunk."""
    (found,) = chunks(content)
    return found


def chunks(content: bytes, chunk_bytes: int = CHUNK_BYTES) -> list[Frames]:
    return list(frame_chunks(memoryview(content), chunk_bytes))


def frames_of(content: bytes, chunk_bytes: int = CHUNK_BYTES) -> list[tuple[int, int, bytes]]:
    """When each frame was seen, on what link, and its bytes."""
    return [
        (int(at_ns), int(link), frame)
        for found in chunks(content, chunk_bytes)
        for at_ns, link, frame in zip(found.at_ns, found.link_type, frame_bytes(found), strict=True)
    ]


# pcap ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAGIC_BYTES)
def test_both_byte_orders_and_both_resolutions_are_read(kind: str) -> None:
    sent = [(AT_NS, request(SYN)), (AT_NS + 5000, reply(SYN | ACK))]
    step_ns = 1 if kind.startswith("nano") else 1000
    expected = [(at_ns // step_ns * step_ns, 1, frame) for at_ns, frame in sent]
    assert frames_of(pcap(sent, kind)) == expected


@pytest.mark.parametrize("link", [0, 1, 101, 113, 276])
def test_the_file_says_what_its_frames_begin_with(link: int) -> None:
    assert frames_of(pcap([(AT_NS, b"x")], link=link)) == [(AT_NS, link, b"x")]


def test_the_length_of_a_checksum_beside_the_link_type_is_not_of_it() -> None:
    """The upper half of the field says whether frames end in an Ethernet checksum."""
    assert frames_of(pcap([(AT_NS, b"x")], link=0x4400_0001))[0][1] == 1


@pytest.mark.parametrize("cut", [1, 20, 69, 70])
def test_a_file_cut_off_mid_packet_gives_the_packets_before(cut: int) -> None:
    whole = pcap([(AT_NS, request(SYN)), (AT_NS + 1, request(ACK))])
    assert frames_of(whole[:-cut]) == [(AT_NS, 1, request(SYN))]


def test_a_file_with_its_header_alone_is_empty() -> None:
    assert frames_of(pcap([])) == []


def test_a_record_that_claims_more_than_there_is_ends_the_file() -> None:
    lie = struct.pack("<IIII", 1, 1, 0xFFFFFFFF, 60) + bytes(60)
    content = pcap([(AT_NS, request(SYN))]) + lie
    assert frames_of(content) == [(AT_NS, 1, request(SYN))]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "nothing"),
        (b"\xa1\xb2\xc3", "too short"),
        (b"\xa1\xb2\xc3\xd4" + bytes(19), "a header cut off"),
        (b"GIF89a" + bytes(60), "something else"),
        (b"\x1f\x8b" + bytes(60), "gzip"),
    ],
)
def test_what_is_no_capture_is_refused(content: bytes, why: str) -> None:
    assert why
    with pytest.raises(ParseError, match=r"^capture: "):
        read(content)


# pcapng -------------------------------------------------------------------------------------------

ORDERS = ["<", ">"]


@pytest.mark.parametrize("order", ORDERS)
def test_pcapng_of_both_byte_orders_is_read(order: str) -> None:
    sent = [(AT_NS // 1000 * 1000, request(SYN)), (AT_NS // 1000 * 1000 + 5000, reply(FIN))]
    content = pcapng([Interface(), *(Block(at_ns, frame) for at_ns, frame in sent)], order)
    assert frames_of(content) == [(at_ns, 1, frame) for at_ns, frame in sent]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("resolution", "step_ns"),
    [
        (None, 1000),  # microseconds by default
        (6, 1000),
        (9, 1),
        (3, 1_000_000),
        (0, NS),
        (0x80 | 30, 1),  # 2^-30 s is finer than a nanosecond
        (0x80 | 10, 976_563),  # 2^-10 s
    ],
)
def test_each_interface_has_its_own_resolution(
    order: str, resolution: int | None, step_ns: int
) -> None:
    content = pcapng([Interface(resolution=resolution), Block(AT_NS, b"frame")], order)
    ((at_ns, _, frame),) = frames_of(content)
    assert frame == b"frame"
    assert 0 <= AT_NS - at_ns <= step_ns


def test_several_interfaces_have_their_own_links_and_clocks() -> None:
    content = pcapng(
        [
            Interface(link=1),
            Interface(link=276, resolution=9),
            Block(AT_NS, b"second", interface=1),
            Interface(link=101, resolution=3),
            Block(AT_NS, b"first", interface=0),
            Block(AT_NS, b"third", interface=2),
        ]
    )
    assert frames_of(content) == [
        (AT_NS, 276, b"second"),
        (AT_NS // 1000 * 1000, 1, b"first"),
        (AT_NS // 1_000_000 * 1_000_000, 101, b"third"),
    ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("offset_s", [0, 1_795_352_000, -60])
def test_an_interface_may_count_from_another_second(order: str, offset_s: int) -> None:
    """The option if_tsoffset: what is to be added to each of its timestamps."""
    content = pcapng(
        [
            Interface(resolution=9, offset_s=offset_s),
            Block(AT_NS - offset_s * NS, b"frame"),
        ],
        order,
    )
    assert frames_of(content) == [(AT_NS, 1, b"frame")]


def test_blocks_of_no_interest_are_stepped_over() -> None:
    """Name resolution, statistics, a simple packet without an instant, and what is yet to come."""
    others = [Block(AT_NS, b"abc", kind=kind) for kind in (3, 4, 5, 0x0BAD, 0x80000001)]
    content = pcapng([others[3], Interface(resolution=9), *others, Block(AT_NS, b"frame")])
    assert frames_of(content) == [(AT_NS, 1, b"frame")]


def test_packet_blocks_of_before_are_read_and_simple_ones_counted() -> None:
    """A simple packet block has no instant, so it is not put at one."""
    blocks = [Block(AT_NS, b"old", kind=2), Block(AT_NS, b"simple", kind=3), Block(AT_NS, b"new")]
    content = pcapng([Interface(resolution=9), *blocks])
    assert frames_of(content) == [(AT_NS, 1, b"old"), (AT_NS, 1, b"new")]
    assert read(content).untimed == 1


def test_what_cannot_be_read_to_the_end_says_how_much_is_left() -> None:
    whole = pcap([(AT_NS, b"frame"), (AT_NS, b"frame")])
    assert read(whole).unread == 0
    assert read(whole[:-1]).unread == 16 + 4
    named = pcapng([Interface(), Block(AT_NS, b"frame")])
    assert read(named).unread == 0
    assert read(named + bytes(40)).unread == 40


@pytest.mark.parametrize(
    ("resolution", "units", "at_ns"),
    [
        (0x80 | 32, 3 << 31, 1_500_000_000),
        (0x80 | 34, (5 << 34) + 1, 5 * NS),
        (0x80 | 63, 2**64 - 1, 1_999_999_999),
        (0x80 | 64, 2**63, 500_000_000),
        (0x80 | 127, 2**64 - 1, 0),
        (12, 1_795_352_064_000_001_999, 1_795_352_064_000_001),
        (40, 2**64 - 1, 0),
        (9, 2**64 - 1, 2**63 - 1),  # the last instant that there is
    ],
)
def test_resolutions_that_no_one_uses_are_right_too(
    resolution: int, units: int, at_ns: int
) -> None:
    content = bytearray(pcapng([Interface(resolution=resolution), Block(0, b"frame")]))
    at = content.rindex(b"frame") - 16
    content[at : at + 8] = struct.pack("<II", units >> 32, units & 0xFFFFFFFF)
    assert frames_of(bytes(content)) == [(at_ns, 1, b"frame")]


def test_a_new_section_begins_anew_even_in_the_other_byte_order() -> None:
    first = pcapng([Interface(link=101), Interface(), Block(AT_NS, b"one")], "<")
    second = pcapng([Interface(link=113), Block(AT_NS, b"two")], ">")
    stranger = pcapng([Interface(), Block(AT_NS, b"lost", interface=1)], ">")
    found = frames_of(first + second + stranger)
    assert [(link, frame) for _, link, frame in found] == [(101, b"one"), (113, b"two")]


def test_padding_to_four_bytes_is_not_of_the_frame() -> None:
    sent = [b"x" * size for size in range(1, 9)]
    content = pcapng([Interface(), *(Block(AT_NS, frame) for frame in sent)])
    assert [frame for _, _, frame in frames_of(content)] == sent


@pytest.mark.parametrize("order", ORDERS)
def test_pcapng_cut_off_anywhere_gives_the_frames_that_are_whole(order: str) -> None:
    sent = [Block(AT_NS + number, bytes([number]) * 30) for number in range(3)]
    blocks: list[Interface | Block] = [Interface(resolution=9), *sent]
    ends = [len(pcapng(blocks[: count + 2], order)) for count in range(3)]
    whole = pcapng(blocks, order)
    for size in range(4, len(whole) + 1):
        expected = sum(end <= size for end in ends)
        assert len(read(whole[:size]).at_ns) == expected, size


@pytest.mark.parametrize("length", [0, 4, 11, 13, 0xFFFFFFFF])
def test_a_block_length_that_cannot_be_ends_the_file(length: int) -> None:
    content = pcapng([Interface(), Block(AT_NS, b"frame")]) + struct.pack("<II", 6, length)
    assert len(read(content + bytes(40)).at_ns) == 1


def test_a_frame_longer_than_its_block_is_left_out() -> None:
    content = bytearray(pcapng([Interface(), Block(AT_NS, b"framed")]))
    at = content.rindex(struct.pack("<I", 6), 0, content.rindex(b"framed") - 4)
    content[at : at + 4] = struct.pack("<I", 400)
    assert frames_of(bytes(content)) == []


# Whatever the bytes -------------------------------------------------------------------------------


def read_or_refuse(content: bytes) -> None:
    try:
        frames = chunks(content)
    except ParseError:
        return
    for found in frames:
        assert len(found.at_ns) == len(found.start) == len(found.length) == len(found.link_type)
        assert np.all(found.start >= 0)
        assert np.all(found.start + found.length <= found.file.size)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x0a\x0d\x0d\x0a", b"\xd4\xc3\xb2\xa1"]))
def test_no_bytes_crash_it(content: bytes, magic: bytes) -> None:
    read_or_refuse(magic + content)


blocks = st.lists(
    st.one_of(
        st.builds(
            Interface,
            link=st.integers(0, 300),
            resolution=st.one_of(st.none(), st.integers(0, 255)),
            offset_s=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        ),
        st.builds(
            Block,
            st.integers(0, 2**62),
            st.binary(max_size=30),
            interface=st.integers(0, 3),
            kind=st.sampled_from([6, 6, 6, 3, 1, 99]),
        ),
    ),
    max_size=6,
)


@given(blocks, st.sampled_from(ORDERS))
def test_no_blocks_crash_it(made: list[Interface | Block], order: str) -> None:
    read_or_refuse(pcapng(made, order))


@given(blocks, st.sampled_from(ORDERS), st.data())
@examples(200)
def test_no_damage_to_a_file_crashes_it(
    made: list[Interface | Block], order: str, data: st.DataObject
) -> None:
    content = bytearray(pcapng([Interface(), *made, Block(AT_NS, b"frame")], order))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(content[: data.draw(st.integers(0, len(content)))]))


@pytest.mark.parametrize("kind", MAGIC_BYTES)
@pytest.mark.parametrize("chunk_bytes", [64, 300, CHUNK_BYTES])
def test_files_put_one_behind_the_other_are_read_as_one(kind: str, chunk_bytes: int) -> None:
    parts = [
        pcap([(AT_NS + (10 * part + n) * NS, request(SYN)) for n in range(4)], kind, link=link)
        for part, link in enumerate((1, 1, 101))
    ]
    found = list(frame_chunks(memoryview(b"".join([*parts, pcap([], kind)])), chunk_bytes))
    seconds = [(int(at) - AT_NS + NS // 2) // NS for frames in found for at in frames.at_ns]
    assert seconds == [10 * part + n for part in range(3) for n in range(4)]
    assert [int(kind) for frames in found for kind in frames.link_type] == [1] * 8 + [101] * 4
    assert sum(frames.unread for frames in found) == 0


@pytest.mark.parametrize("kept", [4, 12, 16, 20, 23])
def test_a_second_header_that_was_cut_off_is_unread(kept: int) -> None:
    content = pcap([(AT_NS, request(SYN))])
    found = list(frame_chunks(memoryview(content + pcap([])[:kept])))
    assert sum(len(frames.at_ns) for frames in found) >= 1
    assert 0 <= sum(frames.unread for frames in found) <= kept


# While others write to it -------------------------------------------------------------------------

LONG = [(AT_NS + n * NS, bytes([n]) * 60_000) for n in range(40)]
FILES = {"pcap": pcap(LONG, snap=60_000), "pcapng": pcapng_of(LONG)}
BOTH = pytest.mark.parametrize("kind", FILES)


@pytest.fixture
def path(tmp_path: Path, kind: str) -> Path:
    file = tmp_path / "capture"
    file.write_bytes(FILES[kind])
    return file


def read_on(found: Iterator[Chunk]) -> tuple[list[bytes], int]:
    """The frames of what is left of a file, each by itself, and the bytes that are unread."""
    chunks = [chunk.alone().frames() for chunk in found]
    return [frame for frames in chunks for frame in frame_bytes(frames)], chunks[-1].unread


@BOTH
@pytest.mark.parametrize("left", [0, 3, 30, 700_000, 1_000_000, 2_399_999])
@pytest.mark.parametrize("after", [0, 1, 5, 12])
def test_a_capture_that_is_cut_off_while_it_is_read_gives_what_was_there(
    path: Path, kind: str, after: int, left: int
) -> None:
    """Chunks of a frame each, and some are read ahead: at most 400 kB."""
    found = chunks_of(opened(path), 60_000)
    before = [chunk.alone() for chunk in islice(found, after)]
    os.truncate(path, left)
    frames, unread = read_on(chain(before, found))
    assert frames == [frame for _, frame in LONG[: len(frames)]]
    whole = max(left // 60_100, after - 1)
    assert whole - 1 <= len(frames) <= whole + 9
    record = 60_016 if kind == "pcap" else 60_032
    assert abs(len(FILES[kind]) - unread - len(frames) * record) < 100


@BOTH
def test_a_capture_that_is_cut_off_before_its_first_byte_is_read_is_all_unread(
    path: Path, kind: str
) -> None:
    file = opened(path)
    os.truncate(path, 0)
    assert read_on(chunks_of(file)) == ([], len(FILES[kind]))


@BOTH
def test_a_capture_that_is_emptied_while_its_writer_goes_on_ends_at_the_hole(
    path: Path, kind: str
) -> None:
    """As by ``copytruncate`` of logrotate: what was there before reads as zeros."""
    found = chunks_of(opened(path), 60_000)
    before = [next(found).alone() for _ in range(3)]
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(0)
        file.seek(1_500_000)
        file.write(content[1_500_000:])
    frames, unread = read_on(chain(before, found))
    assert frames == [frame for _, frame in LONG[: len(frames)]]
    assert 2 <= len(frames) < 12
    record = 60_016 if kind == "pcap" else 60_032
    assert abs(len(content) - unread - len(frames) * record) < 100


@pytest.mark.parametrize("chunk_bytes", range(2_000, 2_050, 8))
def test_a_hole_ends_a_capture_wherever_it_is_cut_into_chunks(chunk_bytes: int) -> None:
    """Up to 63 of its records before a cut were taken for frames of 1970."""
    sent = [(AT_NS + n, bytes(84)) for n in range(81)]
    found = chunks(pcap(sent) + bytes(5_000), chunk_bytes)
    assert sum(len(frames.at_ns) for frames in found) == len(sent)
    assert found[-1].unread == 5_000


@BOTH
def test_a_capture_that_is_emptied_before_it_is_read_and_written_on_is_all_unread(
    path: Path, kind: str
) -> None:
    file = opened(path)
    os.truncate(path, 0)
    os.truncate(path, len(file) + 9)
    assert read_on(chunks_of(file)) == ([], len(FILES[kind]))


@BOTH
@pytest.mark.parametrize("how", ["renamed", "deleted", "replaced", "grown"])
def test_a_capture_whose_name_goes_or_that_grows_is_read_as_it_was_opened(
    path: Path, kind: str, how: str
) -> None:
    found = chunks_of(opened(path), 60_000)
    first = next(found).alone()
    if how == "grown":
        with path.open("ab") as file:
            file.write(FILES[kind])
    else:
        path.rename(path.with_name("elsewhere"))
        path.with_name("elsewhere").unlink() if how == "deleted" else None
        path.write_bytes(b"others") if how == "replaced" else None
    assert read_on(chain([first], found)) == ([frame for _, frame in LONG], 0)


@pytest.mark.parametrize("order", MAGIC_BYTES)
def test_a_kilobyte_of_zeros_ends_a_pcap_and_frames_of_no_bytes_do_not(order: str) -> None:
    before, after = [(AT_NS, b"x")] * 5, [(AT_NS, b"y")] * 3
    for zeros, expected in ((63, 5 + 63 + 3), (64, 5), (1000, 5)):
        content = pcap([*before, *[(0, b"")] * zeros, *after], order)
        for chunk_bytes in (600, CHUNK_BYTES):
            assert len(frames_of(content, chunk_bytes)) == expected, zeros
            unread = 0 if expected > 5 else len(content) - 24 - 5 * 17
            assert chunks(content, chunk_bytes)[-1].unread == unread
    assert len(frames_of(pcap([(AT_NS, b""), *[(1_000_000, b"")] * 100]))) == 101


@pytest.mark.parametrize("chunk_bytes", [1, 100, 300, 1000])
@pytest.mark.parametrize("order", ORDERS)
def test_a_pcapng_in_pieces_is_that_in_one(order: str, chunk_bytes: int) -> None:
    """Blocks longer than what is read at once, and sections and interfaces in between."""
    other = "<" if order == ">" else ">"
    long = Block(AT_NS, bytes(700_000), kind=99)
    sections = [
        pcapng([Interface(link=101), *(Block(AT_NS + n, b"x" * n) for n in range(20))], order),
        pcapng([long, Interface(resolution=9), Block(AT_NS, b"two"), Interface(link=113)], other),
        pcapng([Interface(), Block(AT_NS + 5, b"y" * 500_000), Block(AT_NS, b"z")], other),
    ]
    content = b"".join(sections) + bytes(8)
    found = [
        (int(at_ns), int(link), int(length))
        for frames in chunks(content, chunk_bytes)
        for at_ns, link, length in zip(frames.at_ns, frames.link_type, frames.length, strict=True)
    ]
    whole = read_in_one(content)
    assert len(found) == 20 + 1 + 2
    assert found == whole
    assert chunks(content, chunk_bytes)[-1].unread == 8


def read_in_one(content: bytes) -> list[tuple[int, int, int]]:
    return [(at_ns, link, len(frame)) for at_ns, link, frame in frames_of(content, 1 << 30)]
