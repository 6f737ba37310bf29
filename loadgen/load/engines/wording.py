"""What goes over the wire for one request, and how its failure reads in a row."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from analyzer.client.failures import KINDS, FailureKind, kind_of_status

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
    host = f"[{target.vip}]" if ":" in target.vip else target.vip
    usual = 443 if plan.request.tls else 80
    return host if target.port == usual else f"{host}:{target.port}"


class Failure(NamedTuple):
    """Why a request failed.

    Attributes:
        kind: one of a fixed list.
        text: in a few words, which never quote what came over the wire.
    """

    kind: FailureKind
    text: str

    def numbers(self, outlet: Outlet) -> tuple[int, int]:
        """As a row has it: the number of its text, and that of its kind."""
        return outlet.text(self.text), KIND_NUMBER[self.kind]


KIND_NUMBER: Mapping[FailureKind, int] = {kind: number for number, kind in enumerate(KINDS)}

TIMED_OUT: Mapping[str, Failure] = {
    "connect": Failure("timeout", "timeout: no connection"),
    "tls": Failure("tls", "timeout: no TLS"),
    "answer": Failure("timeout", "timeout: no answer"),
    "close": Failure("timeout", "timeout: the server did not close"),
}
INTERRUPTED = Failure("interrupted", "interrupted")
REFUSED = Failure("refused", "connection refused")
RESET = Failure("reset", "connection reset by peer")
SHORT_ANSWER = Failure("short-answer", "closed by the server before its answer was whole")
TOO_MANY_REDIRECTS = Failure("too-many-redirects", "too many redirects")
BAD_REDIRECT = Failure("bad-redirect", "a redirect to something that is no URL")
REQUEST_TOO_LONG = Failure("local", "the request did not fit into the socket's buffer")

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
    text = (os.strerror(number) if number else type(error).__name__).lower()
    return Failure(KINDS_BY_ERRNO.get(number, "other"), text)


def status_failure(status: int) -> Failure:
    """An answer whose status says that the request failed."""
    return Failure(kind_of_status(status), f"HTTP {status}")


def not_http(why: str) -> Failure:
    """An answer that cannot be read; ``why`` is a parser's own phrase, no byte of the answer."""
    return Failure("not-http", f"no HTTP/1.1: {why}")
