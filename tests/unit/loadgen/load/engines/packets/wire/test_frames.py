"""Frames from templates: scapy, which builds each from nothing, must come to the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from loadgen.load.engines.packets.tcp.script import Segment
from loadgen.load.engines.packets.wire.frames import WINDOW, Templates

THERE, HERE = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
FLAGS = {"SYN": "S", "ASK": "PA", "ASK_CLOSE": "PA", "ACK": "A", "FIN": "FA", "RST": "RA"}
KINDS = [Segment[name] for name in FLAGS] + [Segment.RST_BARE]

numbers = st.integers(0, 2**32 - 1)
segments = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 2), st.integers(1, 65535), numbers, numbers
)


def by_scapy(
    vip: tuple[str, int], source: str, port: int, kind: Segment, seq: int, ack: int, payload: bytes
) -> bytes:
    is_6 = ":" in vip[0]
    options = [("MSS", 1440 if is_6 else 1460)] if kind == Segment.SYN else []
    flags = FLAGS.get(kind.name, "R")
    header: IP | IPv6 = (
        IPv6(src=source, dst=vip[0], hlim=64)
        if is_6
        else IP(src=source, dst=vip[0], id=0, flags="DF", ttl=64)
    )
    packet = (
        Ether(dst=THERE, src=HERE)
        / header
        / TCP(
            sport=port, dport=vip[1], seq=seq, ack=ack, flags=flags, window=WINDOW, options=options
        )
    )
    return bytes(packet / Raw(payload) if payload else packet)


def ends(version: Any) -> st.SearchStrategy[tuple[tuple[str, int], list[str]]]:
    """A VIP and port, and three sources, of one version of IP."""
    addresses = st.ip_addresses(v=version).map(str)
    sources = st.lists(addresses, min_size=3, max_size=3)
    return st.tuples(st.tuples(addresses, st.integers(1, 65535)), sources)


@given(
    ends=st.one_of(ends(4), ends(6)),
    payloads=st.lists(st.binary(max_size=200), min_size=2, max_size=2),
    wanted=st.lists(segments, min_size=1, max_size=20),
)
def test_every_frame_is_the_one_that_scapy_builds(
    ends: tuple[tuple[str, int], list[str]],
    payloads: list[bytes],
    wanted: list[tuple[Segment, int, int, int, int]],
) -> None:
    vip, sources = ends
    carried = {Segment.ASK: payloads[0], Segment.ASK_CLOSE: payloads[1]}
    templates = Templates(vip, sources, (THERE, HERE), carried)
    kind, source, port, seq, ack = (np.array(column) for column in zip(*wanted, strict=True))
    frames, length = templates.compose(
        kind.astype(np.uint8), source, port, seq.astype(np.uint32), ack.astype(np.uint32)
    )
    made = [frame[:size].tobytes() for frame, size in zip(frames, length.tolist(), strict=True)]
    assert made == [
        by_scapy(vip, sources[s], p, k, q, a, carried.get(k, b"")) for k, s, p, q, a in wanted
    ]


def test_syn_fin_and_the_requests_bytes_take_sequence_numbers() -> None:
    payloads = {Segment.ASK: b"x" * 70, Segment.ASK_CLOSE: b"y" * 81}
    templates = Templates(("192.0.2.1", 80), ["192.0.2.7"], (THERE, HERE), payloads)
    taken = {kind: int(templates.consumes[kind]) for kind in KINDS}
    assert taken == dict.fromkeys(KINDS, 0) | {
        Segment.SYN: 1,
        Segment.ASK: 70,
        Segment.ASK_CLOSE: 81,
        Segment.FIN: 1,
    }


def test_frames_follow_a_vip_that_has_moved() -> None:
    templates = Templates(("192.0.2.1", 80), ["192.0.2.7"], (THERE, HERE), {})
    templates.turn_to(b"\x02\0\0\0\0\x09")
    one, zero = np.array([1]), np.array([0], np.uint32)
    frames, _ = templates.compose(one.astype(np.uint8), one - 1, one, zero, zero)
    assert frames[0, :12].tobytes() == b"\x02\0\0\0\0\x09" + HERE
