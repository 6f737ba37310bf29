"""What the http engine and the sockets engine have in common, each against a real server."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.load.engines.closing import END
from loadgen.load.engines.http.transport import PlainTransport
from loadgen.load.engines.sockets import handshake
from loadgen.load.hold import Hold
from loadgen.load.plan import ClosedModel, OpenModel, Stage
from tests.unit.loadgen.load.engines.conduct import ENGINES, carry_out, plan, sent, sent_until
from tests.unit.loadgen.servers import HELLO, MOVED, NOT_FOUND, OK, Server
from tests.unit.waiting import LIMIT_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

INSTANTS = ("scheduled", "started", "connected", "first_byte", "ended", "closed")

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def test_each_request_is_its_own_connection_and_row(engine: str) -> None:
    server = Server()
    rows = sent(engine, server, 20)
    assert [row["number"] for row in rows] == list(range(20))
    assert len(set(server.peers)) == len(server.requests) == 20
    assert {row["error"] for row in rows} == {None}
    assert {row["status"] for row in rows} == {200}


def test_the_source_port_is_the_one_that_the_server_saw(engine: str) -> None:
    server = Server()
    rows = sent(engine, server, 10, concurrency=3)
    assert {(row["source"], row["port"]) for row in rows} == set(server.peers)


def test_an_address_of_ipv6_is_one_like_another(engine: str) -> None:
    server = Server(host="::1")
    (row,) = sent(engine, server, 1, vip="::1")
    assert (row["source"], row["port"], row["error"]) == (*server.peers[0][:2], None)
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]


def test_instants_ascend_and_are_unix_nanoseconds(engine: str) -> None:
    before_ns = time.time_ns()
    for row in sent(engine, Server(), 5):
        instants = [row[name] for name in INSTANTS]
        assert instants == sorted(instants)
        assert before_ns <= instants[0] <= instants[-1] <= time.time_ns()


def test_one_after_another_by_default(engine: str) -> None:
    server = Server()
    sent(engine, server, 10)
    assert server.most_at_once == 1


def test_several_at_a_time_when_asked_for(engine: str) -> None:
    """The server answers nobody until four have asked."""
    server = Server(answer=None)
    rows = sent_until(engine, server, lambda _: len(server.requests) == 4, 10, concurrency=4)
    assert server.most_at_once == 4
    assert [row["error"] for row in rows] == ["interrupted"] * 4  # the others were not begun


def test_the_request_is_the_one_that_was_asked_for(engine: str) -> None:
    server = Server(HELLO)
    (row,) = sent(engine, server, 1, method="GET", path="/a/b?c=%20d")
    (head,) = server.requests
    assert head.startswith(b"GET /a/b?c=%20d HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in head
    assert b"Connection: keep-alive\r\n" in head
    assert row["size"] == 5


def test_headers_and_body_go_out_as_given_and_take_the_place_of_ours(engine: str) -> None:
    server = Server()
    headers = (("User-Agent", "me"), ("X-Two", "2"), ("Host", "www.example.net"))
    sent(engine, server, 1, method="POST", headers=headers, body=b"a=b")
    (head,) = server.requests
    for line in (b"User-Agent: me", b"X-Two: 2", b"Host: www.example.net", b"Content-Length: 3"):
        assert head.count(line + b"\r\n") == 1
    assert head.lower().count(b"user-agent") == head.lower().count(b"host:") == 1


def test_a_name_that_was_resolved_stands_in_host(engine: str) -> None:
    server = Server()
    sent(engine, server, 1, authority="www.example.net:8080")
    assert b"\r\nHost: www.example.net:8080\r\n" in server.requests[0]


def test_an_environment_with_a_proxy_changes_nothing(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert [row["error"] for row in sent(engine, Server(), 1)] == [None]


def test_a_status_from_400_on_is_a_failure(engine: str) -> None:
    (row,) = sent(engine, Server(NOT_FOUND), 1)
    assert (row["status"], row["error"], row["failure"]) == (404, "HTTP 404", "http-4xx")
    assert row["ended"] is not None


def test_a_redirect_is_an_answer_and_is_not_followed_unless_asked(engine: str) -> None:
    server = Server(MOVED)
    (row,) = sent(engine, server, 1)
    assert (row["status"], row["error"]) == (302, None)
    assert len(server.requests) == 1


# How connections end ------------------------------------------------------------------------------


def test_the_client_closes_first_although_the_server_would_keep_the_connection(
    engine: str,
) -> None:
    server = Server()
    rows = sent(engine, server, 5)
    assert server.closed_by_client == 5
    assert {(row["close"], row["closer"]) for row in rows} == {("client", "client")}


def test_the_server_is_asked_to_close_first_and_waited_for(engine: str) -> None:
    server = Server()
    rows = sent(engine, server, 5, close="server")
    assert (server.closed_by_server, server.closed_by_client) == (5, 0)
    assert {(row["close"], row["closer"], row["error"]) for row in rows} == {
        ("server", "server", None)
    }


def test_a_server_that_was_asked_to_close_and_does_not_is_a_failure(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has answered before it is asked, so that nothing but its close can be late."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def answer() -> None:
            connection, _ = listener.accept()
            connection.sendall(OK)
            accepted.append(connection)

        before_asking(monkeypatch, answer)
        port = listener.getsockname()[1]
        (row,) = carry_out(engine, plan(port, 1, close="server", timeout_s=0.2))
        accepted[0].close()
    assert row["error"] == "timeout: the server did not close"
    assert row["ended"] is not None


def before_asking(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Have something done, by the engine's own thread, when a connection stands."""
    write, message_of = PlainTransport.write, handshake.message_of

    def then_write(transport: PlainTransport, data: bytes) -> None:
        act()
        write(transport, data)

    def then_message_of(*what: Any) -> bytes:
        act()
        return message_of(*what)

    monkeypatch.setattr(PlainTransport, "write", then_write)
    monkeypatch.setattr(handshake, "message_of", then_message_of)


