"""Findings about connections that share one source address before the real servers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.findings.examples import Examples
from analyzer.ipvs.addresses import host_port
from analyzer.observed.masquerades import earliest, most_at_once
from analyzer.predicted.untracked import INSERT_FAILED
from analyzer.results import Finding

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.findings.figures import Figures
    from analyzer.measured import Measured

_RISE = re.compile(r"([0-9]{1,19}) -> ([0-9]{1,19})")
_PORTS = 64_512
"""Source ports of 1024 and above, from which the kernel takes one for a client's of 1024 and above
(``nf_nat_l4proto_unique_tuple``)."""


@dataclass(slots=True)
class _Collisions:
    """The connections that one director hid, and those of them that could not keep their port.

    Attributes:
        first: the first of these, a row of ``hidden_connections``; None of none.
    """

    connections: int = 0
    clients: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    moved: int = 0
    taken: int = 0
    first: pd.Series | None = None

    def see(self, rows: pd.DataFrame) -> None:
        """Take note of some more, in any order."""
        self.connections += len(rows)
        self.clients |= set(rows["client_ip"].unique())
        self.sources |= set(rows["source_ip"].unique())
        self.moved += int(rows["moved"].sum())
        taken = rows[(rows["holder"] >= 0).to_numpy(dtype=bool)]
        self.taken += len(taken)
        self.first = earliest(taken, self.first)


def masquerade_collision(figures: Figures) -> Finding | None:
    """Clients behind one address had the same port, and the director chose others."""
    found = [(result, _collisions(result)) for result in figures.by_conntrack]
    taken = [(result, collisions) for result, collisions in found if collisions.taken]
    if not taken:
        return None
    n = sum(collisions.taken for _, collisions in taken)
    return Finding(
        id="masquerade-collision",
        severity="info",
        title=f"{_connections(n)} got another source port from the director: the client's was "
        "taken behind the same address",
        evidence=" ".join(_by_director(result, collisions) for result, collisions in taken),
        advice="Nothing is lost by it; logs and captures at the real server have other ports than "
        f"the client's. Behind one address {_PORTS:,} connections to one real server can be "
        "tracked at once, those that only wait for their timeout included.",
    )


def _collisions(result: Measured) -> _Collisions:
    found = _Collisions()
    for rows in result.hidden:
        found.see(rows)
    return found


def _by_director(result: Measured, found: _Collisions) -> str:
    row, sources = found.first, len(found.sources)
    assert row is not None
    holder = result.hidden.where(lambda rows: rows["row"] == row["holder"]).iloc[0]
    other = found.moved - found.taken
    return (
        f"On {result.director.name} {found.connections:,} connections of {len(found.clients):,} "
        f"client addresses went to real servers from {sources:,} address"
        f"{'es' * (sources > 1)}. {found.taken:,} could not keep the port: "
        f"{_client(row)} became {_source(row)}, since {_source(holder)} stood for "
        f"{_client(holder)} before {row['server']}."
        + (
            f" {other:,} more have another port though no recorded connection held theirs: rules "
            "that choose ports at random or from a range, or connections of other services."
            if other
            else ""
        )
    )


def _client(row: pd.Series) -> str:
    return host_port(str(row["client_ip"]), int(row["client_port"]))


def _source(row: pd.Series) -> str:
    return host_port(str(row["source_ip"]), int(row["source_port"]))


def _connections(n: int) -> str:
    return "1 connection" if n == 1 else f"{n:,} connections"


def insert_failed(figures: Figures) -> Finding | None:
    """A director lost packets because no entry could be made for them."""
    lost = [(result, n) for result in figures.by_conntrack if (n := _lost(figures, result))]
    if not lost:
        return None
    total = sum(n for _, n in lost)
    return Finding(
        id="conntrack-insert-failed",
        severity="problem",
        title=f"{total:,} packet{'s' * (total > 1)} lost: conntrack could make no entry",
        evidence=" ".join(_where_lost(figures, result, n) for result, n in lost),
        advice="Behind one source address a real server can have as many connections as there are "
        "source ports, those that only wait for their timeout included. Give the masquerade more "
        "ports or addresses (its range, SNAT to several), have real servers see the clients "
        "(externalTrafficPolicy: Local), or shorten nf_conntrack_tcp_timeout_time_wait. Without "
        "masquerade it is two first datagrams of one UDP socket at once: conntrack -S.",
    )


def _lost(figures: Figures, result: Measured) -> int:
    """How far the director's counter rose during the run."""
    assert figures.evidence is not None
    events = figures.evidence.by_director[result.director.name].events
    details = events.loc[events["kind"] == INSERT_FAILED, "detail"].fillna("")
    rises = (rise for detail in details if (rise := _RISE.fullmatch(detail)))
    return sum(max(int(rise[2]) - int(rise[1]), 0) for rise in rises)


def _where_lost(figures: Figures, result: Measured, n: int) -> str:
    parts = [f"On {result.director.name} insert_failed rose by {n:,}."]
    if result.untracked is not None and result.passage is not None:
        segments = result.passage.segments
        refused = Examples()
        for rows, part in zip(segments.cuts(), segments.parts(), strict=False):
            chosen = result.untracked.refused[rows]
            refused = refused.with_rows(part.flow[chosen], part.at_ns[chosen])
        if refused.rows:
            parts.append(
                f"{refused.rows:,} of them are SYNs of the service that neither got an entry "
                f"nor an answer: {figures.ends(refused)} "
                f"({figures.when(refused)})."
            )
    most = most_at_once(result.hidden)
    if most is None:
        parts.append(
            "No recorded connection was masqueraded; which packets were lost and why is "
            "not measured."
        )
    else:
        source_ip, server, ports = most
        low, high = _port_range(result)
        parts.append(
            f"Up to {ports:,} source port{'s' * (ports > 1)} of {source_ip} were in use to "
            f"{server} at once (ports {low} to {high} were seen)."
        )
    return " ".join(parts)


def _port_range(result: Measured) -> tuple[int, int]:
    """The lowest and the highest source port of all hidden connections, of which there are some."""
    ports = [rows["source_port"] for rows in result.hidden if len(rows)]
    return min(int(part.min()) for part in ports), max(int(part.max()) for part in ports)
