"""Texts of the connection tracking table, to the rows that entries of IPVS have too.

Read are ``/proc/net/nf_conntrack`` (``ct_seq_show`` in nf_conntrack_standalone.c) and what
``conntrack -L`` prints, with ``-o extended`` or without. An entry has two tuples: the original
direction's, from the client to the virtual IP, and the reply's, from the real server to the client,
or, of a masqueraded connection, to the address and port that stand for it there. Flags, counters,
marks, zones and the like are left out, and so are entries without ports (ICMP, GRE). The texts come
from another machine and are untrusted: a row that is not understood costs itself and becomes a
warning, and nothing raises.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.masqueraded import MASQUERADED
from analyzer.conntrack.states import UDP_STATES, CtState
from analyzer.ipvs.proc.entry_rows import ENDS, ENTRY, EntryRows
from analyzer.ipvs.proc.formats import EXPECTED_ENTRY, MAX_LINE, ParserWarnings, whole_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows

    Fields = tuple[bytes, ...]
    Mask = NDArray[np.bool_]
    Numbers = NDArray[np.int64]

UNREPLIED, REPLIED, ASSURED = (state.name for state in UDP_STATES)
"""States of a protocol that has none of its own (UDP): no answer came yet; answers come, and
nf_conntrack_udp_timeout holds; it is a stream, and nf_conntrack_udp_timeout_stream holds."""

OFFLOAD = "OFFLOAD"
"""State of a flow that a flowtable forwards: neither state nor timeout is printed."""

STATE_NAMES = frozenset({*(state.name for state in CtState), OFFLOAD})
"""The states that rows of TCP and UDP have (``tcp_conntrack_names``, and ours)."""

CHUNK_BYTES = 1 << 17
"""Of text, read at a time: the event loop waits no longer than that takes."""

_TUPLE = rb"src=([0-9a-f.:]{2,39}) dst=([0-9a-f.:]{2,39}) sport=(\d{1,5}) dport=(\d{1,5})"
_REPLY = _TUPLE
_EXTRAS = rb"(?: zone[a-z-]{0,8}=\d{1,5})?(?: packets=\d{1,20} bytes=\d{1,20})?"
_PREFIX = rb"^[ \t]*(?:ipv[46] +\d{1,3} +)?([a-z0-9]{1,8}) +\d{1,3} +"
_ENTRY = re.compile(
    _PREFIX
    + rb"(?:(\d{1,10}) )?(?:([A-Z][!-~]{0,23}) )?"
    + _TUPLE
    + _EXTRAS
    + rb"( \[UNREPLIED\])? "
    + _REPLY
    + _EXTRAS
    + rb"(?: \[([A-Z_]{1,12})\])?(?=\s|$)",
    re.MULTILINE,
)
_WITHOUT_PORTS = re.compile(
    _PREFIX + rb"(?:\d{1,10} )?src=[0-9a-f.:]{2,39} dst=[0-9a-f.:]{2,39} (?!sport=)"
)
_SUMMARY = re.compile(rb"conntrack v[0-9.]{1,12} \(conntrack-tools\): ")

_PROTOCOL, _EXPIRES, _STATE, _CLIENT, _VIP, _CLIENT_PORT, _PORT = range(7)
_UNREPLIED, _SERVER, _SOURCE, _SERVER_PORT, _SOURCE_PORT, _FLAG = range(7, 13)
_ADDRESSES = (_CLIENT, _VIP, _SERVER)
_PORTS = (_CLIENT_PORT, _PORT, _SERVER_PORT)
_ALL_BUT_CLIENT = np.uint8(0xFE)
"""Of the bits that say which ends are IPv6."""
_OFFLOAD_FLAGS = (b"OFFLOAD", b"HW_OFFLOAD")
_LOW = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackRows(EntryRows):
    """The table as it came; ``masqueraded`` are those of its rows whose client is, MASQUERADED."""

    masqueraded: Rows


def read_conntrack(text: str | bytes) -> ConntrackRows:
    """Read the table whole; never raises.

    Args:
        text: what the director gave, untrusted; bytes save a copy.

    Returns:
        ``ENTRY`` rows in the text's order. ``protocol`` is in capitals. ``expires_s`` is in whole
        seconds, rounded down; 0 in state ``OFFLOAD``, which has no timer of its own.
    """
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    warnings = ParserWarnings()
    addresses = _Addresses()
    parts: list[Rows] = []
    masqueraded: list[Rows] = []
    number = 1
    for chunk in whole_lines(raw, CHUNK_BYTES):
        fields = _ENTRY.findall(chunk)
        lines = chunk.count(b"\n") + (not chunk.endswith(b"\n"))
        if len(fields) == lines:
            rows, is_good = _rows(fields, addresses)
            if not is_good.all():
                texts = chunk.split(b"\n")
                for place in np.flatnonzero(~is_good).tolist():
                    _warn(warnings, number + place, texts[place])
        else:
            fields, rows, is_good = _read_lines(chunk, number, addresses, warnings)
        masqueraded.append(_masqueraded(fields, rows, is_good, addresses))
        parts.append(rows if is_good.all() else rows[is_good])
        number += lines
    return ConntrackRows(
        rows=np.concatenate(parts) if parts else np.empty(0, ENTRY),
        warnings=warnings.lines,
        unread=warnings.count,
        masqueraded=np.concatenate(masqueraded) if masqueraded else np.empty(0, MASQUERADED),
    )


def translated(rows: Rows) -> Mask:
    """Which entries had their destination translated: those that a real server answers."""
    differs: Mask = np.zeros(len(rows), dtype=bool)
    for part in ("high", "low"):
        differs |= rows[f"vip_{part}"] != rows[f"real_server_{part}"]
    differs |= rows["port"] != rows["real_port"]
    return differs


def _read_lines(
    chunk: bytes, first_number: int, addresses: _Addresses, warnings: ParserWarnings
) -> tuple[list[Fields], Rows, Mask]:
    """The entries among lines of which some are none, as ``_rows`` has them."""
    found: list[Fields] = []
    numbers: list[int] = []
    texts: list[bytes] = []
    for number, line in enumerate(chunk.split(b"\n"), first_number):
        text = line[:MAX_LINE]
        match = _ENTRY.match(text)
        if match is not None:
            found.append(match.groups(b""))
            numbers.append(number)
            texts.append(text)
        elif text.strip() and not _WITHOUT_PORTS.match(text) and not _SUMMARY.match(text):
            _warn(warnings, number, text)
    rows, is_good = _rows(found, addresses)
    for place in np.flatnonzero(~is_good).tolist():
        _warn(warnings, numbers[place], texts[place])
    return found, rows, is_good


def _warn(warnings: ParserWarnings, number: int, text: bytes) -> None:
    warnings.add(number, text[:MAX_LINE].decode("utf-8", "replace").strip(), EXPECTED_ENTRY)


def _rows(fields: Sequence[Fields], addresses: _Addresses) -> tuple[Rows, Mask]:
    """Fields of entries as rows, and which of them hold what they can hold."""
    rows = np.zeros(len(fields), ENTRY)
    is_good = np.ones(len(fields), dtype=bool)
    if not fields:
        return rows, is_good
    columns = list(zip(*fields, strict=True))
    for bit, ((name, port_name), place, port_place) in enumerate(
        zip(ENDS, _ADDRESSES, _PORTS, strict=True)
    ):
        known = [addresses[text] for text in columns[place]]
        rows[f"{name}_high"] = [high for high, _, _ in known]
        rows[f"{name}_low"] = [low for _, low, _ in known]
        version = np.array([version for _, _, version in known], np.uint8)
        is_good &= version > 0
        rows["ipv6"] |= (version == 6).astype(np.uint8) << bit
        ports = _numbers(columns[port_place])
        is_good &= ports <= 0xFFFF
        rows[port_name] = ports & 0xFFFF
    rows["expires_s"] = _numbers(columns[_EXPIRES])
    rows["protocol"] = np.char.upper(np.array(columns[_PROTOCOL]))
    rows["state"], is_complete = _states(columns)
    return rows, is_good & is_complete


def _masqueraded(
    fields: Sequence[Fields], rows: Rows, is_good: Mask, addresses: _Addresses
) -> Rows:
    """Those of the good rows whose replies go to another end than the client's."""
    places, known, ports = [], [], []
    for place, one in enumerate(fields):
        if one[_SOURCE] == one[_CLIENT] and one[_SOURCE_PORT] == one[_CLIENT_PORT]:
            continue
        address, port = addresses[one[_SOURCE]], int(one[_SOURCE_PORT])
        if is_good[place] and address[2] and port <= 0xFFFF:
            places.append(place)
            known.append(address)
            ports.append(port)
    made = np.zeros(len(places), MASQUERADED)
    if places:
        made["entry"] = made["source"] = rows[places]
        source = made["source"]
        source["client_ip_high"] = [high for high, _, _ in known]
        source["client_ip_low"] = [low for _, low, _ in known]
        source["client_port"] = ports
        source["ipv6"] &= _ALL_BUT_CLIENT
        source["ipv6"] |= np.array([version == 6 for _, _, version in known], np.uint8)
    return made


