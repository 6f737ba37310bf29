"""Requests whose connection has ended before them: they go on on a new one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgen.load.engines.sockets.exchange import Exchange
    from loadgen.load.engines.workers.share import Share


class Rest:
    """What is left of connections that broke off or that the server closed, until it is due."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._pause_ns = share.pause_ns
        self._waiting: deque[tuple[int, int, int]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def next_ns(self) -> int | None:
        """When the next is due, Unix ns; None while nothing waits."""
        return self._waiting[0][0] if self._waiting else None

    def add(self, exchange: Exchange, since_ns: int) -> bool:
        """Have what follows a request wait for its time; whether anything follows.

        Args:
            exchange: the last request of its connection, as it has turned out.
            since_ns: when it ended; the plan's pause is counted from there.
        """
        due_ns = since_ns + self._pause_ns
        if not exchange.left or self._share.is_over(due_ns):
            return False
        self._waiting.append((due_ns, exchange.connection, exchange.number + 1))
        return True

    def due(self, now_ns: int) -> tuple[int, int, int] | None:
        """When the next was due, its connection's number and its own; None if none is due yet."""
        if not self._waiting or self._waiting[0][0] > now_ns:
            return None
        return self._waiting.popleft()
