"""``analyzer anonymise``: a copy of a run that may go into a public ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadgen.commands.types import PathType

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("run", type=PathType())
@click.option(
    "-o",
    "output",
    required=True,
    type=PathType(),
    help="Directory of the copy; it must not exist.",
)
@click.option(
    "--key-file",
    type=PathType(),
    help="Key of 32 bytes or 64 hexadecimal digits, for the same replacements each time.  "
    "[default: a new key]",
)
def anonymise(run: Path, output: Path, key_file: Path | None) -> None:
    """Copy RUN without the addresses, names and payloads in it.

    Addresses that share a prefix share one afterwards; the analysis of the copy has the same
    figures. Look through a copy before you publish it all the same.
    """
    import os

    from analyzer.anonymous.run import anonymise as write_copy
    from analyzer.anonymous.substitution import KEY_BYTES
    from analyzer.recording.directory import Recording
    from loadgen.errors import UsageProblem
    from loadgen.session.means.progress import COPYING, ReadingProgress
    from loadgen.session.terminal import print_line, report_progress

    if output.exists():
        raise UsageProblem(f"{output}: exists already; name a new directory")
    recording = Recording.open(run)
    key = _key(key_file) if key_file else os.urandom(KEY_BYTES)
    progress = ReadingProgress("analyzer anonymise", report_progress, words=COPYING)
    write_copy(recording, output, key, progress.read)
    for problem in recording.problems:
        print_line(f"analyzer anonymise: {problem}", err=True)
    print_line(output)


def _key(path: Path) -> bytes:
    from analyzer.anonymous.substitution import KEY_BYTES
    from loadgen.errors import UsageProblem

    try:
        with path.open("rb") as file:
            content = file.read(4 * KEY_BYTES)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from error
    try:
        key = content if len(content) == KEY_BYTES else bytes.fromhex(content.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise UsageProblem(f"{path}: no key; expected {KEY_BYTES} bytes or 64 hexadecimal digits")
    return key
