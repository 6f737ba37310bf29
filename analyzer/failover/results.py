"""The results of a fail-over; ``Failover`` is a key of the Report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

How = Literal["silence", "clean-stop", "keepalived-alone", "bfd"]
"""How a master left: silently; with priority 0; only its keepalived stopped while the director
kept forwarding; or because BFD reported a neighbour down."""

Phase = Literal["before the fault", "at the take-over", "before it was undone", "at the end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mastership:
    """A time in which one director advertised as master.

    Times are seconds since the run's start. ``from_s`` and ``to_s`` are its first and last
    advertisement of more than priority 0.
    """

    director: str
    vrid: int
    priority: int
    interval_s: float
    from_s: float
    to_s: float
    gave_up_s: float | None  # its advertisement of priority 0
    claims: int  # gratuitous ARP for the VIP
    first_claim_s: float | None
    vips: tuple[str, ...] = ()  # that its advertisements name


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterGap:
    """A time without a master, from the last advertisement, or that of priority 0, to the next."""

    vrid: int
    old_master: str
    new_master: str | None  # None: nobody to the end of the capture
    from_s: float
    to_s: float
    due_s: float | None  # what a take-over by this new master takes; None where it is no other


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The consecutive parts of an outage, seconds; None where the packets do not show it.

    They begin at the last answered SYN, and end at the next one.
    """

    until_fault: float | None  # from the last success
    detection: float | None  # the backup waits: master_down_interval less the age, or its skew
    takeover: float | None  # beyond that, until its first advertisement
    gratuitous_arp: float | None  # from there to the first for the VIP
    first_success: float | None  # from there to the next connect


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """The fate of the connections of one kind that were open."""

    survived: int
    reset: int
    other: int  # ended otherwise, or without further data
    longest_stall_s: float | None  # of those that survived; None of idle ones, who expect nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Failback:
    """The effects of undoing the fault."""

    gap_s: float | None  # the longest time in which no SYN was answered
    reset: int  # connections in flight
    late: int
    failed: int
    in_flight: Mapping[str, InFlight]
    master_again_s: float | None  # from the order to undo to the old master's advertisement
    due_s: tuple[float, float] | None = None  # earliest and latest, where the settings are known
    never_due: bool = False  # nopreempt: the returned director leaves the VIP where it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A director's entries at one instant."""

    director: str
    phase: Phase
    t_s: float
    active: int | None  # None where it could not be polled
    inactive: int | None
    entries: int | None
    synced: int | None  # of the entries: copies that the sync daemon made, as far as packets show


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackHole:
    """A VIP's return to a director that sent no gratuitous ARP."""

    director: str
    from_s: float
    lasted_s: float | None  # until connects succeeded again; None if they did not
    requests: int  # late or failed meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """One fail-over.

    ``outage_s`` is the longest time around the fault in which no SYN was answered, less the
    client's own delay; known to within ``resolution_s``. ``sent``, ``late`` and ``failed``
    count the requests that were due from the fault until it was undone, or under way at the fault.
    """

    valid: bool
    why_invalid: str | None
    fault: str | None  # such as "bal01: link-down"
    how: How | None  # None where no director took over
    old_master: str | None
    new_master: str | None
    outage_s: float | None
    outage_over: bool  # connects succeeded again
    resolution_s: float | None
    client_late_s: float  # the client's largest delay in beginning a request
    predicted_outage_s: float | None
    predicted_range_s: tuple[float, float] | None  # over every age of the last advertisement
    prediction_uncertainty_s: float | None
    advert_age_s: float | None
    master_down_interval_s: float | None
    skew_s: float | None
    fault_s: float | None  # since the run's start
    takeover_s: float | None  # the new master's first advertisement
    undone_s: float | None  # the order to undo it
    sent: int
    late: int
    failed: int
    parts_s: Parts | None
    syn_retries: Mapping[str, int]  # late connects by the time of the answered SYN, seconds
    in_flight: Mapping[str, InFlight]
    would_survive: int | None  # entries of the old master that the new one had too
    failback: Failback | None
    reigns: tuple[Mastership, ...]
    master_changes: int
    two_masters_s: float  # how long two directors advertised at once
    black_hole: BlackHole | None
    entries: tuple[Holding, ...]
    observed_only: bool = False  # from a capture of VRRP alone: no load, no fault of ours
    gaps: tuple[MasterGap, ...] = ()  # of an observed one
    seen_by: str | None = None  # whose capture the masters are from: the client's, or a director's
