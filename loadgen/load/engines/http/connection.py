"""A connection of the http engine: opened, with TLS where asked, requests and answers on it.

Of aiohttp it takes the protocol and the parser in C. Its session would keep cookies, pools and
proxies for us, and would send an idempotent request once more, on another connection, when the
server has closed the first. Here every request that was sent is a row.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from errno import ECONNRESET
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientPayloadError, EofStream, ServerDisconnectedError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong, TransferEncodingError

from loadgen.load.engines.closing import CLOSER_NUMBER, server_has_closed
from loadgen.load.engines.http.redirects import location_of
from loadgen.load.engines.http.transport import Edges, PlainTransport
from loadgen.load.engines.opening import bind, family_of
from loadgen.load.engines.rows import NONE
from loadgen.load.engines.wording import (
    BAD_CHUNKS,
    SHORT_ANSWER,
    TIMED_OUT,
    UNKNOWN,
    Failure,
    not_http,
    not_secured,
    reason,
    request_bytes,
    status_failure,
    too_long,
)

if TYPE_CHECKING:
    from analyzer.forecast.closings import Close
    from loadgen.load.plan import LoadPlan

_SWITCHING_PROTOCOLS = 101


@dataclass(slots=True)
class Attempt:
    """One request while it is on its way; Unix ns.

    Attributes:
        connection: the number of its connection in the plan.
        close: how its connection is to end.
        path: that it asks for.
        left: requests that are to follow on its connection.
        bound_to: the address of ours that it comes from; None for the kernel's choice.
        reused: its connection has carried another request before.
        goes_on: the next request takes its connection over.
        keeps: the server did not say that it would close the connection.
        location: where its answer leads.
        follows: the path that is asked for next, where a redirect is followed.
        securing: TCP stands, TLS does not yet.
        failure: why it failed; None if it did not.
        sock: our own handle of its connection.
        wire: what aiohttp has of the connection, from when it stands until it is let go.
    """

    number: int
    connection: int
    scheduled: int
    close: Close
    path: str
    left: int = 0
    bound_to: str | None = None
    reused: bool = False
    goes_on: bool = False
    started: int = NONE
    connected: int = NONE
    first_byte: int = NONE
    ended: int = NONE
    closed: int = NONE
    source: str | None = None
    port: int = NONE
    status: int = NONE
    size: int = NONE
    closer: int = NONE
    resent: int = NONE
    rtt_us: int = NONE
    keeps: bool = True
    location: str | None = None
    follows: str | None = None
    securing: bool = False
    failure: Failure | None = None
    sock: socket.socket | None = None
    wire: Wire | None = None

    @property
    def asks_to_close(self) -> bool:
        """Whether it asks the server to close: only the last request of a connection may."""
        return self.close == "server" and not self.left

    @property
    def may_go_on(self) -> bool:
        """Whether another request can be sent on its connection, as far as is known."""
        if not self.keeps or self.sock is None or self.wire is None:
            return False
        answer = self.wire.answer
        return (
            answer.is_connected() and not answer.should_close and not server_has_closed(self.sock)
        )

    def is_last_after_all(self) -> None:
        """No request follows, although one was to: the server was not asked to close either."""
        self.left = 0
        self.close = "client" if self.close == "server" else self.close

    def take_over(self, before: Attempt) -> None:
        """Go on on the connection of the request before."""
        self.sock, self.wire = before.sock, before.wire
        before.sock = before.wire = None
        self.source, self.port = before.source, before.port
        self.reused = True

    def let_go(self) -> None:
        """Have aiohttp let go of the connection; the socket stays open."""
        if self.wire is not None:
            self.wire.answer.close()
            self.wire = None


class TimedResponseHandler(ResponseHandler):
    """aiohttp's protocol; it notes when bytes come, not when a task is woken to look at them.

    Attributes:
        first_ns: when the first came, Unix ns.
        last_ns: when the last so far came, or the server's FIN.
    """

    first_ns = NONE
    last_ns = NONE

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; none where the parser is to go on with what it has."""
        if data:
            self.last_ns = time.time_ns()
            if self.first_ns == NONE:
                self.first_ns = self.last_ns
        super().data_received(data)

    def eof_received(self) -> None:
        """The server's FIN."""
        self.last_ns = time.time_ns()
        super().eof_received()


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection that stands: where requests are written, and who gets the answers."""

    transport: asyncio.Transport
    answer: TimedResponseHandler


class Connector:
    """Carries out attempts at one target.

    Args:
        plan: with this target alone.
        edges: those of the running loop.

    Attributes:
        plan: as given.
    """

    def __init__(self, plan: LoadPlan, edges: Edges) -> None:
        self.plan = plan
        self._loop = asyncio.get_running_loop()
        self._edges = edges
        self._family = family_of(plan.target.vip)
        self._address = (plan.target.vip, plan.target.port)
        self._trust = trust_of(plan) if plan.request.tls else None
        self._heads = plan.request.method == "HEAD"
        self._connect_timeout_s = min(plan.connect_timeout_s, plan.timeout_s)
        self._messages = {asks: request_bytes(plan, server_closes=asks) for asks in (False, True)}

    async def request(self, attempt: Attempt) -> None:
        """Open a connection unless it goes on on one, send the request, read the answer.

        What comes of it is noted in the attempt, failure too. Its socket stays open, and where
        other requests are left the connection stays ready for them.
        """
        began_s = self._loop.time()
        attempt.started = time.time_ns()
        stands = attempt.wire is not None
        answer = attempt.wire.answer if attempt.wire else TimedResponseHandler(self._loop)
        answer.first_ns = NONE
        try:
            limit_s = self.plan.timeout_s if stands else self._connect_timeout_s
            async with asyncio.timeout_at(began_s + limit_s) as limit:
                if attempt.wire is None:
                    attempt.wire = Wire(await self._open(attempt, answer), answer)
                    limit.reschedule(began_s + self.plan.timeout_s)
                else:
                    self._expect(answer)
                attempt.wire.transport.write(self._message(attempt))
                await self._read(attempt, answer)
        except (ClientError, HttpProcessingError, EofStream, OSError) as error:
            attempt.failure = reason_of(error, attempt)
            if getattr(error, "errno", None) == ECONNRESET and attempt.wire is not None:
                attempt.closer = CLOSER_NUMBER["reset"]
        finally:
            attempt.first_byte = answer.first_ns
            if not attempt.left or attempt.ended == NONE:
                attempt.wire = None
                answer.close()

    async def _open(self, attempt: Attempt, answer: TimedResponseHandler) -> asyncio.Transport:
        plan = self.plan
        sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        attempt.sock = sock
        if attempt.bound_to is not None:
            bind(sock, attempt.bound_to)
        if plan.request.body:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain = PlainTransport(self._loop, sock, self._edges)
        await plain.connect(self._address)
        transport = plain if self._trust is None else await self._secure(attempt, answer)
        attempt.connected = time.time_ns()
        attempt.source, attempt.port = attempt.sock.getsockname()[:2]
        self._expect(answer)
        if transport is plain:
            plain.start(answer)
        return transport

    def _expect(self, answer: TimedResponseHandler) -> None:
        answer.set_response_params(
            skip_payload=self._heads, read_until_eof=True, auto_decompress=False
        )

    async def _secure(self, attempt: Attempt, answer: TimedResponseHandler) -> asyncio.Transport:
        """TLS is the event loop's, which closes the handle that it is given: we keep another."""
        theirs = attempt.sock
        assert theirs is not None
        attempt.securing = True
        attempt.sock = theirs.dup()
        self._edges.release(theirs.fileno())
        transport, _ = await self._loop.create_connection(
            lambda: answer,
            sock=theirs,
            ssl=self._trust,
            server_hostname=self.plan.request.server_name or self.plan.target.vip,
        )
        attempt.securing = False
        return transport

    def _message(self, attempt: Attempt) -> bytes:
        if attempt.path == self.plan.request.path:
            return self._messages[attempt.asks_to_close]
        return request_bytes(self.plan, server_closes=attempt.asks_to_close, path=attempt.path)

    async def _read(self, attempt: Attempt, answer: TimedResponseHandler) -> None:
        head, body = await answer.read()
        while head.code < 200 and head.code != _SWITCHING_PROTOCOLS:
            head, body = await answer.read()
        attempt.status = head.code
        attempt.keeps = not head.should_close
        attempt.location = location_of(head.code, head.headers)
        size = 0
        while not body.at_eof():  # in pieces: many bodies at a time do not fill the memory
            size += len(await body.readany())
        attempt.size = size
        attempt.ended = answer.last_ns
        if not 200 <= head.code < 400:
            attempt.failure = status_failure(head.code)


