"""What a file is, told by its first bytes and lines, never by its name."""

from __future__ import annotations

import codecs
import re
from enum import Enum
from typing import TYPE_CHECKING, Final

from analyzer.wire.capture.pcap import MAGIC
from analyzer.wire.capture.pcapng import SECTION_MAGIC
from loadgen.errors import UsageProblem
from loadgen.importing.sources.packed import PACKINGS, first_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Kind(Enum):
    """What can be imported."""

    CAPTURE = "capture"
    JSON_LOG = "poll log as JSON lines"
    TEXT_LOG = "log of ipvsadm"
    UNKNOWN_TEXT = "text"  # nothing in its first lines is IPVS': it may come later
    UNKNOWN_JSON = "JSON"  # whose first key is none of a poll's


_HEAD_BYTES: Final = 512

_ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x04\x22\x4d\x18": "packed by lz4",
    b"\x1f\x9d": "packed by compress",
    b"\x5d\0\0": "packed by lzma",
    b"LZIP": "packed by lzip",
    b"\x89LZO": "packed by lzop",
    b"Rar!": "a RAR archive",
    b"PAR1": "a Parquet table",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    **{packing.magic: "packed twice" for packing in PACKINGS.values()},
    b"SQLite format 3": "an SQLite database",
}
_OTHER_CAPTURES = {
    b"snoop\0\0\0": "snoop",
    b"\xa1\xb2\xcd\x34": "a modified pcap",
    b"\x34\xcd\xb2\xa1": "a modified pcap",
    b"TRSNIFF data": "NetXRay",
    b"XCP\0": "NetXRay",
    b"GMBU": "Network Monitor",
    b"RTSS": "Network Monitor",
}
_TAR_AT, _TAR = 257, b"ustar"

_POLL = re.compile(r'\s*\{\s*"(?:t|services|connections)"\s*:')
_IPVS = re.compile(
    r"IP Virtual Server version|IPVS connection entries|RemoteAddress:Port|pro +expire +state"
    r"|(?:TCP|UDP|SCTP) +(?:\S+:\S+ +\w+|\d+:\d\d +[A-Z])|FWM +\d+ +\w+|-> \S+:\S+ "
)


def kind_of(path: Path) -> Kind:
    """What a file is.

    Raises:
        UsageProblem: it is not readable, or nothing that can be imported; the line names it.
    """
    head = first_bytes(path, _HEAD_BYTES)
    if not head:
        raise UsageProblem(f"{path}: the file is empty")
    if is_capture(head):
        return Kind.CAPTURE
    _refuse_binary(path, head)
    return _kind_of_text_file(path)


def _kind_of_text_file(path: Path) -> Kind:
    from loadgen.importing.sources.lines import head_lines  # a capture alone needs none of them
    from loadgen.importing.sources.refusals import foreign_line, refusal

    lines = head_lines(path)
    kind = _kind_of_text(lines)
    if kind is not Kind.TEXT_LOG and foreign_line(lines):
        raise UsageProblem(f"{path}: {refusal(lines, '')}")
    return kind


def is_capture(head: bytes) -> bool:
    """Whether a file with these first bytes is a capture that is read."""
    return head[:4] in MAGIC or head.startswith(SECTION_MAGIC)


def first_ipvs_line(lines: Iterable[str]) -> int | None:
    """The number of the first line that IPVS' tools print, from 1; None without one."""
    return next((number for number, line in enumerate(lines, 1) if _IPVS.search(line)), None)


def _refuse_binary(path: Path, head: bytes) -> None:
    other = next((name for magic, name in _OTHER_CAPTURES.items() if head.startswith(magic)), None)
    if other:
        raise UsageProblem(
            f"{path}: a capture of another format ({other}); "
            f"expected pcap or pcapng: editcap -F pcap FILE NEW"
        )
    archive = next((what for magic, what in _ARCHIVES.items() if head.startswith(magic)), None)
    if head[_TAR_AT:].startswith(_TAR):
        archive = "a tar archive"
    if archive:
        raise UsageProblem(f"{path}: {archive}; expected what is in it: unpack it first")
    if b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageProblem(f"{path}: neither a capture (pcap, pcapng) nor a text")


def _kind_of_text(lines: list[str]) -> Kind:
    from loadgen.importing.times.lines import is_wrapped_line

    first = next((line for line in lines if line.strip()), "")
    if first.startswith("{") and not is_wrapped_line(first):
        return Kind.JSON_LOG if _POLL.match(first) else Kind.UNKNOWN_JSON
    return Kind.TEXT_LOG if first_ipvs_line(lines) else Kind.UNKNOWN_TEXT
