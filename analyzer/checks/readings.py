"""Where each quantity is read in an analysis.

A reader gives a Reading for each director or group that its quantity was measured on. What was not
measured raises, with the reason: it never passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from analyzer.errors import AnalyzerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analyzer.results import Agreement, Analysis, EndedEarly, Lifetime

SLOW_CONNECT_MS = 900.0
"""A SYN that got lost is repeated after 1 s (RFC 6298, section 2.1); nothing else takes as long."""


class NotMeasuredError(AnalyzerError):
    """The run does not know the quantity; the line says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured value.

    Attributes:
        value: in seconds, as a share of 1, per second, a count, or a word.
        where: the director or group; "" for the run as a whole.
        uncertainty: the value is known to within this.
        slack: what ``=`` allows without a tolerance of its own.
        n: of how many it was measured, where that is a number worth knowing.
        final: nothing that follows can change it.
    """

    value: float | str
    where: str = ""
    uncertainty: float = 0.0
    slack: float = 0.0
    n: int | None = None
    final: bool = False


Read: TypeAlias = "Callable[[Analysis, tuple[str, ...]], list[Reading]]"
"""Takes the analysis and the arguments in the quantity's parentheses."""


# -- timeouts and entries ------------------------------------------------------------------------


def timeout(name: str) -> Read:
    """What entries that waited for a named timeout measure of it."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        rows = _on(arguments, (row for row in analysis.lifetimes if row.timeout_name == name))
        return _timeouts_of(rows, f"no entry waited for {name}", analysis)

    return read


def timeout_of_state(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """What entries that ended in a state waited."""
    rows = _of_state(analysis, arguments)
    return _timeouts_of(rows, f"no entry ended in {arguments[0]}", analysis)


def _timeouts_of(rows: Sequence[Lifetime], why_none: str, analysis: Analysis) -> list[Reading]:
    if not rows:
        raise NotMeasuredError(_because(analysis, why_none))
    known = [row for row in rows if row.timeout_measured_s]
    if not known:
        raise NotMeasuredError(_because(analysis, "no entry was seen from its packets to its end"))
    return [
        Reading(
            value=row.timeout_measured_s.value,
            where=f"{row.director} {row.state}",
            uncertainty=row.timeout_measured_s.uncertainty,
            slack=row.granule_s or 0.0,
            n=row.n_expired,
        )
        for row in known
        if row.timeout_measured_s
    ]


def lifetime_of_state(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """How long entries that ended in a state lived."""
    readings = [
        Reading(
            value=row.lifetime_s.mean,
            where=f"{row.director} {row.state}",
            uncertainty=row.lifetime_s.uncertainty,
            slack=row.granule_s or 0.0,
            n=row.n_expired,
        )
        for row in _of_state(analysis, arguments)
        if row.lifetime_s
    ]
    if not readings:
        why = f"no entry that ended in {arguments[0]} was seen to go"
        raise NotMeasuredError(_because(analysis, why))
    return readings


def state_share(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """Entries that ended in the state, of all that ended in one: expired, or closed early."""
    state, *directors = arguments
    counted: dict[str, Counter[str]] = {}
    ended: list[Lifetime | EndedEarly] = [*analysis.lifetimes, *analysis.ended_early]
    for row in ended:
        counted.setdefault(row.director, Counter())[row.state] += row.n
    readings = [
        Reading(value=states[state] / states.total(), where=director, n=states.total())
        for director, states in counted.items()
        if states.total() and (not directors or director in directors)
    ]
    if not readings:
        raise NotMeasuredError(_because(analysis, "no entries were seen or predicted"))
    return readings


def ended_early(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """Entries that went before their time, of one cause or of any."""
    if not analysis.lifetimes and not analysis.ended_early:
        raise NotMeasuredError(_because(analysis, "no entries were seen or predicted"))
    rows = [row for row in analysis.ended_early if not arguments or row.cause == arguments[0]]
    return [Reading(value=sum(row.n for row in rows))]


# -- counters ------------------------------------------------------------------------------------


def peak(counted: str) -> Read:
    """The highest ``active`` or ``inactive`` of a director, or of all together."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        wanted = arguments[0] if arguments else None
        rows = [row for row in analysis.peaks if row.director == wanted]
        if not rows:
            raise NotMeasuredError(_because(analysis, _unknown_director(wanted, analysis)))
        return [Reading(value=getattr(rows[0], counted), where=wanted or "")]

    return read


