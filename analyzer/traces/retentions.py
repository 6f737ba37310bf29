"""What keeps a connection's state after its last packet, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzer.ipvs.states import TIMEOUT_NAMES, State
from analyzer.predicted.entries import TIMER, state_name
from analyzer.traces.model import TIME_WAIT_S, Retention
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Hashable

    from analyzer.traces.model import End

    Row = dict[Hashable, Any]


def socket_retention(holder: str, last_s: float) -> tuple[Retention, ...]:
    """The socket that closed first and so keeps TIME_WAIT; none where neither does.

    Args:
        holder: as ``wire.connections`` has it: client, server or none.
        last_s: the connection's last packet.
    """
    ends: dict[str, End] = {"client": "client", "server": "server"}
    if holder not in ends:
        return ()
    return (
        Retention(
            holder=ends[holder],
            state="TIME_WAIT",
            from_s=last_s,
            until_s=last_s + TIME_WAIT_S,
            margin_s=0.0,
            basis="inferred",
            why=f"it closed first; Linux keeps such a socket {TIME_WAIT_S:g} s",
        ),
    )


def entry_retention(entry: Row, zero_ns: int, director: str) -> Retention:
    """A director's entry as predicted: a row of ``Prediction.entries``."""
    number, cause = int(entry["state"]), str(entry["cause"])
    why = f"ended early: {cause}"
    if cause == TIMER and "timeout_name" in entry:  # conntrack's: no timer, so no steps
        why = f"{entry['timeout_name']} {entry['timeout_s']:g} s"
    elif cause == TIMER:
        why = f"{TIMEOUT_NAMES[State(number)]} {entry['timeout_s']:g} s, and its timer's step"
    return Retention(
        holder="director",
        state=state_name(number),
        from_s=seconds(entry["last_ns"], zero_ns),
        until_s=seconds(entry["ends_ns"], zero_ns),
        margin_s=0.0,
        basis="predicted",
        why=why,
        name=director,
    )


def seen_retention(entry: Row, zero_ns: int, last_s: float, director: str) -> Retention:
    """A director's entry as polled: a row of ``observed.entries.tracked_by``."""
    until_s, margin_s, why = None, 0.0, "still there at the last poll"
    if pd.notna(entry["absent_ns"]):
        after_s = seconds(entry["absent_ns"], zero_ns)
        before_s = seconds(entry["seen_ns"], zero_ns) if pd.notna(entry["seen_ns"]) else last_s
        until_s, margin_s = (before_s + after_s) / 2, (after_s - before_s) / 2
        why = "it was removed between two polls"
    return Retention(
        holder="director",
        state=str(entry["state"]),
        from_s=last_s,
        until_s=until_s,
        margin_s=margin_s,
        basis="seen",
        why=why,
        name=director,
    )


def seconds(at_ns: Any, zero_ns: int) -> float:
    """Seconds since the run's start."""
    return (int(at_ns) - zero_ns) / NS_PER_S
