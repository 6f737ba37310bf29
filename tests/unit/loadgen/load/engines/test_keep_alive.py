"""Several requests on a connection, with the http engine and the sockets engine."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from loadgen.load.hold import Hold
from loadgen.load.plan import ClosedModel, Closing, OpenModel, Stage
from tests.unit.loadgen.load.engines.conduct import ENGINES, carry_out, plan, sent, sent_until
from tests.unit.loadgen.servers import HELLO, NOT_FOUND, OK, Server

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def kept_alive(**more: Any) -> Server:
    return Server(**{"answer": OK, "keeps_alive": True, **more})


def connections(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows by connection, as column ``reused`` has it."""
    made: list[list[dict[str, Any]]] = []
    for row in rows:
        if row["reused"] is None:
            made.append([])
        made[-1].append(row)
    return made


def sizes(rows: list[dict[str, Any]]) -> list[int]:
    return [len(connection) for connection in connections(rows)]


@pytest.mark.parametrize("answer", [OK, HELLO])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_each_connection_carries_so_many_requests_and_the_last_the_rest(
    engine: str, answer: bytes, concurrency: int
) -> None:
    server = kept_alive(answer=answer)
    rows = sent(
        engine,
        server,
        10,
        concurrency=concurrency,
        requests_per_connection=4,
        method="HEAD" if answer == OK else "GET",
    )
    assert [row["number"] for row in rows] == list(range(10))
    assert {(row["error"], row["status"]) for row in rows} == {(None, 200)}
    assert sizes(rows) == [4, 4, 2]
    assert sorted(server.served.values()) == [2, 4, 4]
    assert {row["size"] for row in rows} == {0 if answer == OK else 5}
    assert server.closed_by_client == 3


def test_the_rows_of_a_connection_have_its_port_and_the_first_alone_connected(engine: str) -> None:
    server = kept_alive()
    for rows in connections(sent(engine, server, 9, requests_per_connection=3)):
        assert server.served[(rows[0]["source"], rows[0]["port"])] == 3
        assert len({(row["source"], row["port"]) for row in rows}) == 1
        assert [row["connected"] is None for row in rows] == [False, True, True]


def test_how_a_connection_ended_stands_in_its_last_row(engine: str) -> None:
    for rows in connections(sent(engine, kept_alive(), 6, requests_per_connection=3)):
        ends = [(row["close"], row["closer"], row["closed"] is None) for row in rows]
        assert ends == [(None, None, True), (None, None, True), ("client", "client", False)]


def test_requests_of_a_connection_follow_each_other_and_are_due_when_the_last_has_ended(
    engine: str,
) -> None:
    (rows,) = connections(sent(engine, kept_alive(), 5, requests_per_connection=5))
    for before, row in pairwise(rows):
        assert before["ended"] == row["scheduled"] <= row["started"]
        assert row["started"] <= row["first_byte"] <= row["ended"]


def test_think_is_the_pause_on_a_connection_too(engine: str) -> None:
    model = ClosedModel(requests=4, think_s=0.05)
    rows = sent(engine, kept_alive(), arrivals=model, requests_per_connection=2)
    assert sizes(rows) == [2, 2]
    for before, row in pairwise(rows):
        assert row["started"] - before["ended"] >= 0.05e9
        if row["reused"]:
            assert row["scheduled"] - before["ended"] == 0.05e9


def test_only_the_last_request_of_a_connection_asks_the_server_to_close(engine: str) -> None:
    server = kept_alive()
    rows = sent(engine, server, 5, close="server", requests_per_connection=3)
    asked = [b"Connection: close" in head for head in server.requests]
    assert asked == [False, False, True, False, True]
    assert server.closed_by_server == 2
    lasts = [connection[-1] for connection in connections(rows)]
    assert {(row["close"], row["closer"], row["error"]) for row in lasts} == {
        ("server", "server", None)
    }


@pytest.mark.usefixtures("without_stalls")
def test_the_hold_comes_after_the_last_request(engine: str) -> None:
    hold = Hold(given_s=(0.1,))
    for rows in connections(sent(engine, kept_alive(), 4, hold=hold, requests_per_connection=2)):
        first, last = rows
        assert last["started"] - first["ended"] < last["closed"] - last["ended"] >= 0.1e9


