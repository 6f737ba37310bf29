"""Findings about the assumed forwarding, where it decides which timeout entries wait for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.evidence.forwarding import HOW_TO_SETTLE, rests_on_it
from analyzer.results import Finding

if TYPE_CHECKING:
    from analyzer.evidence.forwarding import Forwarding, OtherWay
    from analyzer.findings.figures import Figures

_NAMES = {"dr": "dr or tun", "tun": "dr or tun", "nat": "nat"}
_SETTABLE = {"tcp": "first", "tcpfin": "second", "udp": "third"}


def forwarding_assumed(figures: Figures) -> Finding | None:
    """The recording does not distinguish dr or tun from nat."""
    known = figures.forwarded
    if known is None or known.basis != "assumed" or not figures.lifetimes:
        return None
    matters = rests_on_it(known, figures.lifetimes)
    return Finding(
        id="forwarding-assumed",
        severity="warning" if matters else "info",
        title=f"Forwarding is assumed to be {_NAMES[known.method]}: nothing recorded rules nat out",
        evidence=f"{known.why[0].upper()}{known.why[1:]}. {_otherwise(known)}",
        advice=f"To settle it: {HOW_TO_SETTLE}.",
    )


def forwarding_differs(figures: Figures) -> Finding | None:
    """The configured forwarding contradicts the packets or entries."""
    known = figures.forwarded
    if known is None or known.contradiction is None:
        return None
    return Finding(
        id="forwarding-differs",
        severity="warning",
        title=f"Forwarding is taken to be {known.method}, but the recording contradicts it",
        evidence=f"Source: {known.why}. Contradiction: {known.contradiction}. Predictions assume "
        f"{known.method}.",
        advice="Check whether capture, log and meta.json are of the same director and service, and "
        "whether its real servers differ in forwarding (`ipvsadm -Ln`).",
    )


def hedged(figures: Figures, finding: Finding) -> Finding:
    """A finding, with a note if it rests on the assumed forwarding."""
    known = figures.forwarded
    if known is None or finding.id not in _RESTS_ON_IT:
        return finding
    if not rests_on_it(known, figures.lifetimes):
        return finding
    title = f"If forwarding is {_NAMES[known.method]} (assumed): {finding.title}"
    return replace(finding, title=title)


_RESTS_ON_IT = ("tcpfin-governs", "tcpfin-has-no-effect", "idle-established")


def assumption(figures: Figures, governed: str) -> str:
    """The verdict's clause on the governing timeout, with the assumption behind it."""
    known = figures.forwarded
    if known is None or not rests_on_it(known, figures.lifetimes):
        return governed
    if known.otherwise is None:
        return f"if forwarding is {_NAMES[known.method]} (assumed), {governed}"
    return (
        f"if forwarding is {_NAMES[known.method]} (assumed), {governed}; if it is "
        f"{known.otherwise.method}, {_governs(known.otherwise)}; this capture does not show which"
    )


def _otherwise(known: Forwarding) -> str:
    other = known.otherwise
    if other is None:
        return "Without the replies it is not known how long the entries would last in nat."
    n = "1 entry" if other.n == 1 else f"{other.n:,} entries"
    return f"In {other.method} {n} would end in {other.state}, {_wait(other)}."


def _governs(other: OtherWay) -> str:
    return f"{other.state} governs, {_wait(other)}"


def _wait(other: OtherWay) -> str:
    length = "" if other.timeout_s is None else f"{other.timeout_s:g} s"
    if other.timeout_name == "fixed":
        return f"{length} fixed in the kernel: tcpfin does not matter".lstrip()
    which = f"the {_SETTABLE[other.timeout_name]} number of ipvsadm --set"
    return f"{other.timeout_name} ({which}{f', {length}' if length else ''})"
