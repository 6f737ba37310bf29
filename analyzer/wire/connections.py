"""Segments to connections: who closed first, who answered, who holds TIME_WAIT.

The facts about a connection can be joined from parts (``ConnectionParts``), so that a capture may
come in chunks, and a connection be in several of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag
from analyzer.parts import Rows, filled
from analyzer.parts.columns import code_type, named
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Columns
    from analyzer.wire.segments import Segments


NEVER = np.iinfo(np.int64).max
UNKNOWN = -1
_CLOSERS = ("client", "server", "reset", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionParts:
    """One row per connection, ordered by flow, then time.

    Every array has shape (n,).

    Attributes:
        flow: as in Segments.
        first_ns, last_ns: Unix time of its segments.
        segments, syns: how many; the client's SYNs.
        sequence: of its SYN; UNKNOWN without one.
        first_syn_ns: NEVER without one.
        last_syn_ns: UNKNOWN without one.
        client_fin_ns, server_fin_ns, reset_ns: the first; NEVER without one.
        director_mac: who took the first segment to the VIP; UNKNOWN without one.
        replied_by: who sent the first reply; UNKNOWN without one.
    """

    flow: Ints
    first_ns: Ints
    last_ns: Ints
    segments: Ints
    syns: Ints
    sequence: Ints
    first_syn_ns: Ints
    last_syn_ns: Ints
    client_fin_ns: Ints
    server_fin_ns: Ints
    reset_ns: Ints
    director_mac: Ints
    replied_by: Ints


def connections(segments: Segments) -> pd.DataFrame:
    """One row per connection: a new one begins with each SYN of a new sequence number.

    Args:
        segments: each once (``segments.without_copies``).

    Returns:
        As ``table``.
    """
    return _table(filled(segments.store, _rows_of, ((part,) for part in segments.parts())))


def _rows_of(segments: Segments) -> Rows[None]:
    return Rows(_columns(parts_of(segments)), None)


def parts_of(segments: Segments) -> ConnectionParts:
    """The facts about each connection in these segments."""
    at_ns, forth, flag = segments.at_ns, segments.to_vip, segments.flag
    syns = np.flatnonzero((flag == Flag.SYN) & forth)
    begins = _begins(segments.flow, syns, segments.sequence)
    number = np.cumsum(begins) - 1
    starts = np.flatnonzero(begins)
    ends = np.r_[starts[1:], len(flag)][: len(starts)]
    is_fin = flag == Flag.FIN

    def first(which: Ints) -> Ints:
        return _scattered(number[which[::-1]], which[::-1], len(starts))

    syn, last_syn = first(syns), _scattered(number[syns], syns, len(starts))
    return ConnectionParts(
        flow=segments.flow[starts],
        first_ns=at_ns[starts],
        last_ns=at_ns[ends - 1],
        segments=ends - starts,
        syns=np.bincount(number[syns], minlength=len(starts)),
        sequence=_at(segments.sequence, syn, UNKNOWN),
        first_syn_ns=_at(at_ns, syn, NEVER),
        last_syn_ns=_at(at_ns, last_syn, UNKNOWN),
        client_fin_ns=_at(at_ns, first(np.flatnonzero(is_fin & forth)), NEVER),
        server_fin_ns=_at(at_ns, first(np.flatnonzero(is_fin & ~forth)), NEVER),
        reset_ns=_at(at_ns, first(np.flatnonzero(flag == Flag.RST)), NEVER),
        director_mac=_at(segments.destination_mac, first(np.flatnonzero(forth)), UNKNOWN),
        replied_by=_at(segments.source_mac, first(np.flatnonzero(~forth)), UNKNOWN),
    )


def _begins(flow: Ints, syns: Ints, sequence: npt.NDArray[Any]) -> Bools:
    """Where a connection begins: at a flow's first row, and at each SYN that does not repeat."""
    begins = np.ones(len(flow), dtype=bool)
    begins[1:] = flow[1:] != flow[:-1]
    fresh = np.ones(len(syns), dtype=bool)
    of, numbers = flow[syns], sequence[syns]
    fresh[1:] = (of[1:] != of[:-1]) | (numbers[1:] != numbers[:-1])
    begins[syns[fresh]] = True
    return begins


def _scattered(numbers: Ints, rows: Ints, size: int) -> Ints:
    """The last row of each number; UNKNOWN without one."""
    last_rows = np.full(size, UNKNOWN, dtype=np.int64)
    last_rows[numbers] = rows
    return last_rows


def _at(values: npt.NDArray[Any], rows: Ints, otherwise: int) -> Ints:
    if len(values) == 0:
        return np.full(len(rows), otherwise, dtype=np.int64)
    return np.where(rows == UNKNOWN, otherwise, values[rows].astype(np.int64))


def table(parts: ConnectionParts) -> pd.DataFrame:
    """Connections as a table.

    Returns:
        DataFrame with ``flow`` (as in Segments), ``first_ns, last_ns`` (Unix ns), ``segments``,
        ``syns`` (sent by the client: more than one means the SYN was repeated), ``retry_s`` (from
        the first SYN to the last; 0 if there was one), ``closer``
        (client, server, reset or none), ``holds_time_wait`` (client, server or none: the closer
        of a connection that both sides closed), ``client_fin, server_fin, answered`` (whether
        seen), ``replied_by`` (MAC of the first reply, <NA> without one), ``director_mac`` (who
        took the first segment).
    """
    return _table(_columns(parts))


def _columns(parts: ConnectionParts) -> Columns:
    """The columns of ``table``; texts as numbers, and no <NA>."""
    retried = parts.syns > 1
    client_fin, server_fin = parts.client_fin_ns != NEVER, parts.server_fin_ns != NEVER
    closer = _closer(parts)
    both = client_fin & server_fin & (closer < 2)
    return {
        "flow": parts.flow,
        "first_ns": parts.first_ns,
        "last_ns": parts.last_ns,
        "segments": parts.segments,
        "syns": parts.syns,
        "answered": parts.replied_by != UNKNOWN,
        "retry_s": np.where(retried, parts.last_syn_ns - parts.first_syn_ns, 0) / NS_PER_S,
        "director_mac": parts.director_mac,
        "no_director_mac": parts.director_mac == UNKNOWN,
        "replied_by": parts.replied_by,
        "no_reply": parts.replied_by == UNKNOWN,
        "client_fin": client_fin,
        "server_fin": server_fin,
        "closer": closer.astype(code_type(len(_CLOSERS))),
        "holds_time_wait": np.where(both, closer, 3).astype(code_type(len(_CLOSERS))),
    }


def _table(columns: Columns) -> pd.DataFrame:
    has_no_mac, has_no_reply = columns.pop("no_director_mac"), columns.pop("no_reply")
    known = {
        "director_mac": pd.arrays.IntegerArray(columns["director_mac"], has_no_mac),
        "replied_by": pd.arrays.IntegerArray(columns["replied_by"], has_no_reply),
        "closer": named(columns["closer"], _CLOSERS),
        "holds_time_wait": named(columns["holds_time_wait"], _CLOSERS),
    }
    return pd.DataFrame({**columns, **known}, copy=False)


def _closer(parts: ConnectionParts) -> Ints:
    """Whose FIN came first, or whether a reset came before any: an index into ``_CLOSERS``."""
    instants = np.stack([parts.client_fin_ns, parts.server_fin_ns, parts.reset_ns])
    return np.where((instants == NEVER).all(axis=0), 3, instants.argmin(axis=0))
