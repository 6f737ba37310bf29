"""Sentences about a proof of capacity."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from analyzer.capacity.proof.model import TOLERANCE
from analyzer.capacity.wording import bit_rate, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.capacity.proof.model import MeasuredWindow, Proof

HELD_UP_MS = 100.0
"""A sender that was late by more than this was itself too busy."""


def verdict(proof: Proof) -> str:
    """The answer in a sentence or two."""
    experiment = proof.experiment
    vips = count(len(experiment.vips), "VIP")
    hosts = count(experiment.question.hosts, "director")
    if not proof.windows:
        return f"{_interrupted(proof)}Nothing was measured of {vips} over {hosts}."
    head = "As computed" if proof.holds else _why_not(proof)
    measured = f"{head}: with {vips} over {hosts} {_busiest(proof)}."
    return f"{_interrupted(proof)}{measured} {_lost(proof)}{_held_up(proof)}"


def _interrupted(proof: Proof) -> str:
    """That the run was interrupted, and after which loss."""
    ending = proof.ending
    if ending is None or ending.is_whole:
        return ""
    done = sum(loss.after is not None for loss in proof.losses)
    why = f" ({ending.why})" if ending.why else ""
    how = ending.how.capitalize()
    return f"{how} after {done} of {count(proof.experiment.planned, 'loss', 'losses')}{why}. "


def losses_lost(windows: Sequence[MeasuredWindow]) -> float | None:
    """The largest share of the datagrams lost in one of some windows; None without windows."""
    return max((s.lost_share for s in windows if s.lost_share is not None), default=None)


def _why_not(proof: Proof) -> str:
    if all(window.agrees for window in proof.windows):
        return f"As computed, as far as it went ({len(proof.windows)} windows)"
    return "Not as computed"


def _busiest(proof: Proof) -> str:
    after = [row for loss in proof.losses if loss.after for row in loss.after.carried]
    rows = after or [row for window in proof.windows for row in window.carried]
    measured = [row for row in rows if row.measured_bps is not None]
    if not measured:
        return "no link could be measured"
    worst = max(measured, key=lambda row: row.measured_bps or 0.0)
    bps = worst.measured_bps or 0.0
    when = "after a loss" if after else "while all are well"
    return (
        f"the busiest link carried {rate(bps)} {when}, {bps / worst.link_bps:.0%} of it; "
        f"{_farthest(proof.worst_difference or 0.0)}"
    )


def _farthest(off: float) -> str:
    if abs(off) <= TOLERANCE:
        return f"every share was within {max(abs(off), 0.001):.1%} of the computed one"
    return f"one share was {off:+.1%} from the computed one ({TOLERANCE:.0%} allowed)"


def _lost(proof: Proof) -> str:
    after = [loss.after for loss in proof.losses if loss.after]
    lost = sum(window.lost for window in proof.windows)
    sent = sum(window.sent for window in proof.windows)
    if not lost:
        return f"Nothing was lost of {sent:,} datagrams."
    worst = losses_lost(after) or losses_lost(proof.windows) or 0.0
    computed = max((window.computed_lost_share for window in proof.windows), default=0.0)
    return (
        f"At worst {share(worst)} of the traffic was lost while it was measured "
        f"({share(computed)} computed)."
    )


def _held_up(proof: Proof) -> str:
    """That the sending machine was too busy, if losses may be its fault."""
    off = [window.worst_late_ms or 0.0 for window in proof.windows if not window.agrees]
    worst_ms = max(off, default=0.0)
    if worst_ms <= HELD_UP_MS:
        return ""
    return f" The sender was held up for {worst_ms:.0f} ms: this machine was too busy."


def rate(bps: float) -> str:
    """A measured bit rate to three digits."""
    return bit_rate(Fraction(f"{bps:.3g}"))


def share(value: float) -> str:
    """A share of datagrams: 0, or with two digits."""
    return "0%" if value == 0 else f"{100 * value:.2g}%"
