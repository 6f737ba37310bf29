"""What goes over the wire for one request, and how its failure reads in a row."""

from __future__ import annotations

import errno
import os
import ssl
from typing import TYPE_CHECKING, Literal, NamedTuple

import httptools

from analyzer.client import failure_texts as texts
from analyzer.client.failures import KINDS, FailureKind, kind_of_status
from analyzer.ipvs.addresses import bracketed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.load.engines.rows import Outlet
    from loadgen.load.plan import LoadPlan

USER_AGENT = "loadgen"


def headers_of(plan: LoadPlan, *, server_closes: bool) -> list[tuple[str, str]]:
    """The request's headers, in order; the operator's own take the place of ours.

    Args:
        plan: whose request it is.
        server_closes: ask the server to close the connection after its answer.
    """
    request = plan.request
    ours = {
        "Host": authority(plan),
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        # without it some clients ask the server to close, and the server would then close first
        "Connection": "close" if server_closes else "keep-alive",
    }
    if request.body:
        ours["Content-Length"] = str(len(request.body))
    given = {name.lower() for name, _ in request.headers}
    kept = [(name, value) for name, value in ours.items() if name.lower() not in given]
    return kept + list(request.headers)


def request_bytes(plan: LoadPlan, *, server_closes: bool, path: str | None = None) -> bytes:
    """The whole request as HTTP/1.1 has it; for the plan's own path unless for another."""
    request = plan.request
    lines = [f"{request.method} {path or request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers_of(plan, server_closes=server_closes)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def authority(plan: LoadPlan) -> str:
    """``Host``: as given, else the address, with the port where it is not the scheme's own."""
    if plan.request.authority:
        return plan.request.authority
    target = plan.target
    host = bracketed(target.vip)
    usual = 443 if plan.request.tls else 80
    return host if target.port == usual else f"{host}:{target.port}"


class Failure(NamedTuple):
    """Why a request failed.

    Attributes:
        kind: one of a fixed list.
        text: one of ``analyzer.client.failure_texts``, which never quote what came over the wire.
    """

    kind: FailureKind
    text: str

    def numbers(self, outlet: Outlet) -> tuple[int, int]:
        """As a row has it: the number of its text, and that of its kind."""
        return outlet.text(self.text), KIND_NUMBER[self.kind]


KIND_NUMBER: Mapping[FailureKind, int] = {kind: number for number, kind in enumerate(KINDS)}

TIMED_OUT: Mapping[str, Failure] = {
    stage: Failure("tls" if stage == "tls" else "timeout", text)
    for stage, text in texts.TIMEOUTS.items()
}
INTERRUPTED = Failure("interrupted", texts.INTERRUPTED)
REFUSED = Failure("refused", texts.REFUSED)
RESET = Failure("reset", texts.RESET)
SHORT_ANSWER = Failure("short-answer", texts.SHORT_ANSWER)
TOO_MANY_REDIRECTS = Failure("too-many-redirects", texts.TOO_MANY_REDIRECTS)
BAD_REDIRECT = Failure("bad-redirect", texts.BAD_REDIRECT)
REQUEST_TOO_LONG = Failure("local", texts.REQUEST_TOO_LONG)
UNREADABLE = Failure("unreadable", texts.UNREADABLE)
SWITCHED = Failure("not-http", f"{texts.NOT_HTTP}{texts.SWITCHED}")
BAD_CHUNKS = Failure("not-http", f"{texts.NOT_HTTP}{texts.BAD_CHUNKS}")
UNKNOWN = Failure("other", texts.OTHER)

KINDS_BY_ERRNO: Mapping[int, FailureKind] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "host-unreachable",
    errno.EHOSTDOWN: "host-unreachable",
    errno.ENETUNREACH: "no-route",
    errno.ENETDOWN: "no-route",
    errno.EADDRNOTAVAIL: "no-port",
    errno.EADDRINUSE: "no-port",
    errno.EMFILE: "local",
    errno.ENFILE: "local",
    errno.ENOBUFS: "local",
    errno.ENOMEM: "local",
    errno.EPERM: "local",
    errno.EACCES: "local",
    errno.EINVAL: "local",
    errno.EMSGSIZE: "local",
}
"""Kinds by the kernel's error numbers (errno(3))."""

_BY_CLASS = (
    (ConnectionRefusedError, errno.ECONNREFUSED),
    (ConnectionResetError, errno.ECONNRESET),
    (BrokenPipeError, errno.EPIPE),
    (ConnectionAbortedError, errno.ECONNABORTED),
)
"""Numbers of errors that an event loop raises without one."""


def reason(error: OSError) -> Failure:
    """An error of the kernel's in a few words, without what differs from socket to socket."""
    number = error.errno or next((n for cls, n in _BY_CLASS if isinstance(error, cls)), 0)
    text = os.strerror(number).lower() if number in errno.errorcode else texts.NOT_NUMBERED
    return Failure(KINDS_BY_ERRNO.get(number, "other"), text)


def not_secured(error: OSError) -> Failure:
    """No TLS: a certificate refused, an alert, a connection that broke in the handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = texts.certificate_complaint(error.verify_code)
        return Failure("tls", f"{texts.CERTIFICATE}{why}")
    if isinstance(error, ssl.SSLError):
        return Failure("tls", f"{texts.TLS}{texts.tls_complaint(error.reason)}")
    return Failure("tls", f"{texts.TLS}{reason(error).text}")


def status_failure(status: int) -> Failure:
    """An answer whose status says that the request failed."""
    return Failure(kind_of_status(status), f"HTTP {status}")


def not_http(message: str) -> Failure:
    """An answer that cannot be read; of the parser's message only its own words are kept."""
    return Failure("not-http", f"{texts.NOT_HTTP}{texts.http_complaint(message)}")


def parser_failure(error: httptools.HttpParserError | httptools.HttpParserUpgrade) -> Failure:
    """What httptools raises."""
    return SWITCHED if isinstance(error, httptools.HttpParserUpgrade) else not_http(str(error))


def too_long(what: Literal["head", "line"], most_bytes: int) -> Failure:
    """An answer with more before its body than is read."""
    return Failure("not-http", f"{texts.NOT_HTTP}a {what} of more than {most_bytes} bytes")
