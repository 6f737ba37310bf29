"""An Analysis as Markdown: a summary for a pull request or a ticket.

Texts of a recording are made inert before they go in: no markup, no HTML, no link, no mention of
anybody, whatever forge shows them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import host_port
from reports.charts import wording
from reports.run.page import SEVERITIES, by_severity
from reports.run.percentiles import COLUMNS, rows
from reports.run.sections import errors, sections
from reports.run.sections.traces import sentence
from reports.run.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.results import Analysis
    from reports.run.section import Chart

MOST_NOT_MEASURED = 20
LONGEST = 2000  # of one text
_MARKUP = re.compile(r"([\\`*_\[\]|~$])")
_LEADS = re.compile(r"^(\d{0,9})([#+=-]|(?<=\d)[.)](?=\s|$))")
_BREAK = "\N{ZERO WIDTH SPACE}"
_ALIVE = re.compile(r"(://|@|\bwww(?=\.)|\bGH(?=-\d)|#(?=\d))", re.IGNORECASE)


def inert(text: str) -> str:
    """A text of unknown origin as Markdown that shows it and does nothing else."""
    line = printable(text[:LONGEST]).encode("utf-8", "replace").decode().strip()
    line = _ALIVE.sub(lambda found: found[0][:1] + _BREAK + found[0][1:], line)
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
        pictures: paths of the charts' pictures, relative to the file, by the charts' ids; the
            first trace's by ``story``.
        why_none: why charts have no pictures; None where they have.
    """
    blocks = [
        f"# {inert(analysis.verdict)}",
        inert(analysis.run),
        _headlines(analysis),
        *_findings(analysis),
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
            inert(one.label),
            f"**{inert(one.value)}**" if one.value is not None else f"*{wording.NOT_MEASURED}*",
            inert(one.detail),
        )
        for one in wording.headlines(analysis)
    ]
    return _table(("", "", ""), lines).replace("---:", "---")


def _findings(analysis: Analysis) -> list[str]:
    found = [
        f"- **{SEVERITIES[one.severity]}: {inert(one.title)}** ({inert(one.id)})  \n"
        f"  {inert(one.evidence)}" + (f"  \n  → {inert(one.advice)}" if one.advice else "")
        for one in by_severity(analysis.findings)
    ]
    return ["## Findings", "\n".join(found) or "Nothing stands out in what was measured."]


def _errors(analysis: Analysis) -> list[str]:
    if not analysis.requests.errors:
        return []
    found = errors.table(analysis)
    lines = [
        [wording.NOT_MEASURED if cell is None else inert(str(cell)) for cell in row]
        for row in found.rows
    ]
    return ["## Why requests failed", _table(found.columns, lines)]


def _latency(analysis: Analysis) -> list[str]:
    told = analysis.pictures.latencies
    if told is None or not told.percentiles:
        return []
    lines = [[inert(str(cell)) for cell in row] for row in rows(told.percentiles)]
    return ["## How long the requests took", _table([inert(name) for name in COLUMNS], lines)]


def _peaks(analysis: Analysis) -> list[str]:
    found = ["## Each director at its peak"] if analysis.timeline.peaks else []
    for table in analysis.timeline.peaks:
        where = f"{table.protocol} {host_port(table.vip, table.port)} {table.scheduler}"
        found.append(
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
        found.append(_table(("Real server", "Forward", "Weight", "ActiveConn", "InActConn"), lines))
    return found


def _pictures(analysis: Analysis, pictures: Mapping[str, str], why_none: str | None) -> list[str]:
    found = ["## Charts"]
    if why_none:
        found.append(f"*The charts have no pictures here: {inert(why_none)}.*")
    for chart in charts_of(analysis):
        if chart.id in pictures:
            found.append(f"![{inert(chart.id)}]({pictures[chart.id]})\n\n{inert(chart.caption)}")
        else:
            found.append(f"- {inert(chart.caption)}")
    if analysis.traces and "story" in pictures:
        told = inert(sentence(analysis.traces[0]))
        found.append(f"![one connection]({pictures['story']})\n\n{told}")
    return found if len(found) > 1 else []


def _not_measured(analysis: Analysis) -> list[str]:
    missing = analysis.not_measured
    if not missing:
        return []
    lines = [f"- {inert(one.what)}: {inert(one.why)}" for one in missing[:MOST_NOT_MEASURED]]
    if len(missing) > MOST_NOT_MEASURED:
        lines.append(f"- and {len(missing) - MOST_NOT_MEASURED} more")
    return ["## What this run did not measure", "\n".join(lines)]


def _provenance(analysis: Analysis) -> str:
    words = analysis.manifest.get("command_line")
    if not isinstance(words, (list, tuple)):
        return ""
    return f"Made by: {inert(' '.join(map(str, words)))}"
