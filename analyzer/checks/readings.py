"""Functions that read quantities from an analysis.

A reader returns a Reading for each director or group with the quantity. If it was not measured, it
raises NotMeasuredError with the reason, which never passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from analyzer.errors import AnalyzerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analyzer.report import Analysis
    from analyzer.results import Agreement, EndedEarly, Lifetime

SLOW_CONNECT_MS = 900.0
"""A lost SYN is retransmitted after 1 s (RFC 6298, section 2.1); nothing else takes as long."""


class NotMeasuredError(AnalyzerError):
    """The run did not measure the quantity; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured value.

    Attributes:
        value: in seconds, as a share of 1, per second, a count, or a word.
        where: the director or group; "" for the run as a whole.
        uncertainty: the value is known to within this.
        slack: the tolerance of ``=`` if the expectation has none.
        n: number of cases it was measured on, if useful.
        final: the rest of the run cannot change it.
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
    """A reader of a timeout, as measured by the entries that waited for it."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        rows = _on(arguments, (row for row in analysis.lifetimes if row.timeout_name == name))
        return _timeouts_of(rows, f"no entry waited for {name}", analysis)

    return read


def timeout_of_state(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """The timeout of entries that ended in a state, as measured."""
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
    """The lifetime of entries that ended in a state."""
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
        why = f"no entry that ended in {arguments[0]} was seen to expire"
        raise NotMeasuredError(_because(analysis, why))
    return readings


def state_share(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """The share of entries that ended in the state, by timeout or early."""
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
    """Number of entries removed before their timeout, for one cause or all."""
    if not analysis.lifetimes and not analysis.ended_early:
        raise NotMeasuredError(_because(analysis, "no entries were seen or predicted"))
    rows = [row for row in analysis.ended_early if not arguments or row.cause == arguments[0]]
    return [Reading(value=sum(row.n for row in rows))]


# -- counters ------------------------------------------------------------------------------------


def peak(counted: str) -> Read:
    """A reader of the highest ``active`` or ``inactive`` of a director, or of all together."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        expected = arguments[0] if arguments else None
        rows = [row for row in analysis.peaks if row.director == expected]
        if not rows:
            raise NotMeasuredError(_because(analysis, _unknown_director(expected, analysis)))
        return [Reading(value=getattr(rows[0], counted), where=expected or "")]

    return read


def servers(what: str) -> Read:
    """A reader of a property of the real servers at the peak, or of how many have weight 0."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        tables = [
            table for table in analysis.timeline.peaks if _is_chosen(table.director, arguments)
        ]
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
    """A reader of a count of requests."""

    def read(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
        _require_requests(analysis)
        return [Reading(value=getattr(analysis.requests, name), n=analysis.requests.sent)]

    return read


def failed_share(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """The share of the requests that failed."""
    _require_requests(analysis)
    sent = analysis.requests.sent
    return [Reading(value=analysis.requests.failed / sent, n=sent)]


def rate(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """Requests per second."""
    if analysis.requests.rate_per_s is None:
        raise NotMeasuredError("no requests were sent")
    return [Reading(value=analysis.requests.rate_per_s)]


def syn_retries(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """The share of connections with a retransmitted SYN, or that were never made."""
    _require_requests(analysis)
    timeline = analysis.timeline
    asked = len(timeline.connect_ms) - analysis.requests.reused
    if asked <= 0:
        raise NotMeasuredError("no connection was begun")
    slow = asked - timeline.latency("connect_ms").below(SLOW_CONNECT_MS)
    return [Reading(value=slow / asked, n=asked)]


def latency(stage: str, point: str) -> Read:
    """A reader of a percentile, as ``p99``, or the ``max`` of a latency."""

    def read(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
        known_ms = analysis.timeline.latency(f"{stage}_ms")
        if not len(known_ms):
            raise NotMeasuredError("no request got that far")
        percent = 100.0 if point == "max" else float(point[1:])
        return [Reading(value=known_ms.quantile(percent / 100) / 1e3, n=len(known_ms))]

    return read


def _require_requests(analysis: Analysis) -> None:
    if not analysis.requests.sent:
        raise NotMeasuredError("no requests were sent")


# -- the measurement itself ----------------------------------------------------------------------


def agreement(value: Callable[[Agreement], float | None]) -> Read:
    """A reader of a measure of the agreement of prediction and observation."""

    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        rows = [row for row in analysis.agreement if _is_chosen(row.director, arguments)]
        values = [(row.director, value(row)) for row in rows]
        readings = [
            Reading(value=number, where=where) for where, number in values if number is not None
        ]
        if not readings:
            why = "prediction and observation could not be compared"
            raise NotMeasuredError(_because(analysis, why))
        return readings

    return read


def state_agreement(row: Agreement) -> float | None:
    """The share of polled states that were predicted; None where none was polled."""
    return row.state_matches / row.state_samples if row.state_samples else None


def capture_drops(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """Packets that the capture dropped."""
    dropped = analysis.manifest.capture.dropped
    if dropped is None:
        raise NotMeasuredError(_because(analysis, "nothing counted what the capture dropped"))
    return [Reading(value=dropped)]


def finding(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    """Whether the report has the finding."""
    has = any(row.id == arguments[0] for row in analysis.findings)
    return [Reading(value=int(has), final=has)]


def findings(severity: str) -> Read:
    """A reader of the number of findings with a severity."""

    def read(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
        return [Reading(value=sum(row.severity == severity for row in analysis.findings))]

    return read


# -- shared --------------------------------------------------------------------------------------


def _is_chosen(director: str, arguments: tuple[str, ...]) -> bool:
    return not arguments or director in arguments


def _on(arguments: tuple[str, ...], rows: Iterable[Lifetime]) -> list[Lifetime]:
    return [row for row in rows if _is_chosen(row.director, arguments)]


def _of_state(analysis: Analysis, arguments: tuple[str, ...]) -> list[Lifetime]:
    state, *directors = arguments
    return _on(tuple(directors), (row for row in analysis.lifetimes if row.state == state))


def _unknown_director(expected: str | None, analysis: Analysis) -> str:
    names = ", ".join(row.director for row in analysis.peaks if row.director)
    return (
        f"no polls of {expected}; there are {names or 'none'}" if expected else "nothing was polled"
    )


def _because(analysis: Analysis, why: str) -> str:
    """The reason, and what the run reports as not measured."""
    reported = "; ".join(f"{row.what}: {row.why}" for row in analysis.not_measured[:3])
    return f"{why} ({reported})" if reported else why