def trust_of(plan: LoadPlan) -> ssl.SSLContext:
    """One context for all: reading the authorities' certificates anew would cost milliseconds."""
    context = ssl.create_default_context()
    if not plan.request.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def reason_of(error: Exception, attempt: Attempt) -> Failure:
    """Why an attempt failed, in the words that all engines use; nothing of the wire is quoted."""
    if isinstance(error, TimeoutError):
        return TIMED_OUT[_stage(attempt)]
    if isinstance(error, ServerDisconnectedError | ClientPayloadError | EofStream):
        return SHORT_ANSWER
    if isinstance(error, HttpProcessingError):
        return _not_read(error)
    if isinstance(error, OSError):
        secured = not attempt.securing and not isinstance(error, ssl.SSLError)
        return reason(error) if secured else not_secured(error)
    return UNKNOWN


def _not_read(error: HttpProcessingError) -> Failure:
    """Aiohttp's messages quote the answer: the kind of the error and its numbers tell enough."""
    if isinstance(error, LineTooLong):
        limit = error.args[1]
        return too_long("line", limit) if isinstance(limit, int) else not_http("")
    return BAD_CHUNKS if isinstance(error, TransferEncodingError) else not_http(error.message)


def _stage(attempt: Attempt) -> str:
    if attempt.connected != NONE or attempt.reused:
        return "answer"
    return "tls" if attempt.securing else "connect"
