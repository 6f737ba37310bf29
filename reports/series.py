"""The curves of a run as every chart and legend shows them: one hue, mark and dash for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports import curves
from reports.theme import DASHES, HUES, MARKERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.results import Analysis, Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How one curve is drawn wherever it appears, and what the legend calls it."""

    key: str = ""  # made by ``series``; free of names, so that it needs no escaping
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
    """Every curve of the timeline; a director that stays at zero is one quiet series."""
    observed, predicted = analysis.timeline.observed, analysis.timeline.predicted
    drawn: list[Series] = []
    for rank, director in enumerate(curves.directors((*observed, *predicted))):
        polls, steps = curves.of(director, observed), curves.of(director, predicted)
        if curves.is_silent((*polls, *steps)):
            drawn.append(_silent(director, polls, steps))
        else:
            hue = sum(item.hue in HUES for item in drawn)
            drawn += _active(director, polls, steps, first_hue=hue, rank=rank)
    return tuple(replace(item, key=f"series-{number}") for number, item in enumerate(drawn))


def _silent(director: str, polls: Sequence[Curve], steps: Sequence[Curve]) -> Series:
    return Series(
        director=director,
        label="0 throughout",
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
    servers = list(dict.fromkeys(curve.real_server for curve in (*polls, *steps)))
    found = []
    for i, server in enumerate(servers, start=first_hue):
        symbol, size = MARKERS[i % len(MARKERS)]
        found.append(
            Series(
                director=director,
                label=server,
                hue=HUES[i % len(HUES)],
                symbol=symbol,
                size=size,
                dash=DASHES[i % len(DASHES)],
                observed=_named(server, polls),
                predicted=_named(server, steps),
            )
        )
    return [_sum(director, polls, steps, rank), *found] if len(servers) > 1 else found


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
