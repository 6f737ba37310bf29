"""The figures behind findings, and their wording in evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.estimate.in_force.wording import BY_ENTRIES
from analyzer.findings.examples import Examples, FlowSet
from analyzer.parts import IN_MEMORY, frames_of
from analyzer.recording.instants import seconds_since
from analyzer.traces.expired import NO_LATE_PACKETS
from analyzer.traces.resets import no_resets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.charts.values import Shares
    from analyzer.client.results import Requests, TargetFigures
    from analyzer.estimate.counted.results import CountedService
    from analyzer.evidence.evidence import Evidence
    from analyzer.evidence.forwarding import Forwarding
    from analyzer.failover.results import Failover
    from analyzer.measured import Measured
    from analyzer.observed.parted import Parted
    from analyzer.parts import Store
    from analyzer.recording.ending import Ending
    from analyzer.recording.log_clock import LogClock
    from analyzer.results import Agreement, Drain, EndedEarly, Event, Lifetime, Peak, SafeToReboot
    from analyzer.traces.expired import LatePackets


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The measured figures of a run.

    Attributes:
        lifetimes: largest group first within a director.
        capture_dropped: packets that the kernel dropped before the capture; None without one.
        foreign_entries: entries of the service whose packets this run did not send, by director.
        failover: None of a run that was none.
        ending: None where only figures are at hand.
        log_clock: of an imported log.
        evidence: the recording; None where only figures are at hand.
        measured: one per director; empty where only figures are at hand.
        connections: ``wire.connections`` of the capture; None without one.
        forwarded: how directors forward, and what says so; None where nothing depends on it.
        resets: ``resets.resets`` of it.
        late: the packets that came after their entry had expired.
        counted: services of directors that only counters are known of.
        shares: of each director's busiest service, how its real servers shared it.
        targets: of a load at several targets, each of them.
    """

    requests: Requests
    peaks: Sequence[Peak]
    lifetimes: Sequence[Lifetime]
    agreement: Sequence[Agreement]
    events: Sequence[Event]
    forwarding: str | None
    capture_dropped: int | None
    foreign_entries: dict[str, int]
    ended_early: Sequence[EndedEarly] = ()
    drains: tuple[Drain, ...] = ()
    safe_to_reboot: tuple[SafeToReboot, ...] = ()
    log_clock: LogClock | None = None
    evidence: Evidence | None = None
    failover: Failover | None = None
    ending: Ending | None = None
    measured: Sequence[Measured] = ()
    connections: pd.DataFrame | None = None
    forwarded: Forwarding | None = None
    resets: Parted = field(default_factory=no_resets)
    late: LatePackets = NO_LATE_PACKETS
    counted: Sequence[CountedService] = ()
    shares: Sequence[Shares] = ()
    targets: tuple[TargetFigures, ...] = ()

    @property
    def by_ipvs(self) -> Figures:
        """The figures of directors by IPVS: without those of netfilter directors, if any."""
        if not self.by_conntrack:
            return self
        return replace(
            self,
            lifetimes=[row for row in self.lifetimes if row.counted is not None],
            measured=[result for result in self.measured if result.conntrack is None],
        )

    @property
    def by_conntrack(self) -> list[Measured]:
        """What was measured of netfilter directors."""
        return [result for result in self.measured if result.conntrack is not None]

    @property
    def store(self) -> Store:
        """What keeps long columns."""
        captured = self.evidence.captured if self.evidence else None
        return captured.once.store if captured else IN_MEMORY

    def connection_parts(self) -> Iterator[pd.DataFrame]:
        """The rows of ``connections`` part by part, of whole flows."""
        assert self.connections is not None
        return frames_of(self.store, self.connections)

    def flows_in(self, *states: str) -> FlowSet:
        """The flows with a tracked entry that was last in one of these states."""
        return FlowSet([result.flows_in(*states) for result in self.measured], self.store)

    def ends(self, such: Examples | Iterable[int]) -> str:
        """Examples of connections, by client and VIP."""
        such = (
            such
            if isinstance(such, Examples)
            else Examples().with_rows([int(flow) for flow in such])
        )
        if self.evidence is None or self.evidence.segments is None or not such.flows:
            return ""
        table = self.evidence.segments.flows
        rows = table.iloc[[number for number in such.first if number < len(table)]]
        shown = [
            f"{row.client_ip}:{row.client_port} to {row.vip}:{row.port}"
            for row in rows.itertuples(index=False)
        ]
        more = such.flows - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

    def when(self, at_ns: Examples | npt.ArrayLike) -> str:
        """The time range of some instants, in seconds since the run's start."""
        such = at_ns if isinstance(at_ns, Examples) else Examples().with_rows([], at_ns)
        if self.evidence is None or such.span_ns is None:
            return ""
        first, last = seconds_since(np.array(such.span_ns), self.evidence.zero_ns)
        return f"{first:.1f} s" if last - first < BRIEF_S else f"{first:.1f} to {last:.1f} s"


