"""Segments to connections: who closed, who holds TIME_WAIT, what was repeated."""

from __future__ import annotations

import pandas as pd
import pytest

from analyzer.wire.connections import connections
from analyzer.wire.packets import read_packets
from analyzer.wire.segments import VirtualEnd, dealt_out
from tests.unit.analyzer.builders_packets import (
    ACK,
    DIRECTOR_MAC,
    FIN,
    NS,
    PORT,
    RST,
    SERVER_MAC,
    SYN,
    VIP,
    pcap,
    reply,
    request,
)

AT_NS = 1_795_352_064 * NS
FLAGS = {"syn": SYN, "ack": ACK, "fin": FIN | ACK, "rst": RST, "synack": SYN | ACK}


def frame(word: str, port: int) -> bytes:
    """``syn``, ``fin``; ``<fin`` from the server; ``syn/7`` with the sequence number 7."""
    name, _, sequence = word.strip("<").partition("/")
    make = reply if word.startswith("<") else request
    return make(FLAGS[name], port=port, sequence=int(sequence or 1))


def captured(*lives: str) -> bytes:
    """A capture of lives side by side, each from a port of its own, a millisecond between rows."""
    sent = [
        (AT_NS + row * 1_000_000 + index, frame(word, 40000 + index))
        for index, life in enumerate(lives)
        for row, word in enumerate(life.split())
    ]
    return pcap(sorted(sent))


def seen(*lives: str) -> pd.DataFrame:
    packets = read_packets(memoryview(captured(*lives)))
    segments = dealt_out(packets, [VirtualEnd("TCP", VIP, PORT)]).segments()
    return connections(segments).reset_index(drop=True)


@pytest.mark.parametrize(
    ("life", "closer", "holds"),
    [
        ("syn <synack ack fin <fin ack", "client", "client"),  # as curl does
        ("syn <synack ack <fin fin <ack", "server", "server"),
        ("syn <synack ack fin <ack", "client", "none"),  # the server has not closed yet
        ("syn <synack ack <fin ack", "server", "none"),  # the client has not
        ("syn <synack ack rst", "reset", "none"),
        ("syn <rst", "reset", "none"),  # refused
        ("syn <synack ack <rst", "reset", "none"),
        ("syn <synack ack fin <rst", "client", "none"),  # a reset after a FIN
        ("syn <synack ack", "none", "none"),  # open
        ("syn", "none", "none"),  # half open
    ],
)
def test_who_closed_first_and_who_holds_time_wait(life: str, closer: str, holds: str) -> None:
    (row,) = seen(life).to_dict("records")
    assert (row["closer"], row["holds_time_wait"]) == (closer, holds)


@pytest.mark.parametrize(
    ("life", "syns"),
    [
        ("syn/5 <synack ack", 1),
        ("syn/5 syn/5 <synack ack", 2),  # the first one was lost
        ("syn/5 syn/5 syn/5", 3),  # nobody answers
    ],
)
def test_a_repeated_syn_belongs_to_the_same_connection(life: str, syns: int) -> None:
    (row,) = seen(life).to_dict("records")
    assert row["syns"] == syns
    assert row["retry_s"] == pytest.approx((syns - 1) * 0.001)


@pytest.mark.parametrize(
    ("life", "client_fin", "server_fin", "answered"),
    [
        ("syn <synack ack fin <fin ack", True, True, True),
        ("syn <synack ack <fin ack", False, True, True),  # the client held it open
        ("syn ack fin", True, False, False),  # a capture that sees no replies
        ("syn", False, False, False),
    ],
)
def test_what_was_seen_of_either_side(
    life: str, client_fin: bool, server_fin: bool, answered: bool
) -> None:
    (row,) = seen(life).to_dict("records")
    found = (row["client_fin"], row["server_fin"], row["answered"])
    assert found == (client_fin, server_fin, answered)


def test_a_port_used_again_is_another_connection() -> None:
    rows = seen("syn/5 <synack ack fin <fin syn/99 <synack ack rst").to_dict("records")
    assert [row["closer"] for row in rows] == ["client", "reset"]
    assert [row["segments"] for row in rows] == [5, 4]
    assert rows[0]["flow"] == rows[1]["flow"] == 0


def test_each_connection_has_its_own_row_and_times() -> None:
    rows = seen("syn ack fin", "syn ack fin", "syn").to_dict("records")
    assert [row["flow"] for row in rows] == [0, 1, 2]
    assert [row["first_ns"] for row in rows] == [AT_NS, AT_NS + 1, AT_NS + 2]
    assert [row["last_ns"] for row in rows] == [AT_NS + 2_000_000, AT_NS + 2_000_001, AT_NS + 2]


def test_the_macs_tell_who_took_the_request_and_who_answered() -> None:
    (first, second) = seen("syn <synack ack", "syn").to_dict("records")
    assert first["director_mac"] == second["director_mac"] == DIRECTOR_MAC
    assert first["replied_by"] == SERVER_MAC
    assert pd.isna(second["replied_by"])


def test_no_segments_are_no_connections() -> None:
    found = seen()
    assert len(found) == 0
    assert {"closer", "holds_time_wait", "replied_by", "director_mac", "syns"} <= set(found)
