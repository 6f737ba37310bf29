"""Files that commands read and write where the operator says, and where a run goes."""

from __future__ import annotations

import time
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator


def home_directory() -> Path | None:
    """The user's; None without HOME and without an entry in the user database."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        UsageProblem: it cannot be written there.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be written: {error.strerror}") from error


def read_text(path: Path, most_bytes: int) -> str:
    """Read a file of bounded size.

    Raises:
        UsageProblem: it cannot be read, is larger, or is no UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > most_bytes:
        raise UsageProblem(f"{path}: larger than {most_bytes:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path}: not UTF-8: {error}") from error


def new_run_directory(command: str, folder: Path = Path("runs")) -> Path:
    """``<UTC time>-<command>`` in a folder, a name that no run has yet."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    candidates = (folder / f"{stamp}-{command}{suffix}" for suffix in _suffixes())
    return next(path for path in candidates if not path.exists())


def _suffixes() -> Iterator[str]:
    return chain([""], (f"-{number}" for number in count(2)))
