"""Judgements of a run as the document of ``analyzer check --json``, and their summary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analyzer import documents
from analyzer.checks.judge import Judgement, Outcome

HARMLESS: tuple[Outcome, ...] = ("passed", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One expectation; null where there is no value, no reason, or no note in the policy."""

    name: str
    expectation: str
    outcome: Outcome
    measured: str | None
    why: str | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDocument(documents.JsonDocument):
    """A run checked against expectations, or against an earlier run."""

    run: str
    passed: bool
    summary: str
    checks: tuple[CheckRow, ...]


def to_json(judgements: Sequence[Judgement], run: str) -> dict[str, Any]:
    """The document as plain values."""
    document = CheckDocument(
        run=run,
        passed=all(judgement.outcome in HARMLESS for judgement in judgements),
        summary=summary(judgements),
        checks=tuple(map(_row, judgements)),
    )
    return documents.to_json(document)


def _row(judgement: Judgement) -> CheckRow:
    return CheckRow(
        name=judgement.title,
        expectation=judgement.text,
        outcome=judgement.outcome,
        measured=judgement.measured or None,
        why=judgement.why or None,
        note=judgement.note or None,
    )


def summary(judgements: Sequence[Judgement]) -> str:
    """``3 of 4 hold; 1 failed``."""
    counts = Counter(judgement.outcome for judgement in judgements)
    others: tuple[Outcome, ...] = ("failed", "not measured", "skipped")
    parts = [f"{counts['passed']} of {counts.total() - counts['skipped']} hold"]
    return "; ".join(parts + [f"{counts[name]} {name}" for name in others if counts[name]])
