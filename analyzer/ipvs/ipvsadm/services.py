"""The service table: of ``ipvsadm -L`` with any of its options, and ``/proc/net/ip_vs``.

Rows are collected first and understood at the end of their table, since a row alone does not always
say who printed it: ``FWM  12345678 rr`` is mark 12,345,678 from ipvsadm (``%d``) and 305,419,896
from the kernel (``%08X``). Its neighbours decide.

The kernel prints persistence in jiffies. They become seconds only when the director's HZ is given;
until then ``persistent_s`` is None and a warning names what it would be at the usual HZ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from analyzer.ipvs.ipvsadm import columns as cols
from analyzer.ipvs.ipvsadm.ends import (
    BUFFER_CUT,
    TABLE_CUT,
    Notation,
    certain_end,
    family,
    ipvsadm_end,
    kernel_end,
    notation,
)
from analyzer.ipvs.ipvsadm.lines import line as line_of
from analyzer.ipvs.ipvsadm.model import Destination, End, Service
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.ipvs.ipvsadm.lines import Line

    ParserWarnings = Callable[[int, str], None]

PROTOCOLS = frozenset({"TCP", "UDP", "SCTP", "FWM", "MATCH"})
OTHER_PROTOCOLS = frozenset({"IP", "ICMP", "ICMPv6", "AH", "ESP"})
SCHEDULERS = frozenset(
    "rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos none conhash".split()  # noqa: SIM905
)
MAX_MARK = 0xFFFFFFFF
MAX_PREFIX = 128
LONGEST_PROTOCOL = 10

_SCHEDULER_WORDS = [[word] for word in sorted(SCHEDULERS)]

_SCHEDULER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,15}")
_MARK = re.compile(r"-?[0-9]{1,10}|[0-9A-F]{8}")
_CLOCK = re.compile(r"-?[0-9]+:-?[0-9]{2}")
_SECONDS = re.compile(r"[0-9]{1,10}")
_KERNEL_MASK = re.compile(r"[0-9A-F]{8}")
_MASK = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9]{1,3}")
_SERVICE_TAIL = re.compile(  # a scheduler and flags, or the counters of --stats
    rf" (?:{'|'.join(sorted(SCHEDULERS))})(?: (?:ops|(?:pe|persistent|mask) \S+|\([^)]*\)"
    r"|[0-9A-F]{8}))*$|(?: [0-9]+[KMGT]?){5}$"
)
_SCHED_FLAGS = re.compile(r"\(([A-Za-z0-9_,-]+)\)")


class Row(NamedTuple):
    """A real server's line, as text: its words would take five times the memory."""

    number: int
    raw: str
    columns: tuple[str, ...] | None

    @property
    def words(self) -> list[str]:
        """From the arrow on."""
        return line_of(self.number, self.raw).words


@dataclass(slots=True)
class Votes:
    """Who may have printed lines."""

    kernels: int = 0  # by how many the kernel is ahead of ipvsadm: one broken line decides nothing
    either: int = 0

    def add(self, printed_by: Notation | None) -> None:
        """Count a line."""
        self.kernels += _LEADS.get(printed_by, 0)
        self.either += printed_by == "either"


_LEADS: dict[Notation | None, int] = {"kernel": 1, "ipvsadm": -1}


@dataclass(slots=True)
class Draft:
    """A service's line and those of its real servers, not yet understood."""

    number: int
    words: list[str]
    columns: tuple[str, ...] | None
    rows: list[Row] = field(default_factory=list)
    votes: Votes = field(default_factory=Votes)
    broken: bool = False  # its line was not understood

    def notations(self) -> Iterator[Notation | None]:
        """Who may have printed its line."""
        first = mark_notation if self.words[0] == "FWM" else notation
        yield first(self.words[1])
        if "persistent" in self.words and _KERNEL_MASK.fullmatch(self.words[-1]):
            yield "kernel"


