"""The machine before a server and a clock of ours: losses, copies, wrong turns, wrapped numbers."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.forecast.closings import CLOSES
from loadgen.load.engines.packets.machine import PlanConnections
from loadgen.load.engines.packets.tcp.script import Segment
from loadgen.load.engines.packets.tcp.segments import ReceivedSegments
from loadgen.load.engines.packets.wire.frames import ACK, FIN, RST, SYN
from loadgen.load.engines.rows import NONE, Row
from loadgen.load.hold import Hold
from loadgen.load.plan import ClosedModel, Closing, LoadPlan, Request
from loadgen.target import Target

if TYPE_CHECKING:
    from analyzer.forecast.closings import Close
    from loadgen.load.engines.packets.tcp.connections import Bools, Ints

MS = 1_000_000
S = 1000 * MS
ASK_BYTES = 90
BODY = b"x" * 2500
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
MOST = 2**32
FLAGS = {
    Segment.SYN: SYN,
    Segment.ASK: ACK,
    Segment.ASK_CLOSE: ACK,
    Segment.ACK: ACK,
    Segment.FIN: FIN | ACK,
    Segment.RST: RST | ACK,
    Segment.RST_BARE: RST,
}
COMES: dict[Close, tuple[int, int]] = {
    "reset-answer": (200, NONE),
    **dict.fromkeys(("half-open", "silent", "reset-syn", "reset-open"), (NONE, NONE)),
}
"""Status and size where the answer does not come whole."""
CONSUMES = np.array([0, 1, ASK_BYTES, ASK_BYTES, 0, 1, 0, 0], np.uint32)


@dataclass
class Packet:
    """A segment on the wire, either way."""

    pair: int
    seq: int
    ack: int
    flags: int
    payload: bytes = b""
    closes: bool = False


@dataclass
class Listener:
    """A server's end of a connection: plain TCP, one segment sent again after another."""

    una: int
    nxt: int
    rcv: int
    unacked: list[tuple[int, int, bytes]] = field(default_factory=list)
    asked: bool = False
    closed: bool = False


class Payloads:
    """What a list of packets carries."""

    def __init__(self, packets: list[Packet]) -> None:
        self._packets = packets

    def of(self, place: int) -> bytes:
        return self._packets[place].payload

    def equal(self, places: Ints, content: bytes) -> Bools:
        return np.array([self._packets[place].payload == content for place in places])


