"""The section on connection traces: sequence diagrams with the entries' states and expiry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.traces.choose import REASONS
from reports.charts.sequence_diagram import SequenceDiagram, clock, diagram, packet_name
from reports.charts.wording import listed, milliseconds, plural, seconds, why_no_packets
from reports.run.section import Cell, DataTable, Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.report import Analysis
    from analyzer.traces.model import ConnectionTrace, Packet, Retention

ENDS: Mapping[str, str] = {"client": "client", "director": "director", "server": "real server"}
CLOSERS: Mapping[str, str] = {
    "client": "the client closed first",
    "server": "the server closed first",
    "reset": "a reset ended it",
    "none": "neither side closed it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTrace:
    """One trace as the page shows it.

    Attributes:
        id: made from its number, never from a name.
        name: in the list.
        sentence: the trace in words.
    """

    id: str
    name: str
    sentence: str
    diagram: SequenceDiagram
    table: DataTable


def section(analysis: Analysis) -> Section:
    """The traces, the most unusual first, grouped by reason."""
    groups: dict[str, list[ShownTrace]] = {}
    for number, trace in enumerate(analysis.traces):
        reason, _ = REASONS[trace.reasons[0]]
        groups.setdefault(reason, []).append(_shown(number, trace))
    return Section(
        id="stories",
        title="One connection, packet by packet",
        template="sections/traces.html",
        shows=frozenset(
            {
                "half-open",
                "refused",
                "reset-by-server",
                "packet-after-expiry",
                "arp-flux",
                "conntrack-outside-window",
                "conntrack-port-reuse",
                "masquerade-collision",
                "node-port-collision",
            }
        ),
        facts={"groups": groups, "why": why_no_packets(analysis)},
    )


def _shown(number: int, trace: ConnectionTrace) -> ShownTrace:
    return ShownTrace(
        id=f"trace-{number}",
        name=f"{trace.client} at {seconds(trace.first_s)}{_took(trace)}",
        sentence=sentence(trace),
        diagram=diagram(trace),
        table=table(trace),
    )


def _took(trace: ConnectionTrace) -> str:
    if trace.total_ms is not None:
        return f", {milliseconds(trace.total_ms)} ms"
    return f", {clock(trace.last_s - trace.first_s)} long"


def sentence(trace: ConnectionTrace) -> str:
    """A trace in words: the connection, its end, and who keeps state of it how long."""
    reasons = listed([REASONS[name][0] for name in trace.reasons])
    way = [*trace.directors, *([trace.real_server] if trace.real_server else [])]
    through = f" through {listed(way)}" if way else ""
    spent = clock(trace.last_s - trace.first_s)
    packets = plural(trace.packets_in_all, "packet")
    failed = f" It failed: {trace.error}." if trace.error else ""
    retentions = [_retention_in_words(retention, trace) for retention in trace.retentions]
    after = f" After the last packet: {'; '.join(retentions)}." if retentions else ""
    return (
        f"{trace.client} to {trace.vip}{through}: {packets} in {spent}; "
        f"{CLOSERS[trace.closer]}.{failed}{after} Chosen because: {reasons}."
    )


def _retention_in_words(retention: Retention, trace: ConnectionTrace) -> str:
    whose = f"the entry on {retention.name}" if retention.name else f"the {ENDS[retention.holder]}"
    if retention.until_s is None:
        return f"{whose} in {retention.state}, {retention.why}"
    length = seconds(retention.until_s - trace.last_s)
    margin = f" ± {seconds(retention.margin_s)}" if retention.margin_s else ""
    verb = {
        "predicted": "predicted to expire",
        "seen": "seen to expire",
        "inferred": "inferred to end",
    }
    if retention.holder == "director":
        return f"{whose} in {retention.state} is {verb[retention.basis]} after {length}{margin}"
    return f"{whose} keeps {retention.state} for {length} ({retention.why})"


# -- the table -----------------------------------------------------------------------------------


def table(trace: ConnectionTrace) -> DataTable:
    """The diagram's rows as a table."""
    rows = [(packet.t_s, _packet_row(packet, trace)) for packet in trace.packets]
    rows += [
        (retention.until_s, _end_row(retention, trace))
        for retention in trace.retentions
        if retention.until_s is not None
    ]
    return DataTable(
        columns=("after the first packet", "event", "from and to", "basis", "entry's state"),
        rows=[row for _, row in sorted(rows, key=lambda timed: timed[0])],
    )


def _packet_row(packet: Packet, trace: ConnectionTrace) -> tuple[Cell, ...]:
    stops = [ENDS[packet.legs[0].source], *(ENDS[leg.target] for leg in packet.legs)]
    way = " → ".join(stops) + (f" ({packet.dead_end})" if packet.dead_end else "")
    unseen = [f"to {ENDS[leg.target]} inferred" for leg in packet.legs if not leg.seen]
    known = "captured" + (f", {' and '.join(unseen)}" if unseen else "")
    after = clock(packet.t_s - trace.first_s)
    return after, packet_name(packet), way, known, _state_at(trace, packet.t_s)


def _state_at(trace: ConnectionTrace, t_s: float) -> str:
    states = [
        span.state
        for span in trace.predicted
        if span.from_s <= t_s and (span.until_s is None or t_s < span.until_s)
    ]
    return states[-1] if states else "none"


def _end_row(retention: Retention, trace: ConnectionTrace) -> tuple[Cell, ...]:
    assert retention.until_s is not None
    what = "entry expires" if retention.holder == "director" else f"{retention.state} ends"
    after = clock(retention.until_s - trace.first_s)
    margin = f" ± {seconds(retention.margin_s)}" if retention.margin_s else ""
    return (
        after + margin,
        what,
        ENDS[retention.holder],
        f"{retention.basis}: {retention.why}",
        "none",
    )
