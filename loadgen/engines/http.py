"""The http engine: aiohttp, a new connection for each request, closed by the client as by curl."""

from __future__ import annotations

import asyncio
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from loadgen.plan import ClosedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.plan import LoadPlan

_MAX_ERROR_CHARACTERS = 200


@dataclass(slots=True)
class _Attempt:
    """One request while it is on its way; Unix ns."""

    scheduled_ns: int
    started_ns: int = 0
    connected_ns: int | None = None
    first_byte_ns: int | None = None
    ended_ns: int | None = None
    source: tuple[str, int] | None = None
    status: int | None = None
    size: int | None = None
    error: str | None = None
    sock: socket.socket | None = field(default=None, repr=False)


_attempt: ContextVar[_Attempt] = ContextVar("_attempt")


async def send(plan: LoadPlan, record: Callable[[dict[str, Any]], None]) -> None:
    """Carry out the plan; ``record`` takes a row of ``requests/`` as each request ends.

    A request that is under way when this is cancelled is recorded as failed.
    """
    assert isinstance(plan.arrivals, ClosedModel)
    assert plan.arrivals.requests is not None
    numbers = iter(range(plan.arrivals.requests))
    async with _session(plan) as session, asyncio.TaskGroup() as senders:
        for _ in range(min(plan.arrivals.concurrency, plan.arrivals.requests)):
            senders.create_task(_send_in_turn(session, plan, numbers, record))


async def _send_in_turn(
    session: aiohttp.ClientSession,
    plan: LoadPlan,
    numbers: Any,
    record: Callable[[dict[str, Any]], None],
) -> None:
    for number in numbers:
        attempt = _Attempt(scheduled_ns=time.time_ns())
        _attempt.set(attempt)
        try:
            await _request(session, plan, attempt)
        except asyncio.CancelledError:
            attempt.error = "interrupted"
            raise
        finally:
            record(_row(number, plan, attempt))


async def _request(session: aiohttp.ClientSession, plan: LoadPlan, attempt: _Attempt) -> None:
    attempt.started_ns = time.time_ns()
    try:
        async with session.request(
            plan.request.method, _url(plan), allow_redirects=False
        ) as response:
            attempt.first_byte_ns = time.time_ns()
            attempt.status = response.status
            attempt.size = len(await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        attempt.error = _reason(error)
    else:
        attempt.ended_ns = time.time_ns()
        if attempt.status >= 400:
            attempt.error = f"HTTP {attempt.status}"


def _url(plan: LoadPlan) -> str:
    host = f"[{plan.target.vip}]" if ":" in plan.target.vip else plan.target.vip
    return f"http://{host}:{plan.target.port}{plan.request.path}"


def _session(plan: LoadPlan) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, force_close=True, use_dns_cache=True, socket_factory=_socket
        ),
        timeout=aiohttp.ClientTimeout(total=plan.timeout_s, sock_connect=plan.connect_timeout_s),
        trace_configs=[trace],
        trust_env=False,
        auto_decompress=False,
        # aiohttp would ask the server to close, and the server would then close first
        headers={"User-Agent": "loadgen", "Connection": "keep-alive"},
    )


def _socket(address: Any) -> socket.socket:
    """The socket of the request in whose task this is called; kept, to ask it for its port."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    _attempt.get().sock = sock
    return sock


async def _connected(_session: aiohttp.ClientSession, _context: Any, _params: Any) -> None:
    attempt = _attempt.get()
    attempt.connected_ns = time.time_ns()
    if attempt.sock is not None:
        name = attempt.sock.getsockname()
        attempt.source = (name[0], name[1])


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        text = f"timeout: {type(error).__name__}"
    return "".join(filter(str.isprintable, text))[:_MAX_ERROR_CHARACTERS]


def _row(number: int, plan: LoadPlan, attempt: _Attempt) -> dict[str, Any]:
    source_ip, source_port = attempt.source or (None, None)
    return {
        "id": number,
        "kind": plan.request.method,
        "host": plan.target.vip,
        "protocol": plan.target.protocol,
        "vip": plan.target.vip,
        "port": plan.target.port,
        "scheduled": attempt.scheduled_ns,
        "started": attempt.started_ns or None,
        "connected": attempt.connected_ns,
        "first_byte": attempt.first_byte_ns,
        "ended": attempt.ended_ns,
        "source_ip": source_ip,
        "source_port": source_port,
        "status": attempt.status,
        "bytes": attempt.size,
        "error": attempt.error,
        "closer": "client" if attempt.ended_ns else None,
    }
