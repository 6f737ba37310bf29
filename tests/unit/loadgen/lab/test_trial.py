"""What a test compares: a measured time with its uncertainty, and what it says when it differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from loadgen.lab.fixture import pytest_assertrepr_compare
from loadgen.lab.trial import MeasuredTime, Run

DATA = Path(__file__).parents[3] / "data"


def measured(value_s: float, uncertainty_s: float = 0.1, granule_s: float = 0.64) -> MeasuredTime:
    return MeasuredTime(
        value_s=value_s,
        uncertainty_s=uncertainty_s,
        granule_s=granule_s,
        what="the timeout of 50 entries",
        predicted="tcpfin 30 s",
    )


@pytest.fixture(scope="module")
def run() -> Run:
    directory = DATA / "dr-burst-50"
    return Run(directory=directory, analysis=analyse(Recording.open(directory)))


def test_it_equals_what_it_cannot_be_distinguished_from() -> None:
    assert measured(30.05) == 30
    assert measured(30.74) == 30
    assert measured(30.75) != 30
    assert 29 != measured(30.05)  # noqa: SIM300 - the other way round, on purpose
    assert measured(30.05) != "30"


def test_an_inequality_is_false_only_where_no_value_makes_it_true() -> None:
    assert measured(30.05) < 30
    assert not measured(30.15) < 30
    assert measured(29.95) > 30
    assert not measured(29.85) > 30


@given(st.floats(0, 1e6), st.floats(0, 10), st.floats(0, 10), st.floats(0, 1e6))
def test_what_is_neither_above_nor_below_is_equal(
    value_s: float, uncertainty_s: float, granule_s: float, other: float
) -> None:
    one = measured(value_s, uncertainty_s, granule_s)
    assert one < other or one > other or one == other
    assert one <= other or one >= other
    assert (one == other) == (not one != other)  # noqa: SIM202 - both are asked


def test_it_is_no_key_of_a_dictionary() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(measured(30))


def test_a_recorded_run_is_compared_by_its_entries(run: Run) -> None:
    waited = run.lifetime("FIN_WAIT")
    assert waited.timeout_s == 20
    assert waited.timeout_s != 22
    assert waited.lifetime_s < 21
    assert (waited.director, waited.n, run.failed, run.inactive_peak) == ("bal01", 50, 0, 50)
    assert float(waited.timeout_s) == pytest.approx(20, abs=0.1)


def test_a_failure_shows_predicted_against_observed(run: Run) -> None:
    timeout_s = run.lifetime("FIN_WAIT").timeout_s
    shown = pytest_assertrepr_compare("==", timeout_s, 30)
    assert shown is not None
    text = "\n".join(shown)
    assert "20.02 s" in shown[0]
    assert "of 50 entries in FIN_WAIT on bal01, 50 seen to expire" in text
    assert "  observed   20.02 s" in text
    assert "  predicted  tcpfin 20 s, as configured" in text
    assert "it is off by 9.98 s" in text
    turned = pytest_assertrepr_compare(">", 30, timeout_s)
    assert turned is not None
    assert turned[0].endswith("< 30 s")
    assert pytest_assertrepr_compare("==", 1, 2) is None


def test_a_state_that_no_entry_was_timed_in_says_what_there_is(run: Run) -> None:
    with pytest.raises(
        AssertionError, match="no entry in TIME_WAIT was timed; there are 50 in FIN"
    ):
        run.lifetime("TIME_WAIT")
    with pytest.raises(AssertionError, match="no entry in FIN_WAIT on bal02 was timed"):
        run.lifetime("FIN_WAIT", "bal02")
    nothing = replace(run, analysis=replace(run.analysis, lifetimes=()))
    with pytest.raises(AssertionError, match="there are no entries"):
        nothing.lifetime("FIN_WAIT")


def test_expectations_of_the_checks_may_be_asserted_too(run: Run) -> None:
    run.check("tcpfin=20±1s", "failed=0")
    with pytest.raises(AssertionError, match=r"tcpfin=30: expected tcpfin=30, measured 20\.02 s"):
        run.check("failed=0", "tcpfin=30")
    with pytest.raises(AssertionError, match="udp=300: no entry waited for udp"):
        run.check("udp=300")
