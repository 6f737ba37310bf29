"""The silences of closing connections, as a director sees them."""

from __future__ import annotations

import pytest

from analyzer.ipvs.states import Flag
from analyzer.pictures.fin_waits import FinWaits, fin_waits
from tests.unit.analyzer.builders_packets import Seg, segments

OPEN = [(0.0, Flag.SYN), (0.1, Flag.ACK)]


def waits(*rows: Seg, sees_replies: bool = False) -> FinWaits:
    table = segments(rows)
    return fin_waits("bal01", table, table, sees_replies=sees_replies)


def connection(*steps: tuple[float, Flag], port: int = 40_000, at_s: float = 0.0) -> list[Seg]:
    return [Seg(at_s + step_s, port, flag) for step_s, flag in [*OPEN, *steps]]


def test_the_longest_silence_is_between_two_packets_after_the_fin() -> None:
    found = waits(*connection((5.0, Flag.FIN), (5.5, Flag.ACK), (8.0, Flag.ACK), (8.1, Flag.ACK)))
    assert found.longest_ack_s == pytest.approx(2.5)
    assert found.longest_fin_s is None
    assert found.longest_s == pytest.approx(2.5)
    assert (found.connections, found.repeated) == (1, 0)


def test_a_fin_that_is_sent_again_is_distinguished_from_other_packets() -> None:
    found = waits(
        *connection((1.0, Flag.FIN), (1.2, Flag.FIN), (1.6, Flag.FIN), (1.7, Flag.ACK)),
        *connection((1.0, Flag.FIN), (1.3, Flag.ACK), port=40_001),
    )
    assert found.longest_fin_s == pytest.approx(0.4)
    assert found.longest_ack_s == pytest.approx(0.3)
    assert (found.connections, found.repeated) == (2, 1)


def test_what_was_silent_before_the_fin_does_not_count() -> None:
    found = waits(*connection((60.0, Flag.ACK), (120.0, Flag.FIN)))
    assert found.longest_s is None
    assert found.connections == 1


def test_a_port_that_comes_back_begins_a_connection_of_its_own() -> None:
    again = connection((1.0, Flag.FIN), at_s=60.0)
    found = waits(*connection((1.0, Flag.FIN), (1.1, Flag.ACK)), *again)
    assert found.longest_ack_s == pytest.approx(0.1)
    assert found.connections == 2


def test_a_reset_needs_no_entry() -> None:
    found = waits(*connection((1.0, Flag.FIN), (30.0, Flag.RST)))
    assert found.longest_s is None


def test_replies_count_only_where_they_pass_the_director() -> None:
    rows = [*connection((1.0, Flag.FIN), (5.0, Flag.ACK)), Seg(4.0, 40_000, Flag.ACK, reply=True)]
    assert waits(*rows).longest_ack_s == pytest.approx(4.0)
    assert waits(*rows, sees_replies=True).longest_ack_s == pytest.approx(3.0)


def test_a_half_closed_time_is_from_the_clients_fin_to_the_servers() -> None:
    rows = [
        *connection((1.0, Flag.FIN), (8.5, Flag.ACK)),
        Seg(8.0, 40_000, Flag.FIN, reply=True),
        Seg(8.2, 40_000, Flag.FIN, reply=True),
    ]
    assert waits(*rows).longest_half_closed_s == pytest.approx(7.0)
    server_first = [
        Seg(0.5, 40_001, Flag.FIN, reply=True),
        *connection((1.0, Flag.FIN), port=40_001),
    ]
    assert waits(*server_first).longest_half_closed_s is None


def test_nothing_captured_is_nothing_known() -> None:
    found = waits()
    assert (found.connections, found.longest_s, found.longest_half_closed_s) == (0, None, None)
