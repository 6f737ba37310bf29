"""The http engine against a real server: connections, rows, failures."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from loadgen.engines.http import send
from loadgen.plan import ClosedModel, LoadPlan, Request, Target
from tests.unit.loadgen.servers import HELLO, MOVED, NOT_FOUND, OK, Server

INSTANTS = ("scheduled", "started", "connected", "first_byte", "ended")


def plan(port: int, requests: int = 5, concurrency: int = 1, **more: Any) -> LoadPlan:
    words = {name: more.pop(name) for name in ("method", "path") if name in more}
    return LoadPlan(
        target=Target(vip="127.0.0.1", port=port),
        arrivals=ClosedModel(requests=requests, concurrency=concurrency),
        request=Request(**words),
        **more,
    )


def sent(server: Server, requests: int = 5, **more: Any) -> list[dict[str, Any]]:
    """Rows of a plan carried out at a server, in order of their numbers."""
    rows: list[dict[str, Any]] = []

    async def main() -> None:
        async with server.running():
            await send(plan(server.port, requests, **more), rows.append)

    asyncio.run(main())
    return sorted(rows, key=lambda row: row["id"])


def test_each_request_is_its_own_connection_and_row() -> None:
    server = Server()
    rows = sent(server, 20)
    assert [row["id"] for row in rows] == list(range(20))
    assert len(set(server.peers)) == len(server.requests) == 20
    assert {row["error"] for row in rows} == {None}
    assert {row["status"] for row in rows} == {200}


def test_the_source_port_is_the_one_that_the_server_saw() -> None:
    server = Server()
    rows = sent(server, 10, concurrency=3)
    assert {(row["source_ip"], row["source_port"]) for row in rows} == set(server.peers)


def test_the_client_closes_first_although_the_server_would_keep_the_connection() -> None:
    server = Server()
    rows = sent(server, 5)
    assert server.closed_by_client == 5
    assert {row["closer"] for row in rows} == {"client"}


def test_instants_ascend_and_are_unix_nanoseconds() -> None:
    before_ns = time.time_ns()
    for row in sent(Server(), 5):
        instants = [row[name] for name in INSTANTS]
        assert instants == sorted(instants)
        assert before_ns <= instants[0] <= instants[-1] <= time.time_ns()


def test_one_after_another_unless_told_otherwise() -> None:
    server = Server()
    sent(server, 10)
    assert server.most_at_once == 1


def test_several_at_a_time_when_told_so() -> None:
    """The server answers nobody until four have asked."""
    server = Server(answer=None)

    async def main() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        async with server.running():
            sending = asyncio.create_task(send(plan(server.port, 4, concurrency=4), rows.append))
            while len(server.requests) < 4:
                await asyncio.sleep(0.001)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        return rows

    assert len(asyncio.run(main())) == 4
    assert server.most_at_once == 4


def test_the_request_is_the_one_that_was_asked_for() -> None:
    server = Server(HELLO)
    (row,) = sent(server, 1, method="GET", path="/a/b?c=d")
    (head,) = server.requests
    assert head.startswith(b"GET /a/b?c=d HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in head
    assert (row["kind"], row["bytes"]) == ("GET", 5)


def test_head_is_the_method_unless_told_otherwise() -> None:
    server = Server()
    (row,) = sent(server, 1)
    assert server.requests[0].startswith(b"HEAD / HTTP/1.1\r\n")
    assert row["kind"] == "HEAD"


def test_an_environment_with_a_proxy_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert [row["error"] for row in sent(Server(), 1)] == [None]


@pytest.mark.parametrize(("answer", "status"), [(NOT_FOUND, 404)])
def test_a_status_from_400_on_is_a_failure(answer: bytes, status: int) -> None:
    (row,) = sent(Server(answer), 1)
    assert (row["status"], row["error"]) == (status, f"HTTP {status}")
    assert row["ended"] is not None


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    server = Server(MOVED)
    (row,) = sent(server, 1)
    assert (row["status"], row["error"]) == (302, None)
    assert len(server.requests) == 1


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_refused_connection_is_a_failed_row_and_the_plan_goes_on() -> None:
    rows: list[dict[str, Any]] = []
    asyncio.run(send(plan(free_port(), 3), rows.append))
    assert len(rows) == 3
    for row in rows:
        assert row["error"]
        assert row["started"] is not None
        assert [row[name] for name in ("connected", "first_byte", "ended")] == [None] * 3
        assert (row["source_port"], row["status"], row["closer"]) == (None, None, None)


def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    (row,) = sent(Server(answer=None), 1, timeout_s=0.05)
    assert row["error"].startswith("timeout")
    assert row["connected"] is not None
    assert (row["first_byte"], row["ended"]) == (None, None)


def test_a_connection_that_does_not_come_is_a_timeout() -> None:
    """A listener with a full queue drops SYNs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        rows: list[dict[str, Any]] = []
        port = listener.getsockname()[1]
        asyncio.run(send(plan(port, 1, connect_timeout_s=0.1), rows.append))
        for sock in waiting:
            sock.close()
    (row,) = rows
    assert row["error"].startswith("timeout")
    assert row["connected"] is None


@pytest.mark.parametrize(
    "answer",
    [b"not HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n"],
)
def test_an_answer_that_is_no_http_is_a_failed_row(answer: bytes) -> None:
    (row,) = sent(Server(answer), 1)
    assert row["error"]
    assert row["error"].isprintable()
    assert len(row["error"]) <= 200


def test_what_is_under_way_when_it_ends_is_recorded_as_interrupted() -> None:
    server = Server(answer=None)
    rows: list[dict[str, Any]] = []

    async def main() -> None:
        async with server.running():
            sending = asyncio.create_task(send(plan(server.port, 50), rows.append))
            await server.asked.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    asyncio.run(main())
    (row,) = rows  # the 49 that were not begun have no row
    assert row["error"] == "interrupted"
    assert row["connected"] is not None
    assert row["ended"] is None


def test_more_senders_than_requests_send_each_request_once() -> None:
    server = Server(OK)
    rows = sent(server, 3, concurrency=100)
    assert [row["id"] for row in rows] == [0, 1, 2]
    assert len(server.requests) == 3