def test_a_reset_is_a_reset(engine: str) -> None:
    server = Server()
    rows = sent(engine, server, 5, close="reset")
    assert (server.reset_by_client, server.closed_by_client) == (5, 0)
    assert {(row["close"], row["closer"]) for row in rows} == {("reset", "reset")}


def test_a_half_close_is_a_fin_of_ours(engine: str) -> None:
    server = Server()
    rows = sent(engine, server, 5, close="half")
    assert server.closed_by_client == 5
    assert {(row["close"], row["closer"]) for row in rows} == {("half", "client")}


def test_what_never_closes_stays_open_until_the_run_ends(engine: str) -> None:
    server = Server()
    stood: list[int] = []

    def enough(outlet: Any) -> bool:
        if outlet.has_sent:
            stood.append(server.closed_by_client)
        return len(stood) == 20

    rows = sent_until(engine, server, enough, 5, close="never")
    assert stood == [0] * 20
    assert server.closed_by_client == 5  # and then no socket is left
    assert {(row["close"], row["closer"], row["closed"]) for row in rows} == {
        ("never", "none", None)
    }


@pytest.mark.parametrize("close", ["client", "server", "reset"])
def test_between_answer_and_close_lies_the_hold(engine: str, close: str) -> None:
    for row in sent(engine, Server(), 3, concurrency=3, close=close, hold_s=0.1):
        assert row["closed"] - row["ended"] >= 0.1e9
        assert row["error"] is None


def test_each_connection_is_held_for_its_own_time(engine: str) -> None:
    hold = Hold(distribution="uniform", given_s=(0.02, 0.3), seed=5)

    def latest_ns() -> Any:
        rows = sent(engine, Server(), 6, concurrency=6, hold=hold)
        late_ns = [row["closed"] - row["ended"] - hold.ns(row["number"]) for row in rows]
        assert min(late_ns) >= 0
        return max(late_ns)

    assert wait_until(lambda: latest_ns() < 0.1e9)  # a machine that is busy stalls now and then