class World:
    """A wire, a server, and a clock that jumps from event to event."""

    def __init__(self, seed: int, loss: float, begin_ns: int, server_seq: int) -> None:
        self.chance = random.Random(seed)
        self.loss = loss
        self.now_ns = begin_ns
        self.server_seq = server_seq
        self.ends: dict[int, Listener] = {}
        self.wire: list[tuple[int, int, bool, Packet]] = []
        self.number = count()

    def send(self, to_server: bool, packet: Packet) -> None:
        for _ in range(2 if self.chance.random() < self.loss / 2 else 1):
            if self.chance.random() >= self.loss:
                at_ns = self.now_ns + self.chance.randrange(MS, 20 * MS)
                heapq.heappush(self.wire, (at_ns, next(self.number), to_server, packet))

    def serve(self, packet: Packet) -> None:
        """Segments from the client."""
        pair, end = packet.pair, self.ends.get(packet.pair)
        if packet.flags & RST:
            self.ends.pop(pair, None)
        elif packet.flags & SYN:
            self.open(packet)
        elif end is not None:
            self.take(packet, end)
        elif packet.flags & FIN:
            self.send(False, Packet(pair, packet.ack, 0, RST))

    def open(self, packet: Packet) -> None:
        if packet.pair not in self.ends:
            mine = self.server_seq
            end = self.ends[packet.pair] = Listener(mine, mine, (packet.seq + 1) % MOST)
            self.put(packet.pair, end, SYN | ACK)

    def take(self, packet: Packet, end: Listener) -> None:
        self.acknowledge(end, packet.ack)
        size, fin = len(packet.payload), bool(packet.flags & FIN)
        if not size and not fin:
            return
        if packet.seq == end.rcv:
            end.rcv = (end.rcv + size + fin) % MOST
            for begin in range(0, len(ANSWER) if size else 0, 1000):
                self.put(packet.pair, end, ACK, ANSWER[begin : begin + 1000])
            if (fin or packet.closes) and not end.closed:
                end.closed = True
                self.put(packet.pair, end, FIN | ACK)
        self.send(False, Packet(packet.pair, end.nxt, end.rcv, ACK))
        if fin and end.closed and not end.unacked:
            del self.ends[packet.pair]

    def acknowledge(self, end: Listener, ack: int) -> None:
        if (ack - end.una) % MOST <= (end.nxt - end.una) % MOST:
            end.una = ack
            end.unacked = [each for each in end.unacked if (each[0] - ack) % MOST < MOST // 2]

    def put(self, pair: int, end: Listener, flags: int, payload: bytes = b"") -> None:
        end.unacked.append((end.nxt, flags, payload))
        self.send(False, Packet(pair, end.nxt, end.rcv, flags, payload))
        end.nxt = (end.nxt + len(payload) + bool(flags & (SYN | FIN))) % MOST

    def put_again(self) -> None:
        for pair, end in self.ends.items():
            for seq, flags, payload in end.unacked:
                self.send(False, Packet(pair, seq, end.rcv, flags, payload))


def play(world: World, machine: PlanConnections, requests: int, limit_s: float = 60) -> list[Row]:
    """Everything begins at once; the rows, when all have one or the time is over."""
    numbers = np.arange(requests)
    assert machine.begin(numbers, np.full(requests, world.now_ns), world.now_ns) == requests
    rows: list[Row] = []
    end_ns, again_ns = world.now_ns + round(limit_s * S), world.now_ns + S
    while machine.waiting and world.now_ns < end_ns:
        out = machine.outgoing()
        if out is not None:
            for kind, pair, seq, ack in zip(
                *(each.tolist() for each in (out.kind, out.pair, out.seq, out.ack)), strict=True
            ):
                asks = kind in (Segment.ASK, Segment.ASK_CLOSE)
                payload = b"?" * ASK_BYTES if asks else b""
                closes = kind == Segment.ASK_CLOSE
                world.send(True, Packet(pair, seq, ack, FLAGS[Segment(kind)], payload, closes))
        world.now_ns += MS
        come: list[Packet] = []
        while world.wire and world.wire[0][0] <= world.now_ns:
            _, _, to_server, packet = heapq.heappop(world.wire)
            world.serve(packet) if to_server else come.append(packet)
        if come:
            machine.receive(seen(come, world.now_ns), world.now_ns)
        machine.tick(world.now_ns)
        if world.now_ns >= again_ns:
            again_ns += S // 2
            world.put_again()
        finished = machine.finished()
        if finished is not None:
            rows += [Row(*row) for row in finished.tolist()]
    machine.stop(world.now_ns)
    finished = machine.finished()
    if finished is not None:
        rows += [Row(*row) for row in finished.tolist()]
    return rows


def seen(packets: list[Packet], now_ns: int) -> ReceivedSegments:
    return ReceivedSegments(
        pair=np.array([each.pair for each in packets]),
        seq=np.array([each.seq for each in packets], np.uint32),
        ack=np.array([each.ack for each in packets], np.uint32),
        flags=np.array([each.flags for each in packets]),
        size=np.array([len(each.payload) for each in packets], np.int32),
        at_ns=np.full(len(packets), now_ns),
        payloads=Payloads(packets),
    )


def machine_of(texts: list[str], **more: Any) -> PlanConnections:
    shares = more.pop("shares", tuple((close, 1.0) for close in CLOSES))
    closing = Closing(shares=shares, hold=Hold(given_s=(more.pop("hold_s", 0.0),)))
    plan = LoadPlan(
        target=Target(vip="192.0.2.1", port=80),
        arrivals=ClosedModel(requests=1),
        request=Request(method="GET"),
        closing=closing,
        sources=("192.0.2.7",),
        **more,
    )

    def text(words: str) -> int:
        texts.append(words)
        return len(texts) - 1

    return PlanConnections(plan, [0], CONSUMES, text, first_port=60000)


wraps = st.sampled_from([0, 1, 5, 80, 95, 1000, 2500, 2600, 2700])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    loss=st.sampled_from([0.0, 0.01, 0.05, 0.2]),
    before_wrap=st.tuples(wraps, wraps),
    hold_s=st.sampled_from([0.0, 0.03]),
)
def test_every_connection_has_one_row_and_its_answer_whatever_the_wire_does(
    seed: int, loss: float, before_wrap: tuple[int, int], hold_s: float
) -> None:
    begin_ns = (2**32 * 3 - before_wrap[0]) << 12
    world = World(seed, loss, begin_ns, (-before_wrap[1]) % MOST)
    texts: list[str] = []
    rows = play(world, machine_of(texts, hold_s=hold_s, timeout_s=50, connect_timeout_s=50), 60)
    assert sorted(row.number for row in rows) == list(range(60))
    failed = [texts[row.error] for row in rows if row.error != NONE]
    timeouts = {"timeout: no connection", "timeout: no answer"}  # a fifth of all frames is lost
    assert set(failed) <= (timeouts if loss > 0.1 else set())
    assert len(failed) <= 3
    whole = [row for row in rows if row.error == NONE]
    for row in whole:
        assert (row.status, row.size) == COMES.get(CLOSES[row.close], (200, len(BODY)))
    if not loss:
        assert {row.retransmits for row in rows} == {0}


