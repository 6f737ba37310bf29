"""What each kernel goes by: the table of changes, and the law that follows from a version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import ACTIVE_STATES, State, active_states
from analyzer.ipvs.versions import (
    ASSUMED,
    CHANGES,
    VersionChange,
    law_of,
    release_of,
    sentence,
    why_counters_stand_still,
)


@pytest.mark.parametrize(
    ("kernel", "release"),
    [
        ("6.1.0-56-amd64", (6, 1)),
        ("5.10.46", (5, 10)),
        ("7.2.7", (7, 2)),
        ("3.10.0-1160.el7.x86_64", (3, 10)),
        ("6.12", (6, 12)),
        ("my kernel", None),
        ("", None),
        (None, None),
    ],
)
def test_a_release_is_read_from_a_kernels_name(
    kernel: str | None, release: tuple[int, int] | None
) -> None:
    assert release_of(kernel) == release


@pytest.mark.parametrize(
    ("kernel", "half_open", "linear", "resizes", "conn_max"),
    [
        ("4.4.0", False, False, False, False),
        ("5.10.46", True, False, False, False),
        ("6.12.113", True, False, False, False),
        ("6.14.0", True, True, False, False),
        ("7.1.0", True, True, True, False),
        ("7.2.7", True, True, True, True),
        (None, True, False, False, False),
    ],
)
def test_a_law_has_what_its_release_has(
    kernel: str | None, half_open: bool, linear: bool, resizes: bool, conn_max: bool
) -> None:
    law = law_of(kernel)
    assert (
        law.half_open_is_active,
        law.reads_linearly,
        law.table_resizes,
        law.has_conn_max,
    ) == (half_open, linear, resizes, conn_max)


def test_the_changes_stand_in_the_order_of_their_releases_and_name_their_source() -> None:
    assert [change.since for change in CHANGES] == sorted(change.since for change in CHANGES)
    assert all(change.source and change.what.endswith(".") for change in CHANGES)


def test_an_old_kernel_may_have_what_its_distributor_carried_back() -> None:
    uncertain = {change.since for change in law_of("3.10.0").uncertain}
    assert uncertain == {(4, 8), (5, 9), (5, 16), (7, 2)}
    assert not law_of("7.2.0").uncertain


def about(word: str) -> VersionChange:
    """The one row of the table that has a word."""
    (found,) = [change for change in CHANGES if word in change.what]
    return found


@pytest.mark.parametrize(
    ("word", "since", "known"),
    [
        ("ActiveConn, not in InActConn", (4, 8), "reported"),
        ("granule's next boundary", (4, 8), "reported"),
        ("confirmed old conntrack entry", (5, 9), "source"),
        ("expire_nodest_conn", (5, 16), "source"),
        ("est_cpulist", (6, 2), "measured"),
        ("idle CPUs", (6, 9), "source"),
        ("not by its square", (6, 14), "measured"),
        ("resizes itself", (7, 1), "measured"),
        ("size= of /proc/net/ip_vs", (7, 1), "measured"),
        ("conn_lfactor", (7, 1), "measured"),
        ("svc_lfactor", (7, 1), "measured"),
        ("ip_vs_status", (7, 1), "measured"),
        ("288 bytes", (7, 1), "measured"),
        ("drop_entry", (7, 1), "source"),
        ("65535", (7, 1), "source"),
        ("conn_max", (7, 2), "measured"),
        ("InActConn is the total", (7, 2), "source"),
        ("extension header", (7, 2), "source"),
    ],
)
def test_each_change_has_its_row(word: str, since: tuple[int, int], known: str) -> None:
    row = about(word)
    assert (row.since, row.known) == (since, known)
    assert row in law_of("99.0").holds
    assert row not in law_of("3.10.0").holds
    assert sentence(row).startswith(f"Since {since[0]}.{since[1]}: ")


@pytest.mark.parametrize("word", ["extension header", "InActConn is the total"])
def test_the_stable_fixes_of_2026_are_a_doubt_about_kernels_before(word: str) -> None:
    assert about(word) in law_of("6.1.176").uncertain
    assert about(word) in law_of("7.1.3").uncertain
    assert about(word) in law_of("7.2.7").holds


@pytest.mark.parametrize(
    ("kernel", "sysctl", "still"),
    [
        ("6.1.176", {"run_estimation": "0"}, True),
        ("7.2.7", {"run_estimation": "0", "est_cpulist": "0"}, True),
        ("7.2.7", {"run_estimation": "1"}, True),  # a list that is empty is not read
        ("7.2.7", {"run_estimation": "1", "est_cpulist": "0-3"}, False),
        ("6.1.176", {"run_estimation": "1"}, False),  # it has no list
        ("5.10.46", {}, False),
        ("7.2.7", {}, False),  # no sysctl could be read
        (None, {"run_estimation": "1"}, False),
    ],
)
def test_counters_stand_still_where_rates_are_not_estimated(
    kernel: str | None, sysctl: dict[str, str], still: bool
) -> None:
    assert bool(why_counters_stand_still(kernel, sysctl)) == still


def test_half_open_counts_as_active_since_4_8() -> None:
    assert active_states("4.7.1") == {State.ESTABLISHED}
    assert active_states("4.8.0") == active_states(None) == ACTIVE_STATES


@given(st.text(max_size=40))
def test_any_name_gives_a_law_whose_changes_its_release_has(kernel: str) -> None:
    law = law_of(kernel)
    assert all(change.since <= (law.release or ASSUMED) for change in law.holds)
