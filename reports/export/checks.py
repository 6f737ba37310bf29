"""Judgements as lines, JUnit XML, TAP and GitHub workflow commands.

A quantity that was not measured is an error there, never a pass: JUnit's ``error`` beside its
``failure``, TAP's ``not ok``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from analyzer.checks.document import HARMLESS, summary
from reports.plain_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.checks.judge import Judgement

SIGNS = {"passed": "ok", "failed": "FAILED", "not measured": "NOT MEASURED", "skipped": "skipped"}
SUITE = "loadgen check"


def lines(judgements: Sequence[Judgement]) -> list[str]:
    """A line for each judgement, failures last, and a summary."""
    judgements = sorted(judgements, key=lambda judgement: judgement.outcome not in HARMLESS)
    width = max((len(SIGNS[judgement.outcome]) for judgement in judgements), default=0)
    shown = [f"{SIGNS[judgement.outcome]:<{width}}  {_line(judgement)}" for judgement in judgements]
    return [*shown, summary(judgements)]


def junit(judgements: Sequence[Judgement], run: str) -> str:
    """The judgements as JUnit XML."""
    suite = TestSuite(SUITE)
    suite.add_property("run", xml_safe(run))
    for judgement in judgements:
        case = TestCase(xml_safe(judgement.title), classname="loadgen.check")
        if judgement.outcome == "failed":
            case.result = [Failure(xml_safe(judgement.why))]
        elif judgement.outcome == "not measured":
            case.result = [Error(xml_safe(f"not measured: {judgement.why}"))]
        elif judgement.outcome == "skipped":
            case.result = [Skipped(xml_safe(judgement.why))]
        case.system_out = xml_safe(_line(judgement))
        suite.add_testcase(case)
    document = JUnitXml()
    document.add_testsuite(suite)
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode("utf-8")


def tap(judgements: Sequence[Judgement]) -> list[str]:
    """The Test Anything Protocol, version 13."""
    shown = ["TAP version 13", f"1..{len(judgements)}"]
    for number, judgement in enumerate(judgements, start=1):
        sign = "ok" if judgement.outcome in HARMLESS else "not ok"
        skip = " # SKIP" if judgement.outcome == "skipped" else ""
        shown.append(f"{sign} {number} - {_one_line(judgement.title).replace('#', '')}{skip}")
        shown.append(f"# {_one_line(judgement.why or judgement.measured)}")
    return shown


def github_annotations(judgements: Sequence[Judgement]) -> list[str]:
    """GitHub's workflow commands: an error for each judgement that failed."""
    return [
        f"::error title={_escaped(judgement.title, ':,')}::{_escaped(_reason(judgement))}"
        for judgement in judgements
        if judgement.outcome not in HARMLESS
    ]


def step_summary(judgements: Sequence[Judgement], run: str) -> str:
    """A table in Markdown, for ``GITHUB_STEP_SUMMARY`` or a merge request."""
    rows = [
        f"| {SIGNS[row.outcome]} | {_cell(row.title)} | {_cell(row.measured or row.why)} |"
        for row in judgements
    ]
    head = ["| | expected | measured |", "|---|---|---|"]
    title = f"### {summary(judgements)}"
    return "\n".join([title, "", *head, *rows, "", f"`{_cell(run)}`", ""])


def xml_safe(text: str) -> str:
    """A text as XML 1.0 allows it: line ends stay, all else that is not printable is escaped."""
    return "\n".join(printable(line) for line in text.splitlines())


def _line(judgement: Judgement) -> str:
    name = judgement.name
    text = f"{name}: {judgement.text}" if name else judgement.text
    if judgement.outcome in ("not measured", "skipped"):
        return _one_line(f"{text}: {judgement.why}")
    return _one_line(f"{text}: {judgement.measured}")


def _reason(judgement: Judgement) -> str:
    return (
        f"not measured: {judgement.why}" if judgement.outcome == "not measured" else judgement.why
    )


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _escaped(text: str, more: str = "") -> str:
    """A text with GitHub's escapes: percent signs, line ends, and separators."""
    text = "\n".join(printable(line) for line in text.splitlines())
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _cell(text: str) -> str:
    for character in "\\`|<>[]*_":
        text = text.replace(character, f"\\{character}")
    return _one_line(text)
