"""Packets through the kernel's tables: what a director believed, and until when.

All 4-tuples advance together, one packet each, so the work is a few array operations for each
step of the longest connection. The rules, from net/netfilter/ipvs/ of Linux 6.1:

* an entry is made by a SYN (``tcp_conn_schedule``), in state NONE, and judged at once;
* every packet of it moves the state and restarts the timer with the new state's timeout
  (``set_tcp_state``, ``ip_vs_conn_put``);
* an entry of dr or tun is judged by INPUT_ONLY until the first reply of it that passes, as where
  the director is the real server itself (``IP_VS_CONN_F_NOOUTPUT``);
* a packet after the timer fired finds no entry: a SYN makes a new one, anything else none;
* a SYN that hits an entry in TIME_WAIT or CLOSE, or under conn_reuse_mode 2 in FIN_WAIT without
  replies seen, ends it at once and makes a new one (``is_new_conn_expected``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import (
    TRANSITIONS,
    Flag,
    State,
    Table,
    Timeouts,
    timeout_by_state_s,
)
from analyzer.ipvs.timers import expiry_uptime_s

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.wire.connections import Segments

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

NO_ENTRY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a director's replay depends on.

    Attributes:
        forwarding: dr and tun expect to see no replies; nat and local see both sides.
        hz, phase_s: None where not known: expiry is then the nominal instant, lateness left out.
        conn_reuse_mode: ``net.ipv4.vs.conn_reuse_mode``, without conntrack.
    """

    forwarding: str
    timeouts: Timeouts
    hz: int | None
    phase_s: float | None
    conn_reuse_mode: int = 1

    @property
    def sees_replies(self) -> bool:
        """Whether replies are known to pass the director from the start."""
        return self.forwarding not in ("dr", "tun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """After each segment, what the director believed; every array has shape (n,).

    Attributes:
        entry: number of the entry that the segment belongs to, from 0; NO_ENTRY if none.
        state: the State it led to; NO_ENTRY if none.
        timeout_s: what the entry waits from here on.
        expiry_uptime_s: when it goes unless another segment comes.
        reused: the segment ended the entry before it at once (port reuse).
    """

    entry: Ints
    state: npt.NDArray[np.int8]
    timeout_s: Floats
    expiry_uptime_s: Floats
    reused: Bools


def replay(segments: Segments, uptime_s: Floats, rules: Rules) -> Beliefs:
    """Run the segments that passed one director through its tables.

    Args:
        segments: of one service, ordered by 4-tuple, then time; shape (n,).
        uptime_s: when each passed, on the director's uptime clock; shape (n,).
        rules: the director's.
    """
    size = len(segments.client)
    timeouts_s = timeout_by_state_s(rules.timeouts)
    state = np.full(size, NO_ENTRY, dtype=np.int8)
    timeout_s, expiry_s = np.full(size, np.nan), np.full(size, np.nan)
    made, reused = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    replied = np.zeros(size, dtype=bool)  # a reply of this entry has passed
    for row in _steps(segments.starts(), size):
        before = _state_before(segments, state, expiry_s, uptime_s, row)
        flag, to_vip = segments.flag[row], segments.to_vip[row]
        known = rules.sees_replies | ((before != NO_ENTRY) & replied[np.maximum(row - 1, 0)])
        is_syn = (flag == Flag.SYN) & to_vip
        reused[row] = is_syn & _reusable(before, known, rules)
        made[row] = is_syn & ((before == NO_ENTRY) | reused[row])
        known &= ~made[row] | rules.sees_replies
        replied[row] = known | ~to_vip
        start = np.where(made[row], State.NONE, before)
        after = TRANSITIONS[_tables(to_vip, known), flag, start]
        state[row] = np.where(start == NO_ENTRY, NO_ENTRY, after)
        timeout_s[row] = np.where(state[row] == NO_ENTRY, np.nan, timeouts_s[state[row]])
        expiry_s[row] = _expiry_s(uptime_s[row], timeout_s[row], rules)
    return Beliefs(
        entry=np.where(state == NO_ENTRY, NO_ENTRY, np.cumsum(made) - 1),
        state=state,
        timeout_s=timeout_s,
        expiry_uptime_s=expiry_s,
        reused=reused,
    )


def _steps(starts: Ints, size: int) -> list[Ints]:
    """The first row of every 4-tuple, then the second of those that have one, and so on."""
    lengths = np.diff(np.r_[starts, size])
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    longest = int(lengths[0]) if len(lengths) else 0
    alive = np.searchsorted(-lengths, -np.arange(longest), side="left")
    return [starts[:count] + step for step, count in enumerate(alive)]


def _state_before(
    segments: Segments,
    state: npt.NDArray[np.int8],
    expiry_s: Floats,
    uptime_s: Floats,
    row: Ints,
) -> npt.NDArray[np.int8]:
    """The state that each row's segment finds: its predecessor's, unless that has expired."""
    previous = np.maximum(row - 1, 0)
    same = (row > 0) & (segments.client[previous] == segments.client[row])
    alive = same & (state[previous] != NO_ENTRY) & (uptime_s[row] < expiry_s[previous])
    return np.where(alive, state[previous], np.int8(NO_ENTRY))


def _tables(to_vip: Bools, replied: Bools) -> Ints:
    from_client = np.where(replied, Table.INPUT, Table.INPUT_ONLY)
    return np.where(to_vip, from_client, Table.OUTPUT)


def _reusable(state: npt.NDArray[np.int8], replied: Bools, rules: Rules) -> Bools:
    if rules.conn_reuse_mode == 0:
        return np.zeros(len(state), dtype=bool)
    ended = np.isin(state, [State.TIME_WAIT, State.CLOSE])
    if rules.conn_reuse_mode & 2:
        ended |= (state == State.FIN_WAIT) & ~replied
    return ended


def _expiry_s(uptime_s: Floats, timeout_s: Floats, rules: Rules) -> Floats:
    nominal_s = uptime_s + timeout_s
    if rules.hz is None or rules.phase_s is None:
        return nominal_s
    known = np.flatnonzero(~np.isnan(timeout_s))
    nominal_s[known] = expiry_uptime_s(
        uptime_s[known], timeout_s[known], hz=rules.hz, phase_s=rules.phase_s
    )
    return nominal_s
