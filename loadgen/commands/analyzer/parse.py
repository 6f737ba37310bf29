"""``analyzer parse``: any text of ipvsadm or ``/proc/net/ip_vs*`` to JSON or to tables."""

from __future__ import annotations

import gc
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

    Exit code 2 if nothing in the text was understood; a tool's error text is understood.
    """
    from analyzer.documents import as_pieces
    from analyzer.errors import ParseError
    from analyzer.ipvs import ipvsadm as texts

    with _uncollected():
        data, is_cut = _read(file)
        text = texts.decode(data)
        del data
        parsed = texts.parse(text, hz=hz)
        del text
        if is_cut:
            cut = f"only the first {MAX_BYTES // 1024**2} MiB were read"
            parsed = replace(parsed, warnings=(*parsed.warnings, cut))
        if as_json:
            print_pieces(chain(as_pieces(parsed, texts.ParsedDocument), "\n"))
        else:
            _show(parsed)
    if not parsed.lines_understood:
        name = "standard input" if str(file) == "-" else str(file)
        raise ParseError(f"{name}: no text of ipvsadm or /proc/net/ip_vs* was found in it")


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
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    return data[:MAX_BYTES], len(data) > MAX_BYTES


def _show(parsed: ParsedText) -> None:
    """What was understood, for people, on standard output; the doubts on standard error."""
    from reports.parsed_text import lines_of

    print_lines(lines_of(parsed))
    print_lines((f"warning: {warning}" for warning in parsed.warnings), err=True)
