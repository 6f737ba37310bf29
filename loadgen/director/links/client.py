"""A client of one director: one question at a time, the same over every link.

A poll that starts no process costs the director next to nothing. So where the director's sed can
do it, one sed is kept running in the shell, and reads the files of /proc at a word: the reading is
its ``r`` command, in blocks, so that a page of the connection table still comes in one read(2). It
ends when the shell is needed for something else. Without such a sed each poll costs a ``cat``.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from analyzer.ipvs.proc.formats import parse_services, parse_timeouts, parse_uptime
from analyzer.ipvs.table_status import parse_table_status
from analyzer.units import NS_PER_S
from loadgen.director.links.aside import Aside
from loadgen.director.links.shell import MAX_ANSWER_BYTES, LinkLost, Shell, last_line
from loadgen.director.polling import counters
from loadgen.director.settings import (
    ask_script,
    ask_timeouts,
    parse_settings,
    set_timeouts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.ipvs.proc.formats import ServiceTable
    from analyzer.ipvs.states import Timeouts
    from analyzer.ipvs.table_status import TableStatus
    from loadgen.director.links.link import Link
    from loadgen.director.links.shell import ShellAnswer
    from loadgen.director.polling.counters import Counters, CounterTable, ServerKey
    from loadgen.director.settings import DirectorSettings

What = Literal["services", "entries"]

_UPTIME, _SERVICES, _ENTRIES = "/proc/uptime", "/proc/net/ip_vs", "/proc/net/ip_vs_conn"
_CPU = "/proc/self/schedstat"
_STATUS = "/proc/net/ip_vs_status"
_LOOK_S = 15.0  # for what is asked on the way to a look
_ENTRIES_TITLE = "Pro FromIP"
_HAS = (
    "read -r b </proc/sys/kernel/random/boot_id && echo boot=$b; "
    "sed -u -n -e q </dev/null >/dev/null 2>&1 && echo sed; "
    "type gzip >/dev/null 2>&1 && echo gz"
)
_BOOT = "boot="
_END_SED = "q\n\n"  # the second newline for a sed that has looked one character ahead

ASK_TABLE_STATUS = (
    f"[ ! -e {_STATUS} ] || cat {_STATUS} 2>/dev/null || sudo -n cat {_STATUS} 2>/dev/null"
)
"""Prints it where it is there (Linux 7.1 and later) and we are root, or may be it."""

SERVICES_BYTES = 16_000_000
"""Of an answer with services or counters: 50,000 real servers have some 6 MB."""

_ENTRIES_BYTES, _ENTRY_BYTES = 32_000_000, 400
"""Of an answer with entries: so much always, and more where ActiveConn and InActConn say more;
a line of IPv6 has 150 bytes."""

MOST_ENTRIES_BYTES = 256_000_000

GZIP_ENTRIES = 5_000
"""A table of this many entries is compressed on its way: some 400 kB that become 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a director showed at one instant.

    Attributes:
        asked_ns: when it was asked, Unix time, our clock; ``answered_ns`` likewise.
        uptime_s: the director's clock.
        counters: None where they do not come with the services.
        entries: the text of ``/proc/net/ip_vs_conn``; None where it was not asked for or not given.
        cpu_s: CPU time that reading the entries took there; None where it was not read, or
            where the director does not tell.
    """

    asked_ns: int
    answered_ns: int
    uptime_s: float
    services: ServiceTable
    counters: Mapping[ServerKey, Counters] | None = None
    entries: str | None = None
    cpu_s: float | None = None

    @property
    def took_s(self) -> float:
        """From the asking to the answer."""
        return (self.answered_ns - self.asked_ns) / NS_PER_S


class DirectorClient:
    """A director, polled through its shell.

    Attributes:
        link: how it is reached.
        boot_id: what names its present boot (random(4)); None where it does not tell.
        programs: of those that a poll can use, those that it has.
    """

    def __init__(self, link: Link, shell: Shell | None = None) -> None:
        self.link = link
        self._shell = shell or Shell(link)
        self.boot_id: str | None = None
        self.programs: frozenset[str] = frozenset()
        self.aside = Aside()
        self._in_sed = False
        self._sed_works = False
        self._sed_fails = False  # the first look by it had no answer

    async def open(self) -> None:
        """Reach the director.

        Raises:
            LinkLost: it cannot be reached.
        """
        self._in_sed = False
        await self._shell.open()
        answer = await self._shell.ask(_HAS, timeout_s=_LOOK_S)
        words = answer.text.split()
        self.programs = frozenset(words)
        boots = [word.removeprefix(_BOOT) for word in words if word.startswith(_BOOT)]
        self.boot_id = boots[0] if boots else None

    async def close(self) -> None:
        """Let go of it."""
        self.aside.close()
        await self._shell.close()

    async def ask(
        self, script: str, *, timeout_s: float, most_bytes: int = MAX_ANSWER_BYTES
    ) -> ShellAnswer:
        """Run a line of shell there.

        Raises:
            LinkLost: no whole answer in time, or one that is too long.
        """
        if self._in_sed:
            self._in_sed = False
            script = f"{_END_SED}{script}"
        return await self._shell.ask(script, timeout_s=timeout_s, most_bytes=most_bytes)

    async def look(self, what: What, *, timeout_s: float, expected: int = 0) -> Snapshot:
        """Take one look.

        Args:
            what: ``services``, or with the ``entries``.
            timeout_s: for the answer.
            expected: how many entries there may be; many are compressed on the way.

        Raises:
            LinkLost: no whole answer in time, or none that a director gives.
        """
        most_bytes = _most_bytes(what, expected)
        if what == "entries" and expected >= GZIP_ENTRIES and "gz" in self.programs:
            return await self._look_compressed(timeout_s, most_bytes)
        if "sed" in self.programs and not self._sed_fails:
            return await self._read(await self._look_by_sed(what, timeout_s, most_bytes))
        script = f"cat {' '.join(_files(what))} 2>/dev/null"
        return await self._read(await self.ask(script, timeout_s=timeout_s, most_bytes=most_bytes))

    async def first_entries(self, count: int, *, timeout_s: float) -> str | None:
        """The head of ``/proc/net/ip_vs_conn``; None where it is not given.

        The table is printed in the order of a hash over the clients' addresses and ports, so its
        beginning is a fair sample of it; and the kernel walks no further than was read.

        Raises:
            LinkLost: no whole answer in time.
        """
        script = f"head -n {count + 1} {_ENTRIES} 2>/dev/null"
        most_bytes = _most_bytes("entries", count)
        text = (await self.ask(script, timeout_s=timeout_s, most_bytes=most_bytes)).text
        return text if text.startswith(_ENTRIES_TITLE) else None

    async def counters(self, *, timeout_s: float) -> CounterTable | None:
        """The counters, by the director's own ipvsadm; None where it has none that we may run.

        Raises:
            LinkLost: no whole answer in time.
        """
        answer = await self.ask(counters.ASK, timeout_s=timeout_s, most_bytes=SERVICES_BYTES)
        return await self.aside.run(
            len(answer.content), lambda: counters.parse_counters(answer.text)
        )

    async def table_status(self, *, timeout_s: float) -> TableStatus | None:
        """What the kernel says of its table of entries; None where it does not tell us.

        The kernel walks every bucket for it, without holding anything up.

        Raises:
            LinkLost: no whole answer in time.
        """
        return parse_table_status((await self.ask(ASK_TABLE_STATUS, timeout_s=timeout_s)).text)

    async def director_settings(self, *, timeout_s: float) -> DirectorSettings:
        """Settings, which change rarely.

        Raises:
            LinkLost: no whole answer in time.
        """
        answer = await self.ask(ask_script(), timeout_s=timeout_s)
        return await self.aside.run(len(answer.content), lambda: parse_settings(answer.text))

    async def timeouts(self, *, timeout_s: float) -> Timeouts | None:
        """The three that ``ipvsadm --set`` changes; None where it does not tell us.

        Raises:
            LinkLost: no whole answer in time.
        """
        return parse_timeouts((await self.ask(ask_timeouts(), timeout_s=timeout_s)).text)

    async def set_timeouts(self, timeouts: Timeouts, *, timeout_s: float) -> str:
        """Set the three; 0 leaves one as it is. Only ``timeouts.py`` may call this.

        Returns:
            What the director complained of, its last line; "" if of nothing.

        Raises:
            LinkLost: no whole answer in time; they may be set or not.
        """
        answer = await self.ask(set_timeouts(timeouts), timeout_s=timeout_s)
        return last_line(answer.text)

    async def _look_by_sed(self, what: What, timeout_s: float, most_bytes: int) -> ShellAnswer:
        if not self._in_sed:
            # the shell reads ahead: it must have begun the sed before more is said
            start = f"echo {self._shell.mark}; {_sed_program(self._shell.mark)}\n"
            await self._shell.send(start, timeout_s=_LOOK_S)
            self._in_sed = True
        try:
            answer = await self._shell.send(f"{what}\n", timeout_s=timeout_s, most_bytes=most_bytes)
        except LinkLost:
            self._sed_fails = not self._sed_works
            raise
        self._sed_works = True
        return answer

    async def _look_compressed(self, timeout_s: float, most_bytes: int) -> Snapshot:
        """CPU time by what the shell and its children have used before and after."""
        files = " ".join((_UPTIME, _SERVICES, _ENTRIES))
        before = await self.ask("times", timeout_s=_LOOK_S)
        script = f"cat {files} 2>/dev/null | gzip -1c"
        answer = await self._shell.ask(script, timeout_s=timeout_s, most_bytes=most_bytes)
        after = await self._shell.ask("times", timeout_s=_LOOK_S)
        used = [_times_s(times.text) for times in (before, after)]
        cpu_s = None if None in used else (used[1] or 0) - (used[0] or 0)
        return await self.aside.run(
            most_bytes,
            lambda: self._look_of(answer, _gunzipped(answer.content, most_bytes), cpu_s),
        )

    async def _read(self, answer: ShellAnswer) -> Snapshot:
        return await self.aside.run(
            len(answer.content), lambda: self._look_of(answer, answer.text, None)
        )

    def _look_of(self, answer: ShellAnswer, text: str, cpu_s: float | None) -> Snapshot:
        split = parse_uptime(text)
        if split is None:
            raise LinkLost(f"{self.link.spec}: /proc/uptime cannot be parsed")
        uptime_s, rest = split
        rest, read_cpu_s = _without_cpu(rest)
        services, title, entries = rest.partition(_ENTRIES_TITLE)
        return Snapshot(
            asked_ns=answer.asked_ns,
            answered_ns=answer.answered_ns,
            uptime_s=uptime_s,
            services=parse_services(services),
            entries=title + entries if title else None,
            cpu_s=read_cpu_s if read_cpu_s is not None else cpu_s,
        )


def _most_bytes(what: What, expected: int) -> int:
    if what == "services":
        return SERVICES_BYTES
    return min(max(_ENTRIES_BYTES, SERVICES_BYTES + _ENTRY_BYTES * expected), MOST_ENTRIES_BYTES)


def _files(what: What) -> tuple[str, ...]:
    """What is read, in this order; around the entries the reading process' own CPU time."""
    if what == "services":
        return (_UPTIME, _SERVICES)
    return (_UPTIME, _CPU, _SERVICES, _ENTRIES, _CPU)


