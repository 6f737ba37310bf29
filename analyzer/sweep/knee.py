"""The knee: the smallest tcpfin that does no harm to connections like these, and why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analyzer.sweep.results import Knee

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.pictures.fin_waits import FinWaits
    from analyzer.sweep.results import Point

_RULE_OF_THREE = 3  # nothing seen in n trials: below 3 / n with 95 % (Hanley, Lippman-Hand 1983)
FIN_AGAIN = "a FIN that was sent again"
LAST_ACK = "the last packets of a client that had sent its FIN"


def knee_of(points: Sequence[Point]) -> Knee:
    """The smallest tcpfin that is longer than the longest silence in all runs.

    Args:
        points: of one sweep, in any order; points that another timeout governs (nat) do not count.
    """
    if not points:
        return _no_knee((), "no value was measured")
    if any(point.timeout_name == "tcpfin" for point in points):
        points = [point for point in points if point.timeout_name in (None, "tcpfin")]
    waits = [point.waits for point in points if point.waits and point.waits.connections]
    if not any(point.timeout_name == "tcpfin" for point in points):
        return _no_knee(waits, "tcpfin governed no entry of these runs, so any value will do")
    if not waits:
        return _no_knee(waits, "no capture shows how these connections closed")
    connections = sum(wait.connections for wait in waits)
    jitters_s = [point.path_jitter_s for point in points if point.path_jitter_s is not None]
    longest_s = max((wait.longest_s for wait in waits if wait.longest_s is not None), default=0.0)
    uncertainty_s = max(jitters_s, default=0.0)
    allowed = [p.tcpfin_s for p in points if p.tcpfin_s > longest_s + uncertainty_s]
    return Knee(
        tcpfin_s=min(allowed, default=None),
        least_s=math.floor(longest_s + uncertainty_s) + 1,
        longest_wait_s=longest_s,
        uncertainty_s=uncertainty_s if jitters_s else None,
        limited_by=_limit(waits, longest_s),
        connections=connections,
        why=_why(waits, longest_s, uncertainty_s, bool(allowed)),
        not_measured=_not_measured(waits, connections, measured_jitter=bool(jitters_s)),
    )


def _no_knee(waits: Sequence[FinWaits], why: str) -> Knee:
    return Knee(
        tcpfin_s=None,
        least_s=None,
        longest_wait_s=None,
        uncertainty_s=None,
        limited_by=None,
        connections=sum(wait.connections for wait in waits),
        why=why,
        not_measured=(),
    )


def _limit(waits: Sequence[FinWaits], longest_s: float) -> str | None:
    if any(wait.longest_fin_s == longest_s for wait in waits):
        return FIN_AGAIN
    return LAST_ACK if any(wait.longest_ack_s == longest_s for wait in waits) else None


def _why(
    waits: Sequence[FinWaits], longest_s: float, uncertainty_s: float, is_allowed: bool
) -> str:
    ended_by = _limit(waits, longest_s)
    if ended_by is None:
        return "no packet followed any client's FIN, so any value will do"
    within = f" (within {uncertainty_s * 1e3:.0f} ms)" if uncertainty_s else ""
    text = (
        f"the longest that a closing connection fell silent is {_seconds(longest_s)}{within}, "
        f"ended by {ended_by}; tcpfin must be longer, or that packet finds no entry and is "
        "answered with a RST"
    )
    return text if is_allowed else f"{text}: no value of this sweep is"


def _seconds(value_s: float) -> str:
    return f"{value_s * 1e3:.3g} ms" if value_s < 1 else f"{value_s:.3g} s"


def _not_measured(
    waits: Sequence[FinWaits], connections: int, *, measured_jitter: bool
) -> tuple[str, ...]:
    rows = [
        f"rarer silences: of {connections:,} connections none was longer, so with 95 % fewer than "
        f"1 in {max(connections // _RULE_OF_THREE, 1):,} is",
        "other clients: these were the sweep's own, on their own path; loadgen collect --capture "
        "records those that really come",
    ]
    if not any(wait.repeated for wait in waits):
        rows.append("loss: no FIN had to be sent again in these runs")
    if not measured_jitter:
        rows.append("how far packets move against each other between the capture and the director")
    return tuple(rows)
