"""Runs whose directors keep connections differently: IPVS in one, conntrack in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.conntrack.settings import TIMEOUT_OF, settings_of
from analyzer.conntrack.states import CtState
from analyzer.findings.decay.timeouts import governing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.recording.manifest.director import DirectorFacts
    from analyzer.report import Analysis

_WHO = {"ipvs": "IPVS", "netfilter": "conntrack"}
_REUSE_WAITS = ("TIME_WAIT", "CLOSE")


def keepers_sentence(runs: Sequence[tuple[str, Analysis]]) -> str | None:
    """What each run's director does with the same connections; None where all keep them alike.

    Args:
        runs: each with its name, in the order of the comparison; runs without directors, or with
            directors of both kinds, are left out.
    """
    kept = [(name, run, kind) for name, run in runs if (kind := kept_by(run))]
    if len({kind for _, _, kind in kept}) < 2:
        return None
    parts = [
        f"in {name} {_WHO[kind]} keeps connections: {'; '.join(_what(run, kind))}"
        for name, run, kind in kept
    ]
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def kept_by(run: Analysis) -> str | None:
    """What keeps the connections of a run's directors; None without any, or if they differ."""
    kinds = {facts.kind for facts in run.manifest.directors.values()}
    return str(kinds.pop()) if len(kinds) == 1 else None


def _what(run: Analysis, kind: str) -> list[str]:
    facts = next(iter(run.manifest.directors.values()))
    reused = sum(row.n for row in run.ended_early if row.cause == "port-reuse")
    reuse = _reuse_by_ipvs(run, facts) if kind == "ipvs" else _reuse_by_conntrack()
    came_back = [f"{reused} came back so"] if reused else []
    return [*_ended(run), _idle(facts), reuse, *came_back]


def _ended(run: Analysis) -> list[str]:
    """Which timeout governed the entries of connections that ended, and how long they lasted."""
    row = governing([row for row in run.lifetimes if row.state != "ESTABLISHED"])
    if row is None:
        return []
    name = "a fixed timeout" if row.timeout_name == "fixed" else row.timeout_name
    lasted_s = row.lifetime_s.mean if row.lifetime_s else row.timeout_s
    length = "for a time that was not measured" if lasted_s is None else f"{lasted_s:.1f} s"
    return [f"ended ones wait in {row.state} for {name}, {length}"]


def _idle(facts: DirectorFacts) -> str:
    """How long an idle connection is kept."""
    if facts.kind == "netfilter":
        settings, name = settings_of(facts.sysctl.of_conntrack), TIMEOUT_OF[CtState.ESTABLISHED]
        assumed = ", the kernel's default" if name in settings.assumed else ""
        return f"idle ones for {name}, {settings.timeouts_s[name]:g} s{assumed}"
    if facts.timeouts is None:
        return "idle ones for tcp, which was not read"
    return f"idle ones for tcp, {facts.timeouts.tcp:g} s"


def _reuse_by_ipvs(run: Analysis, facts: DirectorFacts) -> str:
    """What a SYN from a port meets whose old entry still waits (``is_new_conn_expected``)."""
    mode = facts.sysctl.number("conn_reuse_mode")
    row = governing([row for row in run.lifetimes if row.counted == "inactive"])
    state = "TIME_WAIT" if row is None else row.state
    sees_replies = run.forwarding is not None and run.forwarding.method == "nat"
    ends = mode != 0 and (
        state in _REUSE_WAITS or (mode & 2 and state == "FIN_WAIT" and not sees_replies)
    )
    what = "ends it and is scheduled anew" if ends else "goes on with it, to the same real server"
    return f"a SYN from the port of an entry in {state} {what} (conn_reuse_mode {mode})"


def _reuse_by_conntrack() -> str:
    return (
        "a SYN from the port of an entry in TIME_WAIT ends it and is translated anew; after a "
        "server's reset it goes on with it, to the same real server"
    )