def _states(columns: Sequence[tuple[bytes, ...]]) -> tuple[NDArray[np.bytes_], Mask]:
    """The states, and which rows have the timer that belongs to theirs."""
    printed, flag = np.array(columns[_STATE]), np.array(columns[_FLAG])
    is_unreplied = np.array(columns[_UNREPLIED]) != b""
    answered = np.where(flag == ASSURED.encode(), ASSURED.encode(), REPLIED.encode())
    by_flags = np.where(is_unreplied, UNREPLIED.encode(), answered)
    is_offloaded = np.isin(flag, _OFFLOAD_FLAGS)
    states = np.where(printed != b"", printed, by_flags)
    has_timer = np.array(columns[_EXPIRES]) != b""
    return np.where(is_offloaded, OFFLOAD.encode(), states), has_timer | is_offloaded


def _numbers(texts: Sequence[bytes]) -> Numbers:
    """Texts of at most ten digits as numbers; "" is 0."""
    digits = np.array(texts)
    return np.where(digits == b"", b"0", digits).astype(np.int64)


class _Addresses(dict[bytes, tuple[int, int, int]]):
    """An address's upper and lower 64 bits, and its version: 4, 6, or 0 of a text that is none."""

    def __missing__(self, text: bytes) -> tuple[int, int, int]:
        found: tuple[int, int, int] = (0, 0, 0)
        with suppress(ValueError):
            address = ip_address(text.decode("ascii"))
            found = (int(address) >> 64, int(address) & _LOW, address.version)
        self[text] = found
        return found
