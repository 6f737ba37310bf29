"""Findings about real servers: shares, weights, removals; and about copies on a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.observed.entries import ns
from analyzer.results import Finding

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.findings.figures import Figures

UNLIKELY = 0.001


def imbalance(figures: Figures) -> Finding | None:
    """New connections were not distributed by weight (chi-square)."""
    for shared in figures.shares:
        if shared.p is None or shared.p >= UNLIKELY:
            continue
        by_server = ", ".join(
            f"{row.real_server} {row.entries} of {row.expected or 0:.0f} expected "
            f"(weight {row.weight or 0:g})"
            for row in shared.servers
        )
        return Finding(
            id="imbalance",
            severity="warning",
            title="Connections are not distributed by weight",
            evidence=f"On {shared.director}: {by_server}; chi-square p = {shared.p:.1g}.",
            advice="Check whether a real server was added late, whether persistence is on, or "
            "whether a few clients make most connections.",
        )
    return None


def removed_server_entries(figures: Figures) -> Finding | None:
    """A real server left the service while its entries stayed in the table."""
    evidence = figures.evidence
    if evidence is None:
        return None
    stayed = []
    for result in figures.measured:
        absences = evidence.by_director[result.director.name].absences
        for server, from_ns, to_ns in absences[["server", "from_ns", "to_ns"]].itertuples(
            index=False
        ):
            alive = sum(_alive(rows, server, from_ns, to_ns) for rows in result.tracked)
            if alive:
                stayed.append(f"{server} on {result.director.name}: {alive} entries stayed")
    if not stayed:
        return None
    return Finding(
        id="removed-server-entries",
        severity="warning",
        title="A real server was removed while the director still had entries for it",
        evidence="; ".join(stayed)
        + ". The service's counters exclude them, the connection table does not.",
        advice="With expire_nodest_conn=0 packets of these connections are dropped silently: set "
        "weight 0 first and wait, or set net.ipv4.vs.expire_nodest_conn=1 to have clients reset.",
    )


def _alive(tracked: pd.DataFrame, server: str, from_ns: int, to_ns: int) -> int:
    """How many entries of a real server were there when it was removed."""
    there = (tracked["real_server"] == server) & (tracked["appeared_ns"] < from_ns)
    return int((there & (tracked["absent_ns"].fillna(to_ns) > from_ns)).sum())


def _fresh(tracked: pd.DataFrame, server: str, quiet_ns: Ints) -> int:
    """How many entries of a real server appeared at one of these polls but the first."""
    appeared_ns = tracked.loc[tracked["real_server"] == server, "appeared_ns"]
    return int((appeared_ns.isin(quiet_ns) & (appeared_ns > quiet_ns.min())).sum())


def weight_zero_still_served(figures: Figures) -> Finding | None:
    """A real server of weight 0 still got connections, or still holds entries."""
    evidence = figures.evidence
    if evidence is None or evidence.services.empty:
        return None
    services = evidence.services
    quiet = services[services["weight"] == 0]
    still_held = []
    for (name, server, port), rows in quiet.groupby(["director", "real_server", "real_port"]):
        quiet_ns = ns(rows["at"])
        label = f"{server}:{port}"
        held = int((rows["active"] + rows["inactive"]).max())
        fresh = 0
        for result in figures.measured:
            if result.director.name == name:
                fresh += sum(_fresh(rows, label, quiet_ns) for rows in result.tracked)
        if held:
            still_held.append(
                f"{label} on {name}: up to {held} entries, {fresh} of them created afterwards"
            )
    if not still_held:
        return None
    return Finding(
        id="weight-zero-still-served",
        severity="info",
        title="A real server of weight 0 still holds entries",
        evidence="; ".join(still_held) + ".",
        advice="Weight 0 stops new connections, not existing ones; with persistence it does not "
        "even stop new ones from known clients, unless expire_quiescent_template=1.",
    )


def _copies(tracked: pd.DataFrame, others: list[Ints]) -> int:
    """How many entries no packet made here, though their flows passed another director.

    Args:
        tracked: of this director.
        others: the flow of each entry predicted on each other director, ascending.
    """
    met = tracked["first_packet_ns"] <= tracked["appeared_ns"]  # sloppy_tcp makes entries
    foreign = tracked.loc[tracked["entry"].isna() & ~met.fillna(value=False), "flow"].to_numpy()
    passed = np.zeros(len(foreign), dtype=bool)
    for flow in others:
        passed |= np.searchsorted(flow, foreign, side="right") > np.searchsorted(flow, foreign)
    return int(passed.sum())


def synced_copies(figures: Figures) -> Finding | None:
    """A director has entries whose packets passed another: copies by the sync daemon."""
    if len(figures.measured) < 2:
        return None
    copied = []
    for result in figures.measured:
        others = [
            other.prediction.entries["flow"].to_numpy()
            for other in figures.measured
            if other is not result and other.prediction is not None
        ]
        if "entry" not in next(iter(result.tracked)):
            continue  # no capture: which director their packets passed is not known
        copies = sum(_copies(rows, others) for rows in result.tracked)
        if copies:
            copied.append(f"{copies} on {result.director.name}")
    if not copied:
        return None
    return Finding(
        id="synced-copies",
        severity="info",
        title="A director holds copies of another's entries",
        evidence=f"Entries whose packets passed another director: {', '.join(copied)}.",
        advice="The IPVS sync daemon made them; on a backup InActConn counts copies, not its own "
        "traffic, and follows the master's timeouts.",
    )
