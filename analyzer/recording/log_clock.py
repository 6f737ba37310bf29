"""The clock of an imported log, as ``run.json`` and ``--json`` have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

Offset = Annotated[float, Meta(ge=-1e10, le=1e10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogClock:
    """How the stamps of an imported log were read, and where they lie on a capture's clock."""

    zone: str | None = None  # named in the stamps
    utc_offset_s: Offset | None = None  # applied when they were read; None: zone not known
    dated: bool  # the stamps contain the day
    resolution_s: Offset
    joined: bool | None = None  # whether log and capture were brought together; None without both
    confirmed: bool  # by the events of both; else joined by the stamps alone
    shift_s: Offset | None = None  # the log's clock, as read, less the capture's; None: not known
    uncertainty_s: Offset | None = None
    why: str  # the basis of the shift, or why the two were not joined

    @property
    def is_utc(self) -> bool:
        """Whether the recording's instants are UTC: by the stamps, or by the capture's clock."""
        return bool(self.joined) or (self.utc_offset_s is not None and self.dated)
