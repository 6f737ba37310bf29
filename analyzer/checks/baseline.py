"""Judgement of a run against an earlier one: settings, measurements, findings.

Settings are compared as texts, measurements by the tests of ``analyzer.across_runs.regression``,
and new findings are reported by their ids. A lower latency or fewer failures never fail. What two
runs cannot show is skipped, with the reason; what only the earlier run measured is ``not
measured``, which is never a pass.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.across_runs.compare import number
from analyzer.across_runs.difference import Difference, Tolerances
from analyzer.across_runs.regression import count_difference, differences
from analyzer.checks.grammar import ExpectationError
from analyzer.checks.judge import Judgement
from analyzer.checks.readings import SLOW_CONNECT_MS
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from analyzer.report import Analysis
    from analyzer.results import ServiceTable

DEFAULT_TOLERANCE = 0.10
MEDIAN_FLOOR_MS, TAIL_FLOOR_MS = 20.0, 200.0
"""Growth of a latency that never counts. Scheduling on a busy machine moves a median by as much;
a tail within the shortest retransmission timeout (Linux' TCP_RTO_MIN) has no lost packet in it. A
specific bound belongs in an expectation: ``connect_p99<50ms``."""
BETWEEN_POLLS_S = 1.0
RESTARTED_S = 5.0
"""The largest difference between two measurements of one boot's time."""

WORSE_IF_HIGHER = re.compile(
    r"failed(\(.*\))?|late|ended_early|syn_retries|(connect|first_byte|total)_.+"
)
JUDGED_FINDINGS = frozenset(
    {
        *("arp-flux", "ended-early", "half-open", "imbalance", "port-reuse-delay", "refused"),
        *("removed-server-entries", "server-held-open", "tcpfin-has-no-effect"),
        "weight-zero-still-served",
    }
)
"""Findings about directors and servers that fail a comparison."""

_PERCENT = re.compile(r"(\d{1,4}(?:\.\d{1,6})?) ?%")
_NOT_THE_LOAD = frozenset({"target", "why"})
_SHOWN = 3


def parse_tolerance(text: str) -> float:
    """Parse a tolerance such as ``10%``, as a share.

    Raises:
        ExpectationError: the text is no tolerance.
    """
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise ExpectationError(f"tolerance {text!r}: expected a share such as 10%")
    return float(match[1]) / 100


def judge_against(
    baseline: Analysis, analysis: Analysis, tolerance: float = DEFAULT_TOLERANCE
) -> list[Judgement]:
    """Judge a run against an earlier run of the same load.

    Args:
        baseline: the run to compare with.
        analysis: the run that is judged.
        tolerance: of peaks and latencies, as a share. A timeout may differ by its uncertainty
            and 0.1 s, a count by what chance explains.
    """
    return [
        *_load(baseline, analysis),
        *_settings(baseline, analysis),
        *_measured(baseline, analysis, tolerance),
        *_findings(baseline, analysis),
    ]


# -- what was sent -------------------------------------------------------------------------------


def _load(baseline: Analysis, analysis: Analysis) -> Iterator[Judgement]:
    """Judgements of the load, only if it was interrupted or another one."""
    for run, which in ((analysis, "this run"), (baseline, "the baseline")):
        if run.ending is not None and not run.ending.load_is_whole:
            why = f"{which} was {run.ending.text}"
            yield Judgement(text="load as before", outcome="not measured", why=why)
    other = _other_plan(baseline, analysis)
    if other:
        why = f"the load was another: {', '.join(other[:_SHOWN])}"
        yield Judgement(text="load as before", outcome="not measured", why=why)


def _other_plan(baseline: Analysis, analysis: Analysis) -> list[str]:
    before, after = (run.manifest.raw.get("plan") or {} for run in (baseline, analysis))
    keys = [key for key in {**before, **after} if key not in _NOT_THE_LOAD]
    return [
        f"{key} {after.get(key)}, was {before.get(key)}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


# -- what was set --------------------------------------------------------------------------------


def _settings(baseline: Analysis, analysis: Analysis) -> Iterator[Judgement]:
    before, after = (dict(_set_in(run)) for run in (baseline, analysis))
    restarts = _restarts(baseline, analysis)
    for key in before:
        if key in after:
            yield _setting(key, before[key], after[key], restarts)
        elif not key.startswith("weight("):  # servers(...) lists what was removed
            why = f"was {before[key]}; this run did not see it"
            yield Judgement(text=f"{key} as before", outcome="not measured", why=why)


def _set_in(analysis: Analysis) -> Iterator[tuple[str, str]]:
    yield from _timeouts_set(analysis)
    for table in analysis.timeline.peaks:
        yield from _of_table(table)


def _setting(key: str, before: str, after: str, restarts: Mapping[str, str]) -> Judgement:
    text = f"{key} as before"
    if before == after:
        return Judgement(text=text, outcome="passed", measured=after)
    text_of_change = f"{after}, was {before}"
    text_of_change += "".join(
        f"; {why}" for name, why in restarts.items() if _is_timeout_of(key, name)
    )
    return Judgement(text=text, outcome="failed", measured=text_of_change, why=text_of_change)


def _is_timeout_of(key: str, director: str) -> bool:
    return key.startswith("configured") and key.endswith(f", {director})")


def _timeouts_set(analysis: Analysis) -> Iterator[tuple[str, str]]:
    """The timeouts in force on each director, as it reported them."""
    for director, facts in analysis.manifest.directors.items():
        for name, seconds in (asdict(facts.timeouts) if facts.timeouts else {}).items():
            yield f"configured({name}, {director})", f"{seconds:g} s"


def _of_table(table: ServiceTable) -> Iterator[tuple[str, str]]:
    where = f"{table.director}, {table.vip}:{table.port}"
    rows = sorted(table.rows, key=lambda row: (row.real_server, row.real_port))
    names = [f"{row.real_server}:{row.real_port}" for row in rows]
    yield f"scheduler({where})", table.scheduler
    yield f"servers({where})", ", ".join(names) or "none"
    yield f"forwarding({where})", ", ".join(sorted({row.forwarding for row in rows})) or "none"
    for name, row in zip(names, rows, strict=True):
        yield f"weight({table.director}, {name})", str(row.weight)


def _restarts(baseline: Analysis, analysis: Analysis) -> dict[str, str]:
    """Directors that booted between the runs, with the time."""
    booted = dict(_boots(baseline))
    return {
        name: f"{name} was started at {_clock(at_ns)}, after the earlier run"
        for name, at_ns in _boots(analysis)
        if name in booted and at_ns - booted[name] > RESTARTED_S * NS_PER_S
    }


def _boots(analysis: Analysis) -> Iterator[tuple[str, int]]:
    for name, facts in analysis.manifest.directors.items():
        if facts.boot_at_ns is not None:
            yield name, facts.boot_at_ns


def _clock(at_ns: int) -> str:
    return f"{np.datetime64(at_ns // NS_PER_S, 's')} UTC"


# -- what was measured ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    before: Analysis
    after: Analysis
    same_load: bool


def _measured(baseline: Analysis, analysis: Analysis, tolerance: float) -> Iterator[Judgement]:
    pair = _Pair(before=baseline, after=analysis, same_load=not _other_plan(baseline, analysis))
    allowed = Tolerances(
        latency_share=tolerance,
        latency_ms=MEDIAN_FLOOR_MS,
        peak_share=tolerance + _rate_difference(baseline, analysis),
    )
    for difference in (
        *differences(baseline, analysis, allowed),
        *_more_counts(baseline, analysis),
    ):
        yield _judgement(_of_tail(difference), pair)


def _of_tail(difference: Difference) -> Difference:
    """A difference, within the wider tolerance of tails if it is one."""
    if difference.unit != "ms" or difference.quantity.endswith("_p50") or difference.low is None:
        return difference
    tolerance = max(difference.tolerance, TAIL_FLOOR_MS)
    alike = difference.verdict == "higher" and difference.low <= tolerance
    return replace(
        difference, tolerance=tolerance, verdict="alike" if alike else difference.verdict
    )


def _rate_difference(baseline: Analysis, analysis: Analysis) -> float:
    """The relative difference of the rates of the two runs."""
    before, after = baseline.requests.rate_per_s, analysis.requests.rate_per_s
    return abs(after / before - 1) if before and after else 0.0


def _more_counts(baseline: Analysis, analysis: Analysis) -> Iterator[Difference]:
    pair = (baseline, analysis)
    slow = [_syn_retries(run) for run in pair]
    if all(whole for _, whole in slow):
        yield count_difference("syn_retries", slow[0], slow[1])
    errors = [_errors_by_kind(run) for run in pair]
    for kind in errors[0] | errors[1] if all(run.requests.sent for run in pair) else ():
        counts = [(kinds[kind], run.requests.sent) for kinds, run in zip(errors, pair, strict=True)]
        yield count_difference(f"failed({kind})", counts[0], counts[1])
    early = [_ended_early(run) for run in pair]
    if all(whole for _, whole in early):
        yield count_difference("ended_early", early[0], early[1])


def _errors_by_kind(analysis: Analysis) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in analysis.requests.errors:
        counts[row.kind] += row.n
    return counts


def _syn_retries(analysis: Analysis) -> tuple[int, int]:
    """Connections with a retransmitted SYN, and all connections made."""
    made = analysis.timeline.latency("connect_ms")
    return len(made) - made.below(SLOW_CONNECT_MS), len(made)


def _ended_early(analysis: Analysis) -> tuple[int, int]:
    early = sum(row.n for row in analysis.ended_early)
    return early, early + sum(row.n for row in analysis.lifetimes)


def _judgement(difference: Difference, pair: _Pair) -> Judgement:
    text = f"{difference.quantity} as before"
    skipped = _why_skipped(difference, pair)
    if skipped:
        return Judgement(text=text, outcome="skipped", why=skipped)
    if difference.before is None or difference.after is None or difference.verdict == "unknown":
        why = f"was {_value(difference.before, difference)}; {difference.by}"
        return Judgement(text=text, outcome="not measured", why=why)
    measured = (
        f"{_value(difference.after, difference)}, was {_value(difference.before, difference)}"
    )
    bad = difference.verdict != "alike" and not (
        difference.verdict == "lower" and WORSE_IF_HIGHER.fullmatch(difference.quantity)
    )
    why = (
        f"{measured}: {difference.verdict} beyond doubt ({difference.by}{_allowed(difference)})"
        if bad
        else ""
    )
    return Judgement(text=text, outcome="failed" if bad else "passed", measured=measured, why=why)


def _why_skipped(difference: Difference, pair: _Pair) -> str:
    if difference.before is None:
        return "the earlier run does not know it"
    if difference.verdict == "unknown" and difference.after is not None:
        return difference.by
    if (
        difference.quantity.startswith("timeout(")
        and difference.after is None
        and pair.after.lifetimes
    ):
        state = difference.quantity.removeprefix("timeout(").removesuffix(")")
        if all(row.state != state for row in pair.after.lifetimes):
            return f"no entry ended so; ended({state}) tells"
    if difference.quantity == "active_peak" and difference.after is not None and _brief(pair):
        return "connections as short as these are met by a poll by chance"
    if difference.quantity.endswith("_peak") and not pair.same_load:
        return "the load was another"
    return ""


def _brief(pair: _Pair) -> bool:
    """Whether connections were open for a shorter time than the polls need to see all."""
    return not any(
        row.counted == "active" for run in (pair.before, pair.after) for row in run.lifetimes
    ) and all(
        run.requests.total_ms is None or run.requests.total_ms.p50 < BETWEEN_POLLS_S * 1e3
        for run in (pair.before, pair.after)
    )


def _value(value: float | None, difference: Difference) -> str:
    return "not known" if value is None else number(value, difference.unit)


def _allowed(difference: Difference) -> str:
    return (
        f", {number(difference.tolerance, difference.unit)} allowed" if difference.tolerance else ""
    )


# -- what was found ------------------------------------------------------------------------------


def _findings(baseline: Analysis, analysis: Analysis) -> Iterator[Judgement]:
    """The findings that the earlier run did not have."""
    known = {finding.id for finding in baseline.findings if finding.severity != "info"}
    for finding in analysis.findings:
        if finding.id in JUDGED_FINDINGS and finding.severity != "info" and finding.id not in known:
            why = f"{finding.title}. {finding.evidence}"
            text = f"finding({finding.id}) as before"
            yield Judgement(text=text, outcome="failed", measured=finding.title, why=why)


def nothing_compared(judgements: Iterable[Judgement]) -> bool:
    """Whether the two runs had nothing that could be judged."""
    return all(judgement.outcome == "skipped" for judgement in judgements)
