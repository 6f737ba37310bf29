"""``analyzer parse``: any text of ipvsadm or ``/proc/net/ip_vs*`` to JSON or to tables."""

from __future__ import annotations

import gc
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import click

from loadgen.commands.types import PathType
from loadgen.session.terminal import print_lines, print_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from analyzer.ipvs.ipvsadm import ParsedText

MAX_BYTES = 64 * 1024 * 1024
_HEAD_CHARACTERS = 1 << 16
_LINE = re.compile(r"line (\d+): ")
_ROWS_OF = ("services", "connections", "timeouts", "daemons", "total", "rate", "cpus", "error")


@click.command()
@click.argument(
    "file",
    type=PathType(exists=True, dir_okay=False, allow_dash=True),
    default="-",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--hz",
    type=click.IntRange(1, 10_000),
    help="HZ of the director, to convert the kernel's persistence from jiffies to seconds.",
)
def parse(file: Path, as_json: bool, hz: int | None) -> None:
    """Parse output of ipvsadm or /proc/net/ip_vs*.

    From FILE or standard input.

    Exit code 2 if nothing in the text was understood, or no row of it; a tool's error text is
    understood.
    """
    from analyzer.documents import as_pieces
    from analyzer.errors import ParseError
    from analyzer.ipvs import ipvsadm as texts
    from loadgen.importing.sources.kinds import is_capture as is_capture_of
    from loadgen.importing.times.lines import without_times

    with _uncollected():
        data, is_cut = _read(file)
        is_capture = is_capture_of(data)
        text = texts.decode(data)
        del data
        head = text[:_HEAD_CHARACTERS]
        text = without_times(text)
        parsed = texts.parse(text, hz=hz)
        del text
        if is_cut:
            cut = f"only the first {MAX_BYTES // 1024**2} MiB were read"
            parsed = replace(parsed, warnings=(*parsed.warnings, cut))
        if as_json:
            print_pieces(chain(as_pieces(parsed, texts.ParsedDocument), "\n"))
        else:
            _show(parsed)
    why = _why_nothing(parsed, head, is_capture)
    if why is not None:
        name = "standard input" if str(file) == "-" else str(file)
        raise ParseError(f"{name}: {why}")


def _why_nothing(parsed: ParsedText, head: str, is_capture: bool) -> str | None:
    """Why a text has nothing that is printed; None where it has."""
    from loadgen.importing.sources.refusals import ROWS, foreign_line, refusal

    none = "no text of ipvsadm or /proc/net/ip_vs* was found in it"
    if is_capture:
        return f"{none}: it is a capture; expected one by: analyzer report FILE"
    if not parsed.lines_understood:
        expected = f"what ipvsadm prints, such as {ROWS}"
        return f"{none}: {refusal(head.splitlines(), expected)}"
    lost = next((found for found in map(_LINE.match, parsed.warnings) if found), None)
    if lost is None or any(getattr(parsed, name) for name in _ROWS_OF):
        return None
    if foreign_line(head.splitlines()):
        return f"{none}: {refusal(head.splitlines(), '')}"
    return f"line {lost[1]}: no row of it was understood; expected rows such as {ROWS}"


@contextmanager
def _uncollected() -> Iterator[None]:
    """A million values, no cycle among them, would be searched for some again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(file: Path) -> tuple[bytes, bool]:
    """What is used of it, and whether that is not all."""
    if str(file) == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        data = _packed(file) if file.is_file() else None
        if data is None:
            with file.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    return data[:MAX_BYTES], len(data) > MAX_BYTES


def _packed(file: Path) -> bytes | None:
    """What is used of a packed file; None of any other."""
    from loadgen.importing.sources.packed import first_bytes, packing_of, refuse_bomb

    if packing_of(file) is None:
        return None
    refuse_bomb(file, "a text")
    return first_bytes(file, MAX_BYTES + 1)


def _show(parsed: ParsedText) -> None:
    """What was understood, for people, on standard output; the doubts on standard error."""
    from reports.parsed_text import lines_of

    print_lines(lines_of(parsed))
    print_lines((f"warning: {warning}" for warning in parsed.warnings), err=True)
