"""Predictions for the same packets under other timeouts, forwarding or sysctls."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from analyzer.arrays import distinct
from analyzer.compared.curves import curve_of
from analyzer.compared.early_ends import with_outages
from analyzer.compared.passage import passage_of
from analyzer.errors import AnalyzerError
from analyzer.ipvs.port_reuse import uses_old_conntrack
from analyzer.ipvs.states import is_active
from analyzer.parts import over_stretches
from analyzer.predicted.curves import predicted_curve
from analyzer.predicted.entries import groups_of_timed, predict, state_name
from analyzer.predicted.rules import segments_passed
from analyzer.results import WhatIf, WhatIfGroup
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.arrays import Bools, Ints
    from analyzer.charts.curves import Curve
    from analyzer.compared.passage import Passage
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.parts import Store
    from analyzer.predicted.curves import CounterChanges
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.director import Director
    from analyzer.wire.segments import Segments

Groups: TypeAlias = dict[tuple[Any, ...], int]
"""How many entries there are of each state and timeout."""

FORWARDINGS = ("dr", "tun", "nat")
NO_REPLIES = "the capture has no replies, which nat would see"
ALL_SERVERS = "all real servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One changed setting: a timeout, the forwarding, or a sysctl."""

    name: Literal["tcp", "tcpfin", "udp", "forwarding", "conn_reuse_mode", "secure_tcp"]
    value: float | str

    def __str__(self) -> str:
        shown = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.name}={shown}"


_NUMBERS = {
    "tcp": (1, 2**31),
    "tcpfin": (1, 2**31),
    "udp": (1, 2**31),
    "conn_reuse_mode": (0, 3),
    "secure_tcp": (0, 3),
}
_MODES = ("conn_reuse_mode", "secure_tcp")
_MODE = re.compile(r"[0-9]")
_SECONDS = re.compile(r"[0-9]{1,10}(?:\.[0-9]{0,9})?s?")


def parse_assumption(text: str) -> Assumption:
    """``tcpfin=30``, ``forwarding=nat``, ``conn_reuse_mode=0``.

    Raises:
        AnalyzerError: another quantity, or a value that it cannot have.
    """
    name, _, value = text.partition("=")
    if name == "forwarding" and value in FORWARDINGS:
        return Assumption(name="forwarding", value=value)
    if name in _NUMBERS:
        low, high = _NUMBERS[name]
        pattern = _MODE if name in _MODES else _SECONDS
        number = float(value.removesuffix("s")) if pattern.fullmatch(value) else None
        if number is not None and low <= number <= high:
            return Assumption(name=name, value=number)  # type: ignore[arg-type] # a key of it
    names = ", ".join((*_NUMBERS, "forwarding"))
    raise AnalyzerError(
        f"--what-if {text}: expected NAME=VALUE, NAME one of {names}; "
        "forwarding is dr, tun or nat, timeouts are seconds"
    )


def what_if(
    result: Measured, evidence: Evidence, assumptions: Sequence[Assumption]
) -> tuple[WhatIf, Curve] | None:
    """What one director would have held, and its curve; None without a capture.

    Args:
        result: what was measured of it.
        evidence: the recording.
        assumptions: what is taken to be otherwise; everything else is as it was.
    """
    if evidence.segments is None or result.prediction is None:
        return None
    prediction, caveat = predicted_under(result, evidence, assumptions)
    return answer(result.director, evidence.zero_ns, prediction, assumptions, caveat)


def predicted_under(
    result: Measured, evidence: Evidence, assumptions: Sequence[Assumption]
) -> tuple[Prediction, str | None]:
    """The packets replayed under other rules, and what that leaves unknown."""
    clock = evidence.by_director[result.director.name].clock
    rules = _assume(result.rules, assumptions, conntrack=result.director.conntrack)
    passage, caveat = _passage(result, evidence, rules)
    prediction = predict(passage.segments, clock, rules, result.director.name, passage.handled)
    return with_outages(prediction, passage.outages), caveat


