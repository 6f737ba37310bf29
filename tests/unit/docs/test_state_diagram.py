"""The diagrams: every arrow is a cell of the table, every cell that moves a reachable state one."""

from __future__ import annotations

import re

import pytest

from analyzer.ipvs.states import (
    ACTIVE_STATES,
    TRANSITIONS,
    Flag,
    State,
    Timeouts,
    TransitionTable,
    timeout_by_state_s,
)
from tests.unit.docs.state_diagram import mermaid

FLAGS = (Flag.SYN, Flag.FIN, Flag.ACK, Flag.RST)
DRAWINGS = [(table, secure) for table in TransitionTable for secure in (False, True)]
ARROW = re.compile(r"    (\w+) --> (\w+): ((?:syn|fin|ack|rst)(?:, (?:syn|fin|ack|rst))*)")
NODE = re.compile(r"    (\w+): (\w+) \((\d+) s (fixed|set by (?:tcp|tcpfin)), (active|inactive)\)")


def cell(table: TransitionTable, secure: bool, flag: Flag, state: State) -> State:
    return State(TRANSITIONS[table + (3 if secure else 0), flag, state])


def drawn(table: TransitionTable, secure: bool) -> tuple[list[re.Match[str]], list[re.Match[str]]]:
    """Nodes and arrows; every line is one or the other."""
    title, *lines = mermaid(table, secure=secure).splitlines()
    assert title == "stateDiagram-v2"
    nodes = [found for line in lines if (found := NODE.fullmatch(line))]
    arrows = [found for line in lines if (found := ARROW.fullmatch(line))]
    assert len(nodes) + len(arrows) == len(lines)
    return nodes, arrows


def reachable(table: TransitionTable, secure: bool) -> set[State]:
    """From NONE, by any number of packets; found by closing the set, not by walking."""
    found = {State.NONE}
    for _ in State:
        found |= {cell(table, secure, flag, state) for flag in FLAGS for state in found}
    return found


@pytest.mark.parametrize(("table", "secure"), DRAWINGS)
def test_the_arrows_are_the_cells_that_move_a_reachable_state(
    table: TransitionTable, secure: bool
) -> None:
    _, arrows = drawn(table, secure)
    shown = {
        (State[arrow[1]], Flag[word.upper()], State[arrow[2]])
        for arrow in arrows
        for word in arrow[3].split(", ")
    }
    assert len(shown) == sum(len(arrow[3].split(", ")) for arrow in arrows)  # none twice
    assert shown == {
        (state, flag, after)
        for state in reachable(table, secure)
        for flag in FLAGS
        if (after := cell(table, secure, flag, state)) is not state
    }


@pytest.mark.parametrize(("table", "secure"), DRAWINGS)
def test_only_reachable_states_stand_there_each_with_its_timeout(
    table: TransitionTable, secure: bool
) -> None:
    nodes, _ = drawn(table, secure)
    assert {State[node[1]] for node in nodes} == reachable(table, secure)
    assert len({node[1] for node in nodes}) == len(nodes)
    timeouts_s = timeout_by_state_s(Timeouts())
    settable = {State.ESTABLISHED: "set by tcp", State.FIN_WAIT: "set by tcpfin"}
    for node in nodes:
        state = State[node[1]]
        assert node[2] == node[1]
        assert float(node[3]) == timeouts_s[state]
        assert node[4] == settable.get(state, "fixed")
        assert (node[5] == "active") is (state in ACTIVE_STATES)


@pytest.mark.parametrize(
    ("table", "secure", "absent"),
    [
        # UDP is no TCP state; the others no client's packet leads to
        (
            TransitionTable.INPUT_ONLY,
            False,
            {"UDP", "LISTEN", "SYN_SENT", "SYNACK", "CLOSE_WAIT", "LAST_ACK"},
        ),
        (
            TransitionTable.INPUT,
            False,
            {"UDP", "LISTEN", "SYN_SENT", "SYNACK", "FIN_WAIT", "LAST_ACK"},
        ),
        (
            TransitionTable.OUTPUT,
            False,
            {"UDP", "LISTEN", "SYN_RECV", "SYNACK", "CLOSE_WAIT", "LAST_ACK"},
        ),
    ],
)
def test_what_no_packet_leads_to_is_not_drawn(
    table: TransitionTable, secure: bool, absent: set[str]
) -> None:
    nodes, _ = drawn(table, secure)
    assert {node[1] for node in nodes} == set(State.__members__) - absent


def test_under_secure_tcp_a_syn_leads_to_synack() -> None:
    assert "NONE --> SYNACK: syn" in mermaid(TransitionTable.INPUT_ONLY, secure=True)
    assert "SYNACK" not in mermaid(TransitionTable.INPUT_ONLY)
