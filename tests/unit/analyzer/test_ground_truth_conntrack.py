"""Recordings of real kernels that translate by nftables or iptables, predicted entry by entry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.evidence.gather import gather
from analyzer.findings.figures import agrees
from analyzer.measure_netfilter import measure_netfilter
from analyzer.recording.directory import Recording

if TYPE_CHECKING:
    from analyzer.report import Analysis

DATA = Path(__file__).parents[2] / "data"
NAMES = sorted(path.name for path in DATA.glob("conntrack-*"))
OUTSIDE = "conntrack-outside-window"
GOVERNING = {
    "conntrack-client-close": ("TIME_WAIT", "nf_conntrack_tcp_timeout_time_wait", 7),
    "conntrack-reset": ("CLOSE", "nf_conntrack_tcp_timeout_close", 3),
    "conntrack-silent": ("ESTABLISHED", "nf_conntrack_tcp_timeout_established", 14),
    "conntrack-no-answer": ("SYN_SENT", "nf_conntrack_tcp_timeout_syn_sent", 6),
    "conntrack-udp": ("REPLIED", "nf_conntrack_udp_timeout", 5),
    "conntrack-k61-mix": ("CLOSE", "nf_conntrack_tcp_timeout_close", 3),
}


def analysed(name: str) -> Analysis:
    return analyse(Recording.open(DATA / name))


@pytest.mark.parametrize("name", NAMES)
def test_every_state_at_every_poll_and_every_expiry_is_the_predicted_one(name: str) -> None:
    found = analysed(name)
    (agreed,) = found.agreement
    assert agreed.state_matches == agreed.state_samples > 0
    assert agreed.residuals.keys() <= {"poll", "clock"}
    assert sum(agreed.residuals.values()) >= sum(row.n_expired for row in found.lifetimes) > 0
    assert agreed.inactive_max_error in (0, None)
    assert "prediction-differs" not in {finding.id for finding in found.findings}


@pytest.mark.parametrize("name", NAMES)
def test_every_timeout_is_measured_in_agreement_with_its_sysctl(name: str) -> None:
    rows = analysed(name).lifetimes
    assert rows
    assert [row.state for row in rows if row.timeout_source != "sysctl"] == []
    assert [row.state for row in rows if row.n_expired and agrees(row) is not True] == []


@pytest.mark.parametrize(("name", "expected"), GOVERNING.items())
def test_the_largest_group_waits_the_sysctl_of_its_state(
    name: str, expected: tuple[str, str, float]
) -> None:
    row = analysed(name).lifetimes[0]
    assert (row.state, row.timeout_name, row.timeout_s) == expected


@pytest.mark.parametrize("name", ["conntrack-port-reuse", "conntrack-k61-port-reuse"])
def test_a_port_that_comes_back_in_time_wait_makes_a_new_entry(name: str) -> None:
    (early,) = analysed(name).ended_early
    assert (early.state, early.cause, early.n) == ("TIME_WAIT", "port-reuse", 4)


def outside(name: str) -> list[bool]:
    """Of each client's packet outside of its window whether it was INVALID."""
    evidence = gather(Recording.open(DATA / name))
    (director,) = evidence.directors
    assert director.conntrack_settings is not None
    result = measure_netfilter(director, director.conntrack_settings, evidence, [])
    assert result.prediction is not None
    assert result.prediction.outside is not None
    invalid: list[bool] = result.prediction.outside["invalid"].tolist()
    return invalid


def test_packets_outside_of_their_windows_are_told_from_those_in_them() -> None:
    assert outside("conntrack-windows") == [False, True, True, True, True]
    assert outside("conntrack-liberal") == []
    assert outside("conntrack-mix") == []


def test_packets_outside_of_their_windows_are_a_finding() -> None:
    found = [each for each in analysed("conntrack-windows").findings if each.id == OUTSIDE]
    (finding,) = found
    assert finding.severity == "warning"
    assert "5, 4 of them INVALID" in finding.evidence
    assert OUTSIDE not in {each.id for each in analysed("conntrack-liberal").findings}


def test_a_refused_connection_leaves_no_entry_for_any_poll_to_see() -> None:
    found = analysed("conntrack-refused")
    (early,) = found.ended_early
    assert (early.state, early.cause, early.n) == ("CLOSE", "refused", 3)
    (agreed,) = found.agreement
    assert (agreed.entries_observed, agreed.entries_predicted) == (3, 6)
