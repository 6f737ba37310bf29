"""Lifetimes of entries under a load, from the question by the kernel's tables."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from analyzer.errors import AnalyzerError
from analyzer.forecast.closings import CLOSINGS, Close
from analyzer.ipvs.states import (
    ACTIVE_STATES,
    TIMEOUT_NAMES,
    TRANSITIONS,
    Flag,
    State,
    TimeoutName,
    Timeouts,
    TransitionTable,
    timeout_by_state_s,
)
from analyzer.ipvs.timers import granule_s
from analyzer.results import Counted
from analyzer.units import KNOWN_HZ

Protocol = Literal["tcp", "udp"]
Forwarding = Literal["dr", "nat", "tun", "local"]
Arrivals = Literal["uniform", "poisson"]

FORWARDINGS: tuple[Forwarding, ...] = ("dr", "nat", "tun", "local")
DEBIAN_HZ = 250
EPHEMERAL_PORTS = 60999 - 32768 + 1
OWN_PORTS = 65536 - 1024
CLIENT_TIME_WAIT_S = 60.0
CONN_TAB_BITS = 12
SYN_ACK_RETRIES_S = 31.0
FIN_RETRIES_S = 54.7


class QuestionError(AnalyzerError):
    """A question to the model has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to the model: load, forwarding, timeouts, clients.

    Attributes:
        rate_per_s: connections opened per second.
        duration_s: how long; None: until the table is steady, and a little longer.
        close: relative shares of the closing kinds; they need not add up to 1.
        hold_s: how long a connection stays open and silent before it is closed.
        hz: of the director's kernel.
        sources: client addresses, all to one VIP and port.
        ports: source ports of each address.
        client_time_wait_s: for which a client that closed first keeps its port.
    """

    rate_per_s: float
    duration_s: float | None = None
    protocol: Protocol = "tcp"
    close: Mapping[Close, float] = field(default_factory=lambda: {"client": 1.0})
    hold_s: float = 0.0
    forwarding: Forwarding = "dr"
    timeouts: Timeouts = field(default_factory=Timeouts)
    hz: int = DEBIAN_HZ
    arrivals: Arrivals = "uniform"
    sources: int = 1
    ports: int = EPHEMERAL_PORTS
    client_time_wait_s: float = CLIENT_TIME_WAIT_S
    conn_tab_bits: int = CONN_TAB_BITS

    def __post_init__(self) -> None:
        """Refuse what the model cannot answer."""
        above_zero = {"rate": self.rate_per_s, "sources": self.sources, "ports": self.ports}
        if self.duration_s is not None:
            above_zero["duration"] = self.duration_s
        for name, value in above_zero.items():
            if not 0 < value < math.inf:
                raise QuestionError(f"{name} {value:g}: expected a number above 0")
        shares = self.close.values()
        if any(not share >= 0 for share in shares) or not 0 < sum(shares) < math.inf:
            raise QuestionError(f"close {dict(self.close)}: expected shares that add up above 0")
        if self.hz not in KNOWN_HZ:
            raise QuestionError(f"hz {self.hz}: expected one of {KNOWN_HZ}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A state of an entry, and the timeout that it waits for there."""

    state: str
    counted: Counted
    timeout_name: TimeoutName
    timeout_s: float
    granule_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The smallest and the largest value."""

    min: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLifetime:
    """The states and times of the entries of one closing kind.

    Attributes:
        close: the closing kind; None for udp, which has none.
        share: of the connections, 0 to 1.
        opened: where an entry waits from its first packet to its last.
        last: where it waits after the last packet.
        last_packet_s: from the first packet to the last.
        repeats_s: the part of that in which a FIN is repeated, and the timer of ``last`` with it.
        survive: the share that sees its last packet; the others, silent for longer than the
            timeout of ``opened``, expire before.
        lifetime_s: from the first packet to the removal: the shortest and the longest.
    """

    close: Close | None
    share: float
    opened: Wait
    last: Wait
    last_packet_s: float
    repeats_s: float
    survive: float
    lifetime_s: Range

    @property
    def closes_s(self) -> float:
        """Seconds from the first packet to the one that leads to ``last``."""
        return self.last_packet_s - self.repeats_s

    @property
    def ends(self) -> Wait:
        """The wait after which most of these entries expire."""
        return self.last if self.survive >= 0.5 else self.opened


def client_ports(engine: str | None) -> tuple[int, float]:
    """Number of source ports per address, and how long a closed one is not reused, seconds.

    Args:
        engine: that sent; ``packets`` has its own ports, which no kernel keeps.
    """
    if engine == "packets":
        return OWN_PORTS, 0.0
    return EPHEMERAL_PORTS, CLIENT_TIME_WAIT_S


def final_states(close: Close, forwarding: Forwarding) -> tuple[State, State]:
    """The state of an entry while its connection is open, and the one it ends in."""
    replies_seen = forwarding in ("nat", "local")
    way = CLOSINGS[close]
    opened = _state_after(State.NONE, way.opens, replies_seen=replies_seen)
    return opened, _state_after(opened, f"{way.repeats} {way.closes}", replies_seen=replies_seen)


def _state_after(state: State, packets: str, *, replies_seen: bool) -> State:
    for packet in packets.split():
        if packet[0] == ">" or replies_seen:
            state = State(TRANSITIONS[_table_of(packet, replies_seen), Flag[packet[1:]], state])
    return state


def _table_of(packet: str, replies_seen: bool) -> TransitionTable:
    if packet[0] == "<":
        return TransitionTable.OUTPUT
    return TransitionTable.INPUT if replies_seen else TransitionTable.INPUT_ONLY


def entry_lifetimes(question: Question) -> Iterator[EntryLifetime]:
    """The lifetimes of the question's closing kinds."""
    if question.protocol == "udp":
        wait = _wait("UDP", "inactive", "udp", question.timeouts.udp_s, question.hz)
        yield _lifetime(None, 1.0, (wait, wait), 0.0)
        return
    whole = sum(question.close.values())
    for close, share in question.close.items():
        if share > 0:
            opened, last = final_states(close, question.forwarding)
            waits = (_tcp_wait(opened, question), _tcp_wait(last, question))
            yield _lifetime(
                close,
                share / whole,
                waits,
                _closes_s(close, question),
                _repeats_s(close, question),
            )


