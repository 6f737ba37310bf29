"""A Comparison as the document of ``analyzer compare --json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from analyzer import documents
from analyzer.across_runs.compare import Comparison
from analyzer.across_runs.difference import Unit, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One run, and the verdict on it alone."""

    name: str
    run: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """A key with different values in the manifests, by run; "" where a run does not have it."""

    what: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """One quantity of a run and of the first run (``analyzer.across_runs.difference``)."""

    run: str
    against: str
    quantity: str
    unit: Unit
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    tolerance: float
    verdict: Verdict
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonDocument(documents.JsonDocument):
    """Runs compared with the first of them."""

    verdict: str
    runs: tuple[ComparedRun, ...]
    settings: tuple[SettingRow, ...]
    differences: tuple[DifferenceRow, ...]


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The document as plain values."""
    first, *others = names = [run.name for run in comparison.runs]
    document = ComparisonDocument(
        verdict=comparison.verdict,
        runs=tuple(
            ComparedRun(name=run.name, run=run.analysis.run, verdict=run.analysis.verdict)
            for run in comparison.runs
        ),
        settings=tuple(
            SettingRow(what=row.what, values=dict(zip(names, row.values, strict=True)))
            for row in comparison.settings
        ),
        differences=tuple(
            DifferenceRow(run=name, against=first, **asdict(difference))
            for name, differences in zip(others, comparison.against_first, strict=True)
            for difference in differences
        ),
    )
    return documents.to_json(document)
