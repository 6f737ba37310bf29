"""One connection of the http engine: the socket under aiohttp, TLS, and what an answer tells."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from loadgen.engines.rows import NONE
from loadgen.engines.wording import TIMED_OUT, authority, reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.lives import Close
    from loadgen.plan import LoadPlan

_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(slots=True)
class Attempt:
    """One request while it is on its way; Unix ns.

    Attributes:
        sock: our own handle of its connection.
    """

    number: int
    scheduled: int
    close: Close
    path: str
    started: int = NONE
    connected: int = NONE
    first_byte: int = NONE
    ended: int = NONE
    closed: int = NONE
    source: str | None = None
    port: int = NONE
    status: int = NONE
    size: int = NONE
    error: str | None = None
    closer: int = NONE
    resent: int = NONE
    rtt_us: int = NONE
    keeps: bool = True
    location: str | None = None
    sock: socket.socket | None = None


current_attempt: ContextVar[Attempt] = ContextVar("current_attempt")


@lru_cache
def url_of(plan: LoadPlan, path: str) -> URL:
    """By address: nothing is resolved any more; the path goes out as it was written."""
    target = plan.target
    host = f"[{target.vip}]" if ":" in target.vip else target.vip
    return URL(f"{_scheme(plan)}://{host}:{target.port}{path}", encoded=True)


def _scheme(plan: LoadPlan) -> str:
    return "https" if plan.request.tls else "http"


def server_name(plan: LoadPlan) -> str | None:
    """SNI, and the name that the certificate must have; None for the address."""
    return plan.request.server_name if plan.request.tls else None


def trust_of(plan: LoadPlan) -> ssl.SSLContext | bool:
    """One context for all: reading the authorities' certificates anew would cost milliseconds."""
    if not plan.request.tls:
        return True
    context = ssl.create_default_context()
    if not plan.request.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def socket_maker(plan: LoadPlan) -> Callable[[Any], socket.socket]:
    """Makes the socket of the request in whose task it is called, and keeps a handle of it."""

    def make(address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        attempt = current_attempt.get()
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        try:
            if plan.sources:
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((plan.sources[attempt.number % len(plan.sources)], 0))
            attempt.sock = sock.dup()
        except OSError:
            sock.close()
            raise
        return sock

    return make


class Connector(aiohttp.TCPConnector):
    """Notes when a connection stands; aiohttp's own tracing would cost each request dearly."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Any:
        """A connection, TLS included."""
        made = await super().connect(req, traces, timeout)
        attempt = current_attempt.get()
        attempt.connected = time.time_ns()
        if attempt.sock is not None:
            name = attempt.sock.getsockname()
            attempt.source, attempt.port = name[0], name[1]
        return made


async def size_of(response: aiohttp.ClientResponse) -> int:
    """The body's, read in pieces: many at a time do not fill the memory."""
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
    return size


def location_of(response: aiohttp.ClientResponse) -> str | None:
    """Where a redirect leads; None of an answer that is none."""
    return response.headers.get("Location") if response.status in _REDIRECTS else None


def same_target(plan: LoadPlan, path: str, location: str) -> str | None:
    """The path that a redirect leads to; None where it leads away from the target."""
    here = f"{_scheme(plan)}://{authority(plan)}{path}"
    there = urlsplit(urljoin(here, location))
    if (there.scheme, there.netloc) != urlsplit(here)[:2]:
        return None
    query = f"?{there.query}" if there.query else ""
    return f"{there.path or '/'}{query}"


def reason_of(error: BaseException, attempt: Attempt) -> str:
    """Why an attempt failed, in the words that all engines use."""
    if isinstance(error, TimeoutError):
        return TIMED_OUT["connect" if attempt.connected == NONE else "answer"]
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        held = error.certificate_error
        return f"certificate: {getattr(held, 'verify_message', held)}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "closed by the server before its answer was whole"
    if isinstance(error, OSError) and error.errno:
        return reason(error)
    return str(error) or type(error).__name__
