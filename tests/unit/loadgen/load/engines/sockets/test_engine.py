"""What the sockets engine alone can do: leave without a packet, datagrams."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.errors import UsageProblem
from loadgen.load.engines.closing import check_repair
from loadgen.load.plan import Datagram, Request
from loadgen.target import Target
from tests.unit.loadgen.load.engines.conduct import carry_out, plan, sent
from tests.unit.loadgen.servers import OK, Server, own_address

if TYPE_CHECKING:
    from collections.abc import Iterator

# Leaving without a packet -------------------------------------------------------------------------


def test_whoever_is_abandoned_hears_nothing() -> None:
    """Neither FIN nor reset: the server's side stays established until it speaks."""
    check_repair(plan(80, engine="sockets", close="abandon"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        heard: list[socket.socket] = []

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(OK)
            heard.append(connection)

        serving = threading.Thread(target=serve)
        serving.start()
        (row,) = carry_out("sockets", plan(port, 1, close="abandon"))
        serving.join()
        with heard[0] as left:
            left.setblocking(False)
            with pytest.raises(BlockingIOError):
                left.recv(1)
    assert (row["close"], row["closer"], row["error"]) == ("abandon", "none", None)
    assert row["closed"] is not None


def test_without_the_privilege_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket.socket, "setsockopt", denied)
    with pytest.raises(UsageProblem, match=r"sockets cannot do --close abandon here: TCP_REPAIR"):
        check_repair(plan(80, engine="sockets", close="abandon"))
    check_repair(plan(80, engine="sockets", close="reset"))  # who does not ask is not refused


# Datagrams ----------------------------------------------------------------------------------------


PORT_OF_NOBODY = 9


class Echo:
    """A UDP server that answers or does not."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = int(self.sock.getsockname()[1])
        self.came: list[tuple[bytes, tuple[str, int]]] = []
        self.answers = True
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self.sock.recvfrom(4096)
            if data == b"stop":
                return
            self.came.append((data, peer))
            if self.answers:
                self.sock.sendto(data.upper(), peer)

    def close(self) -> None:
        """Serve no more."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"stop", self.sock.getsockname())
        self._thread.join()
        self.sock.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


def datagrams(port: int, *, answered: bool = True, **more: Any) -> list[dict[str, Any]]:
    target = Target(vip=more.pop("vip", "127.0.0.1"), port=port, protocol="UDP")
    datagram = Datagram(payload=b"hello", answered=answered)
    return carry_out("sockets", plan(port, 6, target=target, datagram=datagram, **more))


def test_each_datagram_has_a_port_of_its_own_and_its_answer_is_noted(echo: Echo) -> None:
    rows = datagrams(echo.port, concurrency=2)
    assert [data for data, _ in echo.came] == [b"hello"] * 6
    assert {(row["source"], row["port"]) for row in rows} == {peer for _, peer in echo.came}
    assert {(row["size"], row["error"], row["closer"]) for row in rows} == {(5, None, None)}
    assert all(row["first_byte"] >= row["started"] for row in rows)


def test_an_answer_that_does_not_come_is_a_failure_only_where_one_is_expected(echo: Echo) -> None:
    echo.answers = False
    rows = datagrams(echo.port, timeout_s=0.1, concurrency=6)
    assert {row["error"] for row in rows} == {"timeout: no answer"}
    rows = datagrams(echo.port, answered=False)
    assert {(row["error"], row["first_byte"]) for row in rows} == {(None, None)}


def test_a_port_where_nobody_listens_is_a_failure() -> None:
    rows = datagrams(PORT_OF_NOBODY, vip=own_address())
    assert {row["error"] for row in rows} == {"connection refused"}


def test_a_million_ports_are_not_tried_where_none_is_left() -> None:
    """A source without a free port is a failure that says so, and the plan goes on."""
    server = Server()
    rows = sent("sockets", server, 2, sources=("192.0.2.77",), request=Request())
    assert {row["error"] for row in rows} == {"cannot assign requested address"}
