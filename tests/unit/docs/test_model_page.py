"""docs/model.md says what the code holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.conntrack.settings import DEFAULTS_S, TIMEOUT_OF
from analyzer.conntrack.states import CtState
from analyzer.ipvs.states import (
    ACTIVE_STATES,
    TIMEOUT_NAMES,
    State,
    Timeouts,
    TransitionTable,
    timeout_by_state_s,
)
from analyzer.ipvs.timers import granule_s
from tests.unit.docs.state_diagram import mermaid

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "model.md").read_text()
NAMED = {"`tcp`": "tcp", "`tcpfin`": "tcpfin", "`udp`": "udp"}


def rows(columns: int) -> list[list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]
    return [row for row in cells if len(row) == columns]


@pytest.mark.parametrize("table", list(TransitionTable))
def test_the_diagrams_of_the_page_are_drawn_from_the_tables(table: TransitionTable) -> None:
    assert mermaid(table) in PAGE


def test_the_page_states_each_timeout_and_who_sets_it() -> None:
    timeouts_s = timeout_by_state_s(Timeouts())
    stated = {
        State[name]: (float(timeout), counted, by)
        for names, timeout, counted, by in rows(4)
        for name in names.split(", ")
        if name in State.__members__
    }
    assert set(stated) == set(State) - {State.NONE, State.LISTEN}
    for state, (timeout_s, counted, by) in stated.items():
        assert timeout_s == timeouts_s[state]
        assert counted == ("active" if state in ACTIVE_STATES else "inactive")
        assert next((NAMED[word] for word in NAMED if word in by), "fixed") == TIMEOUT_NAMES[state]


def test_the_page_states_each_timeout_of_conntrack_and_its_sysctl() -> None:
    stated = {
        CtState[name]: timeout
        for names, _, timeout in rows(3)
        for name in names.split(", ")
        if name in CtState.__members__
    }
    assert set(stated) == set(TIMEOUT_OF)
    for state, text in stated.items():
        timeout_s, sysctl = text.replace(",", "").split()
        assert f"nf_conntrack_{sysctl.strip('`')}" == TIMEOUT_OF[state]
        assert float(timeout_s) == DEFAULTS_S[TIMEOUT_OF[state]]


def test_the_page_states_each_granule() -> None:
    table = [row for row in rows(5) if re.fullmatch(r"\d+ s", row[0])]
    assert len(table) == 4
    for timeout, *granules in table:
        for hz, stated in zip((100, 250, 300, 1000), granules, strict=True):
            expected_s = granule_s(float(timeout.split()[0]), hz)
            assert float(stated.split()[0]) == pytest.approx(expected_s, rel=0.005)