@pytest.mark.parametrize("close", CLOSES)
def test_how_it_closes_does_not_change_what_came(close: Any) -> None:
    rows = play(World(1, 0.0, S << 20, 77), machine_of([], shares=((close, 1.0),)), 5)
    assert [row.close for row in rows] == [CLOSES.index(close)] * 5
    assert {row.size for row in rows} == {COMES.get(close, (200, len(BODY)))[1]}
    assert all(row.ended != NONE for row in rows)


def test_a_wire_that_swallows_all_ends_in_timeouts_with_as_many_tries_as_fit() -> None:
    texts: list[str] = []
    machine = machine_of(texts, connect_timeout_s=10)
    rows = play(World(1, 1.0, S << 20, 77), machine, 4)
    assert {(texts[row.error], row.retransmits) for row in rows} == {
        ("timeout: no connection", 3)  # after 1, 3 and 7 s
    }


def test_a_wait_that_grew_with_the_syn_does_not_last() -> None:
    """RFC 6298, 5.7: three seconds for the request, though the SYN went three times."""
    machine = machine_of([], shares=(("client", 1.0),))
    begin = S << 20
    machine.begin(np.array([0]), np.array([0]), begin)
    machine.tick(begin + S)
    machine.tick(begin + 3 * S)
    out = machine.outgoing()
    assert out is not None
    assert out.kind.tolist() == [Segment.SYN] * 3
    answer = Packet(int(out.pair[0]), 500, int(out.seq[0]) + 1, SYN | ACK)
    machine.receive(seen([answer], begin + 4 * S), begin + 4 * S)
    machine.tick(begin + 7 * S)
    asked = machine.outgoing()
    assert asked is not None
    assert asked.kind.tolist() == [Segment.ASK] * 2


def test_an_answer_to_another_connection_is_reset_and_the_syn_goes_again() -> None:
    """RFC 9293, 3.10.7.3: what the server remembers of the port is not ours."""
    machine = machine_of([])
    machine.begin(np.array([0]), np.array([0]), S << 20)
    syn = machine.outgoing()
    assert syn is not None
    old = Packet(int(syn.pair[0]), 1000, 2000, ACK)
    machine.receive(seen([old], S << 20), S << 20)
    reset = machine.outgoing()
    assert reset is not None
    assert (reset.kind.tolist(), reset.seq.tolist()) == ([Segment.RST_BARE], [2000])
    assert machine.waiting == 1
