"""Frames rewritten many at a time: byte for byte what each alone becomes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.anonymous.capture import FrameAnonymiser
from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.anonymous.plain_frames import plain_copies
from analyzer.anonymous.substitution import Substitution
from analyzer.wire.capture.files import frame_chunks
from analyzer.wire.capture.links import link_layer
from analyzer.wire.capture.pcap import MAX_FRAME_BYTES, pcap_header, pcap_record
from tests.unit.analyzer.builders_packets import frame_bytes

ETHERNET = 1
ANONYMISER = FrameAnonymiser(Substitution(bytes(range(32))))


def capture(frames: list[bytes]) -> memoryview:
    records = (pcap_record(n, frame, len(frame)) for n, frame in enumerate(frames))
    return memoryview(pcap_header(ETHERNET, MAX_FRAME_BYTES) + b"".join(records))


def copies(frames: list[bytes]) -> list[bytes]:
    made = b"".join(anonymous_capture(capture(frames), ANONYMISER))
    found = next(frame_chunks(memoryview(made)))
    return frame_bytes(found)


def plain_rows(frames: list[bytes]) -> list[int]:
    chunk = next(frame_chunks(capture(frames)))
    made = plain_copies(chunk, link_layer(chunk), ANONYMISER.substitution)
    return sorted(row for rows, _ in made for row in rows.tolist())


def frame(
    protocol: int = 6,
    first: int = 0x45,
    fragment: int = 0,
    words: int = 8,
    checksum: int = 0x1234,
    ends: bytes = bytes([10, 1, 0, 7, 10, 9, 9, 9]),
    payload: bytes = b"secret",
) -> bytes:
    """TCP with a header of so many words, or UDP."""
    ip = struct.pack("!BBHHHBBH", first, 0, 60, 7, fragment, 64, protocol, 0xBEEF) + ends
    head = bytes([0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 8, 0]) + ip
    if protocol == 17:
        return head + struct.pack("!HHHH", 53, 53, 20, checksum) + payload
    tcp = struct.pack("!HHIIBBHHH", 40000, 80, 1, 2, words << 4, 2, 512, checksum, 0)
    return head + tcp + bytes(range(4 * max(words - 5, 0))) + payload


FRAMES = st.builds(
    frame,
    protocol=st.sampled_from([6, 6, 17, 1]),
    first=st.sampled_from([0x45, 0x45, 0x46, 0x65]),
    fragment=st.sampled_from([0, 0x4000, 0x2000, 7]),
    words=st.integers(0, 15),
    checksum=st.sampled_from([0, 1, 0x1234, 0xFFFF]),
    ends=st.binary(min_size=8, max_size=8),
    payload=st.binary(max_size=4),
)


@given(frames=st.lists(st.builds(lambda made, cut: made[:cut], FRAMES, st.integers(30, 110))))
def test_many_at_a_time_are_what_each_alone_becomes(frames: list[bytes]) -> None:
    assert copies(frames) == [ANONYMISER.frame(each, ETHERNET) for each in frames]


def test_whole_headers_of_tcp_and_udp_are_rewritten_many_at_a_time_and_no_other() -> None:
    plain = [frame(), frame(words=5), frame(words=15), frame(words=2), frame(protocol=17)]
    whole = len(frame(payload=b""))
    others = [frame(first=0x46), frame(fragment=7), frame(protocol=1), frame()[: whole - 1]]
    assert plain_rows([*plain, frame()[:whole], *others]) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("protocol", "at", "made"), [(17, 40, [0, 0xFFFF]), (6, 50, [None, 0])], ids=["UDP", "TCP"]
)
def test_a_checksum_that_comes_to_zero_is_ones_in_udp_where_zero_says_that_there_is_none(
    protocol: int, at: int, made: list[int | None]
) -> None:
    def checksums(*given: int) -> list[int]:
        frames = copies([frame(protocol, checksum=value) for value in given])
        return [int.from_bytes(copy[at : at + 2]) for copy in frames]

    (one,) = checksums(1)
    comes_to_zero = (1 - one) % 0xFFFF
    found = checksums(0, comes_to_zero)
    assert [each if want is not None else None for each, want in zip(found, made, strict=True)] == (
        made
    )
