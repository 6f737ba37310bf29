"""What the http engine alone can do: TLS, redirects, bodies of any size."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.unit.loadgen.load.engines.conduct import carry_out, plan, sent
from tests.unit.loadgen.servers import MOVED, OK, Server, moved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_redirects_are_followed_when_asked_each_on_a_connection_and_row_of_its_own() -> None:
    server = Server(MOVED, elsewhere=OK)
    rows = sent("http", server, 1, redirects=5)
    assert [row["status"] for row in rows] == [302, 200]
    assert len(set(server.peers)) == 2
    assert server.requests[1].startswith(b"HEAD /elsewhere HTTP/1.1")


LOOPS = {
    "itself": {"/": moved("/")},
    "another and back": {"/": moved("/there"), "/there": moved("/")},
    "relative ones": {"/": moved("a/b"), "/a/b": moved("../a/b?c"), "/a/b?c": moved("b")},
    "ever new ones": {"/": moved("?x"), "/?x": moved("/?x#y")},
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_request_that_is_redirected_round_and_round_has_failed(name: str) -> None:
    server = Server(paths=LOOPS[name])
    rows = sent("http", server, 2, redirects=3)
    assert [row["status"] for row in rows] == [302] * 8
    last = [row for row in rows if row["followed"] is None]
    assert [row["number"] for row in last] == [0, 1]
    assert {(row["failure"], row["error"]) for row in last} == {
        ("too-many-redirects", "too many redirects")
    }
    assert {row["failure"] for row in rows if row["followed"]} == {None}
    assert len(server.requests) == 8


def test_as_many_redirects_as_are_allowed_are_no_failure() -> None:
    paths = {"/": moved("/1"), "/1": moved("/2"), "/2": moved("/3")}
    rows = sent("http", Server(paths=paths), 1, redirects=3)
    assert [(row["status"], row["followed"], row["error"]) for row in rows] == [
        *[(302, 1, None)] * 3,
        (200, None, None),
    ]


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:1/x", "http://other.example.net/", "https://127.0.0.1/", None]
)
def test_a_redirect_that_leads_away_or_does_not_say_where_is_the_answer(
    location: str | None,
) -> None:
    (row,) = sent("http", Server(moved(location)), 1, redirects=3)
    assert (row["status"], row["followed"], row["error"]) == (302, None, None)


def test_a_redirect_to_what_is_no_url_is_a_failure_where_redirects_are_followed() -> None:
    nowhere = moved("http://[secret-token/")
    (row,) = sent("http", Server(nowhere), 1, redirects=3)
    assert (row["failure"], row["status"]) == ("bad-redirect", 302)
    assert "secret-token" not in row["error"]
    (row,) = sent("http", Server(nowhere), 1)
    assert (row["status"], row["error"]) == (302, None)


def test_an_answer_that_is_no_http_is_not_quoted() -> None:
    (row,) = sent("http", Server(b"220 secret-token ESMTP\r\n\r\n"), 1)
    assert row["failure"] == "not-http"
    assert row["error"].startswith("no HTTP/1.1: ")
    assert "secret" not in row["error"]


def test_a_server_that_hangs_up_during_the_tls_handshake_is_no_refusal() -> None:
    def hang_up() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        port = listener.getsockname()[1]
        (row,) = carry_out("http", plan(port, 1, tls=True))
        hanging_up.join()
    assert (row["failure"], row["connected"]) == ("tls", None)
    assert row["error"].startswith("TLS: ")


@pytest.mark.usefixtures("without_stalls_in_http")
def test_a_server_that_never_answers_the_tls_handshake_times_out_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (row,) = carry_out("http", plan(port, 1, tls=True, timeout_s=0.1))
    assert (row["failure"], row["error"]) == ("tls", "timeout: no TLS")


def test_bodies_that_fit_into_no_buffer_go_both_ways() -> None:
    """The server counts what comes, and answers with as much."""
    size = 4_000_000
    got: list[int] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"POST")
            got.append(len(body))
            while got[0] < size:
                got[0] += len(connection.recv(300_000))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            connection.sendall(bytes(size))
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve)
        serving.start()
        port = listener.getsockname()[1]
        (row,) = carry_out("http", plan(port, 1, method="POST", body=bytes(size)))
        serving.join()
    assert (row["error"], row["size"], got) == (None, size, [size])
    assert row["first_byte"] < row["ended"]


class TlsServer:
    """HTTPS on loopback with a certificate of its own; it notes the names that it was asked for."""

    def __init__(self, certificate: Path) -> None:
        self.names: list[str | None] = []
        self.port = 0
        self._certificate = certificate
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self._ready.wait()

    async def _run(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        context.sni_callback = lambda _sock, name, _context: self.names.append(name)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._stop.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()
        writer.close()

    def close(self) -> None:
        """Serve no more."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed, for www.example.net; the key is in the same file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    name = ["-subj", "/CN=www.example.net", "-addext", "subjectAltName=DNS:www.example.net"]
    command = ["openssl", *words.split(), *name, "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("a") as both:
        both.write(path.with_name("both.pem.crt").read_text())
    return path


@pytest.fixture
def tls(certificate: Path) -> Iterator[TlsServer]:
    server = TlsServer(certificate)
    yield server
    server.close()


def test_tls_asks_for_the_name_that_was_given(tls: TlsServer) -> None:
    load_plan = plan(tls.port, 3, tls=True, server_name="www.example.net", verify=False)
    rows = carry_out("http", load_plan)
    assert [(row["status"], row["error"], row["closer"]) for row in rows] == [
        (200, None, "client")
    ] * 3
    assert tls.names == ["www.example.net"] * 3


def test_a_certificate_that_nobody_vouches_for_is_a_failure_by_default(
    tls: TlsServer,
) -> None:
    (row,) = carry_out("http", plan(tls.port, 1, tls=True, server_name="www.example.net"))
    assert row["error"] == "certificate: self-signed certificate"
    assert row["failure"] == "tls"


def test_a_certificate_for_another_name_is_a_failure(
    tls: TlsServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    rows = [
        *carry_out("http", plan(tls.port, 1, tls=True, server_name="www.example.net")),
        *carry_out("http", plan(tls.port, 1, tls=True, server_name="www.example.org")),
    ]
    assert rows[0]["error"] is None
    assert rows[1]["error"] == "certificate: hostname mismatch"