@dataclass(slots=True)
class Table:
    """A table: what stands between two titles."""

    columns: tuple[str, ...] | None = None
    titled: bool = False  # then one tool printed all of it
    padded: bool = False  # ipvsadm sets its titles apart, the kernel does not
    drafts: list[Draft] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)  # of the rows whose ends fit their column
    votes: Votes = field(default_factory=Votes)

    def title(self, line: Line) -> bool:
        """Take ``Prot LocalAddress:Port …`` or ``-> RemoteAddress:Port …``."""
        if not cols.is_title(line.words):
            return False
        self.columns = cols.titled(line.words) or self.columns
        self.titled = True
        self.padded |= "Port  " in line.text
        return True

    def service(self, line: Line, *, strict: bool) -> bool:
        """Take a virtual service's line; ``strict`` where none is expected."""
        if not is_service(line.words) or (strict and line.words[2:3] not in _SCHEDULER_WORDS):
            return False
        draft = Draft(line.number, line.words, self.columns)
        self.drafts.append(draft)
        for printed_by in draft.notations():
            self._vote(printed_by)
        return True

    def broken_service(self, line: Line) -> None:
        """Keep a place for the real servers below a line that was not understood."""
        self.drafts.append(Draft(line.number, line.words, self.columns, broken=True))

    def destination(self, line: Line) -> bool:
        """Take a real server's line."""
        if line.words[0] != "->" or len(line.words) < 3 or not self.drafts:
            return False
        self._add(Row(line.number, line.raw, self.columns), line.words[1])
        return True

    def plain_destination(self, number: int, raw: str) -> bool:
        """Take a real server's line if its numbers are not in doubt."""
        pattern = cols.row_pattern(self.columns or cols.PLAIN)
        found = pattern.fullmatch(raw) if pattern and self.drafts else None
        if found is None:
            return False
        self._add(Row(number, raw, self.columns), found[1])
        return True

    def _add(self, row: Row, end: str) -> None:
        self.drafts[-1].rows.append(row)
        self._vote(notation(end))
        if len(end) <= TABLE_CUT:
            self.widths.append(len(row.raw))

    def _vote(self, printed_by: Notation | None) -> None:
        """Count a line of the last draft."""
        self.votes.add(printed_by)
        self.drafts[-1].votes.add(printed_by)

    def last_is_short(self) -> bool:
        """Whether all rows are as wide as one another, but for the last, which is narrower."""
        *others, last = self.widths or [0]
        return len(others) > 1 and len(set(others)) == 1 and last < others[0]

    def services(self, warnings: ParserWarnings, hz: int | None) -> Iterator[Service]:
        """Understand what was collected."""
        drafts = self.drafts[::-1]
        self.drafts.clear()
        while drafts:
            draft = drafts.pop()  # its lines are not needed again
            kernels = 0 if self.padded else self._lead(draft.votes)
            if kernels == 0 and draft.votes.either and not self.padded:
                warnings(draft.number, "ipvsadm's numbers and the kernel's look alike here")
            yield _Reading(draft, kernel=kernels > 0, warnings=warnings, hz=hz).service()

    def _lead(self, own: Votes) -> int:
        """By how many lines the kernel is ahead of ipvsadm: the whole table's, if it has titles."""
        return self.votes.kernels if self.titled else own.kernels or self.votes.kernels


def may_have_been_service(line: Line) -> bool:
    """Whether a line that was not understood is a service's with something wrong in it."""
    if line.words[0] in PROTOCOLS:
        return True
    text = " ".join(line.words)
    return bool(_SERVICE_TAIL.search(text) and re.search(r"[0-9]", text))


def is_service(words: list[str]) -> bool:
    """Whether a line is a virtual service's, readable or not; prose about TCP is none."""
    if len(words) < 2:
        return False
    protocol, end, *rest = words
    scheduled = bool(rest) and rest[0] in SCHEDULERS
    if protocol == "FWM":
        return scheduled or bool(_MARK.fullmatch(end))
    if protocol == "MATCH":
        return scheduled or "=" in end
    if protocol in PROTOCOLS or protocol in OTHER_PROTOCOLS:
        return _is_end(end) and (not rest or ":" in end or _is_plausible(rest))
    return scheduled and _is_end(end) and len(protocol) <= LONGEST_PROTOCOL and protocol[0] != "#"


def _is_end(word: str) -> bool:
    """Whether a word is an end, if perhaps a broken one; ``00:59`` is when an entry expires."""
    like = ":" in word or any(map(str.isdigit, word)) or len(word) == TABLE_CUT
    return like and len(word) > 3 and not _CLOCK.fullmatch(word)


