"""Which timeout a lifetime read from counters can be, by protocol and forwarding.

TCP in dr and tun ends in FIN_WAIT (tcpfin) or, reset, in CLOSE; in nat and on the director itself
in TIME_WAIT, CLOSE or CLOSE_WAIT, whose timeouts the kernel fixes. UDP has one state, governed by
udp. SCTP's timeouts are all fixed (ip_vs_proto_sctp.c: 61 s in every state that a closed
association passes); no ``ipvsadm --set`` number is SCTP's. A firewall mark may stand for any of
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.estimate.state_timeouts import configured_s
from analyzer.ipvs.states import TIMEOUT_NAMES, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.states import TimeoutName
    from analyzer.recording.director import Director
    from analyzer.results import Estimate

SCTP_S = 61.0
SCTP = "SCTP"

_ENDS: Mapping[str, Mapping[float, State]] = {
    "nat": {120.0: State.TIME_WAIT, 10.0: State.CLOSE, 60.0: State.CLOSE_WAIT},
    "local": {120.0: State.TIME_WAIT, 10.0: State.CLOSE},
}
_OTHER_ENDS: Mapping[float, State] = {10.0: State.CLOSE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A timeout by its name, the state that waits for it, and its value where that is known."""

    timeout_name: TimeoutName
    state: str
    timeout_s: float | None


def fixed_timeouts_s(protocol: str, forwarding: str) -> list[float]:
    """The timeouts that the kernel fixes, of states in which entries count as inactive."""
    if protocol in ("TCP", "FWM"):
        return sorted(_ENDS.get(forwarding, _OTHER_ENDS))
    return [SCTP_S] if protocol == SCTP else []


def names_of(
    protocol: str, forwarding: str, measured: Estimate, director: Director
) -> tuple[Name, ...]:
    """All timeouts that a measured one may be; none if it matches none.

    Args:
        protocol: of the service: TCP, UDP, SCTP, FWM.
        forwarding: dr, nat, tun or local.
        measured: the timeout, lateness taken off.
        director: its configured timeouts decide, where they are known.
    """
    known = {
        "TCP": lambda: _tcp(forwarding, measured, director),
        "UDP": lambda: _settable(State.UDP, measured, director),
        SCTP: lambda: _sctp(measured),
        "FWM": lambda: (
            *_tcp(forwarding, measured, director),
            *_settable(State.UDP, measured, director),
            *_sctp(measured),
        ),
    }
    return known[protocol]() if protocol in known else ()


def _tcp(forwarding: str, measured: Estimate, director: Director) -> tuple[Name, ...]:
    ends = _ENDS.get(forwarding, _OTHER_ENDS)
    fixed = tuple(
        Name(timeout_name="fixed", state=state.name, timeout_s=value_s)
        for value_s, state in ends.items()
        if _within(value_s, measured)
    )
    tcpfin = _settable(State.FIN_WAIT, measured, director)
    if fixed and forwarding in _ENDS:
        return fixed  # tcpfin is waited for there only if a client never answers a FIN
    if not fixed or (director.timeouts is not None and tcpfin):
        return tcpfin
    return (*tcpfin, *fixed)


def _settable(state: State, measured: Estimate, director: Director) -> tuple[Name, ...]:
    timeout_s = configured_s(director, state.name)
    if timeout_s is not None and not _within(timeout_s, measured):
        return ()
    return (Name(timeout_name=TIMEOUT_NAMES[state], state=state.name, timeout_s=timeout_s),)


def _sctp(measured: Estimate) -> tuple[Name, ...]:
    if not _within(SCTP_S, measured):
        return ()
    return (Name(timeout_name="fixed", state=SCTP, timeout_s=SCTP_S),)


def _within(timeout_s: float, measured: Estimate) -> bool:
    return abs(timeout_s - measured.value) <= measured.uncertainty