@pytest.mark.parametrize("close", ["reset", "half", "never"])
def test_the_way_of_closing_is_the_connections(engine: str, close: str) -> None:
    server = kept_alive()
    rows = sent(engine, server, 6, close=close, requests_per_connection=3)
    lasts = [connection[-1] for connection in connections(rows)]
    assert [row["close"] for row in lasts] == [close] * 2
    assert (server.reset_by_client, server.closed_by_client) == (
        (2, 0) if close == "reset" else (0, 2)
    )


@pytest.mark.parametrize("announces", [False, True])
@pytest.mark.parametrize("think_s", [0.0, 0.03])
def test_where_the_server_closes_after_three_the_rest_goes_on_on_a_new_connection(
    engine: str, announces: bool, think_s: float
) -> None:
    """Unannounced and without a pause, the next request may cross the server's FIN."""
    server = kept_alive(closes_after=3, announces=announces, closes_at_once=bool(think_s))
    model = ClosedModel(requests=10, think_s=think_s)
    rows = sent(engine, server, arrivals=model, requests_per_connection=10)
    assert [row["number"] for row in rows] == list(range(10))
    if announces or think_s:
        assert {row["error"] for row in rows} == {None}
        assert sizes(rows) == [3, 3, 3, 1]
        assert [row["closer"] for row in rows if row["closed"]][-1] == "client"
    for row in rows:
        if row["error"]:  # written, and met the close: recorded as that, and not sent again
            assert row["failure"] in ("short-answer", "reset")
            assert row["first_byte"] is None
    assert len(server.requests) <= 10


def test_a_request_that_met_a_close_without_a_byte_has_failed_and_is_not_sent_again(
    engine: str,
) -> None:
    server = kept_alive(drops=3)
    rows = sent(engine, server, 7, requests_per_connection=7)
    assert len(server.requests) == 7
    assert [row["failure"] for row in rows] == [
        *(None, None, "short-answer", None, None, "short-answer", None)
    ]
    assert sizes(rows) == [3, 3, 1]
    assert {row["first_byte"] for row in rows if row["error"]} == {None}


def test_a_status_from_400_on_is_a_failure_and_the_connection_goes_on(engine: str) -> None:
    rows = sent(engine, kept_alive(answer=NOT_FOUND), 3, requests_per_connection=3)
    assert [row["failure"] for row in rows] == ["http-4xx"] * 3
    assert sizes(rows) == [3]


def test_where_nobody_listens_each_request_fails_once(engine: str) -> None:
    rows = carry_out(engine, plan(1, 5, requests_per_connection=3))
    assert [(row["number"], row["failure"], row["reused"]) for row in rows] == [
        (number, "refused", None) for number in range(5)
    ]


def test_a_schedule_begins_connections_at_its_rate_over_their_requests(engine: str) -> None:
    model = OpenModel(stages=(Stage(duration_s=0.1, rate_per_s=200),))
    rows = sent(engine, kept_alive(), arrivals=model, requests_per_connection=6)
    assert sizes(rows) == [6, 6, 6, 2]
    due = [connection[0]["scheduled"] for connection in connections(rows)]
    assert {later - earlier for earlier, later in pairwise(due)} == {30_000_000}


@pytest.mark.usefixtures("without_stalls")
def test_when_time_is_up_a_connection_ends_by_our_fin_with_requests_left(engine: str) -> None:
    model = ClosedModel(duration_s=0.15, think_s=0.02)
    server = kept_alive()
    rows = sent(
        engine,
        server,
        arrivals=model,
        requests_per_connection=1000,
        closing=Closing(shares=(("server", 1.0),)),
    )
    assert 1 <= len(rows) < 10
    assert {row["error"] for row in rows} == {None}
    assert (rows[-1]["close"], rows[-1]["closer"]) == ("client", "client")
    assert (server.closed_by_client, server.closed_by_server) == (1, 0)


def test_a_stop_ends_connections_with_requests_left(engine: str) -> None:
    server = kept_alive()
    model = ClosedModel(requests=3000, concurrency=3, think_s=30)
    rows = sent_until(
        engine,
        server,
        lambda _: len(server.requests) == 3,
        arrivals=model,
        requests_per_connection=1000,
    )
    assert [row["number"] for row in rows] == [0, 1000, 2000]
    assert {row["closer"] for row in rows} <= {"client", None}  # None: its answer was not there yet
    assert Counter(server.served.values()) == {1: 3}


def test_the_kernel_is_asked_once_for_each_connection(engine: str) -> None:
    rows = sent(engine, kept_alive(), 4, requests_per_connection=2, tcp_info=True)
    assert [row["retransmits"] for row in rows] == [None, 0, None, 0]
