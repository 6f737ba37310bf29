"""What one poll of a director prints, and the snapshot that it becomes."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from analyzer.ipvs.proc.formats import (
    ServiceTable,
    entries_counted,
    parse_services,
    parse_uptime,
)
from analyzer.units import NS_PER_S
from loadgen.director.links.conntrack import BY_FILE, COMMANDS, COUNT_FILE, FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.recording.manifest.director import Kind
    from loadgen.director.counters import Counters, ServerKey
    from loadgen.director.links.shell import ShellAnswer

What = Literal["services", "entries"]

_UPTIME, _SERVICES, _ENTRIES = "/proc/uptime", "/proc/net/ip_vs", "/proc/net/ip_vs_conn"
_CPU = "/proc/self/schedstat"
ENTRIES_TITLE = "Pro FromIP"

SERVICES_BYTES = 16_000_000
"""Of an answer with services or counters: 50,000 real servers have some 6 MB."""

_ENTRIES_BYTES, _ENTRY_BYTES = 32_000_000, 400
"""Of an answer with entries: so much always, and more where ActiveConn and InActConn say more;
a line of IPv6 has 150 bytes."""

MOST_ENTRIES_BYTES = 256_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is read on a director at a poll.

    Attributes:
        kind: what keeps its connections.
        services: the files of a poll of services.
        entries: the files of a poll with entries; around these the reading process' own CPU time.
        command: prints the entries after those files, where no file has them that we may read.
    """

    kind: Kind
    services: tuple[str, ...]
    entries: tuple[str, ...]
    command: str | None = None

    def files(self, what: What) -> tuple[str, ...]:
        """What is read, in this order."""
        return self.services if what == "services" else self.entries


IPVS = Source(
    kind="ipvs",
    services=(_UPTIME, _SERVICES),
    entries=(_UPTIME, _CPU, _SERVICES, _ENTRIES, _CPU),
)


def netfilter(way: str) -> Source:
    """A director whose connection tracking is read in one of ``conntrack.COMMANDS``' ways."""
    counted = (_UPTIME, COUNT_FILE)
    if way == BY_FILE:
        entries = (_UPTIME, _CPU, COUNT_FILE, FILE, _CPU)
        return Source(kind="netfilter", services=counted, entries=entries)
    return Source(kind="netfilter", services=counted, entries=counted, command=COMMANDS[way])


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a director showed at one instant.

    Attributes:
        asked_ns: when it was asked, Unix time, our clock; ``answered_ns`` likewise.
        uptime_s: the director's clock.
        services: of a netfilter director none: it has entries alone.
        counted: of a netfilter director: entries in its table, whosever they are; None where that
            was not read, and of a director by IPVS.
        counters: None where they do not come with the services.
        entries: the text of the table; None where it was not asked for or not given.
        cpu_s: CPU time that reading the entries took there; None where it was not read, or
            where the director does not give it.
    """

    asked_ns: int
    answered_ns: int
    uptime_s: float
    services: ServiceTable
    counters: Mapping[ServerKey, Counters] | None = None
    entries: str | None = None
    cpu_s: float | None = None
    counted: int | None = None

    @property
    def n_entries(self) -> int:
        """About how many entries there are: by IPVS's services, or as tracking counts them."""
        if self.counted is not None:
            return self.counted
        return entries_counted(self.services.services)

    @property
    def took_s(self) -> float:
        """From the asking to the answer."""
        return (self.answered_ns - self.asked_ns) / NS_PER_S


