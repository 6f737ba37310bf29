"""A line of a log to its stamp and what was printed, whatever a tool has put around it.

``watch``'s heading, ``date`` on a line of its own, ``ts`` before each line; the journal and syslog
(RFC 3164, RFC 5424), ``docker logs -t``, docker's json-file, CRI, compose, swarm, podman, ``kubectl
logs``, stern, Loki, JSON objects with a time and a message.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from analyzer.ipvs.ipvsadm.lines import ESCAPES, STAMP
from loadgen.importing.times.written import (
    MAY_BE_TIME,
    lacks_half_of_the_day,
    written_alone,
    written_before,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY_FIRST = (  # date -R, and date where English is not America's
    rf"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?\d{{1,2}} +{_MONTH}(?: +\d{{4}})?"
    r" +\d{1,2}:\d\d:\d\d(?: [AP]M)?(?: [A-Z]{3,5})?(?: [+-]\d{4})?(?: \d{4})?"
)
_FINE_EPOCH = r"\d{16,19}"  # date +%s%6N, +%s%N
_WATCH = re.compile(rf"Every [\d.,]+s: .*?({STAMP}|{_DAY_FIRST})\s*$")
_ALONE = re.compile(rf"[\s=#*@\[-]*({STAMP}|{_DAY_FIRST}|{_FINE_EPOCH})[\s=#*\]-]*$")
_BEFORE = re.compile(rf"\[? *({STAMP})\]?(?:[:,]? |[:,]?\s|$)")
_COMPACT = re.compile(
    r"\[?(\d{4})(?P<day>-?)(\d\d)(?P=day)(\d\d)[T_ -]?"
    r"(\d\d)(?P<hour>-?)(\d\d)(?P=hour)(\d\d)(Z|[+-]\d{4})?\]?(?: |$)"
)
_TIME_ALONE = re.compile(r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?$")
_ROW = re.compile(r" *->|(?:TCP|UDP|SCTP|FWM|IP Virtual|Prot|IPVS connection|pro +expire) ")
"""Begins most lines of a log; none of them has a stamp."""

_ANY_WATCH = re.compile(r"\W*\w{1,20}(?: \w{1,20}){0,3} \d{1,6}[.,]\d{1,3} ?\w{0,6}: (.*)$|"
                        r"\d{1,6}[.,]\d{1,3} ?\w{1,6}: (.*)$")  # fmt: skip
_AFTER_STAMP = re.compile(r"^(?:[\u202c\s]*[\]):,\u202c]+)? ?")
_MOST_HEADING: Final = 400
_HEAD_CHARACTERS: Final = 1 << 16

_COMPOSE = re.compile(r"([\w./@-]{1,300}) +\| ?")
_KUBECTL = re.compile(r"\[(pod/[\w./-]{1,300})\] ")
_NAMES = re.compile(  # podman, stern, kail
    r"((?:[\w./@:-]{1,253}(?:\[[\w.-]{1,253}\]:)? ){1,2})"
    r"(?=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d) )"
)
_AROUND_LINES = (_COMPOSE, _KUBECTL, _NAMES)
_PRIORITY = re.compile(r"<\d{1,3}>(?:1 )?")
_BEHIND = re.compile(
    r"(?:stdout|stderr) [FP] ?"  # CRI
    r"|(?P<host>[\w.:-]{1,255}) (?:[a-z\d]{2,8}\.[a-z]{3,7} )?"  # a host, busybox's priority
    r"[\w./@-]{1,128}(?:\[\d{1,10}\])?:(?: |$)"  # and a program
    r"|(?P<sender>[\w.:-]{1,255}) [\w./@-]{1,128} (?:\d{1,10}|-) "
    r"\S{1,64} (?:-|\[.{1,400}?\]) ?"  # RFC 5424
    r"|(?P<task>[\w./@-]{1,300}) +\| ?"  # swarm
    r"|\{[^{}]{0,400}\} "  # Loki
    r"|\[?(?:DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR)\]?:? "
    r"|[\w./-]{1,128}=[^\s,]{0,256}(?:,[\w./-]{1,128}=[^\s,]{0,256}){0,15} "  # docker's details
)
_WRAPPED_KEYS = (
    ("log", "time"),
    ("MESSAGE", "__REALTIME_TIMESTAMP"),
    ("message", "@timestamp"),
    ("message", "timestamp"),
    ("message", "time"),
    ("msg", "ts"),
    ("msg", "time"),
    ("line", "timestamp"),
    ("log", "timestamp"),
)
_OBJECTS = ("{", "\x1e{", "data: {")
_BEFORE_JSON = ("\x1e", "data: ")  # journalctl -o json-seq, json-sse
_NUMBERED = re.compile(r" {0,9}(\d{1,9})(?:\t|:|  )")


def stamp_of(line: str) -> tuple[str | None, str | None]:
    """A line's stamp, and what follows it: None where the stamp stands for a whole poll."""
    if _ROW.match(line):
        return None, line
    wrapped = _unwrapped(line)
    if isinstance(wrapped, tuple):
        return wrapped
    stamp, rest = _plain_stamp(wrapped)
    if stamp is None or rest is None:
        return stamp, rest
    if _ROW.match(rest):
        return stamp, rest
    behind = _BEHIND.match(rest)
    rest = rest[behind.end() :] if behind else rest
    return stamp, "" if not _ROW.match(rest) and _is_stamp_alone(rest) else rest


