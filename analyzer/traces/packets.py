"""A connection's packets as hops between client, director and real server: seen, or inferred."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag
from analyzer.parts import PART_ROWS, stretches
from analyzer.traces.model import Leg, Packet
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    from analyzer.wire.segments import Segments

    Ints = npt.NDArray[np.int64]

UNANSWERED = "no answer came"

_SEQUENCES = 1 << 32

KEPT_EACH_SIDE = 24
"""How many packets are kept at either end of a long connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hops:
    """How packets travel, and which of their hops a capture can see.

    Attributes:
        forwarder_macs: the directors'; empty where not known.
        through: replies pass the director, as in nat.
        judged_ns: instants of the packets that met an entry, ascending, of each director; empty
            without a prediction.
    """

    forwarder_macs: Collection[int]
    through: bool
    judged_ns: Sequence[Ints] = ()

    def met_an_entry(self, at_ns: int) -> bool | None:
        """Whether the packet of an instant did; None without a prediction."""
        if not self.judged_ns:
            return None
        return any(
            len(range(*np.searchsorted(each, [at_ns, at_ns + 1]).tolist())) > 0
            for each in self.judged_ns
        )


@dataclass(slots=True)
class _Sight:
    """A packet, and at which sides of the director it was seen."""

    row: int
    before: bool
    after: bool


def packets_of(segments: Segments, hops: Hops, zero_ns: int) -> tuple[tuple[Packet, ...], int]:
    """The kept packets of one connection, and how many it had.

    Args:
        segments: one connection's, copies that the director sent on included, in order of time.
        hops: how its packets travelled.
        zero_ns: the run's start.
    """
    size = len(segments.at_ns)
    short = size <= 4 * KEPT_EACH_SIDE
    head = size if short else 2 * KEPT_EACH_SIDE
    sights = _sights(segments, hops, range(head))
    tail = [] if short else _sights(segments, hops, range(size - head, size))
    in_all = len(sights) if short else _without_copies(segments, hops)
    if len(sights) + len(tail) > 2 * KEPT_EACH_SIDE:
        sights, tail = sights[:KEPT_EACH_SIDE], (tail or sights)[-KEPT_EACH_SIDE:]
    data_bytes = _data_bytes(segments, [sight.row for sight in (*sights, *tail)], len(sights))
    packets: list[Packet] = []
    sent: set[tuple[bool, int, int]] = set()
    gap = in_all - len(sights) - len(tail)
    kept = [*sights, *tail]
    for number, sight in enumerate(kept):
        left_out = gap if number == len(sights) else 0
        packet = _packet(segments, sight, hops, zero_ns, sent, left_out)
        if number + 1 < len(kept) and _unanswered(segments, sight, kept[number + 1]):
            packet = replace(packet, legs=packet.legs[:1], dead_end=UNANSWERED)
        packets.append(replace(packet, data_bytes=data_bytes[number]))
    return tuple(packets), in_all


def _data_bytes(segments: Segments, rows: Sequence[int], gap_before: int) -> list[int | None]:
    """How many bytes of data each packet carries; one that is sent again shows it in its last copy.

    Args:
        segments: one connection's.
        rows: of its packets, in order of time.
        gap_before: the place in ``rows`` before which others are left out.
    """
    found: list[int | None] = [None] * len(rows)
    following: dict[bool, int] = {}
    for place in reversed(range(len(rows))):
        row, side = rows[place], bool(segments.to_vip[rows[place]])
        flag = Flag(int(segments.flag[row]))
        if flag is not Flag.DATAGRAM and side in following:
            counts_itself = flag in (Flag.SYN, Flag.FIN)  # RFC 9293, 3.4
            step = (following[side] - int(segments.sequence[row]) - counts_itself) % _SEQUENCES
            found[place] = step if step < _SEQUENCES // 2 else None
        following[side] = int(segments.sequence[row])
        if place == gap_before:
            following.clear()
    return found


def _unanswered(segments: Segments, sight: _Sight, after: _Sight) -> bool:
    """A SYN that the next packet retransmits: how far it came is not known."""
    if sight.after:
        return False
    pair = [sight.row, after.row]
    syns = segments.to_vip[pair].all() and (segments.flag[pair] == Flag.SYN).all()
    return bool(syns and segments.sequence[pair[0]] == segments.sequence[pair[1]])


def _without_copies(segments: Segments, hops: Hops) -> int:
    size, macs = len(segments.at_ns), list(hops.forwarder_macs)
    sent_on, arrives = 0, False
    for rows in stretches(size, PART_ROWS):
        forth = segments.to_vip[rows]
        sent_on += int((forth & is_one_of(segments.source_mac[rows], macs)).sum())
        arrives |= bool((forth & is_one_of(segments.destination_mac[rows], macs)).any())
    return size - sent_on if arrives else size


def _sights(segments: Segments, hops: Hops, rows: range) -> list[_Sight]:
    """Each packet once: a copy that the director sent on completes the packet before it."""
    sights: list[_Sight] = []
    open_by_kind: defaultdict[tuple[int, int], deque[_Sight]] = defaultdict(deque)
    for row in rows:
        leaves = int(segments.source_mac[row]) in hops.forwarder_macs
        if not segments.to_vip[row]:
            sights.append(_Sight(row, before=leaves, after=not leaves))
            continue
        kind = int(segments.flag[row]), int(segments.sequence[row])
        if leaves and open_by_kind[kind]:
            open_by_kind[kind].popleft().after = True
            continue
        sight = _Sight(row, before=not leaves, after=leaves)
        sights.append(sight)
        if not leaves:
            open_by_kind[kind].append(sight)
    return sights


def _packet(
    segments: Segments,
    sight: _Sight,
    hops: Hops,
    zero_ns: int,
    sent: set[tuple[bool, int, int]],
    left_out: int,
) -> Packet:
    row = sight.row
    to_vip, flag = bool(segments.to_vip[row]), Flag(int(segments.flag[row]))
    kind = to_vip, int(flag), int(segments.sequence[row])
    again = kind in sent and flag in (Flag.SYN, Flag.FIN)
    sent.add(kind)
    dead_end = _dead_end(int(segments.at_ns[row]), flag, hops) if to_vip else None
    if sight.after:
        dead_end = None
    return Packet(
        t_s=float(segments.at_ns[row] - zero_ns) / NS_PER_S,
        flag=flag.name,
        to_vip=to_vip,
        legs=_forth(sight, dead_end) if to_vip else _back(sight, hops),
        again=again,
        left_out=left_out,
        dead_end=dead_end,
    )


def _dead_end(at_ns: int, flag: Flag, hops: Hops) -> str | None:
    if hops.met_an_entry(at_ns) in (None, True):
        return None
    if flag in (Flag.SYN, Flag.DATAGRAM):
        return "dropped by the director"
    return "no entry there: not sent on"


def _forth(sight: _Sight, dead_end: str | None) -> tuple[Leg, ...]:
    arrives = Leg(source="client", target="director", seen=sight.before)
    if dead_end:
        return (arrives,)
    return (arrives, Leg(source="director", target="server", seen=sight.after))


def _back(sight: _Sight, hops: Hops) -> tuple[Leg, ...]:
    """A reply passes the director in nat alone; else it bypasses it."""
    if not hops.through:
        return (Leg(source="server", target="client", seen=True),)
    return (
        Leg(source="server", target="director", seen=False),
        Leg(source="director", target="client", seen=True),
    )
