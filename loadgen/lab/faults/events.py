"""What was done to a live lab, one JSON line each in ``events.jsonl`` of the lab's directory.

A run that is on reads the lines written since it began and records them as its own events:
``{"at": <Unix nanoseconds>, "host": "bal01", "kind": "link-down", "detail": "done in 31 ms"}``.
``at`` is when the order was given; when it had its effect is the wire's to tell.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from loadgen.lab import state

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "events.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabEvent:
    """One line."""

    at: int  # Unix nanoseconds, this machine's clock
    host: str
    kind: str
    detail: str


def path(lab_name: str) -> Path:
    """The file; it is not there before the first event."""
    return state.directory(lab_name) / FILE_NAME


def append(lab_name: str, event: LabEvent) -> None:
    """Add a line, whole: a single write of less than a page at the end of the file."""
    line = json.dumps(asdict(event)).encode() + b"\n"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path(lab_name), flags, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read(lab_name: str) -> list[LabEvent]:
    """Every event since the lab came up; a line that is not yet whole is left out."""
    try:
        text = path(lab_name).read_text()
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]
    return [LabEvent(**json.loads(line)) for line in whole.splitlines()]
