"""A Document as the lines of a terminal."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from reports.charts.wording import NOT_MEASURED
from reports.document.model import Bullets, Labelled, Section, Table, Text
from reports.layout import aligned, prose_width, wrapped

if TYPE_CHECKING:
    from analyzer.results import Finding
    from reports.document.model import Block, Document
    from reports.run.section import Cell


def lines_of(document: Document, columns: int | None = None) -> list[str]:
    """The document in paragraphs, for a terminal of so many columns (``reports.layout``).

    Titles of sections, charts and headline numbers are the page's; a last verdict is one line.
    """
    verdict = document.terminal_verdict or document.verdict
    width = prose_width(columns)
    first = [wrapped(text, width) for text in (verdict, document.asked)]
    if document.verdict_last:
        first = []
    last = [[verdict]] if document.verdict_last else []
    shown = document.shown("terminal")
    paragraphs = [paragraph for section in shown for paragraph in _section(section, columns)]
    findings = [_finding(finding, width) for finding in document.findings]
    lines: list[str] = []
    for paragraph in filter(None, (*first, *paragraphs, *findings, *last)):
        lines += [""] * bool(lines) + paragraph
    return lines


def _section(section: Section, columns: int | None) -> list[list[str]]:
    """Its paragraphs; texts that follow one another are one."""
    blocks = [block for block in section.blocks if not _is_of_page(block)]
    paragraphs: list[list[str]] = [_block(block, columns) for block in blocks[:1]]
    for before, block in pairwise(blocks):
        if isinstance(before, Text) and isinstance(block, Text):
            paragraphs[-1] += _block(block, columns)
        else:
            paragraphs.append(_block(block, columns))
    return paragraphs


def _is_of_page(block: Block) -> bool:
    return isinstance(block, Text) and block.only == "page"


def _block(block: Block, columns: int | None) -> list[str]:
    width = prose_width(columns)
    if isinstance(block, Table):
        return _table(block, columns)
    if isinstance(block, Bullets):
        items = [line for item in block.items for line in wrapped(f"- {item}", width, hanging="  ")]
        return [f"{block.title}:", *items]
    return wrapped(block.text, width) if isinstance(block, Text) else []


def _table(table: Table, columns: int | None) -> list[str]:
    shown, rows = table.shown("terminal")
    cells = [[_cell(cell) for cell in row] for row in rows[: table.most]]
    if table.head:
        cells.insert(0, [column.title("terminal") for column in shown])
    indent = "  " if table.title else ""
    lines = [f"{table.title}:"] if table.title else []
    lines += aligned(cells, [column.right for column in shown], columns, indent)
    more = len(rows) - len(rows[: table.most])
    return [*lines, *([f"{indent}… and {more} more: --json has them all"] if more else [])]


def _cell(cell: Cell | Labelled) -> str:
    if isinstance(cell, Labelled):
        return ": ".join(filter(None, (cell.text, cell.detail)))
    return NOT_MEASURED if cell is None else str(cell)


def _finding(finding: Finding, width: int) -> list[str]:
    return [
        *wrapped(f"{finding.severity} {finding.id}: {finding.title}.", width),
        *wrapped(finding.evidence, width, "  "),
        *wrapped(finding.advice, width, "  "),
    ]
