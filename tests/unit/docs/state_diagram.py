"""The states as a diagram, drawn from the tables themselves: one Mermaid text for each table."""

from __future__ import annotations

from collections import defaultdict

from analyzer.ipvs.states import (
    ACTIVE_STATES,
    TCP_STATES,
    TIMEOUT_NAMES,
    TRANSITIONS,
    Flag,
    State,
    Timeouts,
    TransitionTable,
    timeout_by_state_s,
)

_TCP_FLAGS = (Flag.SYN, Flag.FIN, Flag.ACK, Flag.RST)


def mermaid(table: TransitionTable, *, secure: bool = False) -> str:
    """A state diagram of one table: what is reachable from NONE, stays left out.

    Args:
        table: which.
        secure: its secure_tcp variant.
    """
    cells = TRANSITIONS[table + (len(TransitionTable) if secure else 0)]
    arrows: dict[tuple[State, State], list[str]] = defaultdict(list)
    reached, frontier = {State.NONE}, [State.NONE]
    while frontier:
        state = frontier.pop()
        for flag in _TCP_FLAGS:
            after = State(cells[flag, state])
            if after is not state:
                arrows[state, after].append(flag.name.lower())
            if after not in reached:
                reached.add(after)
                frontier.append(after)
    lines = ["stateDiagram-v2"]
    lines += [f"    {state.name}: {_label(state)}" for state in TCP_STATES if state in reached]
    lines += [
        f"    {before.name} --> {after.name}: {', '.join(flags)}"
        for (before, after), flags in sorted(arrows.items())
    ]
    return "\n".join(lines) + "\n"


def _label(state: State) -> str:
    counted = "active" if state in ACTIVE_STATES else "inactive"
    timeout_s = timeout_by_state_s(Timeouts())[state]
    name = TIMEOUT_NAMES[state]
    by = "fixed" if name == "fixed" else f"set by {name}"
    return f"{state.name} ({timeout_s:g} s {by}, {counted})"
