"""conntrack's timeouts and switches: names, defaults, and what was read of them.

Source: ``tcp_timeouts`` and ``udp_timeouts`` in net/netfilter/nf_conntrack_proto_tcp.c and
nf_conntrack_proto_udp.c, Documentation/networking/nf_conntrack-sysctl.rst. kube-proxy sets
``tcp_timeout_established`` to 86,400 s and ``tcp_timeout_close_wait`` to 3,600 s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.states import STATES, CtState

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

PREFIX = "net.netfilter."
"""Where the sysctls are; names here are without it."""

TCP_TIMEOUT = "nf_conntrack_tcp_timeout_"
UDP_UNREPLIED, UDP_STREAM = "nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"
MAX_RETRANS, UNACKNOWLEDGED = f"{TCP_TIMEOUT}max_retrans", f"{TCP_TIMEOUT}unacknowledged"

DEFAULTS_S: Mapping[str, float] = {
    f"{TCP_TIMEOUT}syn_sent": 120,
    f"{TCP_TIMEOUT}syn_recv": 60,
    f"{TCP_TIMEOUT}established": 432_000,
    f"{TCP_TIMEOUT}fin_wait": 120,
    f"{TCP_TIMEOUT}close_wait": 60,
    f"{TCP_TIMEOUT}last_ack": 30,
    f"{TCP_TIMEOUT}time_wait": 120,
    f"{TCP_TIMEOUT}close": 10,
    MAX_RETRANS: 300,
    UNACKNOWLEDGED: 300,
    UDP_UNREPLIED: 30,
    UDP_STREAM: 120,
}
"""The kernel's defaults by sysctl, seconds."""

SYSCTLS = tuple(DEFAULTS_S)
"""Sysctls of timeouts by their indices."""
FIXED = -1
"""In place of an index: a timeout that no sysctl sets."""

TIMEOUT_OF: Mapping[CtState, str] = {
    CtState.ESTABLISHED: f"{TCP_TIMEOUT}established",
    CtState.SYN_SENT: f"{TCP_TIMEOUT}syn_sent",
    CtState.SYN_RECV: f"{TCP_TIMEOUT}syn_recv",
    CtState.FIN_WAIT: f"{TCP_TIMEOUT}fin_wait",
    CtState.TIME_WAIT: f"{TCP_TIMEOUT}time_wait",
    CtState.CLOSE: f"{TCP_TIMEOUT}close",
    CtState.CLOSE_WAIT: f"{TCP_TIMEOUT}close_wait",
    CtState.LAST_ACK: f"{TCP_TIMEOUT}last_ack",
    CtState.UNREPLIED: UDP_UNREPLIED,
    CtState.REPLIED: UDP_UNREPLIED,
    CtState.ASSURED: UDP_STREAM,
}
"""The sysctl of a state's timeout. SYN_SENT2 has none."""

SYN_SENT2_S = 120.0
"""Fixed in the kernel."""

STREAM_AFTER_S = 2.0
"""A UDP flow that goes on for longer than this, answered, is a stream."""

LONGEST_S = 2**31
"""Timeouts beyond it are no timeouts: the kernel counts jiffies in 32 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackSettings:
    """What a director's conntrack goes by.

    Attributes:
        timeouts_s: by sysctl, all of ``DEFAULTS_S``; seconds.
        assumed: those of them that were not read, and are the kernel's defaults.
        liberal: packets outside of their windows count too (``nf_conntrack_tcp_be_liberal``).
        loose: an ACK in the middle of a connection makes an entry (``nf_conntrack_tcp_loose``).
        max_retrans: retransmissions from which on the timeout is ``MAX_RETRANS`` at the most.
        table_max: entries that the table may hold (``nf_conntrack_max``); None where not read.
        buckets: of its hash table; None where not read.
    """

    timeouts_s: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULTS_S))
    assumed: frozenset[str] = frozenset()
    liberal: bool = False
    loose: bool = True
    max_retrans: int = 3
    table_max: int | None = None
    buckets: int | None = None

    def timeout_by_state_s(self) -> npt.NDArray[np.float64]:
        """What an entry waits after its last packet, seconds, indexed by CtState; shape (16,)."""
        by_state = np.zeros(STATES, dtype=np.float64)
        by_state[CtState.SYN_SENT2] = SYN_SENT2_S
        for state, name in TIMEOUT_OF.items():
            by_state[state] = self.timeouts_s[name]
        return by_state

    def timeout_by_sysctl_s(self) -> npt.NDArray[np.float64]:
        """Timeouts in the order of ``SYSCTLS``, and last, at FIXED, SYN_SENT2's; shape (13,)."""
        return np.array([*(self.timeouts_s[name] for name in SYSCTLS), SYN_SENT2_S])

    def governing(self, state: CtState, timeout_s: float) -> str | None:
        """The sysctl whose value an entry in this state waited, guessed; None of SYN_SENT2.

        For want of a replay, which knows the one that it chose (``Tracked.sysctl``).
        A state's own, or the one that shortens it where data or a FIN was not acknowledged or was
        retransmitted; of a reset that left ESTABLISHED, the one of CLOSE.
        """
        own = TIMEOUT_OF.get(state)
        if own is None or self.timeouts_s[own] == timeout_s:
            return own
        shorter = (UNACKNOWLEDGED, MAX_RETRANS, TIMEOUT_OF[CtState.CLOSE])
        return next((name for name in shorter if self.timeouts_s[name] == timeout_s), own)


def sysctl_by_state() -> npt.NDArray[np.int8]:
    """The index in ``SYSCTLS`` of each state's own timeout, indexed by CtState; shape (16,)."""
    by_state = np.full(STATES, FIXED, dtype=np.int8)
    for state, name in TIMEOUT_OF.items():
        by_state[state] = SYSCTLS.index(name)
    return by_state


def with_change(settings: ConntrackSettings, name: str, value: int) -> ConntrackSettings:
    """Settings after one sysctl was set; the same where it is none of these, or no value of it."""
    if name in DEFAULTS_S and 0 <= value <= LONGEST_S:
        return replace(
            settings,
            timeouts_s={**settings.timeouts_s, name: float(value)},
            assumed=settings.assumed - {name},
        )
    if name == "nf_conntrack_tcp_be_liberal":
        return replace(settings, liberal=bool(value))
    if name == "nf_conntrack_tcp_loose":
        return replace(settings, loose=bool(value))
    if name == "nf_conntrack_tcp_max_retrans":
        return replace(settings, max_retrans=max(value, 0))
    return settings


def settings_of(sysctl: Mapping[str, int | None]) -> ConntrackSettings:
    """Settings as read.

    Args:
        sysctl: numbers by name without ``PREFIX``, untrusted; None, or a value that cannot be one,
            where it is not known.
    """
    read = {
        name: float(value)
        for name in DEFAULTS_S
        if (value := sysctl.get(name)) is not None and 0 <= value <= LONGEST_S
    }
    return ConntrackSettings(
        timeouts_s={**DEFAULTS_S, **read},
        assumed=frozenset(DEFAULTS_S) - read.keys(),
        liberal=bool(_or(sysctl.get("nf_conntrack_tcp_be_liberal"), 0)),
        loose=bool(_or(sysctl.get("nf_conntrack_tcp_loose"), 1)),
        max_retrans=max(_or(sysctl.get("nf_conntrack_tcp_max_retrans"), 3), 0),
        table_max=_positive(sysctl.get("nf_conntrack_max")),
        buckets=_positive(sysctl.get("nf_conntrack_buckets")),
    )


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _positive(value: int | None) -> int | None:
    return value if value and value > 0 else None
