"""A text line by line: who claims a line, reads it; what nobody claims becomes a warning."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import TYPE_CHECKING

from analyzer.ipvs.ipvsadm import connections, errors
from analyzer.ipvs.ipvsadm.counters import Stats
from analyzer.ipvs.ipvsadm.foreign import is_foreign
from analyzer.ipvs.ipvsadm.lines import Line, clean_line, is_noise, line_blocks, without_prefix
from analyzer.ipvs.ipvsadm.lines import line as line_of
from analyzer.ipvs.ipvsadm.model import (
    Connection,
    Daemon,
    Header,
    ParsedText,
    Service,
    TimeoutValues,
)
from analyzer.ipvs.ipvsadm.rules import Rules
from analyzer.ipvs.ipvsadm.services.columns import is_title
from analyzer.ipvs.ipvsadm.services.recognition import may_have_been_service
from analyzer.ipvs.ipvsadm.services.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WARNINGS = 1000
MAX_WARNING = 240
_SHOWN_CHARACTERS = 100
_RUN = 64
"""Lines of one kind to read at a time: half of a block would be copied for each kind otherwise."""
_ONCE = "port '"  # a name that is doubted is so wherever it stands

_HEADER = re.compile(
    r"\bIP\s+Virtual\s+Server\s+version\s+([0-9.]{1,20})(?:\s*\(size=([0-9]{1,12})\))?"
)
_TIMEOUTS = re.compile(
    r"\bTimeout\s+\(tcp\s+tcpfin\s+udp\):\s*([0-9]{1,9})\s+([0-9]{1,9})\s+([0-9]{1,9})(?:\s|$)"
)
_DAEMON = re.compile(r"\b(master|backup)\s+sync\s+daemon\s*\(([^)]*)(\)?)")


def parse(text: str, *, hz: int | None = None) -> ParsedText:
    """Understand a text; whatever it holds, this returns.

    Args:
        text: what was printed, with whatever surrounds it.
        hz: the director's CONFIG_HZ, for the kernel's persistence in jiffies.
    """
    reader = _Reader(hz=hz)
    last = None
    for first, lines in line_blocks(text):
        last = reader.take_block(first, lines) or last
    if last and not text.endswith(("\n", "\r")):
        reader.doubt_end(clean_line(*last))
    return reader.result()


@dataclass(slots=True)
class _Reader:
    """What was read so far."""

    hz: int | None
    header: Header | None = None
    tables: list[Table] = field(default_factory=lambda: [Table()])
    rules: Rules = field(default_factory=Rules)
    connections: list[Connection] = field(default_factory=list)
    below_connections: bool = False  # the last title was that of a connection table
    timeouts: TimeoutValues | None = None
    daemons: list[Daemon] = field(default_factory=list)
    stats: Stats = field(default_factory=Stats)
    errors: list[str] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    unseen_warnings: int = 0
    understood: int = 0
    gap: tuple[int, str] | None = None  # a line since the last service that may have been one
    pending: list[str] = field(default_factory=list)  # doubts of a line that may be read otherwise

    def take_block(self, first: int, lines: list[str]) -> tuple[int, str] | None:
        """Read lines that follow one another; the last of them that is not empty, if one is."""
        last, at = None, 0
        while at < len(lines):
            taken = self.take_plain(first + at, lines, at) or self._take_one(first + at, lines[at])
            if taken:
                last = at + taken - 1
            at += taken or 1
        return None if last is None else (first + last, lines[last])

    def take_plain(self, number: int, lines: list[str], at: int) -> int:
        """Read lines in which nothing is in doubt, most of a long text; how many these were."""
        for claim in _AT_ONCE.get(lines[at][:1], ()):
            if taken := claim(self, number, lines[at : at + _RUN]):
                self.understood += taken
                return taken
        return 0

    def plain_destinations(self, number: int, lines: list[str]) -> int:
        """Real servers, where no line before them may have been their service."""
        return 0 if self.gap else self.tables[-1].plain_destinations(number, lines)

    def plain_connections(self, _: int, lines: list[str]) -> int:
        """Entries."""
        entries = connections.plain_connections(lines)
        self.connections += entries
        return len(entries)

    def plain_services(self, number: int, lines: list[str]) -> int:
        """Virtual services."""
        taken = self.tables[-1].plain_services(number, lines, strict=self.below_connections)
        if taken:
            self.gap = None
        return taken

    def plain_rules(self, _: int, lines: list[str]) -> int:
        """Rules of ipvsadm -S."""
        return self.rules.plain_rules(lines)

    def _take_one(self, number: int, raw: str) -> int:
        """Read any line; how many that are not empty it is."""
        if not raw:
            return 0
        if not self.refuse(number, raw):
            line = clean_line(number, raw)
            if not line.words:
                return 0
            self.take(line)
        return 1

    def refuse(self, number: int, raw: str) -> bool:
        """Say of a line at once that it was not understood; False if that takes a closer look."""
        if self.stats.expected or not is_foreign(raw):
            return False
        self._not_understood(number, raw)
        return True

    def take(self, line: Line) -> None:
        """Read one line, as it stands or without what precedes it; else say that it was not."""
        bare = line if self._claimed(line) else without_prefix(line)
        if bare is line or (bare and bare.words and self._claimed(bare)):
            self.understood += 1
            for what in self.pending:
                self._warn(line.number, what)
            self.pending.clear()
            return
        self.pending.clear()
        text = bare.text if bare else line.text
        if errors.is_error(text) or errors.is_error(line.text):
            self._take_error(text)
        elif not is_noise(line.text) and not is_noise(text):
            self._not_understood(line.number, line.raw)
        elif may_have_been_service(line):
            self.gap = line.number, line.raw

    def _claimed(self, line: Line) -> bool:
        self.pending.clear()
        for claim in _CLAIMS:  # noqa: SIM110 - a generator would cost more than most claims
            if claim(self, line):
                return True
        return False

    def warn(self, what: str) -> None:
        """Note a doubt about the line being read."""
        self.pending.append(what)

    def _warn(self, number: int, what: str) -> None:
        if what.startswith(_ONCE):
            if what in self.said:
                return
            self.said.add(what)
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append((number, what[:MAX_WARNING]))
        else:
            self.unseen_warnings += 1

    def _not_understood(self, number: int, raw: str) -> None:
        self.gap = number, raw
        if len(self.warnings) < MAX_WARNINGS:
            self._warn(number, _why(line_of(number, raw)))
        else:
            self.unseen_warnings += 1

    def _take_error(self, text: str) -> None:
        self.understood += 1
        if len(self.errors) < errors.MAX_LINES and text not in self.errors:
            self.errors.append(text)

    def connection(self, line: Line) -> bool:
        """An entry: the commonest line of long texts, so asked first."""
        found = connections.read_connection(line.words, self.warn)
        if found is None:
            self.pending.clear()
            return False
        self.connections.append(found)
        return True

    def destination(self, line: Line) -> bool:
        """A real server, or the title of their column."""
        if line.words[0] != "->":
            return False
        table = self.tables[-1]
        if table.title(line):
            return True
        gap = line_of(*self.gap) if self.gap else None
        if gap and may_have_been_service(gap):
            table.broken_service(gap)
            self.gap = None
        if not table.destination(line):
            return False
        if self.gap:
            (number, _), self.gap = self.gap, None
            self.warn(f"if line {number} was a service, the real servers from here on are its")
        return True

    def service(self, line: Line) -> bool:
        """A virtual service."""
        if not self.tables[-1].service(line, strict=self.below_connections):
            return False
        self.gap = None
        return True

    def titles(self, line: Line) -> bool:
        """The first line of a table, or its titles."""
        if connections.is_title(line.words):
            self.below_connections = True
            return True
        found = _HEADER.search(line.text) if "Virtual" in line.words else None
        if found:
            self._take_header(Header(version=found[1], size=int(found[2]) if found[2] else None))
        elif not is_title(line.words):
            return False
        elif "RemoteAddress:Port" in line.words:  # the second line of titles, damaged
            return self.tables[-1].title(line)
        self.below_connections = False
        self.gap = None
        self.tables.append(Table())
        return bool(found) or self.tables[-1].title(line)

    def _take_header(self, header: Header) -> None:
        if header.size is None:
            self.warn("the size of the connection table is cut off")
        if self.header not in (None, header):
            self.warn("the text has several headers; the first one is shown")
        self.header = self.header or header

    def counters(self, line: Line) -> bool:
        """The totals and rates of ip_vs_stats."""
        return self.stats.title(line.words) or self.stats.row(line.words, self.warn)

    def rule(self, line: Line) -> bool:
        """A rule of ipvsadm -S."""
        return self.rules.rule(line, self.warn)

    def timeout(self, line: Line) -> bool:
        """The three timeouts."""
        found = _TIMEOUTS.search(line.text) if "Timeout" in line.raw else None
        if not found:
            return False
        tcp, tcpfin, udp = (int(number) for number in found.groups())
        read = TimeoutValues(tcp=tcp, tcpfin=tcpfin, udp=udp)
        if self.timeouts not in (None, read):
            self.warn("the text has several timeouts; the last ones are shown")
        self.timeouts = read
        return True

    def daemon(self, line: Line) -> bool:
        """A sync daemon."""
        found = _DAEMON.search(line.text) if "daemon" in line.raw else None
        if not found:
            return False
        if not found[3]:
            self.warn("the daemon's line is cut off")
        self.daemons.append(_daemon(found[1], found[2], self.warn))
        return True

    def doubt_end(self, last: Line) -> None:
        """A text that ends without a newline may have been cut there."""
        if last.words[0] == "->":
            short = self.tables[-1].last_is_short()
        else:
            short = _begins_another(last.words[-1], self.connections)
        if short:
            self._warn(last.number, "the text ends here, without a newline; the line may be cut")

    def result(self) -> ParsedText:
        """All of it."""
        services: list[Service] = []
        for table in self.tables:
            services += table.services(self._warn, self.hz)
        services += self.rules.read()
        if not self.understood:
            self._warn(0, "nothing in this text was understood")
        return ParsedText(
            header=self.header,
            services=tuple(services),
            connections=tuple(self.connections),
            timeouts=self.timeouts,
            daemons=tuple(self.daemons),
            total=self.stats.total,
            rate=self.stats.rate,
            cpus=self.stats.cpus or None,
            warnings=self._warnings(),
            error="\n".join(self.errors) or None,
            lines_understood=self.understood,
        )

    def _warnings(self) -> tuple[str, ...]:
        in_order = sorted(self.warnings, key=lambda warning: warning[0])
        shown = [f"line {number}: {what}" if number else what for number, what in in_order]
        if self.unseen_warnings:
            shown.append(f"and {self.unseen_warnings} more")
        return tuple(shown)


_ARROWS = (_Reader.plain_destinations,)
_NAMES = (_Reader.plain_services, _Reader.plain_connections)
_AT_ONCE: dict[str, tuple[Callable[[_Reader, int, list[str]], int], ...]] = {
    " ": (*_ARROWS, *_NAMES),
    "-": (*_ARROWS, _Reader.plain_rules),
    **dict.fromkeys(ascii_uppercase, _NAMES),
}
"""What a line's first character says that it may be; of two readers no line suits both."""

