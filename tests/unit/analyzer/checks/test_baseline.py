"""A run beside an earlier one: alike it passes; each thing that went wrong is called by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.checks.baseline import judge_against, nothing_compared, parse_tolerance
from analyzer.checks.grammar import ExpectationError
from analyzer.recording.directory import Recording
from analyzer.recording.manifest import manifest_of
from analyzer.results import Estimate, Finding
from tests.unit.analyzer.builders_packets import request_errors

if TYPE_CHECKING:
    from analyzer.checks.judge import Judgement
    from analyzer.report import Analysis

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def burst() -> Analysis:
    """Fifty requests through a director in dr, tcpfin 20."""
    return analyse(Recording.open(DATA / "dr-burst-50"))


def of(judgements: list[Judgement], outcome: str) -> dict[str, Judgement]:
    return {
        one.text.removesuffix(" as before"): one for one in judgements if one.outcome == outcome
    }


def failed(before: Analysis, after: Analysis) -> dict[str, Judgement]:
    return of(judge_against(before, after), "failed")


def with_director(analysis: Analysis, **facts: Any) -> Analysis:
    directors = analysis.manifest.raw["directors"]
    changed = {"bal01": {**directors["bal01"], **facts}}
    return replace(
        analysis,
        manifest=manifest_of({**analysis.manifest.raw, "directors": {**directors, **changed}}),
    )


def with_row(analysis: Analysis, **change: Any) -> Analysis:
    """The first real server of the first director, otherwise."""
    first, *others = analysis.timeline.peaks
    row, *rows = first.rows
    table = replace(first, rows=(replace(row, **change), *rows))
    return replace(analysis, timeline=replace(analysis.timeline, peaks=(table, *others)))


def waiting(analysis: Analysis, seconds: float) -> Analysis:
    """The same entries, which waited as long."""
    (row,) = analysis.lifetimes
    assert row.timeout_measured_s
    measured = Estimate(value=seconds, uncertainty=row.timeout_measured_s.uncertainty)
    return replace(analysis, lifetimes=(replace(row, timeout_measured_s=measured),))


def test_an_unchanged_run_passes_in_all_that_could_be_judged(burst: Analysis) -> None:
    judged = judge_against(burst, burst)
    assert {one.outcome for one in judged} == {"passed", "skipped"}
    assert {"timeout(FIN_WAIT)", "inactive_peak", "failed", "syn_retries", "connect_p50"} <= set(
        of(judged, "passed")
    )


def test_a_tcpfin_off_by_a_granule_and_a_second_is_named(burst: Analysis) -> None:
    (found,) = failed(burst, waiting(burst, 20.02 + 1.64)).values()
    assert found.text == "timeout(FIN_WAIT) as before"
    assert found.why.startswith("21.66 s, was 20.02 s: higher beyond doubt")


def test_a_timeout_that_was_lost_is_named_with_the_restart(burst: Analysis) -> None:
    boot_ns = burst.manifest.raw["directors"]["bal01"]["boot_at_ns"] + 3600 * 10**9
    after = with_director(burst, timeouts={"tcp": 900, "tcpfin": 120, "udp": 300})
    assert failed(burst, after)["configured(tcpfin, bal01)"].why == "120 s, was 20 s"
    restarted = with_director(
        burst, timeouts={"tcp": 900, "tcpfin": 120, "udp": 300}, boot_at_ns=boot_ns
    )
    (found,) = failed(burst, restarted).values()
    assert "bal01 was started at" in found.why


def test_a_restart_alone_is_no_fault(burst: Analysis) -> None:
    boot_ns = burst.manifest.raw["directors"]["bal01"]["boot_at_ns"] + 3600 * 10**9
    assert not failed(burst, with_director(burst, boot_at_ns=boot_ns))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"weight": 0}, "weight(bal01, 192.168.10.21:80)"),
        ({"forwarding": "nat"}, "forwarding(bal01, 192.168.10.2:80)"),
        ({"real_server": "192.168.10.29"}, "servers(bal01, 192.168.10.2:80)"),
    ],
)
def test_a_setting_that_changed_is_named(
    burst: Analysis, change: dict[str, Any], named: str
) -> None:
    rows = burst.timeline.peaks[0].rows
    ordered = tuple(sorted(rows, key=lambda row: row.real_server))
    first, *others = burst.timeline.peaks
    peaks = (replace(first, rows=ordered), *others)
    before = replace(burst, timeline=replace(burst.timeline, peaks=peaks))
    assert set(failed(before, with_row(before, **change))) == {named}


def test_failures_beyond_chance_are_named_and_one_alone_is_none(burst: Analysis) -> None:
    def with_failed(n: int) -> Analysis:
        return replace(burst, requests=replace(burst.requests, failed=n))

    assert set(failed(burst, with_failed(10))) == {"failed"}
    assert not failed(burst, with_failed(1))
    assert not failed(with_failed(10), burst)  # fewer is no fault


def test_errors_are_named_by_their_kind(burst: Analysis) -> None:
    """At the handshake or in the answer: it is one kind."""
    some = (request_errors("reset", 15), request_errors("reset", 10, stage="answer"))
    after = replace(burst, requests=replace(burst.requests, failed=25, succeeded=25, errors=some))
    assert set(failed(burst, after)) == {"failed", "failed(reset)"}


def test_repeated_syns_are_named(burst: Analysis) -> None:
    connect_ms = burst.timeline.connect_ms.copy()
    connect_ms[:10] = 1010.0
    slow = replace(burst, timeline=replace(burst.timeline, connect_ms=connect_ms, ordered={}))
    assert set(failed(burst, slow)) == {"syn_retries"}
    assert not failed(slow, burst)


def test_a_latency_fails_only_beyond_its_tolerance_and_upwards(burst: Analysis) -> None:
    def slower(by_ms: float) -> Analysis:
        moved = {
            name: getattr(burst.timeline, name) + by_ms for name in ("first_byte_ms", "total_ms")
        }
        return replace(burst, timeline=replace(burst.timeline, **moved, ordered={}))

    assert set(failed(burst, slower(40))) == {"first_byte_p50", "total_p50"}
    assert not failed(burst, slower(4))
    assert not failed(slower(40), burst)


def test_a_tail_fails_only_beyond_a_retransmission(burst: Analysis) -> None:
    many = np.tile(burst.timeline.total_ms, 40)

    def with_tail(ms: float) -> Analysis:
        slow = many.copy()
        slow[::20] += ms
        return replace(burst, timeline=replace(burst.timeline, total_ms=slow, ordered={}))

    before = replace(burst, timeline=replace(burst.timeline, total_ms=many, ordered={}))
    assert not failed(before, with_tail(150))
    assert set(failed(before, with_tail(400))) == {"total_p99"}


def test_another_peak_fails_either_way_unless_the_load_was_another(burst: Analysis) -> None:
    fewer = replace(
        burst, peaks=tuple(replace(row, inactive=row.inactive // 2) for row in burst.peaks)
    )
    assert set(failed(burst, fewer)) == {"inactive_peak"}
    assert set(failed(fewer, burst)) == {"inactive_peak"}
    plan = {**burst.manifest.raw["plan"], "requests": 25}
    other = replace(fewer, manifest=manifest_of({**fewer.manifest.raw, "plan": plan}))
    judged = judge_against(burst, other)
    assert of(judged, "not measured")["load"].why == "the load was another: requests 25, was 50"
    assert "inactive_peak" in of(judged, "skipped")


def test_entries_that_end_in_another_state_are_named(burst: Analysis) -> None:
    (row,) = burst.lifetimes
    after = replace(burst, lifetimes=(replace(row, state="TIME_WAIT"),))
    judged = judge_against(burst, after)
    assert set(of(judged, "failed")) == {"ended(FIN_WAIT)", "ended(TIME_WAIT)"}
    assert "timeout(FIN_WAIT)" in of(judged, "skipped")


def test_a_new_finding_about_servers_is_named_and_an_old_one_is_not(burst: Analysis) -> None:
    found = Finding(id="refused", severity="problem", title="9 refused", evidence="x", advice="y")
    after = replace(burst, findings=(*burst.findings, found))
    assert set(failed(burst, after)) == {"finding(refused)"}
    assert not failed(after, after)


def test_what_the_earlier_run_alone_measured_is_not_measured(burst: Analysis) -> None:
    blind = replace(burst, lifetimes=(), timeline=replace(burst.timeline, peaks=()))
    missing = of(judge_against(burst, blind), "not measured")
    assert {"timeout(FIN_WAIT)", "scheduler(bal01, 192.168.10.2:80)"} <= set(missing)


def test_two_runs_without_anything_in_common_compare_nothing(burst: Analysis) -> None:
    empty = replace(
        burst,
        requests=replace(burst.requests, sent=0, rate_per_s=None),
        peaks=(),
        lifetimes=(),
        findings=(),
        manifest=manifest_of({}),
        timeline=replace(
            burst.timeline,
            peaks=(),
            connect_ms=np.zeros(0),
            first_byte_ms=np.zeros(0),
            total_ms=np.zeros(0),
            ordered={},
        ),
    )
    assert nothing_compared(judge_against(empty, empty))


@pytest.mark.parametrize("text", ["", "10", "ten%", "-5%", "1e9%", "10%%"])
def test_a_tolerance_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ExpectationError, match="expected a share such as 10%"):
        parse_tolerance(text)


def test_a_tolerance_is_a_share() -> None:
    assert (parse_tolerance("10%"), parse_tolerance(" 2.5 % ")) == (0.1, 0.025)
