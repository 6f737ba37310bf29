"""Every real server of weight 0 in a recording: its entries, and when the last one expires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.log_clock.instants import in_log_time
from analyzer.recording.clock import iso
from analyzer.results import Drain, DrainState
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.arrays import Ints
    from analyzer.drains.remaining import Draining, Remaining
    from analyzer.recording.log_clock import LogClock

TEMPLATE = "TEMPLATE"
NOT_READ = "its entries were not read"
NOTHING_SEEN = "it held no entry since its weight became 0"
RENEWED = "traffic still renews entries"
CLIENTS_RETURN = "clients that come back renew their templates"


def drains(found: Iterable[Draining], log_clock: LogClock | None = None) -> tuple[Drain, ...]:
    """A row for each real server of weight 0.

    Args:
        found: those of all directors.
        log_clock: of an imported log.
    """
    return tuple(in_log_time(_drain(one), log_clock) for one in found)


def _drain(draining: Draining) -> Drain:
    if draining.left is None:
        return _by_counters(draining)
    left = draining.left
    by_ns, wide_s = _removed_by(left.first_ns, left.last_ns)
    gone_by = None if by_ns is None else iso(by_ns)
    is_renewed, renewed = left.is_renewed, left.renewed
    return Drain(
        director=draining.director.name,
        service=draining.spell.service,
        real_server=draining.spell.server,
        weight_zero_since=iso(draining.spell.since_ns),
        entries=left.n_left,
        states=_states(left) if left.n_left else (),
        gone_by=None if is_renewed else gone_by,
        uncertainty_s=None if is_renewed else wide_s,
        not_before=iso(int(left.first_ns.max())) if is_renewed else None,
        gone=None if left.gone_ns is None else iso(left.gone_ns),
        why=_why(left),
        renewals=len(renewed),
        last_renewal=iso(int(renewed["at_ns"].max())) if len(renewed) else None,
        gone_by_if_quiet=gone_by if is_renewed else None,
        uncertainty_if_quiet_s=wide_s if is_renewed else None,
    )


def _why(left: Remaining) -> str | None:
    if not len(left.held):
        return NOTHING_SEEN
    if not left.is_renewed:
        return None
    return CLIENTS_RETURN if clients_return(left) else RENEWED


def clients_return(left: Remaining) -> bool:
    """Whether what renews entries is clients that come back to their templates."""
    return bool((left.held.renewed & left.held.is_template).any())


def _by_counters(draining: Draining) -> Drain:
    row = draining.spell.row
    return Drain(
        director=draining.director.name,
        service=draining.spell.service,
        real_server=draining.spell.server,
        weight_zero_since=iso(draining.spell.since_ns),
        entries=int(row.active) + int(row.inactive),
        states=(),
        gone_by=None,
        uncertainty_s=None,
        not_before=None,
        gone=None,
        why=NOT_READ,
    )


def _states(left: Remaining) -> tuple[DrainState, ...]:
    names = np.where(left.held.is_template, TEMPLATE, left.held.state)
    rows = []
    for name in dict.fromkeys(names):
        chosen = names == name
        by_ns, wide_s = _removed_by(left.first_ns[chosen], left.last_ns[chosen])
        rows.append(
            DrainState(
                state=str(name),
                n=int(chosen.sum()),
                renewed=int(left.held.renewed[chosen].sum()),
                gone_by=None if by_ns is None else iso(by_ns),
                uncertainty_s=wide_s,
            )
        )
    return tuple(rows)


def _removed_by(first_ns: Ints, last_ns: Ints) -> tuple[int | None, float | None]:
    """The middle of the interval in which the last entry is removed, and half its width, s."""
    if len(first_ns) == 0:
        return None, None
    first, last = int(first_ns.max()), int(last_ns.max())
    return (first + last) // 2, (last - first) / 2 / NS_PER_S
