"""The summary of a run on the terminal: the page's numbers as plain lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from analyzer.client.samples import carries_quantile
from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.table_status import in_words
from reports.charts import wording
from reports.layout import aligned, prose_width, wrapped
from reports.plain_text import printable
from reports.run import reboots
from reports.run.percentiles import TOO_FEW_CELL as TOO_FEW
from reports.run.sections import sockets, targets, workers
from reports.run.sections.other_settings import what_if

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.client.results import Latency
    from analyzer.recording.manifest import Manifest
    from analyzer.report import Analysis
    from analyzer.results import RealServerRow, ServiceTable
    from reports.run.section import Cell

COLUMNS = ("p50", "p90", "p99", "max")
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
PROTOCOL_WIDTH = 4
LATE_MS = 1.0
ERRORS_HEAD, ERRORS_COUNT = "why requests failed", "requests"


def summary_lines(analysis: Analysis, columns: int | None = None) -> list[str]:
    """The requests, latencies, each director's table at its peak, and the verdict.

    Warnings, problems, what may be rebooted and the what-if come before the verdict.

    Args:
        analysis: of the run.
        columns: of the terminal (``reports.layout``).
    """
    width = prose_width(columns)
    blocks = [
        _prose([wording.sent(analysis)], width),
        target_lines(analysis, columns),
        error_lines(analysis, columns),
        latency_lines(analysis),
        *(_at_peak(table) for table in analysis.timeline.peaks),
        [] if analysis.timeline.peaks else _prose([_no_tables(analysis)], width),
        _prose(_entry_tables(analysis), width),
        _prose([f"{workers.sentence(analysis)}."] if analysis.workers else [], width),
        _prose(_findings(analysis), width),
        _prose(reboots.sentences(analysis), width),
        _prose([f"{text}." for text in sockets.sentences(analysis)], width),
        _prose(what_if.sentences(analysis), width),
        _prose([analysis.verdict], width),
    ]
    lines: list[str] = []
    for block in filter(None, blocks):
        lines += [""] * bool(lines) + block
    return lines


def directors_line(manifest: Manifest) -> list[str]:
    """The polled directors in one line; empty if none was polled."""
    links = {name: facts.link or name for name, facts in manifest.directors.items()}
    return [f"directors: {printable(directors(links, manifest.lab))}"] if links else []


def directors(links: Mapping[str, str], lab: str | None) -> str:
    """Directors in words: those of a lab by name, others by link; ``links`` is by name."""
    if lab is not None:
        return f"{', '.join(links)} (lab {lab!r})"
    return ", ".join(_link(name, link) for name, link in links.items())


def _link(name: str, link: str) -> str:
    """A link, with the director's name where it does not say it."""
    says_it = name == link or " " in name or name in re.split(r"[^\w.-]+", link)
    return link if says_it else f"{name} ({link})"


def _findings(analysis: Analysis) -> list[str]:
    return [
        f"{finding.severity}: {finding.title} ({finding.id})"
        for finding in analysis.findings
        if finding.severity != "info"
    ]


def latency_lines(analysis: Analysis) -> list[str]:
    """The latencies as a table in milliseconds; empty without requests."""
    if not analysis.requests.sent:
        return []
    head = f"{'latency, ms':<12}" + "".join(f"{name:>10}" for name in COLUMNS)
    late, n = analysis.requests.lateness_ms, analysis.requests.sent
    latencies = wording.LATENCIES + (wording.FROM_DUE if late and late.max >= LATE_MS else ())
    return [head, *(_row(name, getattr(analysis.requests, key), n) for name, key in latencies)]


def target_lines(analysis: Analysis, columns: int | None = None) -> list[str]:
    """A row for each of several targets; empty of a load at one."""
    if not analysis.targets:
        return []
    table = targets.table(analysis)
    rows = [
        table.columns,
        *(tuple("-" if cell is None else _shown(cell) for cell in row) for row in table.rows),
    ]
    rows = [tuple(map(printable, row)) for row in rows]
    return aligned(rows, (False, *(True for _ in table.columns[1:])), columns)


def _shown(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def error_lines(analysis: Analysis, columns: int | None = None) -> list[str]:
    """The reasons for failed requests, a row each; empty if nothing failed."""
    errors = analysis.requests.errors
    if not errors:
        return []
    rows = [
        (ERRORS_HEAD, ERRORS_COUNT),
        *(
            (printable(f"{wording.reason(row)} ({wording.stage(row)})"), f"{row.n:,}")
            for row in errors
        ),
    ]
    return aligned(rows, (False, True), columns)


def _row(name: str, latency: Latency | None, n: int) -> str:
    if latency is None:
        return f"{name:<12}  {wording.NOT_MEASURED}"
    values = (
        wording.milliseconds(getattr(latency, column))
        if carries_quantile(SHARES.get(column, 0.0), n)
        else TOO_FEW
        for column in COLUMNS
    )
    return f"{name:<12}" + "".join(f"{value:>10}" for value in values)


def ipvsadm_lines(table: ServiceTable) -> list[str]:
    """The service in the layout of ``ipvsadm -Ln``, from its column titles on."""
    vip = host_port(table.vip, table.port)
    return [
        "Prot LocalAddress:Port Scheduler Flags",
        _destination("RemoteAddress:Port", "Forward", "Weight", "ActiveConn", "InActConn"),
        printable(f"{table.protocol:<{PROTOCOL_WIDTH}} {vip} {table.scheduler}"),
        *(_real_server(row) for row in table.rows),
    ]


def _real_server(row: RealServerRow) -> str:
    return _destination(
        printable(host_port(row.real_server, row.real_port)),
        wording.FORWARDING.get(row.forwarding, printable(row.forwarding)),
        f"{row.weight}",
        f"{row.active}",
        f"{row.inactive}",
    )


def _destination(name: str, forward: str, weight: str, active: str, inactive: str) -> str:
    """A line in ipvsadm's format ``  -> %-28s %-7s %-6d %-10u %-10u``, without trailing blanks."""
    return f"  -> {name:<28} {forward:<7} {weight:<6} {active:<10} {inactive:<10}".rstrip()


def _entry_tables(analysis: Analysis) -> list[str]:
    """The fullest state of each table of entries whose kernel shows it."""
    return [
        f"{table.director}'s table at its fullest: {in_words(table.fullest)}"
        for table in analysis.tables
        if table.fullest is not None
    ]


def _at_peak(table: ServiceTable) -> list[str]:
    when = f"{printable(table.director)} at its peak, {wording.seconds(table.t_s)} after the start:"
    return [when, *ipvsadm_lines(table)]


def _no_tables(analysis: Analysis) -> str:
    reason = wording.why_no_polls(analysis)
    return f"ActiveConn and InActConn: {wording.NOT_MEASURED}, {reason}"


def _prose(texts: Iterable[str], width: int) -> list[str]:
    return [line for text in texts for line in wrapped(printable(text), width)]
