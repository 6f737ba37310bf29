"""Replay of packets through the kernel's transition tables: entry states and expiries.

All flows advance together, one packet each, so the work is a few array operations for each step of
the longest flow; over packets that leave the state as it is, as most of a long transfer do, a flow
goes in one step. A slow replay in the tests says the same. The rules, from net/netfilter/ipvs/ of
Linux 6.1:

* an entry is made by a SYN (``tcp_conn_schedule``) or any datagram, and judged at once;
* every packet of it moves the state and restarts the timer with the new state's timeout, read from
  the table at that moment (``set_tcp_state``, ``ip_vs_conn_put``);
* a packet after the timer fired finds no entry: a SYN or datagram makes a new one, anything else
  none;
* an entry of a server that is not masqueraded begins with NOOUTPUT, and loses it with the first
  reply that the director sees (``set_tcp_state``);
* a SYN that hits an entry in TIME_WAIT or CLOSE, or under conn_reuse_mode 2 in FIN_WAIT with
  NOOUTPUT, ends it at once and makes a new one (``is_new_conn_expected``); if it is attached to a
  confirmed conntrack entry it is dropped instead, and its retransmission makes the new one;
* under expire_nodest_conn a SYN that hits an entry of a real server of weight 0 does the same,
  whatever the entry's state (``ip_vs_in``); not in conn_reuse_mode 0 before 5.16 (5.15.6, 5.10.83);
* a SYN or datagram that finds no entry makes none while no real server has a weight;
* a packet for a server that has been removed is dropped and changes nothing
  (expire_nodest_conn 0).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.ipvs.port_reuse import is_new_conn_expected
from analyzer.ipvs.states import (
    TRANSITIONS,
    Flag,
    State,
    Timeouts,
    TransitionTable,
    timeout_by_state_s,
)
from analyzer.ipvs.timers import expiry_uptime_s

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.wire.segments import Segments

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Int8s = npt.NDArray[np.int8]


_ROUNDED_S = 0.02
"""By how much less than its timeout an entry may wait: the kernel counts in jiffies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorRules:
    """What a director's replay depends on.

    Attributes:
        sees_replies: entries begin without NOOUTPUT: nat.
        timeouts: in force at the start.
        changes: later ones, each with the uptime from which it holds; ascending.
        hz: None where not known: expiry is then the nominal instant plus ``unknown_lateness_s``.
        phase_s: likewise; see ``analyzer.ipvs.timers``.
        conn_reuse_mode: ``net.ipv4.vs.conn_reuse_mode``.
        old_conntrack: a reusing SYN is dropped once: ``net.ipv4.vs.conntrack`` is 1 and replies
            bypass the director, so its conntrack entry is an old one that never saw a reply.
        secure_tcp: the secure_tcp tables are in force.
    """

    sees_replies: bool
    timeouts: Timeouts
    hz: int | None
    phase_s: float | None
    changes: tuple[tuple[float, Timeouts], ...] = ()
    conn_reuse_mode: int = 1
    old_conntrack: bool = False
    secure_tcp: bool = False

    def expiry_uptime_s(self, last_packet_uptime_s: Floats, timeout_s: Floats | float) -> Floats:
        """When entries expire; without HZ and phase at the nominal instant."""
        if self.hz is None or self.phase_s is None:
            return np.asarray(last_packet_uptime_s + timeout_s, dtype=np.float64)
        return expiry_uptime_s(last_packet_uptime_s, timeout_s, hz=self.hz, phase_s=self.phase_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """The entry state after each segment; every array has shape (n,).

    Attributes:
        entry: number of the entry that the segment belongs to, from 0; NO_ENTRY if none.
        state: the State it led to; NO_ENTRY if none.
        timeout_s: what the entry waits from here on; NaN if none.
        expiry_uptime_s: when it expires unless another segment comes; NaN if none.
        reused: the segment ended the entry before it at once (port reuse).
        dropped: the segment was dropped by the director.
    """

    entry: Ints
    state: Int8s
    timeout_s: Floats
    expiry_uptime_s: Floats
    reused: Bools
    dropped: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How a director handled segments, where tables and timers alone do not decide.

    Every array has shape (n,), one value for each segment.

    Attributes:
        dropped: it dropped them, or never got them: they change nothing.
        unavailable: should they hit an entry, and not end it, its real server was removed without
            expire_nodest_conn: they are dropped.
        expire_nodest: should they be SYNs that hit an entry, that entry's real server has weight 0
            under expire_nodest_conn, and the entry ends at once.
        no_server: no real server had a weight: they make no entry.
    """

    dropped: Bools
    unavailable: Bools
    expire_nodest: Bools
    no_server: Bools

    def only(self, chosen: Bools | slice) -> Handling:
        """That of the chosen segments, in the same order."""
        return Handling(**{name: column[chosen] for name, column in self.columns().items()})

    def columns(self) -> dict[str, Bools]:
        """The arrays, by their names."""
        return {field.name: getattr(self, field.name) for field in fields(Handling)}


def handling(size: int, **masks: Bools) -> Handling:
    """Nothing out of the ordinary for ``size`` segments, but for these masks."""
    nothing = np.zeros(size, dtype=bool)
    return Handling(**{field.name: masks.get(field.name, nothing) for field in fields(Handling)})


def replay(
    segments: Segments, uptime_s: Floats, rules: DirectorRules, handled: Handling | None = None
) -> Beliefs:
    """Run the segments that passed one director through its tables.

    Args:
        segments: ordered by flow, then time; shape (n,).
        uptime_s: when each passed, on the director's uptime clock; shape (n,).
        rules: the director's.
        handled: what else it did with single segments.
    """
    size = len(segments.flow)
    walk = _Walk(segments, uptime_s, rules, handled or handling(size))
    row, until = segments.starts(), np.r_[segments.starts()[1:], size]
    while len(row):
        walk.step(row)
        row = walk.skip(row)
        left = row < until
        row, until = row[left], until[left]
    return walk.beliefs()


class _Walk:
    """The arrays that fill as the flows advance."""

    def __init__(
        self, segments: Segments, uptime_s: Floats, rules: DirectorRules, handled: Handling
    ) -> None:
        size = len(segments.flow)
        self._rules = rules
        self._uptime_s = uptime_s
        self._flag = segments.flag
        self._to_vip = segments.to_vip
        self._is_syn = (segments.flag == Flag.SYN) & segments.to_vip
        self._makes = (self._is_syn | (segments.flag == Flag.DATAGRAM)) & segments.to_vip
        self._repeated = _repeated_syn(segments, self._is_syn)
        self._first = np.zeros(size, dtype=bool)
        self._first[segments.starts()] = True
        self._timeouts_s = np.array(
            [
                timeout_by_state_s(timeouts)
                for timeouts in (rules.timeouts, *(timeouts for _, timeouts in rules.changes))
            ]
        )
        self._in_force = np.searchsorted(
            [since_s for since_s, _ in rules.changes], uptime_s, side="right"
        )
        self._tables = (
            TRANSITIONS[len(TransitionTable) :]
            if rules.secure_tcp
            else TRANSITIONS[: len(TransitionTable)]
        )
        self._dropped = handled.dropped.copy()
        self._unavailable = handled.unavailable
        self._expire_nodest = handled.expire_nodest
        self._schedules = self._makes & ~handled.no_server
        self._state = np.full(size, NO_ENTRY, dtype=np.int8)
        self._no_output = np.zeros(size, dtype=bool)
        self._timeout_s = np.full(size, np.nan)
        self._expiry_s = np.full(size, np.nan)
        self._made = np.zeros(size, dtype=bool)
        self._reused = np.zeros(size, dtype=bool)
        self._walked = np.zeros(size, dtype=bool)
        self._stays = _stays(self._tables)
        self._alike_until, self._one_way_until = self._stretches()

    def _stretches(self) -> tuple[Ints, Ints]:
        """From each row on: the end of those like it, and of those like it in one direction.

        Rows are alike if their flags are, no entry can expire between them, and nothing out of the
        ordinary was done with them.
        """
        plain = (self._flag == Flag.ACK) | (self._flag == Flag.DATAGRAM)
        plain &= ~(self._dropped | self._unavailable)
        soon_s = float(self._timeouts_s.min()) - _ROUNDED_S
        alike = plain[1:] & (self._flag[1:] == self._flag[:-1]) & plain[:-1]
        alike &= ~self._first[1:] & (np.diff(self._uptime_s) < soon_s)
        one_way = alike & (self._to_vip[1:] == self._to_vip[:-1])
        return _ends_of_runs(alike), _ends_of_runs(one_way)

    def skip(self, row: Ints) -> Ints:
        """After these rows have been judged: the next one of each flow that has to be.

        Those between are alike, and leave the state that this one led to as it is.
        """
        until = row + 1
        more = self._alike_until[row] > until
        if more.any():
            here = row[more]
            until[more] = self._settled_until(here)
            far = until[more] > here + 1
            self._repeat(here[far], until[more][far] - 1)
        return until

    def _settled_until(self, row: Ints) -> Ints:
        """Up to where rows like these, just judged, leave the state as it is."""
        state, flag = self._state[row], self._flag[row]
        in_one_way = self._stays[self._table(row, self._no_output[row]), flag, state]
        in_both = self._stays[:, flag, state].all(axis=0)
        until = np.where(in_one_way, self._one_way_until[row], row + 1)
        return np.where(in_both, self._alike_until[row], until)

    def _repeat(self, row: Ints, last: Ints) -> None:
        """The last rows of stretches, whose first ones have been judged."""
        self._state[last] = self._state[row]
        self._no_output[last] = self._no_output[row] & (self._one_way_until[row] > last)
        self._walked[last] = True
        self._go_on(last)

    def _go_on(self, row: Ints) -> None:
        """Restart the timers of entries whose state stays."""
        held = self._state[row] != NO_ENTRY
        self._restart_timers(row, held, held)

    def _table(self, row: Ints, no_output: Bools) -> Ints:
        """The table that judges each row."""
        forth = np.where(no_output, TransitionTable.INPUT_ONLY, TransitionTable.INPUT)
        return np.where(self._to_vip[row], forth, TransitionTable.OUTPUT)

    def step(self, row: Ints) -> None:
        """Judge one segment of each of these flows, whose earlier ones have been judged."""
        before = self._state_before(row)
        passes = ~self._dropped[row]
        reused = self._is_syn[row] & self._reusable(before, row) & passes
        passes &= ~(self._unavailable[row] & (before != NO_ENTRY) & ~reused)
        dropped_now = reused & self._repeated[row] & self._rules.old_conntrack
        made = self._schedules[row] & passes & ~dropped_now & ((before == NO_ENTRY) | reused)
        start = np.where(made, np.int8(State.NONE), np.where(reused, np.int8(NO_ENTRY), before))
        no_output = np.where(made, not self._rules.sees_replies, self._no_output[row - 1])
        no_output &= self._to_vip[row]
        table = self._table(row, no_output)
        after = np.where(start == NO_ENTRY, start, self._tables[table, self._flag[row], start])
        judged = (after != NO_ENTRY) & passes
        self._state[row] = np.where(judged, after, start)
        self._no_output[row] = np.where(passes, no_output, self._no_output[row - 1])
        self._made[row], self._reused[row], self._walked[row] = made, reused, True
        self._dropped[row] |= dropped_now | ~passes
        self._restart_timers(row, judged, start != NO_ENTRY)

    def beliefs(self) -> Beliefs:
        """The results, once every flow has come to its end."""
        walked = np.flatnonzero(self._walked)
        between = np.flatnonzero(~self._walked)
        self._state[between] = self._state[walked[np.searchsorted(walked, between) - 1]]
        self._go_on(between)
        none = self._state == NO_ENTRY
        return Beliefs(
            entry=np.where(none, NO_ENTRY, np.cumsum(self._made) - 1),
            state=self._state,
            timeout_s=self._timeout_s,
            expiry_uptime_s=self._expiry_s,
            reused=self._reused,
            dropped=self._dropped,
        )

    def _state_before(self, row: Ints) -> Int8s:
        """The state before each segment: its predecessor's, unless that has expired."""
        previous = row - 1
        alive = ~self._first[row] & (self._uptime_s[row] < self._expiry_s[previous])
        return np.where(alive, self._state[previous], np.int8(NO_ENTRY))

    def _reusable(self, state: Int8s, row: Ints) -> Bools:
        """Whether a SYN would end the entry in this state at once."""
        nodest = (state != NO_ENTRY) & self._expire_nodest[row]
        mode = self._rules.conn_reuse_mode
        return np.asarray(nodest | is_new_conn_expected(state, self._no_output[row - 1], mode))

    def _restart_timers(self, row: Ints, judged: Bools, held: Bools) -> None:
        """A judged segment restarts its entry's timer; a dropped one leaves it running."""
        state = self._state[row]
        timeout_s = self._timeouts_s[self._in_force[row], state]
        expiry_s = self._rules.expiry_uptime_s(self._uptime_s[row], timeout_s)
        self._timeout_s[row] = np.where(
            judged, timeout_s, np.where(held, self._timeout_s[row - 1], np.nan)
        )
        self._expiry_s[row] = np.where(
            judged, expiry_s, np.where(held, self._expiry_s[row - 1], np.nan)
        )


def _stays(tables: Int8s) -> Bools:
    """Which states a flag leaves as they are; by table, flag and state, the last NO_ENTRY."""
    stays = np.zeros((*tables.shape[:2], tables.shape[2] + 1), dtype=bool)
    stays[:, :, :-1] = tables == np.arange(tables.shape[2])
    stays[:, Flag.ACK, NO_ENTRY] = True  # it makes no entry, as a SYN or a datagram does
    return stays


def _ends_of_runs(goes_on: Bools) -> Ints:
    """The end of the run that each row is in.

    Args:
        goes_on: whether the row after each is in its run; shape (n - 1,), n at least 1.

    Returns:
        Shape (n,).
    """
    ends = np.r_[np.flatnonzero(~goes_on), len(goes_on)] + 1
    return np.asarray(np.repeat(ends, np.diff(np.r_[0, ends])))


def _repeated_syn(segments: Segments, is_syn: Bools) -> Bools:
    """Retransmitted SYNs, same sequence number, as the next segment of their flow."""
    if len(is_syn) == 0:
        return is_syn
    again = is_syn[1:] & (segments.flow[1:] == segments.flow[:-1])
    again &= segments.sequence[1:] == segments.sequence[:-1]
    return np.asarray(is_syn & np.r_[again, False])