def servers(what: str) -> Read:
    """A word of every real server at the peak, or how many have weight 0."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        tables = [one for one in analysis.timeline.peaks if _wanted(one.director, arguments)]
        if not any(table.rows for table in tables):
            raise NotMeasuredError(_because(analysis, "no poll showed a real server"))
        if what == "scheduler":
            return [Reading(value=table.scheduler, where=table.director) for table in tables]
        if what == "weight_zero":
            return [
                Reading(value=sum(row.weight == 0 for row in table.rows), where=table.director)
                for table in tables
            ]
        return [
            Reading(value=row.forwarding, where=f"{table.director} {row.real_server}")
            for table in tables
            for row in table.rows
        ]

    return read


# -- requests ------------------------------------------------------------------------------------


def count(name: str) -> Read:
    """One of the counts of requests."""

    def read(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
        _require_requests(analysis)
        return [Reading(value=getattr(analysis.requests, name), n=analysis.requests.sent)]

    return read


def failed_share(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """Of the requests, those that failed."""
    _require_requests(analysis)
    sent = analysis.requests.sent
    return [Reading(value=analysis.requests.failed / sent, n=sent)]


def rate(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """Requests a second."""
    if analysis.requests.rate_per_s is None:
        raise NotMeasuredError("no requests were sent")
    return [Reading(value=analysis.requests.rate_per_s)]


def syn_retries(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """Connections that took so long that their SYN must have been repeated, or never came."""
    _require_requests(analysis)
    connect_ms = analysis.timeline.connect_ms
    slow = int(np.count_nonzero(~(connect_ms < SLOW_CONNECT_MS)))
    return [Reading(value=slow / len(connect_ms), n=len(connect_ms))]


def latency(stage: str, point: str) -> Read:
    """A percentile, as ``p99``, or the ``max`` of a stage of requests."""

    def read(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
        all_ms = getattr(analysis.timeline, f"{stage}_ms")
        known_ms = all_ms[np.isfinite(all_ms)]
        if not known_ms.size:
            raise NotMeasuredError("no request got that far")
        percent = 100.0 if point == "max" else float(point[1:])
        return [Reading(value=float(np.percentile(known_ms, percent)) / 1e3, n=known_ms.size)]

    return read


def _require_requests(analysis: Analysis) -> None:
    if not analysis.requests.sent:
        raise NotMeasuredError("no requests were sent")


# -- the measurement itself ----------------------------------------------------------------------


def agreement(value: Callable[[Agreement], float | None]) -> Read:
    """Something of how prediction and observation agree, of each director."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        rows = [row for row in analysis.agreement if _wanted(row.director, arguments)]
        found = [(row.director, value(row)) for row in rows]
        readings = [Reading(value=one, where=where) for where, one in found if one is not None]
        if not readings:
            why = "prediction and observation could not be compared"
            raise NotMeasuredError(_because(analysis, why))
        return readings

    return read


def state_agreement(row: Agreement) -> float | None:
    """The share of polled states that were predicted; None where none was polled."""
    return row.state_matches / row.state_samples if row.state_samples else None


def capture_drops(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """Packets that the capture missed."""
    dropped = (analysis.manifest.get("capture") or {}).get("dropped")
    if not isinstance(dropped, int):
        raise NotMeasuredError(_because(analysis, "nothing counted what the capture dropped"))
    return [Reading(value=dropped)]


def finding(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """Whether the report has the finding."""
    has = any(one.id == arguments[0] for one in analysis.findings)
    return [Reading(value=int(has), final=has)]


def findings(severity: str) -> Read:
    """How many findings have the severity."""

    def read(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
        return [Reading(value=sum(one.severity == severity for one in analysis.findings))]

    return read


# -- shared --------------------------------------------------------------------------------------


def _wanted(director: str, arguments: tuple[str, ...]) -> bool:
    return not arguments or director in arguments


def _on(arguments: tuple[str, ...], rows: Iterable[Lifetime]) -> list[Lifetime]:
    return [row for row in rows if _wanted(row.director, arguments)]


def _of_state(analysis: Analysis, arguments: tuple[str, ...]) -> list[Lifetime]:
    state, *directors = arguments
    return _on(tuple(directors), (row for row in analysis.lifetimes if row.state == state))


def _unknown_director(wanted: str | None, analysis: Analysis) -> str:
    names = ", ".join(row.director for row in analysis.peaks if row.director)
    return f"no polls of {wanted}; there are {names or 'none'}" if wanted else "nothing was polled"


def _because(analysis: Analysis, why: str) -> str:
    """The reason, and what the run itself says of it."""
    said = "; ".join(f"{row.what}: {row.why}" for row in analysis.not_measured[:3])
    return f"{why} ({said})" if said else why
