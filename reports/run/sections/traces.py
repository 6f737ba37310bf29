"""One connection's story: its packets as a ladder, its entry's states, and who forgets it when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.traces.choose import REASONS
from reports.charts.sequence_diagram import SequenceDiagram, clock, ladder, packet_name
from reports.charts.wording import listed, milliseconds, plural, seconds, why_no_packets
from reports.run.section import Cell, DataTable, Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.results import Analysis
    from analyzer.traces.model import ConnectionTrace, Packet, Retention

ENDS: Mapping[str, str] = {"client": "client", "director": "director", "server": "real server"}
CLOSERS: Mapping[str, str] = {
    "client": "the client closed first",
    "server": "the server closed first",
    "reset": "a reset ended it",
    "none": "nobody closed it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTrace:
    """One story as the page shows it.

    Attributes:
        id: made from its number, never from a name.
        name: in the list.
        sentence: the whole of it in words.
    """

    id: str
    name: str
    sentence: str
    ladder: SequenceDiagram
    table: DataTable


def section(analysis: Analysis) -> Section:
    """The stories of the analysis, the oddest first, grouped by why they are offered."""
    groups: dict[str, list[ShownTrace]] = {}
    for number, story in enumerate(analysis.stories):
        reason, _ = REASONS[story.reasons[0]]
        groups.setdefault(reason, []).append(_told(number, story))
    return Section(
        id="stories",
        title="One connection, packet by packet",
        template="sections/stories.html",
        shows=frozenset(
            {"half-open", "refused", "reset-by-server", "packet-after-expiry", "arp-flux"}
        ),
        facts={"groups": groups, "why": why_no_packets(analysis)},
    )


def _told(number: int, story: ConnectionTrace) -> ShownTrace:
    return ShownTrace(
        id=f"story-{number}",
        name=f"{story.client} at {seconds(story.first_s)}{_took(story)}",
        sentence=sentence(story),
        ladder=ladder(story),
        table=table(story),
    )


def _took(story: ConnectionTrace) -> str:
    if story.total_ms is not None:
        return f", {milliseconds(story.total_ms)} ms"
    return f", {clock(story.last_s - story.first_s)} long"


def sentence(story: ConnectionTrace) -> str:
    """A story in words: whose it is, how it went, who remembers it and for how long."""
    reasons = listed([REASONS[name][0] for name in story.reasons])
    way = [*story.directors, *([story.real_server] if story.real_server else [])]
    through = f" through {listed(way)}" if way else ""
    spent = clock(story.last_s - story.first_s)
    packets = plural(story.packets_in_all, "packet")
    failed = f" It failed: {story.error}." if story.error else ""
    told = [_remembered(memory, story) for memory in story.memories]
    after = f" After the last packet: {'; '.join(told)}." if told else ""
    return (
        f"{story.client} to {story.vip}{through}: {packets} in {spent}; "
        f"{CLOSERS[story.closer]}.{failed}{after} Offered because: {reasons}."
    )


def _remembered(memory: Retention, story: ConnectionTrace) -> str:
    whose = f"the entry on {memory.name}" if memory.name else f"the {ENDS[memory.holder]}"
    if memory.until_s is None:
        return f"{whose} in {memory.state}, {memory.why}"
    length = seconds(memory.until_s - story.last_s)
    margin = f" ± {seconds(memory.margin_s)}" if memory.margin_s else ""
    verb = {"predicted": "predicted to go", "seen": "seen to go", "inferred": "forgets"}
    if memory.holder == "director":
        return f"{whose} in {memory.state} is {verb[memory.basis]} at {length}{margin}"
    return f"{whose} keeps {memory.state} until {length} ({memory.why})"


# -- the table -----------------------------------------------------------------------------------


def table(story: ConnectionTrace) -> DataTable:
    """What the ladder shows, row by row."""
    rows = [(packet.t_s, _packet_row(packet, story)) for packet in story.packets]
    rows += [
        (memory.until_s, _end_row(memory, story))
        for memory in story.memories
        if memory.until_s is not None
    ]
    return DataTable(
        columns=("after the first packet", "what", "from and to", "known", "entry then"),
        rows=[row for _, row in sorted(rows, key=lambda timed: timed[0])],
    )


def _packet_row(packet: Packet, story: ConnectionTrace) -> tuple[Cell, ...]:
    stops = [ENDS[packet.legs[0].source], *(ENDS[leg.target] for leg in packet.legs)]
    way = " → ".join(stops) + (f" ({packet.dead_end})" if packet.dead_end else "")
    unseen = [f"to {ENDS[leg.target]} inferred" for leg in packet.legs if not leg.seen]
    known = "captured" + (f", {' and '.join(unseen)}" if unseen else "")
    after = clock(packet.t_s - story.first_s)
    return after, packet_name(packet), way, known, _state_at(story, packet.t_s)


def _state_at(story: ConnectionTrace, t_s: float) -> str:
    held = [
        span.state
        for span in story.predicted
        if span.from_s <= t_s and (span.until_s is None or t_s < span.until_s)
    ]
    return held[-1] if held else "none"


def _end_row(memory: Retention, story: ConnectionTrace) -> tuple[Cell, ...]:
    assert memory.until_s is not None
    what = "entry goes" if memory.holder == "director" else f"{memory.state} ends"
    after = clock(memory.until_s - story.first_s)
    margin = f" ± {seconds(memory.margin_s)}" if memory.margin_s else ""
    return after + margin, what, ENDS[memory.holder], f"{memory.basis}: {memory.why}", "none"
