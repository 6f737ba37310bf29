"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a hidden name and rename it: whole or not at all."""
    with hidden_until_whole(path) as hidden:
        hidden.write_bytes(content)


def write_derived(path: Path, text: str) -> Path:
    """Write what was derived from recordings, whole or not at all; its path.

    Raises:
        RecordingError: it cannot be written.
    """
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise RecordingError(not_written(path, error)) from error
    return path


@contextmanager
def hidden_until_whole(path: Path) -> Iterator[Path]:
    """A hidden name to write a file under; it is renamed afterwards, or deleted on an error."""
    hidden = path.with_name(f".{path.name[:40]}.{os.getpid()}")  # no longer than a name may be
    try:
        yield hidden
        hidden.rename(path)
    except BaseException:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
        raise


def not_written(path: Path, error: OSError) -> str:
    """Which file could not be written, and the machine's reason, without its library's words."""
    why = os.strerror(error.errno) if error.errno else str(error)
    return f"{path}: cannot be written: {why}"