def test_a_server_that_closed_sooner_than_we_is_named_as_the_closer(engine: str) -> None:
    """Its answer ends with its FIN, and it said so."""
    server = Server(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
    headers = (("Connection", "close"),)
    (row,) = sent(engine, server, 1, method="GET", headers=headers, hold_s=0.05)
    assert (row["size"], row["close"], row["closer"]) == (5, "client", "server")


# What may go wrong --------------------------------------------------------------------------------


def test_a_refused_connection_is_a_failed_row_and_the_plan_goes_on(engine: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen; nor does anybody else there
        rows = carry_out(engine, plan(silent.getsockname()[1], 3))
    assert len(rows) == 3
    for row in rows:
        assert row["error"] == "connection refused"
        assert row["started"] is not None
        assert [row[name] for name in ("connected", "first_byte", "ended")] == [None] * 3
        assert (row["status"], row["closer"]) == (None, None)


def test_an_answer_that_does_not_come_is_a_timeout(engine: str) -> None:
    (row,) = sent(engine, Server(answer=None), 1, timeout_s=0.1)
    assert row["error"] == "timeout: no answer"
    assert row["connected"] is not None
    assert (row["first_byte"], row["ended"]) == (None, None)


def test_a_connection_that_does_not_come_is_a_timeout(engine: str) -> None:
    """A listener with a full queue drops SYNs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        (row,) = carry_out(engine, plan(port, 1, connect_timeout_s=0.1))
        for sock in waiting:
            sock.close()
    assert row["error"] == "timeout: no connection"
    assert row["connected"] is None


@pytest.mark.parametrize(
    "answer",
    [
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_a_failed_row(engine: str, answer: bytes) -> None:
    (row,) = sent(engine, Server(answer), 1, method="GET", timeout_s=0.5)
    assert row["error"]


def test_an_answer_that_is_cut_short_is_a_failed_row(engine: str) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"
    headers = (("Connection", "close"),)
    (row,) = sent(engine, Server(cut), 1, method="GET", headers=headers)
    assert row["error"] == "closed by the server before its answer was whole"
    assert row["ended"] is None


def test_what_the_server_drops_is_not_tried_again_unseen(engine: str) -> None:
    """A library's good intentions would make two connections of one row."""
    server = Server(answer=b"")
    headers = (("Connection", "close"),)
    (row,) = sent(engine, server, 1, method="GET", headers=headers)
    assert row["error"] == "closed by the server before its answer was whole"
    assert len(server.peers) == 1


def test_a_reset_of_the_server_is_reported_as_one(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            END["reset"](connection)

        serving = threading.Thread(target=serve)
        serving.start()
        (row,) = carry_out(engine, plan(listener.getsockname()[1], 1))
        serving.join()
    assert (row["error"], row["closer"]) == ("connection reset by peer", "reset")


def test_what_is_under_way_when_it_ends_is_recorded_as_interrupted(engine: str) -> None:
    server = Server(answer=None)
    (row,) = sent_until(engine, server, lambda _: server.asked.is_set(), 50)
    assert row["error"] == "interrupted"  # the 49 that were not begun have no row
    assert row["connected"] is not None
    assert row["ended"] is None


# When requests are sent ---------------------------------------------------------------------------


@pytest.mark.usefixtures("without_stalls")
def test_time_ends_a_plan_without_a_number(engine: str) -> None:
    began_s = time.monotonic()
    rows = sent(engine, Server(), arrivals=ClosedModel(duration_s=0.2))
    assert 0.2 <= time.monotonic() - began_s < LIMIT_S
    assert len(rows) > 3


def test_a_sender_thinks_between_two_requests(engine: str) -> None:
    rows = sent(engine, Server(), arrivals=ClosedModel(requests=3, think_s=0.05))
    for before, after in pairwise(rows):
        assert after["started"] - before["ended"] >= 0.05e9


def test_the_open_model_goes_by_the_clock_whatever_the_server_does(engine: str) -> None:
    """It answers nobody; all are sent all the same, none before it was due."""
    model = OpenModel(stages=(Stage(duration_s=0.2, rate_per_s=100),))
    server = Server(answer=None)
    rows = sent_until(engine, server, lambda _: len(server.requests) == 20, arrivals=model)
    assert [row["number"] for row in rows] == list(range(20))
    gaps = {b["scheduled"] - a["scheduled"] for a, b in pairwise(rows)}
    assert gaps == {10_000_000}
    assert all(row["started"] >= row["scheduled"] for row in rows)


@pytest.mark.usefixtures("without_stalls")
def test_what_finds_no_place_waits_and_is_late(engine: str) -> None:
    """One place; the first holds it for 0.1 s, the second was due at once."""
    model = OpenModel(stages=(Stage(duration_s=0.01, rate_per_s=200),), at_once=1)
    first, second = sent(engine, Server(), arrivals=model, hold_s=0.1)
    assert first["started"] - first["scheduled"] < 0.09e9
    assert second["started"] - second["scheduled"] >= 0.09e9


def test_sources_are_used_in_turn(engine: str) -> None:
    server = Server()
    pool = ("127.0.0.7", "127.0.0.8", "127.0.0.9")
    rows = sent(engine, server, 6, sources=pool)
    assert [row["source"] for row in rows] == [*pool, *pool]
    assert {(row["source"], row["port"]) for row in rows} == set(server.peers)


def test_the_kernel_is_asked_about_each_connection(engine: str) -> None:
    (row,) = sent(engine, Server(), 1, tcp_info=True)
    assert row["retransmits"] == 0
    assert 0 < row["rtt_us"] < 1_000_000
