"""The clock of an imported log as a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class LogClock:
    """How the stamps of an imported log were read, and where they lie on a capture's clock."""

    zone: str | None  # named in the stamps
    utc_offset_s: float | None  # applied when they were read; None where the zone is not known
    dated: bool  # the stamps contain the day
    resolution_s: float
    joined: bool | None  # whether log and capture were brought together; None without both
    confirmed: bool  # by the events of both; else joined by the stamps alone
    shift_s: float | None  # the log's clock, as read, less the capture's; None where not known
    uncertainty_s: float | None
    why: str  # the basis of the shift, or why the two were not joined

    @property
    def is_utc(self) -> bool:
        """Whether the recording's instants are UTC: by the stamps, or by the capture's clock."""
        return bool(self.joined) or (self.utc_offset_s is not None and self.dated)


def log_clock_of(manifest: Mapping[str, Any]) -> LogClock | None:
    """The log clock in a manifest; None if the recording is no import of a log.

    Raises:
        RecordingError: it is not what an import writes.
    """
    document = (manifest.get("imported") or {}).get("log_clock")
    if document is None:
        return None
    try:
        return LogClock(**document)
    except TypeError as error:
        raise RecordingError(f"run.json: log_clock: {error}") from error