def _repeats_s(close: Close, question: Question) -> float:
    """How long an unacknowledged FIN is retransmitted, if the director sees replies."""
    replies_seen = question.forwarding in ("nat", "local")
    return FIN_RETRIES_S if close == "fin-no-ack" and replies_seen else 0.0


def _closes_s(close: Close, question: Question) -> float:
    way = CLOSINGS[close]
    if way.repeats:
        return SYN_ACK_RETRIES_S if question.forwarding in ("nat", "local") else 0.0
    return question.hold_s if way.closes else 0.0


def _tcp_wait(state: State, question: Question) -> Wait:
    counted: Counted = "active" if state in ACTIVE_STATES else "inactive"
    timeout_s = float(timeout_by_state_s(question.timeouts)[state])
    return _wait(state.name, counted, TIMEOUT_NAMES[state], timeout_s, question.hz)


def _wait(state: str, counted: Counted, name: TimeoutName, timeout_s: float, hz: int) -> Wait:
    return Wait(
        state=state,
        counted=counted,
        timeout_name=name,
        timeout_s=timeout_s,
        granule_s=granule_s(timeout_s, hz),
    )


def _lifetime(
    close: Close | None,
    share: float,
    waits: tuple[Wait, Wait],
    closes_s: float,
    repeats_s: float = 0.0,
) -> EntryLifetime:
    opened, last = waits
    idle_s = opened.timeout_s, opened.timeout_s + opened.granule_s
    last_packet_s = closes_s + repeats_s
    closed_s = last_packet_s + last.timeout_s
    survive = min(max((idle_s[1] - closes_s) / opened.granule_s, 0.0), 1.0)
    return EntryLifetime(
        close=close,
        share=share,
        opened=opened,
        last=last,
        last_packet_s=last_packet_s,
        repeats_s=repeats_s,
        survive=survive,
        lifetime_s=Range(
            min=closed_s if survive == 1 else idle_s[0],
            max=idle_s[1] if survive == 0 else closed_s + last.granule_s,
        ),
    )
