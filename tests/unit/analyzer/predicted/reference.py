"""The replay again, slow and obvious: one packet at a time, one dictionary of entries.

``analyzer.predicted.replay`` does the same for all connections at once; ``test_reference`` holds
them equal. Read this one to learn the law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.ipvs.states import TRANSITIONS, Flag, State, TransitionTable, timeout_by_state_s
from analyzer.ipvs.timers import expiry_uptime_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.ipvs.states import Timeouts
    from analyzer.predicted.replay import DirectorRules

REUSABLE = {State.TIME_WAIT, State.CLOSE}


def timeouts_at(rules: DirectorRules, uptime_s: float) -> Timeouts:
    """The timeouts in force at an instant of the director's uptime."""
    in_force = [timeouts for since_s, timeouts in rules.changes if since_s <= uptime_s]
    return in_force[-1] if in_force else rules.timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet of a flow, as it passed the director; ``flow`` is anything that names it."""

    flow: int
    uptime_s: float
    to_vip: bool
    flag: Flag
    repeated: bool = False  # the same SYN comes again as the flow's next packet
    lost: bool = False  # the director never got it, or dropped it for reasons of its own
    unavailable: bool = False  # the entry that it hits has a real server that was removed
    expire_nodest: bool = False  # the entry that it hits has a real server of weight 0
    no_server: bool = False  # no real server has a weight


@dataclass(slots=True, kw_only=True)
class _Entry:
    number: int
    state: State
    no_output: bool
    expires_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """After a packet: the entry it belongs to (None if none), its state, and when it goes."""

    entry: int | None
    state: State | None
    expiry_uptime_s: float | None
    reused: bool
    dropped: bool


def replay_slowly(packets: Iterable[Packet], rules: DirectorRules) -> Iterator[Belief]:
    """What the director believed after each packet; packets of all flows in order of time."""
    entries: dict[int, _Entry] = {}
    made = 0
    for packet in packets:
        entry = entries.get(packet.flow)
        if entry is not None and packet.uptime_s >= entry.expires_s:
            entry = None  # its timer fired before this packet came
        if packet.lost:
            yield _unchanged(entry)
            continue
        reused = entry is not None and _ends_for_reuse(entry, packet, rules)
        if entry is not None and packet.unavailable and not reused:
            yield _unchanged(entry)
            continue
        dropped = reused and rules.old_conntrack and packet.repeated
        if reused:
            entry = None
        if entry is None and not dropped and _makes_an_entry(packet):
            entry = _Entry(
                number=made, state=State.NONE, no_output=not rules.sees_replies, expires_s=0
            )
            made += 1
        if entry is None:
            entries.pop(packet.flow, None)
            yield Belief(
                entry=None, state=None, expiry_uptime_s=None, reused=reused, dropped=dropped
            )
            continue
        entries[packet.flow] = entry
        _judge(entry, packet, rules)
        yield Belief(
            entry=entry.number,
            state=entry.state,
            expiry_uptime_s=entry.expires_s,
            reused=reused,
            dropped=False,
        )


def _unchanged(entry: _Entry | None) -> Belief:
    return Belief(
        entry=entry.number if entry else None,
        state=entry.state if entry else None,
        expiry_uptime_s=entry.expires_s if entry else None,
        reused=False,
        dropped=True,
    )


def _makes_an_entry(packet: Packet) -> bool:
    begins = packet.to_vip and packet.flag in (Flag.SYN, Flag.DATAGRAM)
    return begins and not packet.no_server


def _ends_for_reuse(entry: _Entry, packet: Packet, rules: DirectorRules) -> bool:
    """``ip_vs_in``: a SYN to be scheduled afresh."""
    if not (packet.to_vip and packet.flag is Flag.SYN):
        return False
    if packet.expire_nodest:
        return True
    if rules.conn_reuse_mode == 0:
        return False
    in_fin_wait = entry.state is State.FIN_WAIT and entry.no_output
    return entry.state in REUSABLE or bool(rules.conn_reuse_mode & 2 and in_fin_wait)


def _judge(entry: _Entry, packet: Packet, rules: DirectorRules) -> None:
    """Move the state and restart the timer (``set_tcp_state``, ``ip_vs_conn_put``)."""
    if not packet.to_vip:
        entry.no_output = False  # a reply was seen after all
    tables = (
        (TransitionTable.INPUT_ONLY if entry.no_output else TransitionTable.INPUT)
        if packet.to_vip
        else TransitionTable.OUTPUT
    )
    table = tables + (len(TransitionTable) if rules.secure_tcp else 0)
    entry.state = State(TRANSITIONS[table, packet.flag, entry.state])
    timeout_s = timeout_by_state_s(timeouts_at(rules, packet.uptime_s))[entry.state]
    entry.expires_s = packet.uptime_s + float(timeout_s)
    if rules.hz is not None and rules.phase_s is not None:
        expiry = expiry_uptime_s(packet.uptime_s, timeout_s, hz=rules.hz, phase_s=rules.phase_s)
        entry.expires_s = float(expiry)
