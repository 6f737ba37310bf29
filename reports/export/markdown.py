"""An Analysis as Markdown: a summary for a pull request or a ticket.

Texts of a recording are escaped first: no markup, no HTML, no link, no mention of anybody, on any
forge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import host_port
from reports.charts import wording
from reports.plain_text import printable
from reports.run.page import SEVERITIES, by_severity
from reports.run.percentiles import COLUMNS, rows
from reports.run.sections import errors, sections, targets
from reports.run.sections.traces import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.report import Analysis
    from reports.run.section import Chart

MOST_NOT_MEASURED = 20
LONGEST = 2000  # of one text
_MARKUP = re.compile(r"([\\`*_\[\]|~$])")
_LEADS = re.compile(r"^(\d{0,9})([#+=-]|(?<=\d)[.)](?=\s|$))")
_BREAK = "\N{ZERO WIDTH SPACE}"
_ALIVE = re.compile(r"(://|@|\bwww(?=\.)|\bGH(?=-\d)|#(?=\d))", re.IGNORECASE)


def inert(text: str) -> str:
    """A text of unknown origin, escaped so that Markdown only shows it."""
    line = printable(text[:LONGEST]).encode("utf-8", "replace").decode().strip()
    line = _ALIVE.sub(lambda match: match[0][:1] + _BREAK + match[0][1:], line)
    plain = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LEADS.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", plain))


def charts_of(analysis: Analysis) -> tuple[Chart, ...]:
    """Every chart of the page that has something to draw."""
    return tuple(
        chart
        for section in sections(analysis)
        for chart in section.charts
        if chart.figure is not None
    )


def render_markdown(
    analysis: Analysis, pictures: Mapping[str, str], *, why_none: str | None = None
) -> str:
    """The summary.

    Args:
        analysis: one run's.
        pictures: paths of the charts' pictures, relative to the file, by the charts' ids; that of
            the first trace by ``story``.
        why_none: the reason for charts without pictures; None if they have pictures.
    """
    blocks = [
        f"# {inert(analysis.verdict)}",
        inert(analysis.run),
        _headlines(analysis),
        *_findings(analysis),
        *_targets(analysis),
        *_errors(analysis),
        *_latency(analysis),
        *_peaks(analysis),
        *_pictures(analysis, pictures, why_none),
        *_not_measured(analysis),
        _provenance(analysis),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def _headlines(analysis: Analysis) -> str:
    lines = [
        (
            inert(headline.label),
            f"**{inert(headline.value)}**"
            if headline.value is not None
            else f"*{wording.NOT_MEASURED}*",
            inert(headline.detail),
        )
        for headline in wording.headlines(analysis)
    ]
    return _table(("", "", ""), lines).replace("---:", "---")


def _findings(analysis: Analysis) -> list[str]:
    lines = [
        f"- **{SEVERITIES[finding.severity]}: {inert(finding.title)}** ({inert(finding.id)})  \n"
        f"  {inert(finding.evidence)}"
        + (f"  \n  → {inert(finding.advice)}" if finding.advice else "")
        for finding in by_severity(analysis.findings)
    ]
    return ["## Findings", "\n".join(lines) or "No findings."]


def _targets(analysis: Analysis) -> list[str]:
    if not analysis.targets:
        return []
    table = targets.table(analysis)
    lines = [
        [wording.NOT_MEASURED if cell is None else inert(str(cell)) for cell in row]
        for row in table.rows
    ]
    return [f"## {targets.TITLE}", _table([inert(name) for name in table.columns], lines)]


def _errors(analysis: Analysis) -> list[str]:
    if not analysis.requests.errors:
        return []
    table = errors.table(analysis)
    lines = [
        [wording.NOT_MEASURED if cell is None else inert(str(cell)) for cell in row]
        for row in table.rows
    ]
    return ["## Why requests failed", _table(table.columns, lines)]


def _latency(analysis: Analysis) -> list[str]:
    latencies = analysis.pictures.latencies
    if latencies is None or not latencies.percentiles:
        return []
    lines = [[inert(str(cell)) for cell in row] for row in rows(latencies.percentiles)]
    return ["## Latency of the requests", _table([inert(name) for name in COLUMNS], lines)]


def _peaks(analysis: Analysis) -> list[str]:
    blocks = ["## Each director at its peak"] if analysis.timeline.peaks else []
    for table in analysis.timeline.peaks:
        where = f"{table.protocol} {host_port(table.vip, table.port)} {table.scheduler}"
        blocks.append(
            f"**{inert(table.director)}** at {inert(wording.seconds(table.t_s))}: {inert(where)}"
        )
        lines = [
            (
                inert(host_port(row.real_server, row.real_port)),
                inert(wording.FORWARDING.get(row.forwarding, row.forwarding)),
                *(str(value) for value in (row.weight, row.active, row.inactive)),
            )
            for row in table.rows
        ]
        blocks.append(
            _table(("Real server", "Forward", "Weight", "ActiveConn", "InActConn"), lines)
        )
    return blocks


def _pictures(analysis: Analysis, pictures: Mapping[str, str], why_none: str | None) -> list[str]:
    blocks = ["## Charts"]
    if why_none:
        blocks.append(f"*The charts have no pictures here: {inert(why_none)}.*")
    for chart in charts_of(analysis):
        if chart.id in pictures:
            blocks.append(f"![{inert(chart.id)}]({pictures[chart.id]})\n\n{inert(chart.caption)}")
        else:
            blocks.append(f"- {inert(chart.caption)}")
    if analysis.traces and "story" in pictures:
        text = inert(sentence(analysis.traces[0]))
        blocks.append(f"![one connection]({pictures['story']})\n\n{text}")
    return blocks if len(blocks) > 1 else []


def _not_measured(analysis: Analysis) -> list[str]:
    missing = analysis.not_measured
    if not missing:
        return []
    lines = [f"- {inert(row.what)}: {inert(row.why)}" for row in missing[:MOST_NOT_MEASURED]]
    if len(missing) > MOST_NOT_MEASURED:
        lines.append(f"- and {len(missing) - MOST_NOT_MEASURED} more")
    return ["## What this run did not measure", "\n".join(lines)]


def _provenance(analysis: Analysis) -> str:
    words = analysis.manifest.command_line
    return "" if words is None else f"Made by: {inert(' '.join(words))}"
