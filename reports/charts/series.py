"""The curves of a run as all charts and legends show them: one hue, mark and dash for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports.charts import curves
from reports.charts.theme import DASHES, HUES, MARKERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.charts.curves import Curve
    from analyzer.report import Analysis, Timeline

SERVERS = 6  # the busiest real servers of a director that have a curve each


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How one curve is drawn in every chart, and its label in the legend."""

    key: str = ""  # made by ``series``; without names, so that it needs no escaping
    director: str
    label: str
    hue: str  # a name of PALETTE
    symbol: str
    size: int
    dash: str
    observed: Curve | None
    predicted: Curve | None
    quiet: bool = False  # zero throughout


def series(analysis: Analysis) -> tuple[Series, ...]:
    """Every curve of an analysis' timeline."""
    return series_of(analysis.timeline)


def series_of(timeline: Timeline) -> tuple[Series, ...]:
    """Every curve of a timeline; silent real servers, and those beyond SERVERS, are summed up."""
    observed, predicted = timeline.observed, timeline.predicted
    drawn: list[Series] = []
    for rank, director in enumerate(curves.directors((*observed, *predicted))):
        polls, steps = curves.of(director, observed), curves.of(director, predicted)
        if curves.is_silent((*polls, *steps)):
            drawn.append(_quiet(director, "0 throughout", polls, steps))
        else:
            hue = sum(item.hue in HUES for item in drawn)
            drawn += _active(director, polls, steps, first_hue=hue, rank=rank)
    return tuple(replace(item, key=f"series-{number}") for number, item in enumerate(drawn))


def _quiet(director: str, label: str, polls: Sequence[Curve], steps: Sequence[Curve]) -> Series:
    return Series(
        director=director,
        label=label,
        hue="muted",
        symbol="line-ew-open",
        size=4,
        dash="2px,3px",
        observed=curves.sum_of_polls(polls) if polls else None,
        predicted=None if polls else curves.sum_of_steps(steps),
        quiet=True,
    )


def _active(
    director: str, polls: Sequence[Curve], steps: Sequence[Curve], *, first_hue: int, rank: int
) -> list[Series]:
    of_server: dict[str, list[Curve]] = {}
    for curve in (*polls, *steps):
        of_server.setdefault(curve.real_server, []).append(curve)
    silent = {server: None for server, both in of_server.items() if curves.is_silent(both)}
    ranked = (server for server in of_server if server not in silent)
    busy = sorted(ranked, key=lambda server: -_peak(of_server[server]))
    shown = sorted(busy[:SERVERS], key=list(of_server).index)
    drawn = [
        _server(director, server, polls, steps, number)
        for number, server in enumerate(shown, start=first_hue)
    ]
    if rest := busy[SERVERS:]:
        drawn.append(_rest(director, rest, polls, steps))
    if silent:
        label = next(iter(silent)) if len(silent) == 1 else f"{len(silent)} other real servers"
        named = [tuple(c for c in part if c.real_server in silent) for part in (polls, steps)]
        drawn.append(_quiet(director, f"{label}: 0 throughout", *named))
    return [_sum(director, polls, steps, rank), *drawn] if len(drawn) > 1 else drawn


def _peak(of_server: Sequence[Curve]) -> int:
    return max(int((curve.active + curve.inactive).max(initial=0)) for curve in of_server)


def _server(
    director: str, server: str, polls: Sequence[Curve], steps: Sequence[Curve], number: int
) -> Series:
    symbol, size = MARKERS[number % len(MARKERS)]
    return Series(
        director=director,
        label=server,
        hue=HUES[number % len(HUES)],
        symbol=symbol,
        size=size,
        dash=DASHES[number % len(DASHES)],
        observed=_named(server, polls),
        predicted=_named(server, steps),
    )


def _rest(
    director: str, servers: Sequence[str], polls: Sequence[Curve], steps: Sequence[Curve]
) -> Series:
    rest = frozenset(servers)
    observed, predicted = ([c for c in part if c.real_server in rest] for part in (polls, steps))
    return Series(
        director=director,
        label=f"{len(servers)} more real servers together",
        hue="calm",
        symbol="cross-thin-open",
        size=6,
        dash="4px,4px",
        observed=curves.sum_of_polls(observed) if observed else None,
        predicted=curves.sum_of_steps(predicted) if predicted else None,
    )


def _sum(director: str, polls: Sequence[Curve], steps: Sequence[Curve], rank: int) -> Series:
    return Series(
        director=director,
        label="all real servers",
        hue=("ink", "muted")[rank % 2],
        symbol=("circle", "square")[rank % 2],
        size=4,
        dash=DASHES[rank % len(DASHES)],
        observed=curves.sum_of_polls(polls) if polls else None,
        predicted=curves.sum_of_steps(steps) if steps else None,
    )


def _named(server: str, among: Sequence[Curve]) -> Curve | None:
    return next((curve for curve in among if curve.real_server == server), None)


def legend(drawn: Sequence[Series]) -> dict[str, list[Series]]:
    """The curves by director, as the legend groups them."""
    groups: dict[str, list[Series]] = {}
    for item in drawn:
        groups.setdefault(item.director, []).append(item)
    return groups