def answer(
    director: Director,
    zero_ns: int,
    prediction: Prediction,
    assumptions: Sequence[Assumption],
    caveat: str | None,
    by_packets: CounterChanges | None = None,
    counts: Groups | None = None,
) -> tuple[WhatIf, Curve]:
    """A prediction under some assumptions, summed up, and the curve of all real servers together.

    Args:
        director: whose.
        zero_ns: the run's start.
        prediction: under these assumptions.
        assumptions: what is taken to be otherwise.
        caveat: what that leaves unknown.
        by_packets: ``changes_by_packets`` of all its entries, if they are known already.
        counts: ``groups`` of it, likewise.
    """
    store = prediction.store
    changes = predicted_curve(prediction, None, is_active(director.kernel), by_packets)
    curve = curve_of(prediction, ALL_SERVERS, zero_ns, changes)
    ends_ns = changes[0][-1:].tolist()
    packets_ns = [int(part["last_ns"].max()) for part in prediction.entry_parts() if len(part)]
    summary = WhatIf(
        director=director.name,
        assumptions=tuple(str(assumption) for assumption in assumptions),
        peak_active=_highest(curve.active, store),
        peak_inactive=_highest(curve.inactive, store),
        forgotten_after_s=(ends_ns[0] - max(packets_ns)) / NS_PER_S if ends_ns else None,
        groups=_largest_first(groups(prediction) if counts is None else counts),
        doubt=caveat,
    )
    return summary, curve


def _highest(values: Ints, store: Store) -> int:
    parts = over_stretches(store, len(values), lambda rows: int(values[rows].max(initial=0)))
    return max(parts)


def groups(prediction: Prediction) -> Groups:
    """The entries that their timers end, by state and timeout: how many."""
    return groups_of_timed(prediction.entry_parts(), ["state", "timeout_s"])


def _largest_first(counts: Groups) -> tuple[WhatIfGroup, ...]:
    largest_first = sorted(counts, key=lambda kind: (-counts[kind], *kind))
    return tuple(
        WhatIfGroup(
            state=state_name(int(state)),
            timeout_s=float(timeout_s),
            n=counts[state, timeout_s],
        )
        for state, timeout_s in largest_first
    )


def _assume(
    rules: DirectorRules, assumptions: Sequence[Assumption], *, conntrack: bool
) -> DirectorRules:
    """The rules with each assumption in its place; an assumed timeout holds throughout.

    In nat the director's conntrack sees the replies too, so an old entry of it drops no SYN.
    """
    for name, value in ((assumption.name, assumption.value) for assumption in assumptions):
        if name == "forwarding":
            nat = value == "nat"
            old_conntrack = uses_old_conntrack(conntrack=conntrack, sees_replies=nat)
            rules = replace(rules, sees_replies=nat, old_conntrack=old_conntrack)
        elif name == "conn_reuse_mode":
            rules = replace(rules, conn_reuse_mode=int(value))
        elif name == "secure_tcp":
            rules = replace(rules, secure_tcp=int(value) == max(_NUMBERS["secure_tcp"]))
        else:
            timeouts = replace(rules.timeouts, **{f"{name}_s": float(value)})
            changes = tuple(
                (since_s, replace(later, **{f"{name}_s": float(value)}))
                for since_s, later in rules.changes
            )
            rules = replace(rules, timeouts=timeouts, changes=changes)
    return rules


def _passage(
    result: Measured, evidence: Evidence, rules: DirectorRules
) -> tuple[Passage, str | None]:
    """What would have passed it, and what that leaves unknown."""
    passage, segments = result.passage, evidence.segments
    assert passage is not None
    assert segments is not None
    if not rules.sees_replies:
        return passage.only(passage.segments.to_vip), None
    if result.rules.sees_replies:
        return passage, None if (~passage.segments.to_vip).any() else NO_REPLIES
    passed = segments_passed(result.director, evidence, segments)
    assumed, has_replies = _both_ways(segments, passed)
    clock = evidence.by_director[result.director.name].clock
    caveat = None if has_replies else NO_REPLIES
    return passage_of(result.director, evidence, clock, result.tracked, assumed), caveat


def _both_ways(segments: Segments, passed: Bools) -> tuple[Bools, bool]:
    """What of it passed to the VIP, with the replies of the same flows; whether there are any."""
    writer, has_replies = segments.store.columns(), False
    for rows, part in zip(segments.cuts() or [slice(0, 0)], segments.parts(), strict=True):
        here = passed[rows]
        replies = np.isin(part.flow, distinct(part.flow[here]), kind="sort") & ~part.to_vip
        has_replies |= bool(replies.any())
        writer.append({"assumed": here & part.to_vip | replies})
    return writer.finish()["assumed"], has_replies
