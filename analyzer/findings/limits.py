"""Findings about limits at a higher rate: source ports, the table's memory and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.client.samples import carries_rate
from analyzer.findings.decay.timeouts import governing
from analyzer.forecast.lifetimes import CONN_TAB_BITS, client_ports
from analyzer.forecast.model import ENTRY_BYTES
from analyzer.forecast.model import port_budget as budget_of
from analyzer.forecast.model import table_memory as memory_of
from analyzer.ipvs.table_status import is_full
from analyzer.ipvs.versions import RESIZING_LEAST_BUCKETS
from analyzer.results import Finding

if TYPE_CHECKING:
    from analyzer.client.results import Requests
    from analyzer.findings.figures import Figures
    from analyzer.forecast.model import PortBudget
    from analyzer.recording.director import Director

MANY_ENTRIES = 10_000
LONG_CHAIN = 8


def port_budget(figures: Figures) -> Finding | None:
    """The rate at which source ports return before their entries expire."""
    row = governing(figures.lifetimes)
    requests, evidence = figures.requests, figures.evidence
    if row is None or row.timeout_s is None or evidence is None or not requests.rate_per_s:
        return None
    sources = len(evidence.requests.texts["source_ip"])
    if not sources:
        return None
    longest_s = row.timeout_s + (row.granule_s or 0)
    ports, held_s = client_ports(evidence.manifest.plan.engine)
    rate_per_s = requests.connections_per_s or requests.rate_per_s
    connections = requests.sent if requests.connections is None else requests.connections
    targets = max(len(evidence.sent_to), 1)
    budget = budget_of(rate_per_s, sources * targets, ports, longest_s, client_held_s=held_s)
    sent_all = connections > sources * targets * ports
    on = "" if connections == requests.sent else f" on {connections:,} connections"
    unit = "requests" if connections == requests.sent else "connections"
    return Finding(
        id="port-budget",
        severity="warning" if budget.exceeded and sent_all else "info",
        title=f"Above {budget.entry_limit_per_s:,.0f} {unit}/s a source port is reused while its "
        "last entry still exists",
        evidence=f"{sources} source address(es) with {ports:,} ports each"
        f"{f' for each of {targets} targets' if targets > 1 else ''}, and entry lifetimes of "
        f"up to {longest_s:.1f} s; this run {_sent(requests)}{on}. "
        f"{_kept(budget)}",
        advice="For a higher sustained rate use more client addresses"
        + (", or a lower tcpfin." if row.timeout_name == "tcpfin" else "."),
    )


def _sent(requests: Requests) -> str:
    if carries_rate(requests.sent, requests.duration_s):
        return f"sent {requests.rate_per_s or 0:,.0f}/s for {requests.duration_s or 0:.2f} s"
    return f"sent {requests.sent:,} requests in {requests.duration_s or 0:.3g} s"


def _kept(budget: PortBudget) -> str:
    """The limit by the clients' own kernels, in words."""
    if budget.client_limit_per_s is None:
        return "The engine manages these ports itself: no kernel holds one in TIME_WAIT."
    return (
        f"The clients' own TIME_WAIT ({budget.client_held_s:.0f} s) allows "
        f"{budget.client_limit_per_s:,.0f}/s, sustained."
    )


def table_memory(figures: Figures) -> Finding | None:
    """The table's memory and the length of its hash chains at the peak.

    A table that resizes itself has long chains only where it may grow no more (2^conn_tab_bits): it
    grows as soon as there is an entry for 16 buckets.
    """
    for measured in figures.measured:
        entries = _most_entries(figures, measured.director.name)
        grows = measured.director.law.table_resizes
        size = (
            _most_buckets(figures, measured.director) if grows else measured.director.conn_tab_size
        )
        if grows and (size is None or entries < LONG_CHAIN * size):
            continue
        bits = size.bit_length() - 1 if size else CONN_TAB_BITS
        own_bytes = measured.director.entry_bytes
        memory = memory_of(entries, bits, own_bytes)
        if entries < MANY_ENTRIES and memory.chain_length < LONG_CHAIN:
            continue
        return Finding(
            id="table-memory",
            severity="warning" if memory.chain_length >= LONG_CHAIN else "info",
            title=f"{entries:,} entries: {memory.entry_bytes / 1e6:,.0f} MB, "
            f"chains of {memory.chain_length:.0f}",
            evidence=f"On {measured.director.name}: {own_bytes or ENTRY_BYTES} bytes per entry"
            f"{', by its boot message' if own_bytes else ''}, "
            f"{memory.buckets:,} buckets ({_whose(size, grows=grows)}).",
            advice="More entries than buckets make the chains longer; nothing is refused. Load "
            f"ip_vs with conn_tab_bits={memory.enough_bits} for chains of one entry.",
        )
    return None


def _whose(size: int | None, *, grows: bool) -> str:
    """The source of the number of buckets, in words."""
    if grows:
        return "it grew no further"
    return "as the director reports" if size else "the default"


def _most_buckets(figures: Figures, director: Director) -> int | None:
    """The most buckets polled of a table that grows by itself; None if it was not seen grown."""
    if figures.evidence is None:
        return None
    most = figures.evidence.by_director[director.name].most_buckets
    return most if most is not None and most > RESIZING_LEAST_BUCKETS else None


def table_full(figures: Figures) -> Finding | None:
    """A namespace with as many entries as allowed: further SYNs get none (since 7.2)."""
    for measured in figures.measured:
        most = measured.director.conn_max if measured.director.law.has_conn_max else None
        entries = _most_entries(figures, measured.director.name)
        if not most or not is_full(entries, most):
            continue
        return Finding(
            id="table-full",
            severity="problem",
            title=f"The table is full: {entries:,} of at most {most:,} entries",
            evidence=f"On {measured.director.name} ActiveConn plus InActConn reached {entries:,}; "
            f"net.ipv4.vs.conn_max is {most:,} ({measured.director.kernel}).",
            advice="A SYN above the limit gets no entry and no answer: clients time out. Raise "
            "net.ipv4.vs.conn_max, or shorten the timeouts.",
        )
    return None


def _most_entries(figures: Figures, director: str) -> int:
    """The most entries at one poll; ActiveConn and InActConn peak at different instants."""
    if figures.evidence is None:
        return 0
    rows = figures.evidence.by_director[director].services
    total = (rows["active"] + rows["inactive"]).groupby(rows["at"]).sum()
    return int(total.max()) if len(total) else 0