def source_of(line: str) -> str:
    """The host or container that a line is said to be of; empty where nothing says it."""
    if (found := _json_object(line)) is not None:
        return str(found.get("_HOSTNAME", ""))
    before = _before_line(line)
    line = line[before.end() :] if before else line
    _, rest = _plain_stamp(_without_priority(line))
    behind = _BEHIND.match(rest) if rest and not _ROW.match(rest) else None
    names = (before[1] if before else "", *(behind.groups("") if behind else ()))
    return " ".join(filter(None, names))


def _unwrapped(line: str) -> str | tuple[str | None, str | None]:
    """A line without what a log's viewer puts before it; of a JSON object, its time and text."""
    if (found := _json_object(line)) is not None:
        return _json_line(found) or line
    before = _before_line(line)
    return _without_priority(line[before.end() :] if before else line)


def _before_line(line: str) -> re.Match[str] | None:
    if "|" in line or line.startswith("[pod/") or "T" in line:
        return next(filter(None, (pattern.match(line) for pattern in _AROUND_LINES)), None)
    return None


def _without_priority(line: str) -> str:
    priority = _PRIORITY.match(line) if line.startswith("<") else None
    return line[priority.end() :] if priority else line


def _json_object(line: str) -> dict[str, Any] | None:
    for before in _BEFORE_JSON:
        line = line.removeprefix(before)
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _json_line(found: dict[str, Any]) -> tuple[str | None, str | None] | None:
    for text, time in _WRAPPED_KEYS:
        message = _message(found.get(text))
        if message is not None and isinstance(found.get(time), str | int | float):
            rest = message.rstrip("\r\n")
            return str(found[time]), "" if _is_stamp_alone(rest) else rest
    return None


def is_wrapped_line(line: str) -> bool:
    """Whether a line is a JSON object with a line of a log in it."""
    found = _json_object(line)
    return found is not None and _json_line(found) is not None


def _message(value: object) -> str | None:
    """A text; the journal has an array of bytes for one that is not printable."""
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).decode(errors="replace")
    return value if isinstance(value, str) else None


def _plain_stamp(line: str) -> tuple[str | None, str | None]:
    if lacks_half_of_the_day(line):
        return None, line
    match = _WATCH.match(line) or _ALONE.match(line)
    if match:
        return _in_heading(line) or match[1] if _TIME_ALONE.match(match[1]) else match[1], None
    compact = _COMPACT.match(line)
    if compact:
        date, time = "-".join(compact.group(1, 3, 4)), ":".join(compact.group(5, 7, 8))
        zone = f" {compact[9].replace('Z', 'UTC')}" if compact[9] else ""
        return f"{date} {time}{zone}", line[compact.end() :] or None
    match = _BEFORE.match(line)
    if match and not _goes_on(line[match.end() :]):
        return match[1], line[match.end() :]
    if len(line) <= _MOST_HEADING and MAY_BE_TIME.search(line):
        return _written_stamp(line)
    return (match[1], line[match.end() :]) if match else (None, line)


def _goes_on(rest: str) -> bool:
    """Whether what follows a stamp may belong to it: a zone, a year."""
    return (rest[:1].isupper() or rest[:1].isdigit()) and not _ROW.match(rest)


def _written_stamp(line: str) -> tuple[str | None, str | None]:
    """A stamp in any language."""
    before = written_before(line)
    rest = _AFTER_STAMP.sub("", line[before.end :], count=1) if before else ""
    if before and _ROW.match(rest):
        return before.text, rest
    alone = written_alone(line) or _in_heading(line)
    if alone:
        return alone, None
    if before:
        return before.text, rest
    match = _BEFORE.match(line)
    return (match[1], line[match.end() :]) if match else (None, line)


def _in_heading(line: str) -> str | None:
    """The stamp at the end of the heading of a ``watch`` in any language."""
    heading = _ANY_WATCH.match(line)
    if heading is None:
        return None
    words = heading[1] or heading[2]
    for at in re.finditer(r"\s{2,}|: ", words):
        stamp = written_alone(words[at.end() :])
        if stamp:
            return stamp
    return None


def _is_stamp_alone(rest: str) -> bool:
    if len(rest) > _MOST_HEADING or not MAY_BE_TIME.search(rest):
        return False
    stamp, more = _plain_stamp(rest)
    return stamp is not None and more is None


def without_times(text: str) -> str:
    """A text, each line without its stamp and what a viewer puts around it; lines stay lines.

    Texts of ipvsadm alone, which have neither, are returned as they are.
    """
    text = ESCAPES.sub("", text) if "\x1b" in text else text
    head = text[:_HEAD_CHARACTERS].split("\n")
    if [*unnumbered(map(_without_time, head))] == head:
        return text
    return "\n".join(unnumbered(map(_without_time, text.split("\n"))))


def _without_time(line: str) -> str:
    stamp, rest = stamp_of(line)
    is_number = stamp is not None and ":" not in stamp and not line.startswith(_OBJECTS)
    if is_number and not (rest and _ROW.match(rest)):
        return line  # it may be a counter
    return rest or ""


def unnumbered(lines: Iterable[str]) -> Iterator[str]:
    """Lines without the numbers of ``cat -n``, ``nl`` or ``grep -n``, if the first has one."""
    next_number = None
    is_first = True
    for line in lines:
        found = _NUMBERED.match(line) if is_first or next_number is not None else None
        number = int(found[1]) if found else None
        if found and (number == next_number or (is_first and number == 1)):
            next_number = int(found[1]) + 1
            yield line[found.end() :]
        else:
            yield line
        is_first = is_first and not line.strip()
