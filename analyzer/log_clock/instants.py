"""Instants in words: UTC, or the log's local time where its zone is not known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.recording.log_clock import LogClock
    from analyzer.results import Drain, SafeToReboot

UTC = "UTC"


def in_log_time(drain: Drain, log_clock: LogClock | None) -> Drain:
    """A drain with its instants in the log's local time, if the log's zone is not known.

    Local times have no ``Z``, and no date where the log has none.
    """
    if log_clock is None or log_clock.is_utc:
        return drain
    local = partial(_local, log_clock)
    return replace(
        drain,
        weight_zero_since=local(drain.weight_zero_since) or "",
        states=tuple(replace(state, gone_by=local(state.gone_by)) for state in drain.states),
        gone_by=local(drain.gone_by),
        not_before=local(drain.not_before),
        gone=local(drain.gone),
        last_renewal=local(drain.last_renewal),
        gone_by_if_quiet=local(drain.gone_by_if_quiet),
        zone=log_clock.zone,
    )


def reboot_in_log_time(row: SafeToReboot, log_clock: LogClock | None) -> SafeToReboot:
    """The same of the answer when a real server may be rebooted."""
    if log_clock is None or log_clock.is_utc:
        return row
    safe_after, gone_by = (_local(log_clock, instant) for instant in (row.safe_after, row.gone_by))
    return replace(row, safe_after=safe_after, gone_by=gone_by, zone=log_clock.zone)


def _local(log_clock: LogClock, instant: str | None) -> str | None:
    if instant is None:
        return None
    text = instant.removesuffix("Z")
    return text if log_clock.dated else text.partition("T")[2]


def time_of_day(instant: str, zone: str | None) -> str:
    """``18:20:11.3 UTC`` of an instant of a drain."""
    time = instant.rpartition("T")[2][:10]
    if zone == UTC:
        return f"{time} UTC"
    return f"{time}{f' {zone}' if zone else ''} by the log's own clock"
