"""The connection table as rows of one array: a million entries in the time a loop takes for few.

A row holds what a line of ``/proc/net/ip_vs_conn`` says: addresses as two 64-bit numbers each
(IPv4 in the low 32 bits of the second, and a flag), names as bytes. ``read_entries`` makes such
rows of a text; ``analyzer.ipvs.table_diff.tracking`` compares them; ``entry_columns`` gives them
the columns of ``entries/``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.ipvs.proc.formats import MAX_PROTOCOL, MAX_STATE, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Rows = NDArray[np.void]

ENDS = (("client_ip", "client_port"), ("vip", "port"), ("real_server", "real_port"))

ENTRY = np.dtype(
    [
        *((f"{address}_{half}", "u8") for address, _ in ENDS for half in ("high", "low")),
        ("expires_s", "i8"),
        *((port, "u2") for _, port in ENDS),
        ("ipv6", "u1"),  # a bit for each end, the client's the lowest
        ("protocol", f"S{MAX_PROTOCOL}"),
        ("state", f"S{MAX_STATE}"),
    ],
    align=True,
)

_LOW = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRows:
    """``/proc/net/ip_vs_conn``, read once, as it came: a torn read gives entries twice.

    Attributes:
        rows: ``ENTRY``, in the text's order.
        warnings: the lines that were not understood, the first of them.
        unread: how many there were.
    """

    rows: Rows
    warnings: tuple[str, ...]
    unread: int = 0

    @property
    def lines(self) -> int:
        """How many entries the text had, doubles included."""
        return len(self.rows)


def rows_of(entries: Iterable[Entry]) -> Rows:
    """Entries that were read one by one, as rows."""
    return np.array([_row(entry, *_numbers(entry)) for entry in entries], dtype=ENTRY)


def _numbers(entry: Entry) -> tuple[list[int], int]:
    addresses = [ip_address(word) for word in (entry.client_ip, entry.vip, entry.real_server)]
    ipv6 = sum((address.version == 6) << bit for bit, address in enumerate(addresses))
    return [int(address) for address in addresses], ipv6


def _row(entry: Entry, numbers: Iterable[int], ipv6: int) -> tuple[Any, ...]:
    return (
        *(half for number in numbers for half in (number >> 64, number & _LOW)),
        entry.expires_s,
        entry.client_port,
        entry.port,
        entry.real_port,
        ipv6,
        entry.protocol.encode(),
        entry.state.encode(),
    )


@lru_cache(maxsize=1024)
def _encoded(name: str) -> bytes:
    return name.encode()


class AddressNames:
    """Rows of entries whose addresses may be host names: a number stands for each text."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def rows_of(self, entries: Iterable[Entry]) -> Rows:
        """``ENTRY``, with this object's numbers as addresses."""
        of, numbers = self._numbers.setdefault, self._numbers
        rows = [
            (
                *(0, of(entry.client_ip, len(numbers))),
                *(0, of(entry.vip, len(numbers))),
                *(0, of(entry.real_server, len(numbers))),
                *(entry.expires_s, entry.client_port, entry.port, entry.real_port),
                *(0, _encoded(entry.protocol), _encoded(entry.state)),
            )
            for entry in entries
        ]
        return np.array(rows, dtype=ENTRY)

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The columns of ``entries/`` of rows that this object made."""
        names = pa.array(list(self._numbers), pa.string())
        texts = {name: names.take(pa.array(rows[f"{name}_low"])) for name, _ in ENDS}
        return {**_columns(rows), **texts}


def entries_of(rows: Rows) -> tuple[Entry, ...]:
    """Rows as entries, one object each: for few of them."""
    columns = {name: column.to_pylist() for name, column in entry_columns(rows).items()}
    return tuple(
        Entry(**dict(zip(columns, values, strict=True)))
        for values in zip(*columns.values(), strict=True)
    )


def entry_columns(rows: Rows) -> dict[str, pa.Array]:
    """Rows as the columns of ``entries/`` that an entry has, addresses written out."""
    columns = _columns(rows)
    for bit, (address, _) in enumerate(ENDS):
        is_ipv6 = (rows["ipv6"] >> bit & 1).astype(bool)
        columns[address] = _addresses(rows[f"{address}_high"], rows[f"{address}_low"], is_ipv6)
    return columns


def _columns(rows: Rows) -> dict[str, pa.Array]:
    return {
        "protocol": _text(rows["protocol"]),
        "state": _text(rows["state"]),
        "expires_s": pa.array(rows["expires_s"]),
        **{port: pa.array(rows[port].astype(np.int64)) for _, port in ENDS},
    }


def is_address(rows: Rows, end: str, address: str) -> NDArray[np.bool_]:
    """Which rows have this address at an end: ``client_ip``, ``vip``, ``real_server``."""
    sought = ip_address(address)
    bit = [name for name, _ in ENDS].index(end)
    is_family = (rows["ipv6"] >> bit & 1) == (sought.version == 6)
    high, low = int(sought) >> 64, int(sought) & _LOW
    found: NDArray[np.bool_] = (
        is_family & (rows[f"{end}_low"] == low) & (rows[f"{end}_high"] == high)
    )
    return found


def _text(names: NDArray[np.bytes_]) -> pa.Array:
    """Names, of which there are few, as Arrow texts: equal ones in a row are told apart once."""
    width = names.dtype.itemsize
    blank = np.zeros(len(names) * width, np.uint8).reshape(-1, width)
    blank[:] = np.ascontiguousarray(names).view(np.uint8).reshape(-1, width)
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(names), [None, pa.py_buffer(blank)]
    ).dictionary_encode()
    words = [word.rstrip(b"\0").decode("ascii") for word in fixed.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(fixed.indices)


_OCTETS = pa.array([str(octet) for octet in range(256)])
_SAMPLE, _FEW = 1000, 100


def _addresses(
    high: NDArray[np.uint64], low: NDArray[np.uint64], is_ipv6: NDArray[np.bool_]
) -> pa.Array:
    dotted = _dotted(np.ascontiguousarray(low).astype(np.uint32))
    if not is_ipv6.any():
        return dotted
    where = np.flatnonzero(is_ipv6)
    halves = zip(high[where].tolist(), low[where].tolist(), strict=True)
    written = [str(IPv6Address(upper << 64 | lower)) for upper, lower in halves]
    return pc.replace_with_mask(dotted, pa.array(is_ipv6), pa.array(written, pa.string()))


def _dotted(numbers: NDArray[np.uint32]) -> pa.Array:
    """IPv4 addresses as texts; where they are few, each is written once."""
    if len(numbers) > _SAMPLE and len(np.unique(numbers[:_SAMPLE])) < _FEW:
        coded = pa.array(numbers).dictionary_encode()
        return _written(coded.dictionary.to_numpy()).take(coded.indices)
    return _written(numbers)


def _written(numbers: NDArray[np.uint32]) -> pa.Array:
    octets = numbers.astype(">u4").view(np.uint8).reshape(-1, 4)
    return pc.binary_join_element_wise(*(_OCTETS.take(pa.array(each)) for each in octets.T), ".")