def _sed_program(mark: str) -> str:
    """A sed that reads the files of a look when it gets the look's name."""
    parts: list[str] = []
    for what in get_args(What):
        reads = [f"-e 'r {file}'" for file in _files(what)]
        parts += [f"-e '/^{what}/{{'", *reads, "-e 'a\\'", f"-e '{mark}'", "-e '}'"]
    return " ".join(("sed -u -n", *parts, "-e '/^q/q'"))


_SCHEDSTAT = re.compile(r"(\d{1,19}) \d{1,19} \d{1,19}\n")


def _without_cpu(text: str) -> tuple[str, float | None]:
    """Take off the reading process' CPU time, in the first and the last line; seconds between."""
    first = _SCHEDSTAT.match(text)
    last_at = text.rfind("\n", 0, -1) + 1
    last = _SCHEDSTAT.fullmatch(text, last_at)
    if first is None or last is None or last_at < first.end():
        return text, None
    return text[first.end() : last_at], (int(last[1]) - int(first[1])) / NS_PER_S


def _times_s(text: str) -> float | None:
    """What the shell's ``times`` adds up to: user and system, its own and its children's."""
    parts = re.findall(r"(\d{1,9})m(\d{1,2}[.,]\d{1,9})s", text)
    if len(parts) != 4:
        return None
    return sum(int(minutes) * 60 + float(s.replace(",", ".")) for minutes, s in parts)


def _gunzipped(content: bytes, most_bytes: int) -> str:
    """Unpacked, but never to more than so many bytes; what is spoilt ends it."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        whole = unpacking.decompress(content, most_bytes)
    except zlib.error:
        return ""
    return whole.decode("utf-8", "replace")
