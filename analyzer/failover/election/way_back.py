"""When a director that has returned is to be master again: by its election, or never."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from analyzer.failover.election.masters import MasterInterval
    from analyzer.recording.manifest.experiments import FailoverFacts

_STAYED_MASTER = ("unplug",)
"""Faults of which the director does not learn: it is master all the while, and at its return."""

_STARTED_ANEW = ("crash", "keepalived-stop", "keepalived-kill")
START_S = 2.0
"""What keepalived takes to start, at most, before its election begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """The theory of a failback.

    Attributes:
        due_s: earliest and latest, from the order to undo the fault; None if it never comes, or if
            the directors' settings are not known.
        never: the returned director leaves the VIP where it is, by nopreempt.
    """

    due_s: tuple[float, float] | None = None
    never: bool = False


def way_back(old: MasterInterval, new: MasterInterval, facts: FailoverFacts) -> WayBack:
    """The theory for one pair of directors.

    A director of no higher priority than the new master's takes nothing back. One of a higher
    priority that returns hears the lower one of the new master, does not count that, and takes
    over when its own master_down_interval ends. With ``preempt_delay`` it does count it until
    the delay ends, which begins at the first advertisement heard or before, and its interval begins
    at the last advertisement within the delay.

    Args:
        old: the mastership before the fault.
        new: the one that follows it.
        facts: the run's; how the directors are configured.
    """
    if facts.nopreempt is None or facts.undo_ordered_ns is None:
        return WayBack()
    done_s = max((facts.undone_ns or facts.undo_ordered_ns) - facts.undo_ordered_ns, 0) / NS_PER_S
    fault, outranks = facts.fault or "", old.priority > new.priority
    if fault.endswith(_STAYED_MASTER):
        within_s = done_s + max(old.interval_s, new.interval_s)
        return WayBack(due_s=(0.0, within_s)) if outranks else WayBack()
    if facts.nopreempt:
        return WayBack(never=True)
    if not outranks:
        return WayBack()
    wait_s, delay_s = old.down_interval_s(new), facts.preempt_delay_s or 0.0
    earliest_s = wait_s + max(delay_s - new.interval_s, 0.0)
    start_s = START_S if fault.endswith(_STARTED_ANEW) else 0.0
    first_s = new.interval_s if delay_s else 0.0
    return WayBack(due_s=(earliest_s, done_s + start_s + first_s + delay_s + wait_s))
