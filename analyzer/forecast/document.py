"""The document of ``analyzer predict --json``: numbers to six decimals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analyzer import documents
from analyzer.forecast.lifetimes import EntryLifetime, Question
from analyzer.forecast.model import Band, Forecast, PortBudget, TableMemory
from analyzer.forecast.occupancy import Counts
from analyzer.forecast.wording import findings, verdict
from analyzer.results import Finding

DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Expected ActiveConn and InActConn over time; see ``OccupancySeries``."""

    t_s: Sequence[float]
    active: Sequence[float]
    inactive: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastDocument(documents.JsonDocument):
    """The model's answer to a question."""

    verdict: str
    question: Question
    lives: tuple[EntryLifetime, ...]
    duration_s: float
    steady_reached: bool
    steady_after_s: float
    steady_entries: Counts[Band]
    peak_entries: Counts[float]
    empty_after_s: float
    ports: PortBudget
    memory: TableMemory
    findings: tuple[Finding, ...]
    course: Course


def to_json(forecast: Forecast) -> dict[str, Any]:
    """The Forecast as plain values; units in the keys."""
    series = forecast.series
    document = ForecastDocument(
        verdict=verdict(forecast),
        question=forecast.question,
        lives=forecast.lifetimes,
        duration_s=forecast.duration_s,
        steady_reached=forecast.reaches_steady,
        steady_after_s=forecast.steady_after_s,
        steady_entries=forecast.steady,
        peak_entries=forecast.peak,
        empty_after_s=forecast.empty_after_s,
        ports=forecast.ports,
        memory=forecast.memory,
        findings=findings(forecast),
        course=Course(
            t_s=series.t_s.tolist(),
            active=series.active.tolist(),
            inactive=series.inactive.tolist(),
        ),
    )
    return documents.to_json(document, decimals=DECIMALS)
