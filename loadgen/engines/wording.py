"""What goes over the wire for one request, and how its failure reads in a row."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.plan import LoadPlan

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
    told = {name.lower() for name, _ in request.headers}
    kept = [(name, value) for name, value in ours.items() if name.lower() not in told]
    return kept + list(request.headers)


def request_bytes(plan: LoadPlan, *, server_closes: bool, path: str | None = None) -> bytes:
    """The whole request as HTTP/1.1 has it; for the plan's own path unless for another."""
    request = plan.request
    lines = [f"{request.method} {path or request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers_of(plan, server_closes=server_closes)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def authority(plan: LoadPlan) -> str:
    """``Host``: as told, else the address, with the port where it is not the scheme's own."""
    if plan.request.authority:
        return plan.request.authority
    target = plan.target
    host = f"[{target.vip}]" if ":" in target.vip else target.vip
    usual = 443 if plan.request.tls else 80
    return host if target.port == usual else f"{host}:{target.port}"


TIMED_OUT: Mapping[str, str] = {
    "connect": "timeout: no connection",
    "answer": "timeout: no answer",
    "close": "timeout: the server did not close",
}
INTERRUPTED = "interrupted"


def reason(error: OSError) -> str:
    """An error of the kernel's in a few words, without what differs from socket to socket."""
    return (os.strerror(error.errno) if error.errno else type(error).__name__).lower()
