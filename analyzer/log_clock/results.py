"""What is said of the clock of an imported log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class LogClock:
    """How the stamps of an imported log were read, and where they lie on a capture's clock."""

    zone: str | None  # as the stamps name it; None where they name none
    utc_offset_s: float | None  # what they were read with; None where the zone is not known
    dated: bool  # whether they name a day
    resolution_s: float
    joined: bool | None  # whether log and capture were brought together; None without both
    confirmed: bool  # by the events of both; else joined by the stamps alone
    shift_s: float | None  # the log's clock, as read, less the capture's; None where not known
    uncertainty_s: float | None
    why: str  # what the shift rests on, or why the two were not joined

    @property
    def is_utc(self) -> bool:
        """Whether the recording's instants are UTC: by the stamps, or by the capture's clock."""
        return bool(self.joined) or (self.utc_offset_s is not None and self.dated)


def log_clock_of(manifest: Mapping[str, Any]) -> LogClock | None:
    """What a manifest says of it; None of a recording that is no import of a log.

    Raises:
        RecordingError: what it says is not what an import writes.
    """
    said = (manifest.get("imported") or {}).get("log_clock")
    if said is None:
        return None
    try:
        return LogClock(**said)
    except TypeError as error:
        raise RecordingError(f"run.json: log_clock: {error}") from error
