"""The turn of a connection under either load model, closed loop or open loop, for an engine.

A connection here is all that carries its requests: one, or those of ``requests_per_connection``,
even where a server that closes early makes an engine open several for them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from loadgen.load.plan import ClosedModel

if TYPE_CHECKING:
    from loadgen.load.engines.workers.share import Share


class Turns(Protocol):
    """Hands out connections when they are due. Every instant is Unix ns.

    Attributes:
        ended: nothing more will be handed out.
        next_ns: when ``due`` is worth asking again; None for when a connection has ended.
    """

    ended: bool

    @property
    def next_ns(self) -> int | None:
        """When it is worth asking again."""

    def due(self, now_ns: int) -> tuple[int, int] | None:
        """The number of the next connection, and when it was due; None if none is due yet."""

    def ended_one(self, now_ns: int) -> None:
        """A connection that was handed out has ended, with the last of its requests."""


def turns_of(share: Share) -> Turns:
    """The turns of a share, by its plan's model."""
    return ClosedTurns(share) if isinstance(share.plan.arrivals, ClosedModel) else OpenTurns(share)


class ClosedTurns:
    """So many senders, each of which begins anew when it is done and has thought."""

    def __init__(self, share: Share) -> None:
        assert share.concurrency is not None
        self.ended = False
        self._numbers = share.numbers()
        self._end_ns = share.end_ns
        self._think_ns = share.pause_ns
        self._free_ns = deque([share.begin_ns] * share.concurrency)

    @property
    def next_ns(self) -> int | None:
        """When the next sender is done thinking."""
        return None if self.ended or not self._free_ns else self._free_ns[0]

    def due(self, now_ns: int) -> tuple[int, int] | None:
        """A number for the sender that has been free for longest, due when it became free."""
        if self.ended or not self._free_ns or self._free_ns[0] > now_ns:
            return None
        number = None
        if self._end_ns is None or now_ns < self._end_ns:
            number = next(self._numbers, None)
        if number is None:
            self.ended = True
            return None
        return number, self._free_ns.popleft()

    def ended_one(self, now_ns: int) -> None:
        """Its sender thinks, and is free again."""
        self._free_ns.append(now_ns + self._think_ns)


class OpenTurns:
    """On schedule, as long as fewer connections are open than may be."""

    def __init__(self, share: Share) -> None:
        self.ended = False
        self._schedule = share.due()
        self._next = next(self._schedule, None)
        self._places = share.concurrency
        self.ended = self._next is None

    @property
    def next_ns(self) -> int | None:
        """When the next is due, if there is a place for it."""
        return None if self._next is None or self._places == 0 else self._next[1]

    def due(self, now_ns: int) -> tuple[int, int] | None:
        """The next, if its time has come and there is a place for it."""
        connection = self._next
        if connection is None or connection[1] > now_ns or self._places == 0:
            return None
        if self._places is not None:
            self._places -= 1
        self._next = next(self._schedule, None)
        self.ended = self._next is None
        return connection

    def ended_one(self, now_ns: int) -> None:
        """Its place is free again."""
        if self._places is not None:
            self._places += 1
