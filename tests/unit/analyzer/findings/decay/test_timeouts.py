"""Why entries ended when they did: resets, idle ones, changes meanwhile, early ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.unit.analyzer.builders_run import (
    SECOND,
    closed,
    expires_at_s,
    half_open,
    opened,
    removed_at,
)
from tests.unit.analyzer.findings.builders_scene import Scene, by_id, ends, held_by_client, reset

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis
    from tests.unit.analyzer.builders_run import Life

TCP30 = {"timeouts": {"tcp": 30, "tcpfin": 20, "udp": 300}}


def a_burst(count: int = 5, began_s: float = 1000.0) -> list[Life]:
    return [closed(40000 + n, began_s + 0.3 * n) for n in range(count)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Twenty connections that the clients closed, and nothing else."""
    return Scene(lives=a_burst(20), until_s=1030.0).played(tmp_path_factory.mktemp("plain"))


def test_a_burst_that_the_clients_closed_says_what_governs_and_no_more(plain: Analysis) -> None:
    assert set(by_id(plain)) == {"tcpfin-governs", "expires-late"}
    assert "20 of 20 entries" in by_id(plain)["tcpfin-governs"].evidence


# reset-closes-early -------------------------------------------------------------------------------


def test_resets_wait_10_s_whatever_tcpfin_is(tmp_path: Path) -> None:
    began = [1000.0 + 0.3 * n for n in range(5)]
    lives = [reset(40000 + n, at_s) for n, at_s in enumerate(began)]
    found = Scene(lives=[*lives, *a_burst(0)], until_s=1015.0).played(tmp_path)
    one = by_id(found)["reset-closes-early"]
    assert one.severity == "info"
    assert one.title == "5 connections were reset: their entries wait 10 s, not tcpfin"
    assert f"{ends(40000)}, {ends(40001)}, {ends(40002)} and 2 more" in one.evidence
    assert "bal01: 5 of 5 entries" in one.evidence
    reported_s = re.search(r"expired ([\d.]+) s after", one.evidence)
    assert reported_s is not None
    lived_s = [expires_at_s(at_s + 0.3, 10) - at_s - 0.3 for at_s in began]
    assert float(reported_s[1]) == pytest.approx(sum(lived_s) / 5, abs=0.1)
    assert "tcpfin-has-no-effect" in by_id(found)


def test_resets_among_others_are_counted_apart(tmp_path: Path) -> None:
    lives = [*a_burst(8), reset(41000, 1001.0), reset(41001, 1002.0)]
    one = by_id(Scene(lives=lives, until_s=1030.0).played(tmp_path))["reset-closes-early"]
    assert one.title.startswith("2 connections")
    assert ends(41000) in one.evidence
    assert ends(40000) not in one.evidence


# idle-established ---------------------------------------------------------------------------------


def test_connections_left_open_are_reported_while_they_last(tmp_path: Path) -> None:
    lives = [opened(40000 + n, 1000.0 + n) for n in range(3)]
    one = by_id(Scene(lives=lives, until_s=1010.0).played(tmp_path))["idle-established"]
    assert one.severity == "info"
    assert one.title == "3 connections were left open and idle: active for 900 s each"
    assert "none of 3 entries was seen to expire" in one.evidence
    assert ends(40002) in one.evidence
    assert "expired" not in one.advice


def test_connections_left_open_that_the_director_forgot_are_a_warning(tmp_path: Path) -> None:
    lives = [opened(40000 + n, 1000.0 + n, tcp_s=30) for n in range(2)]
    lives.append(opened(40002, 1020.0, tcp_s=30))
    found = Scene(lives=lives, facts=TCP30, until_s=1040.0).played(tmp_path)
    one = by_id(found)["idle-established"]
    assert one.severity == "warning"
    assert "active for 30 s each" in one.title
    assert "2 of 3 entries expired" in one.evidence
    assert one.advice.startswith("2 of these entries expired during the run.")


def test_closed_ones_are_not_idle(plain: Analysis) -> None:
    assert "idle-established" not in by_id(plain)


# timeout-changed-midway ---------------------------------------------------------------------------


