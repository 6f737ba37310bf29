"""``sweep.json``: the runs in a folder that are one sweep."""

from __future__ import annotations

import json
from typing import Any

from analyzer.errors import RecordingError

FOLDER_FILE = "sweep.json"
PAGE = "sweep.html"
SCHEMA_VERSION = 1
MAX_BYTES = 1 << 20
_MAX_S = 31 * 86400  # as ipvsadm limits a timeout


def parse_folder(text: str, where: str) -> list[tuple[float, str]]:
    """The values of tcpfin, seconds, and the names of their runs within the folder.

    Args:
        text: the file's content.
        where: its name, for messages.

    Raises:
        RecordingError: the text is not of such a file.
    """
    try:
        document = json.loads(text)
        if document["schema_version"] != SCHEMA_VERSION:
            raise RecordingError(f"{where}: expected schema_version {SCHEMA_VERSION}")
        return [(_value_s(row["tcpfin_s"]), _name(row["run"])) for row in document["runs"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RecordingError(f"{where}: not a list of a sweep's runs") from None


def parse_planned(text: str) -> int | None:
    """The planned number of runs; None where the file does not have it."""
    planned = json.loads(text).get("runs_planned")
    return planned if type(planned) is int and planned > 0 else None


def parse_before(text: str) -> dict[str, str]:
    """The timeouts that each director had before the sweep, in words; empty where not known."""
    before = json.loads(text).get("timeouts_before")
    pairs = before.items() if isinstance(before, dict) else ()
    return {name: words for name, words in pairs if isinstance(words, str)}


def _value_s(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value <= _MAX_S:
        raise ValueError(value)
    return float(value)


def _name(value: Any) -> str:
    """The name of a folder directly below; anything else could point outside the sweep."""
    if not isinstance(value, str) or "/" in value or "\0" in value or value in ("", ".", ".."):
        raise ValueError(value)
    return value