def parse_snapshot(
    answer: ShellAnswer,
    text: str,
    cpu_s: float | None = None,
    *,
    what: What = "entries",
    source: Source = IPVS,
) -> Snapshot | None:
    """The snapshot of a poll; None where the text does not begin with an uptime.

    Args:
        answer: for its instants.
        text: of the files of a poll, one after the other.
        cpu_s: of reading the entries, where the text does not have it.
        what: was polled.
        source: whose files they are.
    """
    split = parse_uptime(text)
    if split is None:
        return None
    uptime_s, rest = split
    rest, read_cpu_s = _without_cpu(rest)
    cpu_s = read_cpu_s if read_cpu_s is not None else cpu_s
    if source.kind == "netfilter":
        counted = _COUNTED.match(rest)
        return Snapshot(
            asked_ns=answer.asked_ns,
            answered_ns=answer.answered_ns,
            uptime_s=uptime_s,
            services=_NO_SERVICES,
            entries=rest[counted.end() :] if counted and what == "entries" else None,
            cpu_s=cpu_s,
            counted=int(counted[1]) if counted else None,
        )
    services, title, entries = rest.partition(ENTRIES_TITLE)
    return Snapshot(
        asked_ns=answer.asked_ns,
        answered_ns=answer.answered_ns,
        uptime_s=uptime_s,
        services=parse_services(services),
        entries=title + entries if title else None,
        cpu_s=cpu_s,
    )


def most_bytes_of(what: What, expected: int) -> int:
    """The longest answer that a poll is given, by the entries expected."""
    if what == "services":
        return SERVICES_BYTES
    return min(max(_ENTRIES_BYTES, SERVICES_BYTES + _ENTRY_BYTES * expected), MOST_ENTRIES_BYTES)


def ask_by_cat(what: What, source: Source = IPVS) -> str:
    """A line of shell that prints the files of a poll, and what else prints its entries."""
    files = f"cat {' '.join(source.files(what))} 2>/dev/null"
    is_listed = what == "entries" and source.command is not None
    return f"{files}; ({source.command}) 2>/dev/null" if is_listed else files


def ask_compressed(source: Source = IPVS) -> str:
    """A line of shell that prints what a poll with entries prints, compressed."""
    files = " ".join(file for file in source.entries if file != _CPU)
    if source.command is None:
        return f"cat {files} 2>/dev/null | gzip -1c"
    return f"(cat {files}; {source.command}) 2>/dev/null | gzip -1c"


def ask_first_entries(count: int) -> str:
    """A line of shell that prints the title of the table of entries and its first lines."""
    return f"head -n {count + 1} {_ENTRIES} 2>/dev/null"


def sed_program(mark: str, source: Source = IPVS) -> str:
    """A sed that prints the files of a poll, and the mark, when it gets the poll's name."""
    parts: list[str] = []
    for what in get_args(What):
        reads = [f"-e 'r {file}'" for file in source.files(what)]
        parts += [f"-e '/^{what}/{{'", *reads, "-e 'a\\'", f"-e '{mark}'", "-e '}'"]
    return " ".join(("sed -u -n", *parts, "-e '/^q/q'"))


def times_s(text: str) -> float | None:
    """What the shell's ``times`` adds up to: user and system, its own and its children's."""
    parts = re.findall(r"(\d{1,9})m(\d{1,2}[.,]\d{1,9})s", text)
    if len(parts) != 4:
        return None
    return sum(int(minutes) * 60 + float(s.replace(",", ".")) for minutes, s in parts)


def gunzipped(content: bytes, most_bytes: int) -> str:
    """Unpacked, but never to more than so many bytes; "" if it is damaged."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        whole = unpacking.decompress(content, most_bytes)
    except zlib.error:
        return ""
    return whole.decode("utf-8", "replace")


_NO_SERVICES = ServiceTable(conn_tab_size=None, services=(), warnings=())
_COUNTED = re.compile(r"(\d{1,10})\n")
_SCHEDSTAT = re.compile(r"(\d{1,19}) \d{1,19} \d{1,19}\n")


def _without_cpu(text: str) -> tuple[str, float | None]:
    """Take off the reading process' CPU time, in the first and the last line; seconds between."""
    first = _SCHEDSTAT.match(text)
    last_at = text.rfind("\n", 0, -1) + 1
    last = _SCHEDSTAT.fullmatch(text, last_at)
    if first is None or last is None or last_at < first.end():
        return text, None
    return text[first.end() : last_at], (int(last[1]) - int(first[1])) / NS_PER_S
