"""From counters alone: recordings of a real kernel of which only the services' polls are left.

Extend this module with what else may be inferred from a log of ``ipvsadm -Ln`` and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.analyzer.test_ground_truth import NAMES, expected, meta_of, spoilt

if TYPE_CHECKING:
    from analyzer.report import Analysis

POLL_S, LONGEST_POLL_S = 0.25, 1.02  # while anything changed, and else
CLOSED = [name for name in NAMES if "client-close" in name or "removed" in name]
TCPFIN = [name for name in CLOSED if not name.startswith("nat")]
OTHERS = ["dr-client-reset", "dr-established-idle-tcp30", "nat-client-close-tcpfin10"]
OTHERS += ["nat-half-open", "nat-port-reuse", "k612-dr-port-reuse-mode2"]
MIXED = [name for name in NAMES if "mixed" in name or "changed" in name]


def counted(name: str) -> Analysis:
    return spoilt(name, "capture and entries")


@pytest.mark.parametrize("name", TCPFIN)
def test_tcpfin_is_inferred_within_a_granule_and_a_poll(name: str) -> None:
    (row,) = counted(name).lifetimes
    (group,) = [one for one in expected(name) if one["state_before_expiry"] == "FIN_WAIT"]
    assert (row.state, row.timeout_name) == ("FIN_WAIT", "tcpfin")
    measured = row.timeout_measured_s
    assert measured is not None
    tolerance_s = group["expiry_granule_s"] + POLL_S
    assert abs(measured.value - meta_of(name)["timeouts"]["tcpfin"]) <= tolerance_s
    assert measured.uncertainty <= group["expiry_granule_s"] + LONGEST_POLL_S
    assert row.n == group["n"]
    assert "tcpfin governs" in counted(name).verdict


@pytest.mark.parametrize("name", OTHERS)
def test_for_the_others_it_is_said_that_it_cannot_be_inferred(name: str) -> None:
    found = counted(name)
    assert all(row.timeout_name != "tcpfin" for row in found.lifetimes)
    assert any(gap.what.startswith("tcpfin on") for gap in found.not_measured)
    assert "tcpfin governs" not in found.verdict


@pytest.mark.parametrize("name", MIXED)
def test_of_several_timeouts_in_one_run_none_is_inferred_wrongly(name: str) -> None:
    truly = {
        (group["state_before_expiry"], group["governing_timeout"]["seconds"])
        for group in expected(name)
    }
    for row in counted(name).lifetimes:
        measured = row.timeout_measured_s
        assert measured is None or any(
            row.state == state and abs(measured.value - seconds) <= measured.uncertainty
            for state, seconds in truly
        )


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("nat-client")])
def test_nat_is_named_as_not_governed_by_tcpfin(name: str) -> None:
    found = counted(name)
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.timeout_s) == ("TIME_WAIT", "fixed", 120)
    assert "tcpfin-has-no-effect" in {finding.id for finding in found.findings}


def test_ten_seconds_may_be_a_reset_or_a_tcpfin_of_ten_and_that_is_said() -> None:
    found = counted("dr-client-close-tcpfin10")
    assert any("closed or reset" in gap.what for gap in found.not_measured)


@pytest.mark.parametrize("name", NAMES)
def test_states_and_single_lifetimes_are_said_to_be_unknown(name: str) -> None:
    found = counted(name)
    assert found.agreement == ()
    assert found.timeline.predicted == ()
    assert not found.lifetimes or any("single lifetimes" in gap.what for gap in found.not_measured)
