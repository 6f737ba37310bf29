"""Lines that fit a terminal: no word is broken, columns stay under one another.

``columns`` is a terminal's width, None where there is no terminal: prose has at most ``MOST``
characters a line then, and a table is never split.
"""

from __future__ import annotations

import re
import textwrap
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 100
"""Characters of a line of prose; longer ones are hard to read."""

GAP = "  "
_LEAST_TEXT, _LEAST_IN_FILE = 16, 40
"""Characters that a column of texts has left, unless its longest is shorter or a word is longer."""


def prose_width(columns: int | None) -> int:
    """How long a line of prose may be."""
    return min(columns or MOST, MOST)


def wrapped(text: str, width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """A text in lines of at most ``width`` characters, unless one word is longer.

    Args:
        text: whatever line ends it has.
        width: of the lines, with their indentation.
        indent: of the first line.
        hanging: of the others; by default as the first.
    """
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def fitted(line: str, columns: int | None) -> list[str]:
    """A finished line, wrapped where it is longer than the terminal.

    What follows stands under the last column that the line has, else it is indented.
    """
    if columns is None or len(line) <= columns:
        return [line]
    starts = [match.end() for match in re.finditer(r"\S {2,}(?=\S)", line)]
    indentation = len(line) - len(line.lstrip()) + 2
    hanging = max([at for at in starts if at <= columns // 2], default=indentation)
    return wrapped(line, columns, hanging=" " * hanging)


def aligned(
    rows: Sequence[Sequence[str]], right: Sequence[bool], columns: int | None, indent: str = ""
) -> list[str]:
    """Rows of cells under one another.

    Where they are too wide, texts are wrapped in their columns, the widest first; where that is
    not enough, a terminal gets the columns in several tables, each with the first column.

    Args:
        rows: of as many cells each as ``right`` has.
        right: which columns are aligned to the right; these are never wrapped.
        columns: of the terminal.
        indent: before each line.
    """
    if not rows:
        return []
    width = (columns or MOST) - len(indent)
    by_column = list(zip(*rows, strict=True))
    natural = [max(map(len, cells)) for cells in by_column]
    shortest = _LEAST_TEXT if columns else _LEAST_IN_FILE
    least = [
        most if is_right else min(most, max(shortest, _longest_word(cells)))
        for most, is_right, cells in zip(natural, right, by_column, strict=True)
    ]
    parts = [list(range(len(natural)))]
    if _total(least) > width:
        if columns is None:
            least = natural
        else:
            parts = _parts(least, width)
    tables = []
    for numbers in parts:
        widths = _shrunk([natural[n] for n in numbers], [least[n] for n in numbers], width)
        picked = [[row[n] for n in numbers] for row in rows]
        tables.append(_lines(picked, widths, [right[n] for n in numbers], indent))
    return [*tables[0], *chain.from_iterable(["", *table] for table in tables[1:])]


def _lines(
    rows: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool], indent: str
) -> list[str]:
    lines = []
    for row in rows:
        cells = [
            wrapped(cell, width) if len(cell) > width else [cell]
            for cell, width in zip(row, widths, strict=True)
        ]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = [
                part.rjust(width) if is_right else part.ljust(width)
                for part, width, is_right in zip(parts, widths, right, strict=True)
            ]
            lines.append((indent + GAP.join(padded)).rstrip())
    return lines


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * max(len(widths) - 1, 0)


def _shrunk(natural: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Widths of columns that fit, as far as they may be narrower."""
    widths = list(natural)
    while _total(widths) > width:
        narrower = [n for n, now in enumerate(widths) if now > least[n]]
        if not narrower:
            break
        widths[max(narrower, key=lambda n: (widths[n], n))] -= 1
    return widths


def _parts(least: Sequence[int], width: int) -> list[list[int]]:
    """Columns by table, each with the first column and at least one more."""
    parts: list[list[int]] = []
    for n in range(1, len(least)):
        if parts and _total([least[k] for k in (*parts[-1], n)]) <= width:
            parts[-1].append(n)
        else:
            parts.append([0, n])
    return parts or [[0]]


def _longest_word(cells: Sequence[str]) -> int:
    return max((len(word) for cell in cells for word in cell.split()), default=0)
