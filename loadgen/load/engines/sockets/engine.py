"""The loop: what is due, what has come, whose time is up.

Each connection is registered once, edge-triggered, for all that can happen to it; the first
writable edge is the end of its handshake. epoll_wait counts in milliseconds, which is too coarse
for a schedule: what sleeps to the microsecond is select(2) on the epoll descriptor itself.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from loadgen.load.engines.loop_models import turns_of
from loadgen.load.engines.rows import NONE
from loadgen.load.engines.sockets.ending import Ending
from loadgen.load.engines.sockets.following import Following
from loadgen.load.engines.sockets.handshake import Handshake, messages_of
from loadgen.load.engines.sockets.reading import Reading
from loadgen.load.engines.sockets.rest import Rest

if TYPE_CHECKING:
    from loadgen.load.engines.rows import Outlet
    from loadgen.load.engines.workers.share import Share

_LONGEST_SLEEP_S = 0.05
_AT_MOST_AT_ONCE = 64
"""Connections begun before what has come is handled: answers are not kept waiting for long."""

_GRACE_S = 0.1
"""How long a stop waits for the answers to the last requests."""

_HOUSEKEEPING_NS = 50_000_000
_FLUSH_NS = 250_000_000


def send(share: Share, outlet: Outlet) -> None:
    """Carry out a share; see ``loadgen.load.engines.workers.share.Engine``."""
    Sender(share, outlet).run()


class Sender:
    """One worker's connections, from the first to the last."""

    def __init__(self, share: Share, outlet: Outlet) -> None:
        plan, messages = share.plan, messages_of(share.plan)
        self._outlet = outlet
        self._epoll = select.epoll()
        self._turns = turns_of(share)
        self._rest = Rest(share)
        self._ending = Ending(plan, outlet, self._turns, self._rest)
        self._following = Following(share, outlet, self._ending, messages)
        self._reading = Reading(plan, self._ending, self._following)
        self._handshake = Handshake(
            plan, outlet, self._epoll, self._reading, self._ending, messages
        )
        self._next_housekeeping_ns = 0
        self._next_flush_ns = 0

    def run(self) -> None:
        """Send everything, keep what is to stay open, end all."""
        outlet, turns, ending = self._outlet, self._turns, self._ending
        try:
            while not outlet.stopped and (not turns.ended or ending.under_way or self._rest):
                self._turn()
            self._await_answers()
            ending.interrupt()
            outlet.flush()
            outlet.sent()
            while not outlet.stopped and ending.kept:
                self._handle_events(_LONGEST_SLEEP_S)
        finally:
            ending.let_go()
            self._epoll.close()

    def _await_answers(self) -> None:
        """Nothing more is begun, and what has just been asked is no failure of who is to answer."""
        until_s = time.monotonic() + _GRACE_S
        while self._ending.under_way and time.monotonic() < until_s:
            self._handle_events(_GRACE_S / 10)

    def _turn(self) -> None:
        """Begin what is due, handle what has come, see whose time is up."""
        now_ns = time.time_ns()
        begun = self._begin_due(now_ns)
        self._handle_events(0 if begun == _AT_MOST_AT_ONCE else self._idle_s())
        if self._reading.next_ns is not None:
            self._reading.end_held()
        if self._following.next_ns is not None:
            self._following.resume(time.time_ns())
        if now_ns >= self._next_housekeeping_ns:
            self._next_housekeeping_ns = now_ns + _HOUSEKEEPING_NS
            self._keep_house(now_ns)

    def _begin_due(self, now_ns: int) -> int:
        due, begin = self._turns.due, self._handshake.begin
        while self._rest and (waited := self._rest.due(now_ns)):
            due_ns, connection, number = waited
            begin(connection, due_ns, number)
        for begun in range(_AT_MOST_AT_ONCE):
            request = due(now_ns)
            if request is None:
                return begun
            begin(*request)
        return _AT_MOST_AT_ONCE

    def _idle_s(self) -> float:
        """Until the next is due or a hold is over, at most as long as a stop may go unseen."""
        waits = (self._turns, self._rest, self._following, self._reading)
        known_ns = [at_ns for wait in waits if (at_ns := wait.next_ns) is not None]
        if not known_ns:
            return _LONGEST_SLEEP_S
        return min(max((min(known_ns) - time.time_ns()) / NS_PER_S, 0), _LONGEST_SLEEP_S)

    def _handle_events(self, idle_s: float) -> None:
        if 0 < idle_s < _LONGEST_SLEEP_S:
            select.select([self._epoll], (), (), idle_s)
            idle_s = 0
        under_way, readable = self._ending.under_way, self._reading.readable
        for handle, mask in self._epoll.poll(idle_s):
            exchange = under_way.get(handle)
            if exchange is None:
                self._ending.hear_kept(handle, mask)
            elif exchange.connected == NONE:
                self._handshake.connected(exchange, mask)
            else:
                readable(exchange, mask)

    def _keep_house(self, now_ns: int) -> None:
        self._ending.expire(now_ns)
        if now_ns >= self._next_flush_ns:
            self._next_flush_ns = now_ns + _FLUSH_NS
            self._outlet.flush(len(self._ending.under_way))
