"""From bytes to lines, and what stands before, between and instead of tables.

People paste from terminals, scripts and tickets: escape sequences, prompts, comments, quoting,
the times that ``ts`` and ``watch`` put in. A line is first read as it stands; only when nothing
claims it are such things taken off its front.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 4096
"""Characters of a line that are read; the longest real one has fewer than 600."""

_ENCODINGS = {BOM_UTF8: "utf-8-sig", BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}
_RETURNS = re.compile(r"\r\r*\n?")  # begins with a letter, which is searched for fast
_BLOCK = 1 << 16
"""Characters to split at a time: all lines of a long text at once would double its memory."""

ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()][0-9A-B]|.)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_ARROW = re.compile(r"^\s*(?:->|→|–>|-&gt;)\s*")  # noqa: RUF001 - what word processors make of ->
_ARROW_BEGINS = frozenset("-→–")  # noqa: RUF001

_TIME = r"\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?"
_DATE = r"\d{4}[-/]\d\d[-/]\d\d"
_MONTH_DAY = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2}"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_ZONE_AND_YEAR = r"(?: +[AP]M)?(?: +[A-Z]{3,5}(?= +\d{4}))?(?: +\d{4}(?=\s|$))?"
STAMP = (
    rf"(?:{_DATE}[T ]{_TIME}(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
    rf"|(?:{_DAY},? +)?{_MONTH_DAY} +{_TIME}{_ZONE_AND_YEAR}"
    rf"|{_TIME}|\d{{9,13}}(?:\.\d{{1,9}})?|\d{{1,7}}\.\d{{3,9}})"
)
_PREFIXES = (
    re.compile(rf"\[?{STAMP}\]?[:,]?(?:\s+|$)", re.ASCII),  # ts, date, a shell's loop
    re.compile(r"[\w.-]+ [\w./-]+(?:\[\d+\])?: ", re.ASCII),  # what syslog puts behind the time
    re.compile(r"(?:> ?)+|\|\s"),  # quoted mail, compose
    re.compile(r"/proc/net/ip_vs\w*:", re.ASCII),  # grep
)
_NOISE = re.compile(
    r"""
    [#;].* | //.* | --+\s*.* | ==+.* | \*+ .*                   # comments and rulers
    | (?!->)(?:\[[^\]]{1,80}\]|[\w.-]+@[^\s$#%>]*|[\w.-]*|[\w.-]+:\S*)\s?[$#%>](?:\s.*)?  # prompts
    | \+\ .*                                                    # set -x
    | Every\ [\d.]+s:.* | in\ \d+\.\d+s\ \(-?\d+\)             # watch
    | \S+\ \|\ (?:CHANGED|SUCCESS)\ \|\ rc=\d+\ >>             # ansible
    | (?:\(?Script\ (?:started|done)\b.*)
    | (?:sudo\ |\S*/)?(?:ipvsadm|cat|watch|date)\b(?!:).*       # the command itself
    | \d{1,12}\.\d\d\ \d+\.\d\d                                 # /proc/uptime
    | [A-Z][a-z]{2}\ +\d{1,2}\ [A-Z][a-z]{2}\ \d{4}\ .*         # date, in other languages' order
    | exit | logout | \^[CD] | ```\w*
    """,
    re.VERBOSE,
)


class Line(NamedTuple):
    """A line with its number in the text, from 1."""

    number: int
    raw: str
    words: list[str]

    @property
    def text(self) -> str:
        """Without what surrounds it."""
        return self.raw.strip()


def decode(data: bytes) -> str:
    """Bytes to text; what is no UTF-8 (or, with a byte order mark, UTF-16) is replaced."""
    for mark, encoding in _ENCODINGS.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def line_blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that follow one another, their first ``MAX_LINE`` characters; the first one's number.

    The last of a block may be an empty one that is the beginning of the next block's first.
    """
    start, first = 0, 1
    while start < len(text):
        end = text.find("\n", start + _BLOCK) + 1 or len(text)
        lines = _split(text[start:end])
        if max(map(len, lines)) > MAX_LINE:
            lines = [raw[:MAX_LINE] for raw in lines]
        yield first, lines
        start, first = end, first + len(lines) - 1


def _split(block: str) -> list[str]:
    """Lines, the last of them what follows the last newline."""
    return (_RETURNS.sub("\n", block) if "\r" in block else block).split("\n")


def clean_line(number: int, raw: str) -> Line:
    """One line, free of control characters."""
    return line(number, _clean(raw))


def line(number: int, raw: str) -> Line:
    """One line; its words, an arrow being a word of its own."""
    words = raw.split()
    if words and words[0] != "->" and words[0][0] in _ARROW_BEGINS and (arrow := _ARROW.match(raw)):
        words = ["->", *raw[arrow.end() :].split()]
    return Line(number, raw, words)


def without_prefix(given: Line) -> Line | None:
    """The line without times and quoting before it; None if there are none."""
    rest = given.text
    for prefix in _PREFIXES:
        found = prefix.match(rest)
        rest = rest[found.end() :].lstrip() if found else rest
    return None if rest == given.text else line(given.number, rest)


def is_noise(text: str) -> bool:
    """Whether a line is what surrounds tables: a prompt, a comment, a command, a date."""
    return not text or bool(_NOISE.fullmatch(text))


def _clean(raw: str) -> str:
    if raw.isascii() and raw.isprintable():
        return raw
    return _CONTROLS.sub("\ufffd", ESCAPES.sub("", raw.replace("\t", " ")))
