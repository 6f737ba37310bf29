"""conntrack's sysctls: what was read, what is assumed, and which one governs an entry."""

from __future__ import annotations

import pytest

from analyzer.conntrack.settings import (
    DEFAULTS_S,
    MAX_RETRANS,
    TIMEOUT_OF,
    UNACKNOWLEDGED,
    ConntrackSettings,
    settings_of,
    with_change,
)
from analyzer.conntrack.states import CtState
from analyzer.conntrack.versions import law_of

ESTABLISHED, CLOSE = TIMEOUT_OF[CtState.ESTABLISHED], TIMEOUT_OF[CtState.CLOSE]

DEFAULT_BY_STATE_S = {
    "NONE": 0,
    "ESTABLISHED": 432_000,
    "SYN_SENT": 120,
    "SYN_RECV": 60,
    "FIN_WAIT": 120,
    "TIME_WAIT": 120,
    "CLOSE": 10,
    "CLOSE_WAIT": 60,
    "LAST_ACK": 30,
    "SYN_SENT2": 120,
    "UNREPLIED": 30,
    "REPLIED": 30,
    "ASSURED": 120,
}


def test_the_defaults_are_the_kernels() -> None:
    by_state_s = ConntrackSettings().timeout_by_state_s()
    assert {state.name: by_state_s[state] for state in CtState} == DEFAULT_BY_STATE_S
    assert (DEFAULTS_S[MAX_RETRANS], DEFAULTS_S[UNACKNOWLEDGED]) == (300, 300)


def test_what_was_read_holds_and_the_rest_is_assumed() -> None:
    found = settings_of(
        {ESTABLISHED: 86_400, CLOSE: 0, "nf_conntrack_tcp_loose": 0, "nf_conntrack_max": 131_072}
    )
    assert found.timeouts_s[ESTABLISHED] == 86_400
    assert found.timeouts_s[CLOSE] == 0
    assert found.assumed == frozenset(DEFAULTS_S) - {ESTABLISHED, CLOSE}
    assert (found.loose, found.max_retrans) == (False, 3)
    assert (found.table_max, found.buckets) == (131_072, None)


@pytest.mark.parametrize("value", [None, -1, 2**31 + 1])
def test_what_cannot_be_a_timeout_was_not_read(value: int | None) -> None:
    found = settings_of({ESTABLISHED: value})
    assert found == settings_of({})
    assert found.timeouts_s[ESTABLISHED] == 432_000


def test_a_change_is_of_one_sysctl_and_is_read_no_matter_what_was() -> None:
    found = with_change(settings_of({}), CLOSE, 3)
    assert found.timeouts_s == {**DEFAULTS_S, CLOSE: 3}
    assert found.assumed == frozenset(DEFAULTS_S) - {CLOSE}
    assert with_change(found, "nf_conntrack_tcp_loose", 0).loose is False
    assert with_change(found, "nf_conntrack_tcp_max_retrans", 5).max_retrans == 5
    assert with_change(found, "nf_conntrack_acct", 1) == found
    assert with_change(found, CLOSE, 2**32) == found


@pytest.mark.parametrize(
    ("state", "timeout_s", "name"),
    [
        (CtState.TIME_WAIT, 120, "nf_conntrack_tcp_timeout_time_wait"),
        (CtState.ESTABLISHED, 432_000, "nf_conntrack_tcp_timeout_established"),
        (CtState.ESTABLISHED, 300, "nf_conntrack_tcp_timeout_unacknowledged"),
        (CtState.ESTABLISHED, 10, "nf_conntrack_tcp_timeout_close"),
        (CtState.SYN_SENT2, 120, None),
        (CtState.ASSURED, 120, "nf_conntrack_udp_timeout_stream"),
        (CtState.REPLIED, 30, "nf_conntrack_udp_timeout"),
    ],
)
def test_the_sysctl_that_an_entry_waited_for(
    state: CtState, timeout_s: float, name: str | None
) -> None:
    assert ConntrackSettings().governing(state, timeout_s) == name


@pytest.mark.parametrize(
    ("kernel", "renews", "assures", "at_once"),
    [
        ("4.19.300", True, True, True),
        ("5.4.159", True, True, False),
        ("5.4.160", True, False, False),
        ("5.4.230", True, False, False),
        ("5.4.231", False, False, False),
        ("5.10.0-30-amd64", True, True, False),
        ("5.10.79", True, True, False),
        ("5.10.80", True, False, False),
        ("5.10.167", False, False, False),
        ("5.14.21", False, True, False),
        ("5.15.0", False, True, False),
        ("5.15.2", False, True, False),
        ("5.15.3", False, False, False),
        ("6.1.0-56-amd64", False, False, False),
        (None, False, False, False),
    ],
)
def test_kernels_differ(kernel: str | None, *, renews: bool, assures: bool, at_once: bool) -> None:
    law = law_of(kernel)
    found = (law.renews_unanswered_syn, law.assures_at_once, law.streams_at_once)
    assert found == (renews, assures, at_once)


def test_what_a_distributor_may_have_carried_back_is_named() -> None:
    assert [change.since for change in law_of("5.10.1").uncertain] == [(5, 14), (5, 16)]
    assert law_of("6.1").uncertain == ()


@pytest.mark.parametrize(
    ("kernel", "has", "may_have"),
    [
        ("5.10.79", [(4, 9), (5, 0)], [(5, 14), (5, 16)]),
        ("5.10.80", [(4, 9), (5, 0), (5, 16)], [(5, 14)]),
        ("5.10.200", [(4, 9), (5, 0), (5, 14), (5, 16)], []),
        ("5.15.0", [(4, 9), (5, 0), (5, 14)], [(5, 16)]),
    ],
)
def test_what_is_applied_of_a_stable_release_is_not_called_uncertain(
    kernel: str, has: list[tuple[int, int]], may_have: list[tuple[int, int]]
) -> None:
    law = law_of(kernel)
    assert [change.since for change in law.since] == has
    assert [change.since for change in law.uncertain] == may_have
