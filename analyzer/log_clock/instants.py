"""Instants in words: UTC, or an imported log's own time where its zone is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.log_clock.results import LogClock
    from analyzer.results import Drain

UTC = "UTC"


def in_its_own_time(drain: Drain, log_clock: LogClock | None) -> Drain:
    """A drain's instants as what they are: not UTC where nobody knows the log's zone.

    Without ``Z`` they are the log's local time; without a date where the log names none.
    """
    if log_clock is None or log_clock.is_utc:
        return drain

    def local(instant: str | None) -> str | None:
        if instant is None:
            return None
        text = instant.removesuffix("Z")
        return text if log_clock.dated else text.partition("T")[2]

    return replace(
        drain,
        weight_zero_since=local(drain.weight_zero_since) or "",
        states=tuple(replace(one, gone_by=local(one.gone_by)) for one in drain.states),
        gone_by=local(drain.gone_by),
        not_before=local(drain.not_before),
        gone=local(drain.gone),
        last_renewal=local(drain.last_renewal),
        gone_by_if_quiet=local(drain.gone_by_if_quiet),
        zone=log_clock.zone,
    )


def time_of_day(instant: str, zone: str | None) -> str:
    """``18:20:11.3 UTC`` of an instant of a drain."""
    time = instant.rpartition("T")[2][:10]
    if zone == UTC:
        return f"{time} UTC"
    return f"{time}{f' {zone}' if zone else ''} by the log's own clock"