_CLAIMS: tuple[Callable[[_Reader, Line], bool], ...] = (
    _Reader.connection,
    _Reader.destination,
    _Reader.titles,
    _Reader.service,
    _Reader.counters,
    _Reader.rule,
    _Reader.timeout,
    _Reader.daemon,
)


def _daemon(role: str, inside: str, warn: Callable[[str], None]) -> Daemon:
    """``mcast=eth0, syncid=1, maxlen=1472, group=224.0.0.81, port=8848, ttl=1``."""
    given = {
        name.strip(): value.strip()
        for name, equals, value in (part.partition("=") for part in inside.split(","))
        if equals
    }

    def number(name: str, most: int) -> int | None:
        value = given.get(name)
        if value is None:
            return None
        if re.fullmatch(r"[0-9]{1,10}", value) and int(value) <= most:
            return int(value)
        warn(f"{name}={value!r} is out of range")
        return None

    return Daemon(
        role=role,
        mcast=given.get("mcast") or None,
        syncid=number("syncid", 255),
        maxlen=number("maxlen", 65535),
        group=given.get("group") or None,
        port=number("port", 65535),
        ttl=number("ttl", 255),
    )


def _begins_another(word: str, entries: list[Connection]) -> bool:
    """Whether the last entry's real server is the beginning of another's."""
    servers = {f"{one.destination.address}:{one.destination.port}" for one in entries}
    return any(server.startswith(word) and server != word for server in servers)


def _why(line: Line) -> str:
    shown = line.text[:_SHOWN_CHARACTERS]
    if line.words[0] == "->":
        return f"{shown!r} is not a real server below a service"
    return f"{shown!r} was not understood"
