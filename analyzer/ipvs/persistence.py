"""Persistence: the template that ties a client to a real server, and when it goes.

A template is an entry with client port 0. Each connection that it serves restarts its timer with
the persistence time as it is *created*; it counts neither as active nor as inactive. If it still
controls entries when its timer fires, it is put off by 60 s, again and again
(``ip_vs_conn_expire``, ``ip_vs_sched_persist``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.ipvs.timers import expiry_uptime_s

if TYPE_CHECKING:
    from collections.abc import Sequence

PUT_OFF_S = 60.0


def template_gone_s(
    created_s: Sequence[float],
    gone_s: Sequence[float],
    persistence_s: float,
    *,
    hz: int,
    phase_s: float,
) -> float:
    """When a template goes, on the director's uptime clock, seconds.

    Args:
        created_s: when each of its connections' entries was made; at least one.
        gone_s: when each of them went; same length.
        persistence_s: of the service (``ipvsadm -p``).
        hz: the director's.
        phase_s: of its timers.
    """
    at_s = _fires_s(max(created_s), persistence_s, hz, phase_s)
    last_child_s = max(gone_s)
    while last_child_s > at_s:
        at_s = _fires_s(at_s, PUT_OFF_S, hz, phase_s)
    return at_s


def _fires_s(since_s: float, timeout_s: float, hz: int, phase_s: float) -> float:
    return float(expiry_uptime_s(since_s, timeout_s, hz=hz, phase_s=phase_s))