def test_two_timeouts_of_one_state_are_reported_with_the_change(tmp_path: Path) -> None:
    lives = [closed(40000 + n, 1000.0 + 0.1 * n, tcpfin_s=20) for n in range(8)]
    lives += [closed(41000 + n, 1010.0 + 0.1 * n, tcpfin_s=10) for n in range(4)]
    events = [(1005.0, "timeouts-changed", "0 10 0")]
    found = Scene(lives=lives, events=events, until_s=1030.0).played(tmp_path)
    rows = [(row.state, row.timeout_s, row.n) for row in found.lifetimes]
    assert rows == [("FIN_WAIT", 20, 8), ("FIN_WAIT", 10, 4)]
    one = by_id(found)["timeout-changed-midway"]
    assert one.severity == "info"
    assert "6.0 s: bal01: --set 0 10 0" in one.evidence  # the run began at 999
    assert "8 in FIN_WAIT under 20 s, 4 in FIN_WAIT under 10 s" in one.evidence


def test_another_change_is_no_change_of_timeouts(tmp_path: Path) -> None:
    events = [(1005.0, "sysctl-changed", "conn_reuse_mode 0")]
    found = Scene(lives=a_burst(), events=events, until_s=1030.0).played(tmp_path)
    assert "timeout-changed-midway" not in by_id(found)


# ended-early --------------------------------------------------------------------------------------


def test_drop_entry_is_named(tmp_path: Path) -> None:
    lives = [half_open(40000 + n, 1000.0 + 0.05 * n) for n in range(15)]
    lives = [removed_at(life, 1003.0 + 2.3 * n) for n, life in enumerate(lives[:10])] + lives[10:]
    facts = {"sysctl": {"drop_entry": "3"}}
    found = Scene(lives=lives, facts=facts, until_s=1070.0).played(tmp_path)
    one = by_id(found)["ended-early"]
    assert one.severity == "warning"
    assert one.title == "10 entries were removed before their timeout"
    assert "10 in SYN_RECV on bal01 (drop-entry)" in one.evidence
    assert by_id(found)["half-open"].title.startswith("5 connections")  # not those


def test_expire_nodest_conn_is_named(tmp_path: Path) -> None:
    removed = [closed(41000 + n, 1000.0 + 0.1 * n, server=SECOND) for n in range(3)]
    removed.append(opened(42000, 1000.0, server=SECOND))
    found = Scene(
        lives=a_burst() + [removed_at(life, 1005.0) for life in removed],
        facts={"sysctl": {"expire_nodest_conn": "1"}},
        events=[(1005.0, "server-removed", f"{SECOND}:80")],
        absent=[(SECOND, 1005.0, 2000.0)],
        until_s=1030.0,
    ).played(tmp_path)
    one = by_id(found)["ended-early"]
    assert one.title == "4 entries were removed before their timeout"
    assert "1 in ESTABLISHED on bal01 (expire-nodest-conn)" in one.evidence
    assert "3 in FIN_WAIT on bal01 (expire-nodest-conn)" in one.evidence


def test_a_flush_is_named(tmp_path: Path) -> None:
    lives = [removed_at(closed(40000 + n, 1000.0 + 0.5 * n), 1009.0) for n in range(12)]
    found = Scene(lives=lives, until_s=1030.0).played(tmp_path)
    one = by_id(found)["ended-early"]
    assert one.title == "12 entries were removed before their timeout"
    assert "12 in FIN_WAIT on bal01 (flush)" in one.evidence
    assert one.advice.startswith("flush: ")
    assert "drop-entry" not in one.advice
    assert "prediction-differs" not in by_id(found)


def test_entries_that_expired_in_their_time_were_not_removed_early(plain: Analysis) -> None:
    assert "ended-early" not in by_id(plain)


def test_a_port_used_again_is_no_early_end_that_an_operator_made(tmp_path: Path) -> None:
    lives = [removed_at(reset(40000, 1000.0), 1003.0), closed(40000, 1003.0, server=SECOND)]
    found = Scene(lives=lives, until_s=1030.0).played(tmp_path)
    assert [(row.state, row.cause) for row in found.ended_early] == [("CLOSE", "port-reuse")]
    assert "ended-early" not in by_id(found)


# What a report says of a decay, whole -------------------------------------------------------------


def test_a_server_that_closed_is_idle_to_a_dr_director(tmp_path: Path) -> None:
    lives = [held_by_client(40000 + n, 1000.0 + n, 30) for n in range(3)]
    found = Scene(lives=lives, facts=TCP30, until_s=1040.0).played(tmp_path)
    assert {"idle-established", "server-held-open"} <= set(by_id(found))
