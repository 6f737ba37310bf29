"""The timeout of a state on a director: as it was read, as the kernel fixes it, or by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.ipvs.states import TIMEOUT_NAMES, State, Timeouts, timeout_by_state_s

if TYPE_CHECKING:
    from analyzer.recording.director import Director


def configured_s(director: Director, state: str, protocol: str = "TCP") -> float | None:
    """The timeout that a state has on this director, seconds; None where it was not read."""
    timeout_s = _by_state_s(director.timeouts or Timeouts(), state, protocol)
    known = state_of(state, protocol)
    return None if known is None else if_read(director, known, timeout_s)


def default_s(state: str, protocol: str | None) -> float | None:
    """The timeout that a state has where none was set, seconds; None where not known."""
    return _by_state_s(Timeouts(), state, protocol)


def _by_state_s(timeouts: Timeouts, state: str, protocol: str | None) -> float | None:
    known = state_of(state, protocol)
    return None if known is None else float(timeout_by_state_s(timeouts)[known])


def state_of(state: str, protocol: str | None) -> State | None:
    """The state of TCP or UDP of this name; SCTP has some of the names, and its own timeouts."""
    if protocol == "SCTP" or state not in State.__members__:
        return None
    return State[state]


def if_read(director: Director, state: State, timeout_s: float | None) -> float | None:
    """A state's timeout, unless it can be set and its setting is not known."""
    is_settable = TIMEOUT_NAMES[state] != "fixed"
    unknown = director.timeouts is None or TIMEOUT_NAMES[state] in director.assumed_timeouts
    return None if is_settable and unknown else timeout_s