def _is_plausible(rest: list[str]) -> bool:
    """Whether what follows an end can be a scheduler or counters."""
    if rest[0] in SCHEDULERS or (len(rest) == len(cols.STATS) and all(map(cols.is_number, rest))):
        return True
    known = len(rest) == 1 or rest[1] in {"persistent", "ops", "pe"} or rest[1].startswith("(")
    return bool(_SCHEDULER.fullmatch(rest[0])) and known


def mark_notation(word: str) -> Notation | None:
    """Who printed a firewall mark: the kernel eight hexadecimal digits, ipvsadm ``%d``."""
    if not _KERNEL_MASK.fullmatch(word):
        return "ipvsadm"
    return "either" if word.isdecimal() and not word.startswith("0") else "kernel"


@dataclass(slots=True)
class _Reading:
    """Understands one draft."""

    draft: Draft
    kernel: bool
    warnings: ParserWarnings
    hz: int | None

    def service(self) -> Service:
        if self.draft.broken:
            return Service(protocol=self.draft.words[0], destinations=self._destinations())
        protocol, word, *rest = self.draft.words
        if protocol not in PROTOCOLS | OTHER_PROTOCOLS:
            self.warnings(self.draft.number, f"protocol {protocol!r} is not known")
        destinations = self._destinations()
        known = self._identity(protocol, word, rest, destinations)
        if protocol == "FWM" and rest[:1] == ["IPv6"]:
            rest = rest[1:]
        known |= self._counters(rest) or self._scheduling(rest, known["family"])
        return Service(protocol=protocol, destinations=destinations, **known)

    def _identity(
        self, protocol: str, word: str, rest: list[str], below: tuple[Destination, ...]
    ) -> dict[str, Any]:
        """Address or mark, and the family."""
        if protocol == "FWM":
            v6 = rest[:1] == ["IPv6"]
            # the kernel does not print a mark's family
            families = {family(one.address, bracketed=":" in one.address) for one in below}
            shown = families.pop() if len(families) == 1 else None
            return {
                "fwmark": self._mark(word),
                "family": shown if self.kernel else "ipv6" if v6 else "ipv4",
            }
        if protocol == "MATCH":
            dotted = re.search(r"\d\.\d", word)
            return {"match": word, "family": "ipv4" if dotted else "ipv6" if "::" in word else None}
        end = self._end(self.draft.number, word)
        if end is None:
            self.warnings(self.draft.number, f"{word!r} is not an address and a port")
            return {"family": None}
        return {
            "address": end.address,
            "port": end.port,
            "port_name": end.port_name,
            "family": family(end.address, bracketed=word.startswith("[")),
        }

    def _mark(self, word: str) -> int | None:
        """A mark; ipvsadm prints those from 2^31 up as negative."""
        by_kernel = self.kernel or mark_notation(word) == "kernel"
        fits = (_KERNEL_MASK if by_kernel else _MARK).fullmatch(word)
        mark = int(word, 16 if by_kernel else 10) if fits else None
        if mark is not None and -(2**31) <= mark <= MAX_MARK:
            return mark & MAX_MARK
        self.warnings(self.draft.number, f"{word} is not a firewall mark")
        return None

    def _end(self, number: int, word: str) -> End | None:
        if self.kernel or notation(word) == "kernel":
            return kernel_end(word)
        if end := certain_end(word):
            return end
        cut = BUFFER_CUT if word.startswith("[") else TABLE_CUT
        return ipvsadm_end(word, _at(self.warnings, number), cut=cut)

    def _counters(self, rest: list[str]) -> dict[str, Any] | None:
        """The numbers of ``--stats`` or ``--rate``; None where a scheduler follows."""
        if not rest or cols.number(rest[0]) is None:
            return None
        if odd := cols.impossible(self.draft.columns or (), rest):
            self.warnings(self.draft.number, f"{odd} is more, or less, than a kernel counts")
            return {"flags": None}
        if self.draft.columns in (cols.STATS, cols.RATE):
            read = cols.read(self.draft.columns, rest)
            if read is not None:
                return dict(read)
        self.warnings(self.draft.number, f"numbers without titles: {' '.join(rest)}")
        return {"flags": None}

    def _scheduling(self, rest: list[str], of_family: str | None) -> dict[str, Any]:
        """Scheduler and flags."""
        if not rest:
            self.warnings(self.draft.number, "no scheduler follows")
            return {}
        scheduler, *flags = rest
        if scheduler not in SCHEDULERS:
            self.warnings(self.draft.number, f"scheduler {scheduler!r} is not known")
        read: dict[str, Any] = {
            "scheduler": scheduler,
            "flags": " ".join(flags),
            "ops": False,
            "sched_flags": (),
        }
        words = iter(flags)
        self.kernel |= "persistent" in flags and bool(_KERNEL_MASK.fullmatch(flags[-1]))
        for word in words:
            read |= self._flag(word, words, of_family)
        return read

    def _flag(self, word: str, words: Iterator[str], of_family: str | None) -> dict[str, Any]:
        if word == "ops":
            return {"ops": True}
        if word == "pe":
            return {"pe": next(words, None)}
        if found := _SCHED_FLAGS.fullmatch(word):
            return {"sched_flags": tuple(found[1].split(","))}
        if word == "mask":
            mask = next(words, "")
            if _MASK.fullmatch(mask):
                return {"netmask": mask}
        if word == "persistent":
            return self._persistence(next(words, ""), words, of_family)
        self.warnings(self.draft.number, f"flag {word!r} is not known")
        return {}

    def _persistence(
        self, timeout: str, words: Iterator[str], of_family: str | None
    ) -> dict[str, Any]:
        if not _SECONDS.fullmatch(timeout):
            self.warnings(self.draft.number, f"persistent {timeout!r} is not a time")
            return {}
        if not self.kernel:
            return {"persistent_s": int(timeout)}
        mask = next(words, "")
        netmask = kernel_mask(mask, of_family)
        if netmask is None:
            self.warnings(self.draft.number, f"{mask!r} is no netmask of the kernel's")
        return {"persistent_s": self._seconds(int(timeout)), "netmask": netmask}

    def _seconds(self, jiffies: int) -> int | None:
        if self.hz:
            return round(jiffies / self.hz)
        usual = ", ".join(f"{jiffies / hz:g} s at HZ={hz}" for hz in KNOWN_HZ)
        self.warnings(self.draft.number, f"persistent {jiffies} is in jiffies: {usual}")
        return None

    def _destinations(self) -> tuple[Destination, ...]:
        """The real servers; their lines are not needed again."""
        rows = self.draft.rows[::-1]
        self.draft.rows.clear()
        below = (self._destination(rows.pop()) for _ in range(len(rows)))
        return tuple(server for server in below if server)

    def _destination(self, row: Row) -> Destination | None:
        columns = row.columns or cols.PLAIN
        pattern = cols.row_pattern(columns)
        found = pattern.fullmatch(row.raw) if pattern else None
        if found and (end := self._end(row.number, found[1])):
            return _server(end, cols.matched(columns, found.groups()[1:]))
        return self._doubtful_destination(row)

    def _doubtful_destination(self, row: Row) -> Destination | None:
        number, words, columns = row.number, row.words, row.columns
        end = self._end(number, words[1])
        values = words[2:]
        if odd := cols.impossible(columns or cols.guessed(values) or (), values):
            self.warnings(number, f"{odd} is more, or less, than a kernel counts")
            return None
        read = cols.read(columns, values) if columns else None
        if read is None and (guess := cols.guessed(values)):
            read = cols.read(guess, values)
            if columns or cols.UNKNOWN in guess:
                self.warnings(number, f"no title says what these are: {' '.join(values)}")
        if end is None or read is None:
            self.warnings(number, f"{' '.join(words)!r} is not a real server")
            return None
        if read.get("forward") not in cols.FORWARDS | {None}:
            self.warnings(number, f"forwarding {read['forward']!r} is not known")
        return _server(end, read)


def _server(end: End, values: dict[str, Any]) -> Destination:
    return Destination(address=end.address, port=end.port, port_name=end.port_name, **values)


def kernel_mask(word: str, of_family: str | None) -> str | None:
    """``FFFFFF00``, or for IPv6 the prefix length, its bytes in the machine's order."""
    if not _KERNEL_MASK.fullmatch(word):
        return None
    value = int(word, 16)
    swapped = int.from_bytes(value.to_bytes(4, "little"), "big")
    length = min(value, swapped)
    if of_family == "ipv6" or (of_family is None and 1 <= length <= MAX_PREFIX):
        return str(length) if length <= MAX_PREFIX else None
    return ".".join(str(byte) for byte in value.to_bytes(4, "big"))


def _at(warnings: ParserWarnings, number: int) -> Callable[[str], None]:
    def warn(what: str) -> None:
        warnings(number, what)

    return warn
