"""When a real server that was drained may be rebooted, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analyzer.log_clock.instants import time_of_day
from analyzer.recording.clock import iso

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from analyzer.results import SafeToReboot

MOST_SERVERS = 50
MOST_REASONS = 2
_SOME_DAY = "2000-01-01"  # of a log that names none


def sentences(analysis: Analysis) -> list[str]:
    """A line for each real server that had weight 0 or was removed; of very many the first."""
    day = iso(analysis.timeline.zero_ns).partition("T")[0]
    rows = analysis.safe_to_reboot
    more = len(rows) - MOST_SERVERS
    return [
        *(sentence(row, day) for row in rows[:MOST_SERVERS]),
        *([f"and {more:,} more real servers (safe_to_reboot in --json)"] if more > 0 else []),
    ]


def sentence(row: SafeToReboot, day: str | None = None) -> str:
    """One real server in words.

    Args:
        row: what is known of it.
        day: of the run, as in ISO 8601; another one is named.
    """
    server = row.real_server
    recorded = "" if row.all_services else ", as far as the recorded services go"
    if row.safe_after is None:
        more = len(row.why) - MOST_REASONS
        shown = "; ".join([*row.why[:MOST_REASONS], *([f"{more} more"] if more > 0 else [])])
        if row.answer == "not-safe":
            return f"not safe to reboot {server}: {shown}"
        return f"not known when it is safe to reboot {server}: {shown}"
    at = _rounded_up(row.safe_after, row.zone, day)
    alone = f"on {row.directors[0]}" if len(row.directors) == 1 else None
    if row.gone_by is None:
        held = f"it held no entry {alone or 'on any director'}"
        return f"safe to reboot {server} since {at}: {held}{recorded}"
    by, wide_s = time_of_day(row.gone_by, row.zone), row.uncertainty_s or 0.0
    return (
        f"safe to reboot {server} after {at} {alone or 'on all directors'}{recorded}: "
        f"its last entry is gone by {by} ± {math.ceil(10 * wide_s) / 10:.1f} s, "
        "if no packet arrives"
    )


def _rounded_up(instant: str, zone: str | None, day: str | None) -> str:
    """``04:55:20 UTC``, with its date where that is another day."""
    date, _, time = instant.removesuffix("Z").rpartition("T")
    at_ms = np.datetime64(f"{date or _SOME_DAY}T{time}", "ms")
    whole = str((at_ms + np.timedelta64(999, "ms")).astype("datetime64[s]"))
    on = whole.partition("T")[0]
    shown = f"{on} " if date and on != day else ""
    return f"{shown}{time_of_day(whole, zone)}"
