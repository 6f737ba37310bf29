"""What a page says, as values: verdict, headline numbers, and sections of blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reports.run.section import Cell, Chart

if TYPE_CHECKING:
    from analyzer.results import Finding
    from reports.charts.wording import Headline

Medium = Literal["page", "terminal"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title in each medium; where that is empty, the column is left out.

    Attributes:
        page: with its unit.
        terminal: None: that of the page.
        right: numbers are aligned to the right.
    """

    page: str
    terminal: str | None = None
    right: bool = False

    def title(self, medium: Medium) -> str:
        """Empty where it is not shown."""
        return self.page if medium == "page" or self.terminal is None else self.terminal


def columns(*titles: str, right: bool = False) -> tuple[Column, ...]:
    """Columns that have the same title in both media; the first, which names the row, is left."""
    return tuple(Column(title, right=right and n > 0) for n, title in enumerate(titles))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A cell with a detail behind it; one that names its row may be a link on the page."""

    text: str
    detail: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of as many cells as there are columns; the first cell names the row.

    Attributes:
        title: above it; empty: the section's is enough.
        style: how a narrow window shows it: ``wide`` as blocks, ``scroll`` in a box to scroll.
        head: whether the titles of its columns are shown.
        most: rows that the terminal shows; JSON and page have all.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | Labelled]]
    title: str = ""
    style: Literal["narrow", "wide", "scroll"] = "scroll"
    head: bool = True
    most: int | None = None

    def shown(self, medium: Medium) -> tuple[list[Column], list[list[Cell | Labelled]]]:
        """The columns of a medium, and each row's cells in them."""
        at = [n for n, column in enumerate(self.columns) if column.title(medium)]
        return [self.columns[n] for n in at], [[row[n] for n in at] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; ``only``: the one medium that shows it."""

    text: str
    note: bool = True
    only: Medium | None = None


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list, and what it is a list of."""

    title: str
    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values; for the page. Both may be links."""

    pairs: Sequence[tuple[str | Labelled, Any]]


Block = Chart | Callable[[], Chart | None] | Table | Text | Bullets | Facts
"""A chart may wait for a page to ask for it: a terminal has none."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page, with a stable anchor; not shown without blocks.

    ``only``: the one medium that shows it.
    """

    id: str
    title: str
    blocks: Sequence[Block]
    only: Medium | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A page and what the terminal prints.

    Attributes:
        kind: the id of the embedded JSON.
        origin: of what, above the verdict: a run, a folder, or that nothing was sent.
        verdict: the answer in a sentence or two.
        json: the document that ``--json`` prints.
        terminal_verdict: another sentence for the terminal.
        verdict_last: below long tables the terminal prints it last, in one line.
        large_until: the mark up to which the verdict is shown large, the rest smaller; "" for all.
        headlines: of the page.
        asked: the question in one line, below them.
        findings: what goes wrong; the terminal prints them last.
    """

    kind: str
    origin: str
    verdict: str
    json: Any
    sections: Sequence[Section]
    terminal_verdict: str = ""
    verdict_last: bool = False
    large_until: str = ""
    headlines: Sequence[Headline] = ()
    asked: str = ""
    findings: Sequence[Finding] = ()

    def shown(self, medium: Medium) -> list[Section]:
        """The sections of a medium."""
        return [one for one in self.sections if one.blocks and one.only in (medium, None)]
