"""A fail-over and a proof of capacity, as ``run.json`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from msgspec import Meta

from analyzer.recording.manifest.bounds import Bytes, Count, Instant, Seconds
from analyzer.units import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class VrrpCaptureFacts:
    """The capture of VRRP on a director.

    Attributes:
        host: the director's name.
        clock_uncertainty_ns: how far its packets' times may be from the client's clock; None where
            its clock is not known.
    """

    host: str
    clock_uncertainty_ns: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverFacts:
    """What the run knows of its fault; instants are None where nobody ordered anything.

    Attributes:
        fault: in words, such as ``bal01: link-down``; None where the run waited for one.
        ordered_ns, done_ns: the fault came between these.
        after_s, tail_s: how long it was to last, and to be watched once it was undone.
        runs_planned: of the row of repeated runs.
        probed: load was sent on schedule all the while, so that gaps in it mean something.
        why_insane: what was wrong with the set-up before the fault, or with the fault.
        undone_ns: when the order to undo the fault was carried out.
        nopreempt: whether a director that returns leaves the VIP where it is, as configured.
        preempt_delay_s: how long it waits in addition to its election, as configured.
        vrrp_captured_on: the directors that captured VRRP, in the order of their files.
        vrrp_captures: those that began.
    """

    fault: str | None = None
    ordered_ns: Instant | None = None
    done_ns: Instant | None = None
    undo_ordered_ns: Instant | None = None
    after_s: Seconds | None = None
    tail_s: Seconds | None = None
    runs_planned: Count | None = None
    probed: bool = True
    why_insane: tuple[str, ...] = ()
    undone_ns: Instant | None = None
    nopreempt: bool | None = None
    preempt_delay_s: Seconds | None = None
    vrrp_captured_on: tuple[str, ...] = ()
    vrrp_captures: tuple[VrrpCaptureFacts, ...] = ()

    def clock_uncertainty_s(self, host: str) -> float | None:
        """Of a director's capture against the client's clock; None where that is not known.

        0 in recordings that do not say.
        """
        known = {capture.host: capture.clock_uncertainty_ns for capture in self.vrrp_captures}
        uncertainty_ns = known.get(host, 0)
        return None if uncertainty_ns is None else uncertainty_ns / NS_PER_S

    @property
    def course_s(self) -> float | None:
        """How long the run was to go on from the fault; None where that is not known."""
        if self.after_s is None or self.tail_s is None:
            return None
        return self.after_s + self.tail_s


Window = tuple[Instant, Instant]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFacts:
    """One loss of directors in a proof of capacity, and the windows before and after it."""

    down: tuple[Count, ...]
    before_ns: Window | None = None
    crashed_ns: Instant | None = None
    after_ns: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabLink:
    """A director's link in the lab."""

    rate_bps: Annotated[float, Meta(gt=0, le=1e15)]
    bucket_bytes: Bytes
    queue_bytes: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFacts:
    """A proof of capacity; ``analyzer.capacity.proof.model.Experiment`` explains it."""

    hosts: Annotated[int, Meta(ge=1, le=1000)]
    failures: Count
    link_bps: Fraction
    ingress_bps: Fraction
    burst: Fraction
    lists: tuple[tuple[Count, ...], ...]
    vips: tuple[str, ...]
    directors: tuple[str, ...]
    scale: Annotated[float, Meta(gt=0, le=1e15)]
    lab_link: LabLink
    planned: Count
    losses: tuple[LossFacts, ...]

    def __post_init__(self) -> None:
        """Refuse lists that do not belong to the VIPs and directors."""
        numbers = {number for order in self.lists for number in order}
        numbers |= {number for loss in self.losses for number in loss.down}
        if len(self.lists) != len(self.vips) or max(numbers, default=0) >= len(self.directors):
            raise ValueError("Expected `lists` with an order of `directors` for each of `vips`")
