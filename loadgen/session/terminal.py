"""The one way to a terminal or a log: nothing of this program prints but through here.

Lines go through ``reports.plain_text.log_line``, documents through ``as_text``; the linter holds
everybody else off ``click.echo`` and rich's ``Console``. What stands on standard error only
accompanies the work: where it cannot be written, the work goes on.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import click

from loadgen.errors import UsageProblem
from reports.layout import fitted
from reports.plain_text import log_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

_WRITTEN_AT_ONCE = 1 << 18
"""Characters: a long text takes no system call a line."""
_LINES_AT_ONCE = 1000
"""To be made printable together."""


LEAST_COLUMNS = 40
"""Of a terminal; a narrower one is written to as if it had so many."""


def columns(*, err: bool = False) -> int | None:
    """How wide standard output or standard error is; None where it is no terminal."""
    stream = sys.stderr if err else sys.stdout
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return None
    return max(width, LEAST_COLUMNS) if width else None


def print_line(line: object, *, err: bool = False) -> None:
    """One line, on standard output or on standard error; a terminal gets it broken at blanks.

    Raises:
        UsageProblem: standard output cannot be written.
        BrokenPipeError: nobody reads it any more.
    """
    _write("\n".join(_fitted(line, columns(err=err))), err=err)


def print_lines(lines: Iterable[object], *, err: bool = False) -> None:
    """Several; raises as ``print_line`` does."""
    if err:
        for line in lines:
            print_line(line, err=True)
    else:
        width = columns()
        if width is None:
            print_verbatim(lines)
        else:
            print_pieces(f"{part}\n" for line in lines for part in _fitted(line, width))


def print_verbatim(lines: Iterable[object]) -> None:
    """Lines for another program, each as it is, on standard output; raises as ``print_line``."""
    print_pieces(_batches(map(str, lines)))


def _batches(lines: Iterator[str]) -> Iterator[str]:
    """Printable lines, each with its newline, many to a piece: most are so as they are."""
    while batch := list(islice(lines, _LINES_AT_ONCE)):
        joined = "".join(batch)
        is_plain = joined.isprintable() and "::" not in joined and "##" not in joined
        yield "\n".join([*(batch if is_plain else map(log_line, batch)), ""])


def print_pieces(pieces: Iterable[str]) -> None:
    """A text that comes in pieces, on standard output; raises as ``print_line`` does."""
    waiting: list[str] = []
    characters = 0
    for piece in pieces:
        waiting.append(piece)
        characters += len(piece)
        if characters > _WRITTEN_AT_ONCE:
            _write("".join(waiting), err=False, newline=False)
            waiting, characters = [], 0
    if waiting:
        _write("".join(waiting), err=False, newline=False)


def print_document(document: Mapping[str, Any], *, indent: int | None = None) -> None:
    """One JSON document on standard output; raises as ``print_line`` does."""
    from analyzer.documents import as_text

    _write(as_text(document, indent), err=False)


def print_workflow_command(line: str) -> None:
    """One of GitHub's workflow commands of our own, its data escaped already."""
    _write(printable(line), err=False)


def report_progress(line: str) -> None:
    """A line of progress, on standard error."""
    print_line(line, err=True)


def flush() -> None:
    """Bring to standard output what waits; raises as ``print_line`` does."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _abandon_output()
        raise _named(error) from error


def _fitted(line: object, width: int | None) -> list[str]:
    return fitted(log_line(str(line)), width)


def _write(text: str, *, err: bool, newline: bool = True) -> None:
    if err:
        with suppress(OSError):
            click.echo(text, err=True)
        return
    try:
        click.echo(text, nl=newline, color=True)  # no escape sequence is left to be removed
    except OSError as error:
        _abandon_output()
        raise _named(error) from error


def _named(error: OSError) -> Exception:
    """With the name of the output; a reader that has gone is another matter."""
    if isinstance(error, BrokenPipeError):
        return error
    return UsageProblem(f"standard output: cannot be written: {error.strerror}")


def _abandon_output() -> None:
    """What still waits goes nowhere, so that the interpreter's end does not fail for it again."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
