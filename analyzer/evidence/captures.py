"""A recording's captures, from their bytes to connections."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.errors import ParseError
from analyzer.parts import IN_MEMORY, are_among
from analyzer.results import NotMeasured
from analyzer.wire.capture.files import WHY_UNREAD, frame_chunks
from analyzer.wire.capture.network import LOST, SKIPPED
from analyzer.wire.connections import connections
from analyzer.wire.copies import each_once
from analyzer.wire.masquerade import masqueraded
from analyzer.wire.packets import THIS_HOST, CaptureFacts, PacketTable, read_packets
from analyzer.wire.rewriting import NOTHING, Rewriting, rewriting
from analyzer.wire.segments import Segments, dealt_out, forwarders, without_copies

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd

    from analyzer.parts import Store
    from analyzer.parts.inputs import Content
    from analyzer.wire.segments import VirtualEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What the wire shows of the virtual services.

    Attributes:
        facts: what the captures say beside each packet.
        unserved: all packets, where none is a service's.
        segments: those of the services, each once for each side of a director, under the addresses
            that a director knows.
        once: the same without the copies that a director sends on.
        last_ns: the last instant of ``segments``; 0 of none.
        connections: ``wire.connections.table`` of them.
        forwarder_macs: the directors' MACs, as configured, else as the packets show them.
        rewriting: the packets that somebody sends on to other addresses, as a director in nat does.
        took_s: from the files' bytes to here, by the analysis' own stopwatch.
        files: those that could be read.
    """

    facts: CaptureFacts
    unserved: PacketTable | None
    segments: Segments
    once: Segments
    last_ns: int
    connections: pd.DataFrame
    forwarder_macs: frozenset[int]
    rewriting: Rewriting
    took_s: float
    files: tuple[Content, ...]


@dataclass(slots=True)
class ReadOnce:
    """Packets of captures that more than one asks for: they are read for the first.

    Attributes:
        captures: the files by name, in order of time.
        store: keeps the columns of packets, and of what is made of them.
    """

    captures: Mapping[str, Content]
    store: Store = IN_MEMORY
    _packets: PacketTable | None = None
    took_s: float = 0.0

    def packets(self, *, tcp: bool = False) -> PacketTable:
        """All of those that are pcap or pcapng; ``took_s`` says how long it took.

        Args:
            tcp: with all that ``segments.TcpHeaders`` has. Who asks for it after others had the
                packets without it has them read again.
        """
        if self._packets is None or (tcp and not self._packets.has_tcp):
            began = time.perf_counter()
            self._packets = None
            usable, _ = readable(self.captures)
            self._packets = read_packets(*usable.values(), store=self.store, tcp=tcp)
            self.took_s = time.perf_counter() - began
        return self._packets

    def forget(self) -> None:
        """Give back their room; who asks again has them read again."""
        self._packets = None


def read_captures(
    read: ReadOnce,
    ends: Collection[VirtualEnd],
    macs: frozenset[int],
    *,
    tcp: bool = False,
    asked_again: bool = False,
) -> tuple[Captured | None, list[NotMeasured]]:
    """All captures as one, and what was not to be read of them; None where none can be read.

    Args:
        read: the captures.
        ends: the virtual services.
        macs: the directors', as recorded; none where nobody said.
        tcp: whether segments are to have the rest of their headers (``Segments.tcp``).
        asked_again: somebody else does so afterwards; else they are given back as soon as may be.
    """
    usable, lost = readable(read.captures)
    if not usable:
        return None, lost
    packets = read.packets(tcp=tcp)
    began = time.perf_counter()
    facts, size = packets.facts(), len(packets.at_ns)
    ours = dealt_out(packets, ends, read.store)
    others = None if size and ours.count == size else packets
    del packets  # where none is of others, their room is for the segments
    if not asked_again:
        read.forget()
    segments = each_once(ours.segments())
    before = masqueraded(segments)
    if len(before):
        segments = segments.only(segments.where(lambda part: ~are_among(part.flow, before)))
    nat = rewriting(others, segments) if others else NOTHING
    forward = with_host(macs, facts) or nat.macs or forwarders(segments)
    once = segments.only(without_copies(segments, forward))
    found = Captured(
        facts=facts,
        unserved=None if len(segments.flow) else others,
        segments=segments,
        once=once,
        last_ns=(segments.span_ns() or (0, 0))[1],
        connections=connections(once),
        forwarder_macs=forward,
        rewriting=nat,
        took_s=read.took_s + time.perf_counter() - began,
        files=tuple(usable.values()),
    )
    return found, [*lost, *_packets_lost(facts), *_counted_once(len(before))]


def _counted_once(flows: int) -> list[NotMeasured]:
    """Connections of a masquerading router, as they were before it."""
    if not flows:
        return []
    why = "a router masquerades them: they count as they leave it, which is what the director knows"
    return [NotMeasured(what=f"{flows} connections under their clients' own addresses", why=why)]


def with_host(macs: frozenset[int], facts: CaptureFacts) -> frozenset[int]:
    """MACs of one host, with what stands for it where it is the one that captured."""
    return macs | {THIS_HOST} if macs & facts.host_macs else macs


def readable(
    captures: Mapping[str, Content],
) -> tuple[dict[str, Content], list[NotMeasured]]:
    """The captures that are pcap or pcapng, and a row for each that is not."""
    usable, lost = {}, []
    for name, content in captures.items():
        try:
            frame_chunks(content)
        except ParseError as error:
            lost.append(NotMeasured(what=f"packets of {name}", why=str(error)))
        else:
            usable[name] = content
    return usable, lost


def _packets_lost(facts: CaptureFacts) -> list[NotMeasured]:
    """What the capture holds and no prediction can use, though the director may have seen it."""
    rows = [
        NotMeasured(what=f"captured packets, {kind}: {facts.skipped[kind]}", why=SKIPPED[kind])
        for kind in LOST
        if facts.skipped[kind]
    ]
    return [*rows, *cut_off(facts.unread, "the capture")]


def cut_off(unread: int, capture: str) -> list[NotMeasured]:
    """A row for the end of a capture, of so many bytes, that could not be read; none of none."""
    if not unread:
        return []
    return [NotMeasured(what=f"the last {unread} bytes of {capture}", why=WHY_UNREAD)]
