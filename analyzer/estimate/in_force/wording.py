"""The timeouts of a director in words: which are assumed, and which only entries show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.estimate.in_force.readings import NAMES
from analyzer.results import NotMeasured

if TYPE_CHECKING:
    from analyzer.estimate.in_force.model import InForce
    from analyzer.ipvs.states import SettableName
    from analyzer.recording.director import Director
    from analyzer.results import Lifetime

BY_ENTRIES = "entries"
"""The source of a timeout that only the expire column of entries shows."""


def timeouts_unknown(director: Director, in_force: InForce) -> list[NotMeasured]:
    """Timeouts that could not be read, and the values used in their place."""
    if not in_force.assumed and (director.timeouts_source or not in_force.shown):
        return []
    shown = [f"{name} is {_value(in_force, name)} s" for name in NAMES if name in in_force.shown]
    assumed = [f"{name} {in_force.start_s(name):g} s" for name in NAMES if name in in_force.assumed]
    why = "its timeouts could not be read"
    if shown:
        why += f"; {', '.join(shown)} by the expire column of its entries"
    if assumed:
        why += f"; predictions assume the kernel's defaults ({', '.join(assumed)})"
    return [NotMeasured(what=f"configured timeouts of {director.name}", why=why)]


def _value(in_force: InForce, name: SettableName) -> str:
    """A timeout at the start, with what is left open: ``20``, or ``20 (20 to 22)``."""
    number = f"{in_force.start_s(name):g}"
    low, high = in_force.shown[name]
    return number if low == high else f"{number} ({low} to {high})"


def with_sources(rows: list[Lifetime], director: Director, in_force: InForce) -> list[Lifetime]:
    """Lifetimes with the source of their timeouts, and the value that was given instead."""
    return [_with_source(row, director, in_force) for row in rows]


def _with_source(row: Lifetime, director: Director, in_force: InForce) -> Lifetime:
    name, value_s = next((each for each in NAMES if each == row.timeout_name), None), row.timeout_s
    if name is None:
        return replace(row, timeout_source="kernel")
    if value_s is None:
        return row
    if value_s == in_force.start_s(name):
        source = BY_ENTRIES if name in in_force.shown else director.timeouts_source
        low_s, high_s = in_force.shown.get(name, (0, 0))
        is_open = low_s < high_s
        return replace(
            row,
            timeout_source=source,
            timeout_told_s=in_force.denied.get(name),
            timeout_low_s=float(low_s) if is_open else None,
            timeout_high_s=float(high_s) if is_open else None,
        )
    noticed = [
        change.noticed_ns
        for change in in_force.changes
        if change.name == name and change.value_s == value_s
    ]
    by_entries = noticed and not any(noticed)
    source = BY_ENTRIES if by_entries else director.timeouts_source
    return replace(row, timeout_source=source)
