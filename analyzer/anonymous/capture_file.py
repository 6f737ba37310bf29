"""Anonymous copies of capture files: only the rewritten frames are kept."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.anonymous.capture import in_a_tunnel
from analyzer.anonymous.plain_frames import plain_copies
from analyzer.wire.capture.ethertypes import IPV4, IPV6
from analyzer.wire.capture.files import frame_chunks
from analyzer.wire.capture.links import ETHERNET, NO_MAC, RAW, link_layer, without_shims
from analyzer.wire.capture.pcap import (
    MAX_FRAME_BYTES,
    MAX_NS,
    RECORD_BYTES,
    pcap_header,
    pcap_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from analyzer.anonymous.capture import FrameAnonymiser
    from analyzer.arrays import Ints
    from analyzer.parts.inputs import Content
    from analyzer.wire.capture.frames import Frames
    from analyzer.wire.capture.links import Link

    Record = Callable[[int, bytes, int, int], bytes]
    Copied = Callable[[int, int], object]
    Unread = Callable[[int], object]

_MACS = 12


def anonymous_capture(
    content: Content,
    anonymiser: FrameAnonymiser,
    copied: Copied = lambda *_: None,
    unread: Unread = lambda _: None,
) -> Iterator[bytes]:
    """The pieces of a new capture file.

    The file is a nanosecond pcap, or pcapng where a pcap cannot hold the frames: links of several
    kinds, or instants after 2106.

    Args:
        content: a capture file.
        anonymiser: rewrites its frames.
        copied: is told of so many more frames, of so many bytes.
        unread: is told of so many bytes that are not in the copy: the file is damaged, or was cut
            off or written anew since it was opened.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    seen = _seen(content)
    kinds = sorted(seen.kinds)
    if len(kinds) <= 1 and seen.last_ns < MAX_NS:
        yield pcap_header(next(iter(kinds), ETHERNET), MAX_FRAME_BYTES)
        yield from _records(seen.frames_again(content, unread), anonymiser, _pcap_record, copied)
    else:
        yield _pcapng_head(kinds)
        record = _pcapng_record(kinds)
        yield from _records(seen.frames_again(content, unread), anonymiser, record, copied)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a first look at a capture shows.

    Attributes:
        kinds: the links of its frames' copies.
        last_ns: the latest instant.
    """

    kinds: frozenset[int]
    last_ns: int

    def frames_again(self, content: Content, unread: Unread) -> Iterator[tuple[Frames, Link]]:
        """The frames of a second look; those that cannot be of the first are unread."""
        for frames in frame_chunks(content):
            link = link_layer(frames)
            known = np.isin(_written_as(frames, link), list(self.kinds))
            known &= frames.at_ns <= self.last_ns
            lost_bytes = frames.unread
            if not known.all():
                lost_bytes += int((frames.length[~known] + RECORD_BYTES).sum())
                frames = frames.only(known)
                link = link_layer(frames)
            if lost_bytes:
                unread(lost_bytes)
            yield frames, link


def _seen(content: Content) -> _Seen:
    kinds: set[int] = set()
    last_ns = 0
    for frames in frame_chunks(content):
        kinds |= set(np.unique(_written_as(frames, link_layer(frames))).tolist())
        last_ns = max(last_ns, int(frames.at_ns.max(initial=0)))
    return _Seen(kinds=frozenset(kinds), last_ns=last_ns)


def _written_as(frames: Frames, link: Link) -> Ints:
    """The link type of each frame's copy: what stands between Ethernet and IP is left out."""
    has_macs = (link.source_mac != NO_MAC) & (link.destination_mac != NO_MAC)
    return np.where(link.shimmed, np.where(has_macs, ETHERNET, RAW), frames.link_type)


def _records(
    chunks: Iterable[tuple[Frames, Link]],
    anonymiser: FrameAnonymiser,
    record: Record,
    copied: Copied,
) -> Iterator[bytes]:
    """The packets of a capture, a piece of the file for each chunk of it."""
    for frames, link in chunks:
        copies = [b""] * len(frames.start)
        others = np.ones(len(copies), dtype=bool)
        for rows, made in plain_copies(frames, link, anonymiser.substitution):
            others[rows] = False
            for row, copy in zip(rows.tolist(), made, strict=True):
                copies[row] = copy
        for row, copy in _other_copies(frames, link, anonymiser, np.flatnonzero(others)):
            copies[row] = copy
        columns = (np.maximum(frames.at_ns, 0), frames.length, _written_as(frames, link))
        at_ns, length, kind = (column.tolist() for column in columns)
        yield b"".join(map(record, at_ns, copies, length, kind))
        copied(len(copies), int(frames.length.sum()) + RECORD_BYTES * len(copies))


def _pcap_record(at_ns: int, frame: bytes, length: int, _: int) -> bytes:
    return pcap_record(at_ns, frame, length)


def _other_copies(
    frames: Frames, link: Link, anonymiser: FrameAnonymiser, rows: Ints
) -> Iterator[tuple[int, bytes]]:
    """The copies of some frames, one by one, and the row of each."""
    columns = (
        *(rows, frames.start[rows], frames.length[rows], _written_as(frames, link)[rows]),
        *(link.shimmed[rows], link.tunnelled[rows], link.ethertype[rows]),
        *((link.network - frames.start)[rows], link.source_mac[rows], link.destination_mac[rows]),
    )
    values = zip(*(column.tolist() for column in columns), strict=True)
    for row, start, length, kind, shimmed, tunnelled, ethertype, network, *macs in values:
        frame = frames.file.bytes(start, length)
        if shimmed:
            frame = without_shims(frame, kind, tuple(macs), ethertype, network)
        copy = anonymiser.frame(frame, kind)
        if tunnelled and ethertype in (IPV4, IPV6):
            copy = _in_a_tunnel(copy, kind, ethertype)
        yield row, copy


def _in_a_tunnel(frame: bytes, kind: int, ethertype: int) -> bytes:
    """A frame whose packet is marked as one in a tunnel: which matters where it came bare too."""
    macs = frame[:_MACS] if kind == ETHERNET else b""
    packet = frame[_MACS + 2 :] if kind == ETHERNET else frame
    head = macs + IPV4.to_bytes(2) if macs else b""
    return head + in_a_tunnel(packet, ethertype)


def _pcapng_head(kinds: Iterable[int]) -> bytes:
    """A section header, and an interface with nanosecond stamps for each kind of link."""
    section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    resolution = struct.pack("<HHBxxxHH", 9, 1, 9, 0, 0)
    interfaces = (
        struct.pack("<IIHHI", 1, 32, kind, 0, 0) + resolution + struct.pack("<I", 32)
        for kind in kinds
    )
    return section + b"".join(interfaces)


def _pcapng_record(kinds: list[int]) -> Record:
    def record(at_ns: int, frame: bytes, length: int, kind: int) -> bytes:
        body = frame + b"\0" * (-len(frame) % 4)
        size = 32 + len(body)
        at = at_ns >> 32, at_ns & 0xFFFFFFFF
        head = struct.pack("<IIIIIII", 6, size, kinds.index(kind), *at, len(frame), length)
        return head + body + struct.pack("<I", size)

    return record
