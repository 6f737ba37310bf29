"""All that may be expected of a run: each quantity's name, what it is, and where it is read.

A quantity gives a Reading for each director or group that it was measured on; an expectation holds
if it holds for all of them. What was not measured raises, with the reason: it never passes.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.errors import AnalyzerError
from analyzer.findings.ids import IDS
from analyzer.ipvs.states import State
from analyzer.predict import DROP_ENTRY, EXPIRE_NODEST, FLUSH, PORT_REUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from analyzer.checks.grammar import Dimension
    from analyzer.results import Agreement, Analysis, EndedEarly, Lifetime

Kind = Literal["time", "latency", "share", "rate", "number", "word"]
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
    """

    value: float | str
    where: str = ""
    uncertainty: float = 0.0
    slack: float = 0.0
    n: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One row of the table below."""

    kind: Kind
    meaning: str
    read: Callable[[Analysis, tuple[str, ...]], list[Reading]]
    arguments: str = ""
    first_of: frozenset[str] = frozenset()  # what the first argument may be; empty for anything

    @property
    def dimension(self) -> Dimension | Literal["word"]:
        """What a value of it is measured in."""
        if self.kind == "word":
            return "word"
        return "time" if self.kind == "latency" else self.kind


STATES = frozenset(state.name for state in State)
CAUSES = frozenset({PORT_REUSE, EXPIRE_NODEST, DROP_ENTRY, FLUSH})
LATENCY = re.compile(r"(connect|first_byte|total)_(p\d{1,2}(?:\.\d{1,3})?|max)")


def quantity_of(name: str) -> Quantity | None:
    """The quantity of that name; None if there is none."""
    found = LATENCY.fullmatch(name)
    if found:
        stage, point = found[1], found[2]
        meaning = f"{stage.replace('_', ' ')} time, {point}"
        return Quantity(kind="latency", meaning=meaning, read=_latency(stage, point))
    return QUANTITIES.get(name)


# -- timeouts and entries ------------------------------------------------------------------------


def _timeout(name: str) -> Callable[[Analysis, tuple[str, ...]], list[Reading]]:
    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        rows = _on(arguments, (row for row in analysis.lifetimes if row.timeout_name == name))
        return _timeouts_of(rows, f"no entry waited for {name}", analysis)

    return read


def _timeout_of_state(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
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


def _lifetime_of_state(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
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


def _state_share(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
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


def _ended_early(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    if not analysis.lifetimes and not analysis.ended_early:
        raise NotMeasuredError(_because(analysis, "no entries were seen or predicted"))
    rows = [row for row in analysis.ended_early if not arguments or row.cause == arguments[0]]
    return [Reading(value=sum(row.n for row in rows))]


# -- counters ------------------------------------------------------------------------------------


def _peak(counted: str) -> Callable[[Analysis, tuple[str, ...]], list[Reading]]:
    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        wanted = arguments[0] if arguments else None
        rows = [row for row in analysis.peaks if row.director == wanted]
        if not rows:
            raise NotMeasuredError(_because(analysis, _unknown_director(wanted, analysis)))
        return [Reading(value=getattr(rows[0], counted), where=wanted or "")]

    return read


def _servers(what: str) -> Callable[[Analysis, tuple[str, ...]], list[Reading]]:
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


def _count(name: str) -> Callable[[Analysis, tuple[str, ...]], list[Reading]]:
    def read(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
        _require_requests(analysis)
        return [Reading(value=getattr(analysis.requests, name), n=analysis.requests.sent)]

    return read


def _failed_share(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    _require_requests(analysis)
    sent = analysis.requests.sent
    return [Reading(value=analysis.requests.failed / sent, n=sent)]


def _rate(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    if analysis.requests.rate_per_s is None:
        raise NotMeasuredError("no requests were sent")
    return [Reading(value=analysis.requests.rate_per_s)]


def _syn_retries(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    """Connections that took so long that their SYN must have been repeated, or never came."""
    _require_requests(analysis)
    connect_ms = analysis.timeline.connect_ms
    slow = int(np.count_nonzero(~(connect_ms < SLOW_CONNECT_MS)))
    return [Reading(value=slow / len(connect_ms), n=len(connect_ms))]


def _latency(stage: str, point: str) -> Callable[[Analysis, tuple[str, ...]], list[Reading]]:
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


def _agreement(
    value: Callable[[Agreement], float | None],
) -> Callable[[Analysis, tuple[str, ...]], list[Reading]]:
    def read(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
        rows = [row for row in analysis.agreement if _wanted(row.director, arguments)]
        found = [(row.director, value(row)) for row in rows]
        readings = [Reading(value=one, where=where) for where, one in found if one is not None]
        if not readings:
            why = "prediction and observation could not be compared"
            raise NotMeasuredError(_because(analysis, why))
        return readings

    return read


def _state_agreement(row: Agreement) -> float | None:
    return row.state_matches / row.state_samples if row.state_samples else None


def _capture_drops(analysis: Analysis, _: tuple[str, ...]) -> list[Reading]:
    dropped = (analysis.manifest.get("capture") or {}).get("dropped")
    if not isinstance(dropped, int):
        raise NotMeasuredError(_because(analysis, "nothing counted what the capture dropped"))
    return [Reading(value=dropped)]


def _finding(analysis: Analysis, arguments: tuple[str, ...]) -> list[Reading]:
    return [Reading(value=sum(one.id == arguments[0] for one in analysis.findings))]


def _findings(severity: str) -> Callable[[Analysis, tuple[str, ...]], list[Reading]]:
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


QUANTITIES: Mapping[str, Quantity] = {
    "tcp": Quantity(
        kind="time",
        meaning="the tcp timeout (ESTABLISHED) as measured",
        read=_timeout("tcp"),
        arguments="[director]",
    ),
    "tcpfin": Quantity(
        kind="time",
        meaning="the tcpfin timeout (FIN_WAIT) as measured",
        read=_timeout("tcpfin"),
        arguments="[director]",
    ),
    "udp": Quantity(
        kind="time",
        meaning="the udp timeout as measured",
        read=_timeout("udp"),
        arguments="[director]",
    ),
    "timeout": Quantity(
        kind="time",
        meaning="what entries that ended in a state waited, less the timer's lateness",
        read=_timeout_of_state,
        arguments="state [, director]",
        first_of=STATES,
    ),
    "lifetime": Quantity(
        kind="time",
        meaning="how long such entries lived after their last packet, on average",
        read=_lifetime_of_state,
        arguments="state [, director]",
        first_of=STATES,
    ),
    "state": Quantity(
        kind="share",
        meaning="the share of a director's entries that ended in a state",
        read=_state_share,
        arguments="state [, director]",
        first_of=STATES,
    ),
    "ended_early": Quantity(
        kind="number",
        meaning="entries that went before their time",
        read=_ended_early,
        arguments="[cause]",
        first_of=CAUSES,
    ),
    "active_peak": Quantity(
        kind="number",
        meaning="the highest ActiveConn; of all directors together unless one is named",
        read=_peak("active"),
        arguments="[director]",
    ),
    "inactive_peak": Quantity(
        kind="number",
        meaning="the highest InActConn; of all directors together unless one is named",
        read=_peak("inactive"),
        arguments="[director]",
    ),
    "forwarding": Quantity(
        kind="word",
        meaning="dr, nat, tun or local; of every real server",
        read=_servers("forwarding"),
        arguments="[director]",
    ),
    "scheduler": Quantity(
        kind="word",
        meaning="the service's scheduler",
        read=_servers("scheduler"),
        arguments="[director]",
    ),
    "weight_zero": Quantity(
        kind="number",
        meaning="real servers of weight 0",
        read=_servers("weight_zero"),
        arguments="[director]",
    ),
    "sent": Quantity(kind="number", meaning="requests sent", read=_count("sent")),
    "succeeded": Quantity(kind="number", meaning="requests answered", read=_count("succeeded")),
    "failed": Quantity(kind="number", meaning="requests that failed", read=_count("failed")),
    "late": Quantity(
        kind="number",
        meaning="requests answered more than 0.5 s after they were due",
        read=_count("late"),
    ),
    "failed_share": Quantity(
        kind="share", meaning="of the requests, those that failed", read=_failed_share
    ),
    "rate": Quantity(kind="rate", meaning="requests a second", read=_rate),
    "syn_retries": Quantity(
        kind="share",
        meaning="of the connections, those that took 0.9 s or more: their SYN was repeated",
        read=_syn_retries,
    ),
    "state_agreement": Quantity(
        kind="share",
        meaning="of the entries' states polled, those that were predicted",
        read=_agreement(_state_agreement),
        arguments="[director]",
    ),
    "inactive_error": Quantity(
        kind="number",
        meaning="the largest difference of InActConn, predicted and observed, at a calm poll",
        read=_agreement(lambda row: row.inactive_max_error),
        arguments="[director]",
    ),
    "expiry_error": Quantity(
        kind="time",
        meaning="the largest difference of an expiry, predicted and observed",
        read=_agreement(lambda row: row.worst_expiry_error_s),
        arguments="[director]",
    ),
    "capture_drops": Quantity(
        kind="number", meaning="packets that the capture missed", read=_capture_drops
    ),
    "finding": Quantity(
        kind="number",
        meaning="1 if the report has the finding of that id, else 0",
        read=_finding,
        arguments="id",
        first_of=IDS,
    ),
    "problems": Quantity(
        kind="number", meaning="findings of severity problem", read=_findings("problem")
    ),
    "warnings": Quantity(
        kind="number", meaning="findings of severity warning", read=_findings("warning")
    ),
}
