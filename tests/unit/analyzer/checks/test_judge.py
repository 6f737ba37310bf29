"""Expectations beside measured values: what holds, what does not, what nobody knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.checks.grammar import ExpectationError, parse_expectation
from analyzer.checks.judge import Judgement, judge, judge_all
from analyzer.checks.policy import parse_policy
from analyzer.checks.quantities import QUANTITIES, quantity_of
from analyzer.recording.directory import Recording
from analyzer.results import Estimate

if TYPE_CHECKING:
    from analyzer.report import Analysis

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def burst() -> Analysis:
    """Fifty requests through a director in dr, tcpfin 20."""
    return analyse(Recording.open(DATA / "dr-burst-50"))


def outcome(text: str, analysis: Analysis) -> str:
    return judge(parse_expectation(text), analysis).outcome


HOLDS = [
    *("tcpfin=20", "tcpfin=20±0.1s", "tcpfin(bal01)=20s", "tcpfin!=30", "tcpfin<21", "tcpfin>19"),
    *("timeout(FIN_WAIT)=20", "lifetime(FIN_WAIT)<21.5s", "state(FIN_WAIT)=100%"),
    *("state(CLOSE)=0%", "state(FIN_WAIT)>=99%", "ended_early=0", "ended_early(flush)=0"),
    *("inactive_peak<=50", "inactive_peak(bal01)=50", "active_peak<50"),
    *("forwarding=dr", "forwarding(bal01)!=nat", "scheduler=rr", "weight_zero=0"),
    *("sent=50", "succeeded=50", "failed=0", "late=0", "failed_share=0%", "rate>1/s"),
    *("syn_retries=0%", "connect_p50<1s", "connect_max<900ms", "total_p99.9<2s"),
    *("state_agreement=100%", "inactive_error=0", "expiry_error<700ms", "capture_drops=0"),
    *("finding(tcpfin-governs)=1", "finding(arp-flux)=0", "problems=0", "warnings=0"),
]


@pytest.mark.parametrize("text", HOLDS)
def test_what_is_so_holds(text: str, burst: Analysis) -> None:
    assert judge(parse_expectation(text), burst).outcome == "passed"


def test_the_table_of_what_holds_names_every_quantity_but_two() -> None:
    named = {parse_expectation(text).quantity for text in HOLDS}
    assert set(QUANTITIES) - named == {"tcp", "udp"}  # no entry of the run waited for them


@pytest.mark.parametrize(
    "text",
    [
        *("tcpfin=30±1s", "tcpfin=22", "tcpfin<19", "tcpfin!=20", "timeout(FIN_WAIT)>21s"),
        *("state(FIN_WAIT)<99%", "ended_early>0", "inactive_peak<50", "forwarding=nat"),
        *("scheduler=wlc", "weight_zero=1", "sent=49", "failed>0", "rate<1/s", "connect_p50>1s"),
        *("state_agreement<100%", "capture_drops>0", "finding(tcpfin-governs)=0", "problems>0"),
        *("succeeded<50", "late>0", "failed_share>0%", "syn_retries>0%", "active_peak>50"),
        *("lifetime(FIN_WAIT)>30s", "expiry_error>5s", "inactive_error>0", "warnings>0"),
    ],
)
def test_what_is_not_so_fails_and_says_what_was_measured(text: str, burst: Analysis) -> None:
    found = judge(parse_expectation(text), burst)
    assert found.outcome == "failed"
    assert found.why.startswith(f"expected {text}, measured {found.measured}")


@pytest.mark.parametrize("text", ["tcp=900", "udp=300", "tcpfin(bal09)=20", "inactive_peak(x)<9"])
def test_what_was_not_measured_never_passes(text: str, burst: Analysis) -> None:
    found = judge(parse_expectation(text), burst)
    assert found.outcome == "not measured"
    assert found.why


def test_without_requests_their_quantities_are_not_measured(burst: Analysis) -> None:
    idle = replace(burst, requests=replace(burst.requests, sent=0, rate_per_s=None))
    for text in ("failed=0", "sent=0", "failed_share=0%", "syn_retries=0%", "rate>1/s"):
        assert outcome(text, idle) == "not measured"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tcpfim=30", "no quantity 'tcpfim'; there are tcp, tcpfin"),
        ("state>99%", "expected state(state [, director])"),
        ("failed(bal01)=0", "expected only failed"),
        ("state(FINWAIT)=0%", "'FINWAIT' is none of"),
        ("finding(arp-fluks)=0", "'arp-fluks' is none of"),
        ("ended_early(bored)=0", "'bored' is none of"),
        ("connect_p99<50", "connect_p99 takes a time with its unit such as 50ms"),
        ("failed=0%", "failed takes a plain number"),
        ("tcpfin=30%", "tcpfin takes a time"),
        ("tcpfin=30±1/s", "tcpfin takes a time"),
        ("forwarding=1", "forwarding takes a word"),
        ("tcpfin=dr", "tcpfin takes a time"),
    ],
)
def test_what_nobody_could_know_is_refused(text: str, said: str, burst: Analysis) -> None:
    with pytest.raises(ExpectationError) as caught:
        judge_all([parse_expectation("failed=0"), parse_expectation(text)], burst)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("measured_s", "uncertainty_s", "text", "expected"),
    [
        (31.2, 0.3, "tcpfin=30±1s", "passed"),  # within the tolerance, as far as is known
        (31.4, 0.3, "tcpfin=30±1s", "failed"),
        (30.6, 0.0, "tcpfin=30", "passed"),  # less than a granule off
        (30.7, 0.0, "tcpfin=30", "failed"),
        (30.3, 0.4, "tcpfin<=30", "passed"),  # it may be 30
        (30.5, 0.4, "tcpfin<=30", "failed"),
        (31.4, 0.0, "tcpfin=30±5%", "passed"),
        (31.6, 0.0, "tcpfin=30±5%", "failed"),
    ],
)
def test_doubt_about_a_value_is_never_a_failure(
    measured_s: float, uncertainty_s: float, text: str, expected: str, burst: Analysis
) -> None:
    estimate = Estimate(value=measured_s, uncertainty=uncertainty_s)
    row = replace(burst.lifetimes[0], timeout_measured_s=estimate, granule_s=0.64)
    assert outcome(text, replace(burst, lifetimes=(row,))) == expected


def test_one_director_that_differs_is_enough(burst: Analysis) -> None:
    row = burst.lifetimes[0]
    other = replace(
        row, director="bal02", timeout_measured_s=Estimate(value=120.0, uncertainty=0.1)
    )
    found = judge(parse_expectation("tcpfin=20"), replace(burst, lifetimes=(row, other)))
    assert found.outcome == "failed"
    assert "bal02" in found.why


def test_a_connection_that_was_never_made_counts_as_a_repeated_syn(burst: Analysis) -> None:
    connect_ms = burst.timeline.connect_ms.copy()
    connect_ms[:3] = (1003.0, np.nan, 3100.0)
    slow = replace(burst, timeline=replace(burst.timeline, connect_ms=connect_ms, ordered={}))
    assert judge(parse_expectation("syn_retries<=2%"), slow).measured == "6.00% of 50"


@pytest.mark.parametrize(
    "name", ["connect_p100", "connect_p", "dns_p50", "connect_mean", "p99", "connect_p99.1234"]
)
def test_only_latencies_that_can_be_are_known(name: str) -> None:
    assert quantity_of(name) is None


POLICY = """
tolerance = "10%"
[[expect]]
that = "tcpfin=20±1s"
name = "forgets after 20 s"
note = "OPS-112"
[[expect]]
that = "failed=0"
"""


def test_a_policy_gives_expectations_with_their_names(burst: Analysis) -> None:
    policy = parse_policy(POLICY, "policy.toml")
    judged: list[Judgement] = judge_all(policy.expectations, burst)
    assert [one.title for one in judged] == ["forgets after 20 s", "failed=0"]
    assert (judged[0].note, policy.tolerance) == ("OPS-112", "10%")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("expect", "p.toml: no TOML"),
        ("expext = []", "p.toml: no key 'expext'; expected expect, tolerance"),
        ("expect = 3", "expected up to 1000 tables"),
        ("tolerance = 3", "tolerance: expected a text"),
        ('[[expect]]\nname = "x"', "[[expect]] 1: no expectation"),
        ("[[expect]]\nthat = 3", "[[expect]] 1: that: expected a text, not 3"),
        ('[[expect]]\nthat = "a<"', "[[expect]] 1: expectation 'a<': not understood"),
        ('[[expect]]\nthat = "failed=0"\nwhy = "x"', "[[expect]] 1: no key 'why'"),
    ],
)
def test_a_policy_that_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ExpectationError) as caught:
        parse_policy(text, "p.toml")
    assert said in str(caught.value)