BRIEF_S = 0.1


def seconds(value: float | None) -> str:
    """A number of seconds in words."""
    return "not known" if value is None else f"{value:g} s"


def lifetime_sentence(row: Lifetime) -> str:
    """A group's lifetime in words."""
    life = row.lifetime_s
    if life is None:
        return _not_dated(row)
    if row.service is not None:
        return (
            f"about {row.n_expired} of {row.n} entries of {row.service} ({row.forwarding}) "
            f"expired {life.mean:.1f} ± {life.uncertainty:.1f} s after they appeared, by InActConn"
        )
    return (
        f"{row.n_expired} of {row.n} entries expired {life.mean:.2f} s after their last packet "
        f"({life.min:.2f} to {life.max:.2f} s, each ± {life.uncertainty:.2f} s)"
    )


def _not_dated(row: Lifetime) -> str:
    if not row.n_expired:
        return f"none of {row.n} entries was seen to expire"
    return (
        f"{row.n_expired} of {row.n} entries expired, but the times of their last packets are not "
        "known"
    )


def measured(row: Lifetime) -> str:
    """The measured timeout in words."""
    estimate = row.timeout_measured_s
    if estimate is not None:
        return f"measured {estimate.value:.2f} ± {estimate.uncertainty:.2f} s"
    if row.timeout_at_least_s is not None:
        return f"at least {row.timeout_at_least_s:g} s by the expire column"
    return "not measured"


def agrees(row: Lifetime) -> bool | None:
    """Whether the measured timeout is the configured one; None if either is not known."""
    estimate, configured_s = row.timeout_measured_s, reported_s(row)
    if estimate is None or configured_s is None:
        return None
    low_s, high_s = configured_s, configured_s
    if row.timeout_told_s is None:
        low_s, high_s = row.timeout_low_s or low_s, row.timeout_high_s or high_s
    return low_s - estimate.uncertainty <= estimate.value <= high_s + estimate.uncertainty


def reported_s(row: Lifetime) -> float | None:
    """The timeout as reported, right or wrong; else as known to be in force."""
    return row.timeout_s if row.timeout_told_s is None else row.timeout_told_s


def timeout_sentence(row: Lifetime) -> str:
    """The timeout in words, with its range: ``20 s``, ``20 s (19 to 22)``, ``not known``."""
    value_s = reported_s(row)
    if value_s is None and row.timeout_assumed_s is not None:
        return f"not known, assumed to be the kernel's default of {row.timeout_assumed_s:g} s"
    if value_s is None:
        return "not known"
    is_open = row.timeout_low_s is not None and row.timeout_told_s is None
    between = f" ({row.timeout_low_s:g} to {row.timeout_high_s:g})" if is_open else ""
    return f"{value_s:g} s{between}"


def is_same_evidence(row: Lifetime) -> bool:
    """Whether both timeouts come from the expire column, so that agreement proves nothing."""
    estimate, low_s, high_s = row.timeout_measured_s, row.timeout_low_s, row.timeout_high_s
    if estimate is None or low_s is None or high_s is None:
        return False
    by_entries = row.timeout_source == BY_ENTRIES and row.timeout_told_s is None
    return by_entries and estimate.uncertainty >= (high_s - low_s) / 2


def by_whom(row: Lifetime) -> str:
    """The kind of timeout beside a measured one: configured, or shown by entries."""
    if row.timeout_name == "fixed":
        return "fixed"
    by_entries = row.timeout_source == BY_ENTRIES and row.timeout_told_s is None
    return "by the expire column" if by_entries else "configured"
