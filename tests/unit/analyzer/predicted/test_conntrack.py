"""Entries of a netfilter director, from segments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzer.conntrack.replay import ConntrackRules
from analyzer.conntrack.settings import ConntrackSettings, with_change
from analyzer.conntrack.states import CtState
from analyzer.conntrack.versions import law_of
from analyzer.ipvs.states import Flag, State
from analyzer.predicted.conntrack import predict
from analyzer.predicted.entries import state_name, state_number
from analyzer.predicted.replay import handling
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, clock, segments

RULES = ConntrackRules(settings=ConntrackSettings(), law=law_of("6.1.0"))
SYN, FIN, ACK, RST, _, DATAGRAM = Flag


def closed(port: int, began_s: float) -> list[Seg]:
    """A connection that the client closes, 0.4 s long."""
    return [
        Seg(began_s, port, SYN, sequence=99),
        Seg(began_s + 0.1, port, SYN, reply=True, sequence=899, acknowledgement=100),
        Seg(began_s + 0.1, port, ACK, sequence=100, acknowledgement=900),
        Seg(began_s + 0.2, port, FIN, sequence=100, acknowledgement=900),
        Seg(began_s + 0.3, port, FIN, reply=True, sequence=900, acknowledgement=101),
        Seg(began_s + 0.4, port, ACK, sequence=101, acknowledgement=901),
    ]


def rows(prediction_entries: object) -> list[tuple[object, ...]]:
    return list(prediction_entries.itertuples(index=False, name=None))  # type: ignore[attr-defined]


def ns(at_s: float) -> int:
    return BOOT_NS + round(at_s * NS)


def test_a_closed_connection_waits_its_time_wait_and_no_granule() -> None:
    found = predict(segments(closed(1, 1000.0)), clock(), RULES, "node01")
    assert found.director == "node01"
    assert rows(found.entries) == [
        (
            *(0, ns(1000.0), ns(1000.4), State.TIME_WAIT, 120.0, ns(1120.4), "timer"),
            "nf_conntrack_tcp_timeout_time_wait",
        )
    ]
    assert [state_name(state) for state in found.steps["state"]] == [
        "SYN_SENT",
        "SYN_RECV",
        "ESTABLISHED",
        "FIN_WAIT",
        "LAST_ACK",
        "TIME_WAIT",
    ]


def test_a_port_that_comes_back_ends_the_entry_in_time_wait() -> None:
    found = predict(
        segments([*closed(1, 1000.0), *closed(1, 1030.0)]), clock(), RULES, "node01"
    ).entries
    assert found["cause"].tolist() == ["port-reuse", "timer"]
    assert found["ends_ns"].tolist() == [ns(1030.0), ns(1150.4)]


def test_a_reset_alone_deletes_the_entry_at_its_instant() -> None:
    sent = [
        Seg(1000.0, 1, SYN, sequence=99),
        Seg(1000.5, 1, RST, reply=True, acknowledgement=100),
        Seg(1003.0, 1, SYN, sequence=99),
    ]
    found = predict(segments(sent), clock(), RULES, "node01").entries
    assert found["cause"].tolist() == ["refused", "timer"]
    assert found["ends_ns"].tolist() == [ns(1000.5), ns(1123.0)]
    assert found["state"].tolist() == [CtState.CLOSE, CtState.SYN_SENT]


def test_a_packet_that_does_not_count_is_not_the_entrys_last() -> None:
    """A SYN that nobody answers is sent again; the timeout runs from the first."""
    sent = [Seg(at_s, 1, SYN, sequence=99) for at_s in (1000.0, 1001.0, 1003.0)]
    found = predict(segments(sent), clock(), RULES, "node01")
    assert found.entries["last_ns"].tolist() == [ns(1000.0)]
    assert found.entries["ends_ns"].tolist() == [ns(1120.0)]
    assert len(found.steps) == 1


def test_what_never_arrived_changes_nothing() -> None:
    sent = closed(1, 1000.0)
    lost = handling(len(sent), dropped=np.arange(len(sent)) >= 3)
    found = predict(segments(sent), clock(), RULES, "node01", lost).entries
    assert found["state"].tolist() == [State.ESTABLISHED]
    assert found["timeout_s"].tolist() == [432_000]


def test_datagrams() -> None:
    sent = [
        Seg(1000.0, 1, DATAGRAM),
        Seg(1000.1, 1, DATAGRAM, reply=True),
        Seg(1003.0, 1, DATAGRAM),
        Seg(1000.0, 2, DATAGRAM),
    ]
    found = predict(segments(sent), clock(), RULES, "node01").entries
    assert [state_name(state) for state in found["state"]] == ["ASSURED", "UNREPLIED"]
    assert found["timeout_s"].tolist() == [120, 30]


@pytest.mark.parametrize(
    ("kernel", "timeout_s", "name"),
    [
        ("4.19.0", 120, "nf_conntrack_udp_timeout_stream"),
        ("5.10.0", 30, "nf_conntrack_udp_timeout"),
    ],
)
def test_what_is_assured_waits_the_timeout_that_its_kernel_chose(
    kernel: str, timeout_s: float, name: str
) -> None:
    """From 5.0 to 5.15 a flow is ASSURED before it is a stream."""
    sent = [Seg(1000 + n / 10, 1, DATAGRAM, reply=n == 1) for n in range(3)]
    rules = replace(RULES, law=law_of(kernel))
    found = predict(segments(sent), clock(), rules, "node01").entries
    assert found["state"].tolist() == [CtState.ASSURED]
    assert found["timeout_s"].tolist() == [timeout_s]
    assert found["timeout_name"].tolist() == [name]


@pytest.mark.parametrize("later_s", [10, 300, 432_000])
def test_a_sysctl_that_was_set_midway_to_what_another_is_keeps_its_name(later_s: int) -> None:
    time_wait = "nf_conntrack_tcp_timeout_time_wait"
    later = with_change(RULES.settings, time_wait, later_s)
    rules = replace(RULES, changes=((1010.0, later),))
    sent = [*closed(1, 1000.0), *closed(2, 1020.0)]
    found = predict(segments(sent), clock(), rules, "node01").entries
    assert found["timeout_s"].tolist() == [120, later_s]
    assert found["timeout_name"].tolist() == [time_wait, time_wait]


@pytest.mark.parametrize("state", [*State, *CtState])
def test_a_number_names_a_state_whoever_keeps_the_entry(state: State | CtState) -> None:
    assert state_name(int(state)) == state.name
    assert state_number(state.name) == int(state)


def test_a_name_that_nobody_has_has_no_number() -> None:
    assert state_number("OFFLOAD") is None
