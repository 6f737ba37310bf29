"""Judgements as people and pipelines read them: lines, JUnit XML, TAP, GitHub's own commands.

A quantity that was not measured is an error there, never a pass: JUnit's ``error`` beside its
``failure``, TAP's ``not ok``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.checks.judge import Judgement

SCHEMA_VERSION = 1
SIGNS = {"passed": "ok", "failed": "FAILED", "not measured": "NOT MEASURED", "skipped": "skipped"}
HARMLESS = ("passed", "skipped")
SUITE = "loadgen check"


def lines(judgements: Sequence[Judgement]) -> list[str]:
    """A line each, then how many of each kind; what went wrong stands last, where it is seen."""
    judgements = sorted(judgements, key=lambda one: one.outcome not in HARMLESS)
    width = max((len(SIGNS[one.outcome]) for one in judgements), default=0)
    shown = [f"{SIGNS[one.outcome]:<{width}}  {_line(one)}" for one in judgements]
    return [*shown, summary(judgements)]


def summary(judgements: Sequence[Judgement]) -> str:
    """``3 of 4 hold; 1 failed``."""
    counts = {name: sum(one.outcome == name for one in judgements) for name in SIGNS}
    judged = len(judgements) - counts["skipped"]
    parts = [f"{counts['passed']} of {judged} hold"]
    rest = ("failed", "not measured", "skipped")
    parts += [f"{counts[name]} {name}" for name in rest if counts[name]]
    return "; ".join(parts)


def to_json(judgements: Sequence[Judgement], run: str) -> dict[str, Any]:
    """The document of ``analyzer check --json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "passed": all(one.outcome in HARMLESS for one in judgements),
        "summary": summary(judgements),
        "checks": [
            {
                "name": one.title,
                "expectation": one.text,
                "outcome": one.outcome,
                "measured": one.measured or None,
                "why": one.why or None,
                "note": one.note or None,
            }
            for one in judgements
        ],
    }


def junit(judgements: Sequence[Judgement], run: str) -> str:
    """JUnit XML, as pipelines collect it."""
    suite = TestSuite(SUITE)
    suite.add_property("run", xml_safe(run))
    for one in judgements:
        case = TestCase(xml_safe(one.title), classname="loadgen.check")
        if one.outcome == "failed":
            case.result = [Failure(xml_safe(one.why))]
        elif one.outcome == "not measured":
            case.result = [Error(xml_safe(f"not measured: {one.why}"))]
        elif one.outcome == "skipped":
            case.result = [Skipped(xml_safe(one.why))]
        case.system_out = xml_safe(_line(one))
        suite.add_testcase(case)
    document = JUnitXml()
    document.add_testsuite(suite)
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode("utf-8")


def tap(judgements: Sequence[Judgement]) -> list[str]:
    """The Test Anything Protocol, version 13."""
    shown = ["TAP version 13", f"1..{len(judgements)}"]
    for number, one in enumerate(judgements, start=1):
        sign = "ok" if one.outcome in HARMLESS else "not ok"
        skip = " # SKIP" if one.outcome == "skipped" else ""
        shown.append(f"{sign} {number} - {_one_line(one.title).replace('#', '')}{skip}")
        shown.append(f"# {_one_line(one.why or one.measured)}")
    return shown


def github_annotations(judgements: Sequence[Judgement]) -> list[str]:
    """GitHub's workflow commands: an error for each that does not hold."""
    return [
        f"::error title={_escaped(one.title, ':,')}::{_escaped(_reason(one))}"
        for one in judgements
        if one.outcome not in HARMLESS
    ]


def step_summary(judgements: Sequence[Judgement], run: str) -> str:
    """A table in Markdown, for ``GITHUB_STEP_SUMMARY`` or a merge request."""
    rows = [
        f"| {SIGNS[one.outcome]} | {_cell(one.title)} | {_cell(one.measured or one.why)} |"
        for one in judgements
    ]
    head = ["| | expected | measured |", "|---|---|---|"]
    title = f"### {summary(judgements)}"
    return "\n".join([title, "", *head, *rows, "", f"`{_cell(run)}`", ""])


def xml_safe(text: str) -> str:
    """Without the characters that XML 1.0 cannot say."""
    return "".join(
        c if c in "\t\n\r" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _line(one: Judgement) -> str:
    name = one.name
    text = f"{name}: {one.text}" if name else one.text
    if one.outcome in ("not measured", "skipped"):
        return _one_line(f"{text}: {one.why}")
    return _one_line(f"{text}: {one.measured}")


def _reason(one: Judgement) -> str:
    return f"not measured: {one.why}" if one.outcome == "not measured" else one.why


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str, more: str = "") -> str:
    """As GitHub's runner takes them apart: percent signs, ends of lines, and separators."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _cell(text: str) -> str:
    for character in "\\`|<>[]*_":
        text = text.replace(character, f"\\{character}")
    return _one_line(text)
