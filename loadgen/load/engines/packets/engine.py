"""The wheel: what is due, what has come, whose time is up; in frames out and in by the ring."""

from __future__ import annotations

import select
import time
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S
from loadgen.errors import RunFailed
from loadgen.load.engines.loop_models import turns_of
from loadgen.load.engines.packets.machine import PlanConnections
from loadgen.load.engines.packets.ports import FIRST_PORT, PORTS
from loadgen.load.engines.packets.tcp.script import Segment
from loadgen.load.engines.packets.wire.egress import find_egress
from loadgen.load.engines.packets.wire.frames import Templates
from loadgen.load.engines.packets.wire.intake import Reader, program
from loadgen.load.engines.packets.wire.neighbours import Neighbours
from loadgen.load.engines.packets.wire.versions import version_of
from loadgen.load.engines.rows import BLOCK_ROWS
from loadgen.load.engines.wording import request_bytes
from loadgen.rings.slots import SLOT_HEADER_BYTES, PromptRing, SendRing

if TYPE_CHECKING:
    from loadgen.load.engines.packets.tcp.segments import Out
    from loadgen.load.engines.rows import Outlet
    from loadgen.load.engines.workers.share import Share

_MOST_AT_ONCE = 512
"""Connections begun, and frames read, in one turn."""

_LONGEST_SLEEP_S = 0.05
_TICK_NS = 1_000_000
_TICK_NS_PER_SLOT = 20  # a check of all timers takes about one; so it takes a twentieth of the time
_NEIGHBOURS_NS = 10_000_000
_FLUSH_NS = 250_000_000
_RESOLVE_S = 5.0
_ASK_AGAIN_NS = 15_000_000_000
_LAST_WORDS_S = 2.0


def send(share: Share, outlet: Outlet) -> None:
    """Carry out a share; see ``loadgen.load.engines.workers.share.Engine``."""
    Sender(share, outlet).run()


