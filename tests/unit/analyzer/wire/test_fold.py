"""Connections of a capture in chunks are those of the capture in one."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.wire.connections import connections
from analyzer.wire.fold import fold_connections
from analyzer.wire.packets import read_packets
from analyzer.wire.segments import (
    FLOW_COLUMNS,
    VirtualEnd,
    forwarders,
    service_segments,
    without_copies,
)
from tests.unit.analyzer.build import (
    ACK,
    DIRECTOR_MAC,
    FIN,
    NS,
    PORT,
    RST,
    SERVER_MAC,
    SYN,
    VIP,
    ethernet,
    ipv4,
    pcap,
    reply,
    request,
    tcp,
)

AT_NS = 1_795_352_064 * NS
ENDS = [VirtualEnd("TCP", VIP, PORT)]


def forwarded(flags: int, port: int, sequence: int) -> bytes:
    """The copy that the director sends on, seen on its own link."""
    packet = ipv4(tcp(flags, source_port=port, sequence=sequence))
    return ethernet(packet, source=DIRECTOR_MAC, destination=SERVER_MAC)


def frame(kind: str, flags: int, port: int, sequence: int) -> bytes:
    if kind == "reply":
        return reply(flags, port=port, sequence=sequence)
    make = request if kind == "request" else forwarded
    return make(flags, port=port, sequence=sequence)


frames = st.lists(
    st.builds(
        frame,
        st.sampled_from(["request", "request", "reply", "forwarded"]),
        st.sampled_from([SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST]),
        st.integers(40000, 40003),
        st.integers(1, 3),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(frames, st.integers(60, 2500), st.booleans())
def test_chunks_of_any_size_give_the_same_connections(
    sent: list[bytes], chunk_bytes: int, told: bool
) -> None:
    content = memoryview(pcap([(AT_NS + n * 1_000_000, made) for n, made in enumerate(sent)]))
    segments = service_segments(read_packets(content), ENDS)
    macs = frozenset({DIRECTOR_MAC}) if told else forwarders(segments)
    whole = connections(segments.only(without_copies(segments, macs)))
    rows, flows = fold_connections(
        [content], ENDS, {DIRECTOR_MAC} if told else None, chunk_bytes=chunk_bytes
    )
    pd.testing.assert_frame_equal(with_flows(rows, flows), with_flows(whole, segments.flows))


def with_flows(rows: pd.DataFrame, flows: pd.DataFrame) -> pd.DataFrame:
    joined = rows.join(flows, on="flow").drop(columns="flow")
    return joined.sort_values([*FLOW_COLUMNS, "first_ns"], ignore_index=True)


def test_a_connection_that_lies_in_two_files_is_one() -> None:
    begins = pcap([(AT_NS, request(SYN)), (AT_NS + 1, reply(SYN | ACK))])
    goes_on = pcap([(AT_NS + 2, request(FIN | ACK)), (AT_NS + 3, reply(FIN | ACK))])
    rows, flows = fold_connections([memoryview(begins), memoryview(goes_on)], ENDS)
    assert len(rows) == len(flows) == 1
    assert rows[["segments", "closer", "holds_time_wait"]].values.tolist() == [
        [4, "client", "client"]
    ]
