"""Two or more runs on one clock, with the differences in their settings and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.across_runs.difference import Difference, Tolerances, changed
from analyzer.across_runs.keepers import keepers_sentence
from analyzer.across_runs.regression import differences
from analyzer.charts.long_columns import bounds, rows_at_a_time
from analyzer.pictures.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Floats
    from analyzer.charts.curves import Curve
    from analyzer.report import Analysis

_VOLATILE = (
    *("_at_ns", "offset", "phase", "uncertainty", "boot", "packets", "dropped", "bytes"),
    *("uptime", "took", "clock", "started", "ended", "schema_version", "argv", "command_line"),
    *("not_measured", "files", "jiffies", "macs", "pid"),
)
"""Parts of manifest keys whose values differ from run to run without meaning."""

_DECISIVE = ("timeouts", "sysctl", "forwarding", "kernel", "hz", "plan")
"""Parts of keys that are listed first: a run's result depends on them."""

MOST_SETTINGS, _DEEPEST, _LONGEST = 60, 6, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInPlace:
    """One run of a comparison.

    Attributes:
        name: the last part of its directory; with a number if two runs have the same.
        burst_s: when its first request was sent, on its own timeline; 0 without requests.
    """

    name: str
    analysis: Analysis
    burst_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A key with different values in the runs' manifests; "" where a run does not have it."""

    what: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The runs, each compared with the first.

    Attributes:
        against_first: for each run after the first, its differences from it.
    """

    runs: tuple[RunInPlace, ...]
    settings: tuple[Setting, ...]
    against_first: tuple[tuple[Difference, ...], ...]
    verdict: str


def comparable(analysis: Analysis) -> Analysis:
    """An analysis without what is only on its own page, so that many fit into memory."""
    pictures = Pictures(latencies=analysis.pictures.latencies)
    return replace(analysis, traces=(), pictures=pictures)


def compare(analyses: Sequence[Analysis], tolerances: Tolerances | None = None) -> Comparison:
    """The comparison of two or more runs, each with the first.

    Args:
        analyses: at least two.
        tolerances: differences within these do not count.
    """
    runs = tuple(
        RunInPlace(name=name, analysis=analysis, burst_s=burst_start_s(analysis))
        for name, analysis in zip(_names(analyses), analyses, strict=True)
    )
    against = tuple(differences(analyses[0], analysis, tolerances) for analysis in analyses[1:])
    return Comparison(
        runs=runs,
        settings=_settings([analysis.manifest.raw for analysis in analyses]),
        against_first=against,
        verdict=_verdict(runs, against),
    )


def _names(analyses: Sequence[Analysis]) -> list[str]:
    names: list[str] = []
    for analysis in analyses:
        name = analysis.run.rstrip("/").rpartition("/")[2] or analysis.run
        again = sum(other.partition(" (")[0] == name for other in names)
        names.append(f"{name} ({again + 1})" if again else name)
    return names


def burst_start_s(analysis: Analysis) -> float:
    """When the first request was sent or, without requests, the first SYN; else the run's start."""
    timeline = analysis.timeline
    columns = rows_at_a_time(timeline.request_ended_s, timeline.total_ms)
    sent = [ends for ended_s, total_ms in columns if (ends := bounds(ended_s - total_ms / 1e3))]
    if sent:
        return min(first_s for first_s, _ in sent)
    syns = timeline.marks.get("SYN")
    return float(syns.min()) if syns is not None and len(syns) else 0.0


def held(analysis: Analysis, curves: Sequence[Curve]) -> tuple[Floats, Floats, Floats]:
    """ActiveConn and InActConn over time, summed over directors and real servers.

    Args:
        analysis: of the run.
        curves: its observed or its predicted ones.

    Returns:
        ``t_s, active, inactive``: at every instant of any curve, each curve holding its last value;
        in seconds since the burst began.
    """
    if not curves:
        none = np.zeros(0)
        return none, none, none
    t_s = np.unique(np.concatenate([curve.t_s for curve in curves]))
    sums = [
        sum(
            (_held_at(curve.t_s, getattr(curve, name), t_s) for curve in curves), np.zeros(len(t_s))
        )
        for name in ("active", "inactive")
    ]
    return t_s - burst_start_s(analysis), sums[0], sums[1]


def _held_at(t_s: Floats, values: Any, at_s: Floats) -> Floats:
    known = np.r_[0, values].astype(np.float64)
    return np.asarray(known[np.searchsorted(t_s, at_s, side="right")])


# -- settings ------------------------------------------------------------------------------------


def _settings(manifests: Sequence[Mapping[str, Any]]) -> tuple[Setting, ...]:
    flat = [dict(_leaves(manifest)) for manifest in manifests]
    keys = dict.fromkeys(key for values in flat for key in values)
    settings = [
        Setting(what=key, values=tuple(values.get(key, "") for values in flat))
        for key in keys
        if len({values.get(key, "") for values in flat}) > 1
    ]
    settings.sort(key=lambda row: not any(part in row.what for part in _DECISIVE))
    return tuple(settings[:MOST_SETTINGS])


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """A manifest's values by dotted path, without volatile and deeply nested ones."""
    if isinstance(value, Mapping) and len(path) < _DEEPEST:
        for key, item in value.items():
            if not any(part in str(key) for part in _VOLATILE):
                yield from _leaves(item, (*path, str(key)))
    elif path:
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        yield ".".join(path)[:_LONGEST], text[:_LONGEST]


# -- the verdict ---------------------------------------------------------------------------------


def _verdict(runs: Sequence[RunInPlace], against: Sequence[Sequence[Difference]]) -> str:
    first = runs[0].name
    clauses = [_clause(run.name, compared) for run, compared in zip(runs[1:], against, strict=True)]
    kept = keepers_sentence([(run.name, run.analysis) for run in runs])
    return f"Against {first}: {'; '.join(clauses)}." + (f" {kept}" if kept else "")


_NAMED = 3


def _clause(name: str, compared: Sequence[Difference]) -> str:
    differing, unknown = changed(compared), sum(row.verdict == "unknown" for row in compared)
    judged = len(compared) - unknown
    if not judged:
        return f"{name} has nothing that can be compared"
    if not differing:
        return f"{name} shows no difference in the {judged} quantities that could be judged"
    named = ", ".join(_in_words(difference) for difference in differing[:_NAMED])
    more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    return f"{name} differs in {len(differing)} of {judged} quantities: {named}{more}"


def _in_words(difference: Difference) -> str:
    assert difference.before is not None
    assert difference.after is not None
    before, after = (
        number(value, difference.unit) for value in (difference.before, difference.after)
    )
    return f"{difference.quantity} {after} (was {before})"


def number(value: float, unit: str) -> str:
    """A value of a Difference with its unit: ``30.02 s``, ``0.413 ms``, ``1,204``."""
    if unit == "s":
        return f"{value:.2f} s"
    if unit == "ms":
        return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"
    return f"{value:,.0f}"