class Sender:
    """One plan, from the first frame to the last.

    Raises:
        RunFailed: the next hop does not answer.
        OSError: no privilege, or no such interface.
    """

    def __init__(self, share: Share, outlet: Outlet) -> None:
        plan = share.plan
        self._outlet = outlet
        self._turns = turns_of(share)
        egress = find_egress(plan.target.vip)
        self._neighbours = Neighbours(egress.interface, egress.mac, plan.sources)
        mac = self._neighbours.resolve(egress.next_hop, _RESOLVE_S)
        if mac is None:
            raise RunFailed(f"nobody on {egress.interface} answers for {egress.next_hop}")
        payloads = {
            Segment.ASK: request_bytes(plan, server_closes=False),
            Segment.ASK_CLOSE: request_bytes(plan, server_closes=True),
        }
        vip = (plan.target.vip, plan.target.port)
        self._templates = Templates(vip, plan.sources, (mac, egress.mac), payloads)
        self._machine = PlanConnections(
            plan,
            [outlet.text(address) for address in plan.sources],
            self._templates.consumes,
            outlet.text,
            first_port=FIRST_PORT + share.begin_ns // 1_000_000 % PORTS,
        )
        slot_bytes = 1 << (self._templates.width + SLOT_HEADER_BYTES - 1).bit_length()
        self._sending = SendRing(egress.interface, slot_bytes=slot_bytes)
        ethertype = version_of(plan.target.vip).ethertype
        self._receiving = PromptRing(egress.interface, protocol=ethertype, program=program(*vip))
        self._reader = Reader(plan.sources)
        self._dropped = 0
        self._due: list[tuple[int, int]] = []
        self._waiting: list[Out] = []
        self._tick_ns = self._flush_ns = self._serve_ns = 0
        self._ask_ns = time.time_ns() + _ASK_AGAIN_NS
        self._poll = select.poll()
        self._poll.register(self._receiving.socket, select.POLLIN)
        self._poll.register(self._neighbours.socket, select.POLLIN)

    def run(self) -> None:
        """Send everything, keep what is to stay open, end all."""
        outlet, machine = self._outlet, self._machine
        try:
            while not outlet.stopped and not self._is_done():
                self._turn()
            if outlet.stopped:
                self._end()
            self._give_rows()
            self._say_losses()
            outlet.sent()
            while not outlet.stopped and (machine.open or machine.left):
                self._turn()
            self._end()
        finally:
            self._neighbours.close()
            self._sending.close()
            self._receiving.close()

    def _is_done(self) -> bool:
        return self._turns.ended and not self._due and not self._machine.waiting

    def _turn(self) -> None:
        now_ns = time.time_ns()
        self._begin_due(now_ns)
        self._send()
        came = self._receive()
        if now_ns >= self._tick_ns:
            self._housekeep(now_ns)
        if not came and not self._waiting:
            self._sleep()

    def _begin_due(self, now_ns: int) -> None:
        due = self._due
        coming = iter(partial(self._turns.due, now_ns), None)
        due.extend(islice(coming, _MOST_AT_ONCE - len(due)))
        if due:
            both = np.fromiter(chain.from_iterable(due), np.int64, 2 * len(due))
            numbers, scheduled_ns = both.reshape(-1, 2).T
            del due[: self._machine.begin(numbers, scheduled_ns, now_ns)]

    def _receive(self) -> bool:
        """What has come; whether there was any."""
        ring = self._receiving
        part = ring.ready(_MOST_AT_ONCE)
        if part.start == part.stop:
            return False
        now_ns = time.time_ns()
        self._ended(self._machine.receive(self._reader.seen(ring, part), now_ns), now_ns)
        ring.release(part)
        return True

    def _ended(self, count: int, now_ns: int) -> None:
        ended_one = self._turns.ended_one
        for _ in range(count):
            ended_one(now_ns)

    def _send(self) -> None:
        """Frames of all that is to go; what finds no slot goes with the next turn."""
        out = self._machine.outgoing()
        if out is not None:
            self._waiting.append(out)
        while self._waiting:
            out = self._waiting[0]
            frames, length = self._templates.compose(
                out.kind, out.pair >> 16, out.pair & 0xFFFF, out.seq, out.ack
            )
            taken = self._sending.send(frames, length)
            if taken < len(length):
                self._waiting[0] = out.behind(taken)
                return
            del self._waiting[0]

    def _sleep(self) -> None:
        at_ns = self._turns.next_ns
        soonest_ns = self._tick_ns if at_ns is None or self._due else min(at_ns, self._tick_ns)
        sleep_s = min(max((soonest_ns - time.time_ns()) / NS_PER_S, 0), _LONGEST_SLEEP_S)
        if sleep_s > 0:
            handles = (self._receiving.socket, self._neighbours.socket)
            select.select(handles, (), (), sleep_s)

    def _housekeep(self, now_ns: int) -> None:
        self._tick_ns = now_ns + max(_TICK_NS, _TICK_NS_PER_SLOT * self._machine.open)
        self._ended(self._machine.tick(now_ns), now_ns)
        if now_ns >= self._serve_ns:
            self._serve_ns = now_ns + _NEIGHBOURS_NS
            self._serve_neighbours(now_ns)
        if self._machine.known >= BLOCK_ROWS or now_ns >= self._flush_ns:
            self._flush_ns = now_ns + _FLUSH_NS
            self._give_rows()

    def _serve_neighbours(self, now_ns: int) -> None:
        """Answer them, and follow the VIP when it moves to another director."""
        mac = self._neighbours.receive()
        if mac is not None:
            self._templates.turn_to(mac)
        if now_ns >= self._ask_ns:
            self._ask_ns = now_ns + _ASK_AGAIN_NS
            self._neighbours.ask()

    def _give_rows(self) -> None:
        rows = self._machine.finished()
        if rows is not None:
            self._outlet.block(rows)
        self._outlet.flush(self._machine.waiting)

    def _say_losses(self) -> None:
        counts = self._machine.counts
        self._dropped += self._receiving.dropped()
        self._outlet.say(
            f"packets: {counts.sent:,} segments sent, {counts.resent:,} of them again; "
            f"{counts.old:,} came again or before their turn; {counts.unfinished:,} closes were "
            f"never acknowledged; {self._dropped:,} frames found the ring full"
        )

    def _end(self) -> None:
        """Rows for all, a RST for all that is open, and out with it."""
        self._machine.stop(time.time_ns())
        end_s = time.monotonic() + _LAST_WORDS_S
        while time.monotonic() < end_s:
            self._send()
            if not self._waiting and not self._sending.waiting():
                break
