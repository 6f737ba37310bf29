"""Tracked entries by hand, as polls would have seen them; and those of polls by hand."""

from __future__ import annotations

import pandas as pd

from analyzer.observed.entries import TRACKED_COLUMNS, entry_polls_of, tracked_by
from tests.unit.analyzer.builders_packets import BOOT_NS, NS


def at(seconds: float | None) -> int | None:
    return None if seconds is None else BOOT_NS + round(seconds * NS)


def life(
    flow: int, appeared_s: float, seen_s: float | None, absent_s: float | None
) -> list[object]:
    """As ``observed.entries.tracked_by`` has it; it came to its last state as it appeared."""
    began, seen, ended = at(appeared_s), at(seen_s), at(absent_s)
    first = [began, None, began, began, 20]
    return [
        *("bal01", flow, "TCP", "192.168.10.21:80", "FIN_WAIT"),
        *first,
        *(seen, seen, None if ended is None else 0),
        *(ended, ended),
    ]


def tracked(*rows: list[object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(TRACKED_COLUMNS)).astype(TRACKED_COLUMNS)


def tracked_of(entries: pd.DataFrame, polls: pd.DataFrame) -> pd.DataFrame:
    """``numbered`` changes of any directors, by a recording's polls."""
    names = entries["director"].unique()
    return tracked_by(entries, {str(name): entry_polls_of(polls, str(name)) for name in names})
