"""``/proc/net/ip_vs_conn`` to rows, by columns instead of lines.

The kernel prints every entry of a protocol and family at the same width (``ip_vs_conn_seq_show``),
so lines of that width are read side by side, and each is checked character by character; what is
not exactly as the kernel prints it goes to the reader of lines, ``formats.read_entry``. Both give
the same for any text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.proc.entry_rows import ENDS, ENTRY, EntryRows, rows_of
from analyzer.ipvs.proc.formats import (
    EXPECTED_ENTRY,
    MAX_LINE,
    NAME,
    ParserWarnings,
    is_entries_title,
    read_entry,
    whole_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Entry

    Bytes = NDArray[np.uint8]
    Mask = NDArray[np.bool_]

CHUNK_BYTES = 1 << 20
"""Of text, read at a time: what that takes in memory stays in the processor's cache."""

_NEWLINE, _BLANK, _ZERO, _COLON = b"\n 0:"
_PORT_DIGITS = 4
_STATE_WIDTH, _EXPIRES_WIDTH = 11, 7
_MAX_NAMES = 32
"""A chunk is searched for so many states (the kernel has 13); the rest is read one by one."""

_TITLE = b"Pro"
_NOT_HEX = 0x100


def _hex_pairs() -> NDArray[np.uint16]:
    """The value of any two characters, as they lie in memory, read as hexadecimal digits."""
    digit = np.full(256, _NOT_HEX, dtype=np.uint16)
    for characters in (b"0123456789abcdef", b"0123456789ABCDEF"):
        digit[np.frombuffer(characters, np.uint8)] = np.arange(16)
    pair = np.arange(1 << 16, dtype="<u2").view(np.uint8).reshape(-1, 2)
    first, second = digit[pair[:, 0]], digit[pair[:, 1]]
    return np.where((first | second) >= _NOT_HEX, _NOT_HEX, first << 4 | second)


_HEX = _hex_pairs()


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things stand in a line of one protocol's width and one family."""

    ipv6: bool
    protocol_width: int

    @property
    def _address_width(self) -> int:
        return 39 if self.ipv6 else 8

    def _address_at(self, end: int) -> int:
        return self.protocol_width + 1 + end * (self._address_width + _PORT_DIGITS + 2)

    @property
    def state_at(self) -> int:
        return self._address_at(len(ENDS))

    @property
    def width(self) -> int:
        return self.state_at + _STATE_WIDTH + 1 + _EXPIRES_WIDTH

    def digits(self) -> list[int]:
        """The columns of hexadecimal digits, end after end, address before port."""
        found: list[int] = []
        for end in range(len(ENDS)):
            at, after = self._address_at(end), self._address_at(end) + self._address_width
            found += [column for column in range(at, after) if column not in self.colons()]
            found += range(after + 1, after + 1 + _PORT_DIGITS)
        return found

    def colons(self) -> list[int]:
        groups = range(4, self._address_width, 5) if self.ipv6 else ()
        return [self._address_at(end) + group for end in range(len(ENDS)) for group in groups]

    def blanks(self) -> list[int]:
        between = [self._address_at(end) - 1 for end in range(len(ENDS) + 1)]
        before_ports = [self._address_at(end) + self._address_width for end in range(len(ENDS))]
        return [*between, *before_ports, self.state_at + _STATE_WIDTH]


_LAYOUTS = tuple(_Layout(ipv6, width) for ipv6 in (False, True) for width in (3, 4))


def read_entries(text: str | bytes) -> EntryRows:
    """Read ``/proc/net/ip_vs_conn`` whole; never raises.

    Args:
        text: what the director gave, untrusted; bytes save a copy.
    """
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    warnings = ParserWarnings()
    rows = np.empty(raw.count(b"\n") + 1, ENTRY)
    first_line, size = 1, 0
    for chunk in whole_lines(raw, CHUNK_BYTES):
        found, lines = _read_chunk(chunk, first_line, warnings)
        rows[size : size + len(found)] = found
        first_line, size = first_line + lines, size + len(found)
    return EntryRows(rows=rows[:size], warnings=warnings.lines, unread=warnings.count)


def _read_chunk(raw: bytes, first_line: int, warnings: ParserWarnings) -> tuple[Rows, int]:
    chunk = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(chunk == _NEWLINE)
    if not raw.endswith(b"\n"):
        ends = np.append(ends, len(chunk))
    starts = np.concatenate(([0], ends[:-1] + 1))
    rows = np.zeros(len(ends), ENTRY)
    is_read = np.zeros(len(ends), dtype=bool)
    for layout in _LAYOUTS:
        which = np.flatnonzero(ends - starts == layout.width)
        if len(which):
            lines = np.lib.stride_tricks.sliding_window_view(chunk, layout.width)[starts[which]]
            rows[which], is_read[which] = _read_lines(lines, layout)
    odd = np.flatnonzero(~is_read)
    texts = (raw[start:end] for start, end in zip(starts[odd], ends[odd], strict=True))
    entries = list(_read_oddly(texts, first_line + odd, warnings))
    is_read[odd] = [entry is not None for entry in entries]
    rows[odd[is_read[odd]]] = rows_of(entry for entry in entries if entry is not None)
    return (rows if is_read.all() else rows[is_read]), len(ends)


