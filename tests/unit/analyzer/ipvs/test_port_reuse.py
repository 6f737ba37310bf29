"""Which entries a SYN from their port ends, and when it is dropped for it."""

from __future__ import annotations

import pytest

from analyzer.ipvs.port_reuse import is_new_conn_expected, uses_old_conntrack
from analyzer.ipvs.states import State

OVER = {State.TIME_WAIT, State.CLOSE}


@pytest.mark.parametrize(
    ("mode", "no_output", "ended"),
    [
        (0, True, set()),
        (1, True, OVER),
        (1, False, OVER),
        (2, True, OVER | {State.FIN_WAIT}),
        (2, False, OVER),
        (3, True, OVER | {State.FIN_WAIT}),
    ],
)
def test_the_entries_that_a_syn_ends(mode: int, ended: set[State], *, no_output: bool) -> None:
    found = is_new_conn_expected(list(State), [no_output] * len(State), mode)
    assert {state for state, is_ended in zip(State, found, strict=True) if is_ended} == ended


@pytest.mark.parametrize(
    ("conntrack", "sees_replies", "is_dropped"),
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_a_syn_is_dropped_where_conntrack_never_saw_a_reply(
    *, conntrack: bool, sees_replies: bool, is_dropped: bool
) -> None:
    assert uses_old_conntrack(conntrack=conntrack, sees_replies=sees_replies) is is_dropped
