"""``sweep.json``: the runs in a folder that are one sweep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER_FILE = "sweep.json"
PAGE = "sweep.html"
SCHEMA_VERSION = 1
MAX_BYTES = 1 << 20
_MAX_S = 31 * 86400  # as ipvsadm limits a timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFolder:
    """What the file says of a sweep.

    Attributes:
        runs: the values of tcpfin, seconds, and the names of their runs within the folder.
        planned: how many runs there were to be; None where it does not say.
        before: the timeouts that each director had, in words; empty where it does not say.
    """

    runs: tuple[tuple[float, str], ...]
    planned: int | None
    before: Mapping[str, str]


def parse_folder(text: str, where: str) -> SweepFolder:
    """The file's content.

    Args:
        text: of the file.
        where: its name, for messages.

    Raises:
        RecordingError: the text is not of such a file.
    """
    try:
        document = json.loads(text)
        if document["schema_version"] != SCHEMA_VERSION:
            raise RecordingError(f"{where}: expected schema_version {SCHEMA_VERSION}")
        return SweepFolder(
            runs=tuple((_value_s(row["tcpfin_s"]), _name(row["run"])) for row in document["runs"]),
            planned=_planned(document.get("runs_planned")),
            before=_before(document.get("timeouts_before")),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RecordingError(f"{where}: not a list of a sweep's runs") from None


def _planned(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _before(value: Any) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
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