def _read_oddly(
    lines: Iterable[bytes], numbers: Iterable[int], warnings: ParserWarnings
) -> Iterator[Entry | None]:
    """Read one by one, and with patience, what did not lie in the columns."""
    for number, text in zip(numbers, lines, strict=True):
        line = text[:MAX_LINE].decode("utf-8", "replace").strip()
        entry = read_entry(line)
        if entry is None and line and not is_entries_title(line):
            warnings.add(number, line, EXPECTED_ENTRY)
        yield None if is_entries_title(line) else entry


def _read_lines(lines: Bytes, layout: _Layout) -> tuple[Rows, Mask]:
    """Lines of one width as rows, and which of them are as the kernel prints them."""
    rows = np.zeros(len(lines), ENTRY)
    pairs = _HEX.take(lines.take(layout.digits(), axis=1).view("<u2"))
    is_good = _all_of(pairs < _NOT_HEX)
    is_good &= _all_of(lines.take(layout.blanks(), axis=1) == _BLANK)
    if layout.ipv6:
        is_good &= _all_of(lines.take(layout.colons(), axis=1) == _COLON)
    _fill_ends(rows, pairs.astype(np.uint8), layout)
    is_good &= _fill_names(rows["protocol"], lines[:, : layout.protocol_width])
    is_good &= rows["protocol"] != _TITLE
    state = lines[:, layout.state_at : layout.state_at + _STATE_WIDTH]
    is_good &= _fill_names(rows["state"], state)
    is_good &= _fill_expires(rows["expires_s"], lines[:, -_EXPIRES_WIDTH:])
    return rows, is_good


def _all_of(is_right: Mask) -> Mask:
    """Which lines are right in every column; that all are is the usual case, and the quick one."""
    lines = len(is_right)
    return np.ones(lines, bool) if is_right.all() else np.asarray(is_right.all(axis=1))


def _fill_ends(rows: Rows, octets: Bytes, layout: _Layout) -> None:
    """Write addresses and ports, which lie in the octets as they do in a packet."""
    fields = [
        (name, kind)
        for address, port in ENDS
        for name, kind in (
            *([(f"{address}_high", ">u8")] if layout.ipv6 else []),
            (f"{address}_low", ">u8" if layout.ipv6 else ">u4"),
            (port, ">u2"),
        )
    ]
    ends = octets.view(np.dtype(fields))[:, 0]
    for name, _ in fields:
        rows[name] = ends[name]
    rows["ipv6"] = 0b111 if layout.ipv6 else 0


def _fill_names(names: NDArray[np.bytes_], texts: Bytes) -> Mask:
    """Write each line's name where it belongs; which lines have one.

    There are few names: each is looked at once, and all lines that have it get it together.
    """
    words = _as_words(texts)
    code = np.zeros(len(texts), dtype=np.uint8)  # 0: no name, or not yet known
    known = [b""]
    is_left = np.ones(len(texts), dtype=bool)
    while is_left.any() and len(known) <= _MAX_NAMES:
        first = is_left.argmax()
        has_it = words[0] == words[0][first]
        for word in words[1:]:
            has_it &= word == word[first]
        name = texts[first].tobytes().rstrip(b" ")
        if NAME.fullmatch(name.decode("latin-1")):
            code[has_it] = len(known)
        known.append(name)
        is_left &= ~has_it
    names[:] = np.array(known, names.dtype).take(code)
    return code > 0


def _as_words(texts: Bytes) -> list[NDArray[np.uint64]]:
    """Texts of one width, padded, as numbers: to compare numbers is quicker."""
    count, width = texts.shape
    padded = np.zeros((count, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = texts
    return list(np.ascontiguousarray(padded.view("u8").T))


def _fill_expires(expires_s: NDArray[np.int64], texts: Bytes) -> Mask:
    """Write numbers that stand right in their column; which lines have one."""
    value = np.zeros(len(texts), dtype=np.int64)
    has_begun = np.zeros(len(texts), dtype=bool)
    is_good = np.ones(len(texts), dtype=bool)
    for column in texts.T:
        digit = column - np.uint8(_ZERO)
        is_digit = digit < 10
        is_good &= is_digit | ((column == _BLANK) & ~has_begun)
        has_begun |= is_digit
        value = np.where(is_digit, value * 10 + digit, value)
    expires_s[:] = value
    return is_good & has_begun
