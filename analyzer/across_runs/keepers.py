"""Runs whose directors keep connections differently: IPVS in one, conntrack in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.conntrack.settings import TIMEOUT_OF, settings_of
from analyzer.conntrack.states import CtState
from analyzer.findings.decay.timeouts import governing
from analyzer.ipvs.port_reuse import is_new_conn_expected, uses_old_conntrack
from analyzer.ipvs.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.recording.manifest.director import DirectorFacts
    from analyzer.report import Analysis

_WHO = {"ipvs": "IPVS", "netfilter": "conntrack"}
_NUMBERS = State.__members__


def keepers_sentence(runs: Sequence[tuple[str, Analysis]]) -> str | None:
    """What each run's director does with the same connections; None where all keep them alike.

    Args:
        runs: each with its name, in the order of the comparison; runs without directors, or with
            directors of both kinds, are left out.
    """
    kept = [(name, run, kind) for name, run in runs if (kind := _kept_by(run))]
    if len({kind for _, _, kind in kept}) < 2:
        return None
    parts = [
        f"in {name} {_WHO[kind]} keeps connections: {'; '.join(_what(run, kind))}"
        for name, run, kind in kept
    ]
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def _kept_by(run: Analysis) -> str | None:
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
    """What a SYN from a port meets whose old entry still waits."""
    mode = facts.sysctl.number("conn_reuse_mode")
    row = governing([row for row in run.lifetimes if row.counted == "inactive"])
    state = "TIME_WAIT" if row is None else row.state
    sees_replies = run.forwarding is not None and run.forwarding.method == "nat"
    known = f"conn_reuse_mode {mode}"
    if not is_new_conn_expected(_NUMBERS.get(state, State.NONE), not sees_replies, mode):
        what = "goes on with it, to the same real server"
    elif uses_old_conntrack(
        conntrack=bool(facts.sysctl.number("conntrack")), sees_replies=sees_replies
    ):
        what = "ends it and is dropped, its retransmission is scheduled anew"
        known += ", conntrack 1"
    else:
        what = "ends it and is scheduled anew"
    return f"a SYN from the port of an entry in {state} {what} ({known})"


def _reuse_by_conntrack() -> str:
    return (
        "a SYN from the port of an entry in TIME_WAIT ends it and is translated anew; after a "
        "server's reset it goes on with it, to the same real server"
    )
