"""A Document as the lines of a terminal."""

from __future__ import annotations

import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING

from reports.charts.wording import NOT_MEASURED
from reports.document.model import Bullets, Labelled, Section, Table, Text

if TYPE_CHECKING:
    from analyzer.results import Finding
    from reports.document.model import Block, Document
    from reports.run.section import Cell

WIDTH = 100
LEAST_WRAPPED = 40  # columns of the last cell, for it to be wrapped beside the others


def lines_of(document: Document) -> list[str]:
    """The document in paragraphs: of at most 100 columns, but for wide tables and a last verdict.

    Titles of sections, charts and headline numbers are the page's.
    """
    verdict = document.terminal_verdict or document.verdict
    first = [] if document.verdict_last else [wrapped(verdict), wrapped(document.asked)]
    last = [[verdict]] if document.verdict_last else []
    shown = document.shown("terminal")
    paragraphs = [paragraph for section in shown for paragraph in _section(section)]
    findings = [_finding(finding) for finding in document.findings]
    lines: list[str] = []
    for paragraph in filter(None, (*first, *paragraphs, *findings, *last)):
        lines += [""] * bool(lines) + paragraph
    return lines


def wrapped(text: str, indent: str = "", hanging: str | None = None) -> list[str]:
    """A text in lines of at most 100 columns."""
    later = indent if hanging is None else hanging
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=later)


def _section(section: Section) -> list[list[str]]:
    """Its paragraphs; texts that follow one another are one."""
    blocks = [block for block in section.blocks if not _is_of_page(block)]
    paragraphs: list[list[str]] = [_block(block) for block in blocks[:1]]
    for before, block in pairwise(blocks):
        if isinstance(before, Text) and isinstance(block, Text):
            paragraphs[-1] += _block(block)
        else:
            paragraphs.append(_block(block))
    return paragraphs


def _is_of_page(block: Block) -> bool:
    return isinstance(block, Text) and block.only == "page"


def _block(block: Block) -> list[str]:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Bullets):
        items = [line for item in block.items for line in wrapped(f"- {item}", hanging="  ")]
        return [f"{block.title}:", *items]
    return wrapped(block.text) if isinstance(block, Text) else []


def _table(table: Table) -> list[str]:
    columns, rows = table.shown("terminal")
    cells = [[_cell(cell) for cell in row] for row in rows[: table.most]]
    if table.head:
        cells.insert(0, [column.title("terminal") for column in columns])
    widths = [max((len(row[n]) for row in cells), default=0) for n in range(len(columns))]
    indent = "  " if table.title else ""
    lines = [f"{table.title}:"] if table.title else []
    for row in cells:
        padded = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        lines += _row(indent + "".join(f"{cell}  " for cell in padded[:-1]), padded[-1])
    more = len(rows) - len(rows[: table.most])
    return [*lines, *([f"{indent}… and {more} more: --json has them all"] if more else [])]


def _row(begin: str, last: str) -> list[str]:
    """The last cell is wrapped beside the others where there is room for that."""
    if len(begin) > WIDTH - LEAST_WRAPPED or len(begin + last.rstrip()) <= WIDTH:
        return [(begin + last).rstrip()]
    first, *more = textwrap.wrap(last, WIDTH - len(begin))
    return [begin + first, *(" " * len(begin) + line for line in more)]


def _cell(cell: Cell | Labelled) -> str:
    if isinstance(cell, Labelled):
        return ": ".join(filter(None, (cell.text, cell.detail)))
    return NOT_MEASURED if cell is None else str(cell)


def _finding(finding: Finding) -> list[str]:
    return [
        *wrapped(f"{finding.severity} {finding.id}: {finding.title}."),
        *wrapped(finding.evidence, "  "),
        *wrapped(finding.advice, "  "),
    ]
