"""The lines of a text that people saved: unpacked, in UTF-8, without a terminal's sequences.

Windows' shells write UTF-16 with a byte order mark, editors put one before UTF-8, and ``script``
keeps what a terminal is told (ECMA-48).
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from loadgen.errors import UsageProblem
from loadgen.importing.sources.packed import first_bytes, pieces_of, raw_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_POLL_BYTES: Final = 96 << 20
"""Of one line, and of one poll: a million entries in ``/proc/net/ip_vs_conn`` take 66 MB."""

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[0-~])"
)
_MOVES = re.compile(rb"\x1b\[(?:\d{1,3};\d{1,3}H|\d{1,3}d)")
_RETURN_WITHIN = re.compile(r"(?<!\r)\r+(?![\r\n]|$)")
_WITH_END = re.compile(r"[^\n]*\n|[^\n]+")
_HEAD_BYTES: Final = 1 << 17


def lines_of(path: Path) -> Iterator[bytes]:
    """A file's lines as UTF-8, unpacked; of one that was cut off while packed, those before.

    Raises:
        UsageProblem: it is not readable, or has a line that is longer than any poll.
    """
    encoding = _UTF_16.get(first_bytes(path, 2))
    for number, line in enumerate(_recoded(path, encoding) if encoding else _as_they_are(path)):
        if len(line) > MAX_POLL_BYTES:
            raise UsageProblem(f"{path}: expected lines of at most {MAX_POLL_BYTES >> 20} MiB")
        yield line if number else line.removeprefix(codecs.BOM_UTF8)


def text_lines(path: Path) -> Iterator[str]:
    """The same as text, without escape sequences; a line that is no UTF-8 is taken for Latin-1.

    A carriage return within a line, and before others, ends one: old Macs wrote nothing else.
    """
    for line in map(_plain, lines_of(path)):
        if "\r" in line and _RETURN_WITHIN.search(line):
            yield from _WITH_END.findall(_RETURN_WITHIN.sub("\n", line))
        else:
            yield line


def head_lines(path: Path) -> list[str]:
    """The lines in a text's first ``_HEAD_BYTES``, as ``text_lines`` gives them.

    Raises:
        UsageProblem: it is not readable.
    """
    head = first_bytes(path, _HEAD_BYTES)
    encoding = _UTF_16.get(head[:2])
    plain = head.decode(encoding, "replace").encode(errors="replace") if encoding else head
    lines = plain.removeprefix(codecs.BOM_UTF8).split(b"\n")
    return [part for line in map(_plain, lines) for part in _RETURN_WITHIN.split(line)]


def is_redrawn(path: Path) -> bool:
    """Whether a text moves a terminal's cursor about: what did not change is not in it."""
    return bool(_MOVES.search(first_bytes(path, _HEAD_BYTES)))


def _plain(line: bytes) -> str:
    plain = _ESCAPES.sub(b"", line) if b"\x1b" in line else line
    try:
        return plain.decode().lstrip("\ufeff")
    except UnicodeDecodeError:
        return plain.decode("latin-1")


def _as_they_are(path: Path) -> Iterator[bytes]:
    return pieces_of(path, lambda file: file.readline(MAX_POLL_BYTES + 1))


def _recoded(path: Path, encoding: str) -> Iterator[bytes]:
    """Lines of UTF-16."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    rest = ""
    for piece in raw_pieces(path):
        *lines, rest = (rest + decoder.decode(piece)).split("\n")
        yield from (f"{line}\n".encode(errors="replace") for line in lines)
        if len(rest) > MAX_POLL_BYTES:
            break
    if rest := rest + decoder.decode(b"", final=True):
        yield rest.encode(errors="replace")
