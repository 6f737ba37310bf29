"""A client of one director: one question at a time, the same over every link.

A poll that starts no process costs the director next to nothing. So where the director's sed can
do it, one sed is kept running in the shell, and reads the files of /proc at a word: the reading is
its ``r`` command, in blocks, so that a page of the connection table still comes in one read(2). It
ends when the shell is needed for something else. Without such a sed each poll costs a ``cat``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.proc.formats import parse_timeouts
from analyzer.ipvs.table_status import parse_table_status
from loadgen.director import counters
from loadgen.director.links.shell import MAX_ANSWER_BYTES, LinkLost, Shell, last_line
from loadgen.director.links.snapshot import (
    ENTRIES_TITLE,
    IPVS,
    SERVICES_BYTES,
    ask_by_cat,
    ask_compressed,
    ask_first_entries,
    gunzipped,
    most_bytes_of,
    parse_snapshot,
    sed_program,
    times_s,
)
from loadgen.director.links.worker_thread import WorkerThread
from loadgen.director.settings import (
    ask_conntrack_sysctls,
    ask_script,
    ask_timeouts,
    parse_settings,
    set_timeouts,
)

if TYPE_CHECKING:
    from analyzer.ipvs.states import Timeouts
    from analyzer.ipvs.table_status import TableStatus
    from loadgen.director.counters import CounterTable
    from loadgen.director.links.link import Link
    from loadgen.director.links.shell import ShellAnswer
    from loadgen.director.links.snapshot import Snapshot, Source, What
    from loadgen.director.settings import DirectorSettings

_STATUS = "/proc/net/ip_vs_status"
_ASK_S = 15.0  # for what is asked on the way to a poll
_HAS = (
    "read -r h </proc/sys/kernel/hostname && echo host=$h; "
    "read -r b </proc/sys/kernel/random/boot_id && echo boot=$b; "
    "sed -u -n -e q </dev/null >/dev/null 2>&1 && echo sed; "
    "type gzip >/dev/null 2>&1 && echo gz"
)
_BOOT, _HOST = "boot=", "host="
_END_SED = "q\n\n"  # the second newline for a sed that has looked one character ahead

ASK_TABLE_STATUS = (
    f"[ ! -e {_STATUS} ] || cat {_STATUS} 2>/dev/null || sudo -n cat {_STATUS} 2>/dev/null"
)
"""Prints it where it is there (Linux 7.1 and later) and we are root, or may be it."""

GZIP_ENTRIES = 5_000
"""A table of this many entries is compressed on its way: some 400 kB that become 30."""


class DirectorClient:
    """A director, polled through its shell.

    Attributes:
        link: how it is reached.
        boot_id: what names its present boot (random(4)); None where it does not tell.
        host_name: what its host calls itself; None where it does not tell.
        programs: of those that a poll can use, those that it has.
        source: what is read there; IPVS's files, until it is known to have none.
    """

    def __init__(self, link: Link, shell: Shell | None = None) -> None:
        self.link = link
        self._shell = shell or Shell(link)
        self.boot_id: str | None = None
        self.host_name: str | None = None
        self.programs: frozenset[str] = frozenset()
        self.source: Source = IPVS
        self.worker_thread = WorkerThread()
        self._in_sed = False
        self._sed_works = False
        self._sed_fails = False  # the first poll by it had no answer

    async def open(self) -> None:
        """Reach the director.

        Raises:
            LinkLost: it cannot be reached.
        """
        self._in_sed = False
        await self._shell.open()
        answer = await self._shell.ask(_HAS, timeout_s=_ASK_S)
        words = answer.text.split()
        self.programs = frozenset(words)
        boots = [word.removeprefix(_BOOT) for word in words if word.startswith(_BOOT)]
        self.boot_id = boots[0] if boots else None
        hosts = [word.removeprefix(_HOST) for word in words if word.startswith(_HOST)]
        self.host_name = hosts[0] if hosts else None

    def manifest(self) -> dict[str, Any]:
        """What ``run.json`` has of the way to the director, besides its link."""
        return {}

    async def close(self) -> None:
        """Let go of it."""
        self.worker_thread.close()
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

    async def poll(self, what: What, *, timeout_s: float, expected: int = 0) -> Snapshot:
        """Take a snapshot.

        Args:
            what: ``services``, or with the ``entries``.
            timeout_s: for the answer.
            expected: how many entries there may be; many are compressed on the way.

        Raises:
            LinkLost: no whole answer in time, or none that a director gives.
        """
        most_bytes = most_bytes_of(what, expected)
        if what == "entries" and expected >= GZIP_ENTRIES and "gz" in self.programs:
            return await self._poll_compressed(timeout_s, most_bytes)
        is_listed = what == "entries" and self.source.command is not None
        if "sed" in self.programs and not self._sed_fails and not is_listed:
            return await self._snapshot(what, await self._poll_by_sed(what, timeout_s, most_bytes))
        script = ask_by_cat(what, self.source)
        answer = await self.ask(script, timeout_s=timeout_s, most_bytes=most_bytes)
        return await self._snapshot(what, answer)

    async def first_entries(self, count: int, *, timeout_s: float) -> str | None:
        """The head of ``/proc/net/ip_vs_conn``; None where it is not given.

        The table is printed in the order of a hash over the clients' addresses and ports, so its
        beginning is a fair sample of it; and the kernel walks no further than was read.

        Raises:
            LinkLost: no whole answer in time.
        """
        script = ask_first_entries(count)
        most_bytes = most_bytes_of("entries", count)
        text = (await self.ask(script, timeout_s=timeout_s, most_bytes=most_bytes)).text
        return text if text.startswith(ENTRIES_TITLE) else None

    async def counters(self, *, timeout_s: float) -> CounterTable | None:
        """The counters, by the director's own ipvsadm; None where it has none that we may run.

        Raises:
            LinkLost: no whole answer in time.
        """
        if self.source.kind != "ipvs":
            return None
        answer = await self.ask(counters.ASK, timeout_s=timeout_s, most_bytes=SERVICES_BYTES)
        return await self.worker_thread.run(
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
        answer = await self.ask(ask_script(kind=self.source.kind), timeout_s=timeout_s)
        return await self.worker_thread.run(
            len(answer.content), lambda: parse_settings(answer.text)
        )

    async def timeouts(self, *, timeout_s: float) -> Timeouts | None:
        """The three that ``ipvsadm --set`` changes; None where it does not tell us.

        Raises:
            LinkLost: no whole answer in time.
        """
        if self.source.kind != "ipvs":
            return None
        return parse_timeouts((await self.ask(ask_timeouts(), timeout_s=timeout_s)).text)

    async def with_timeouts(
        self, settings: DirectorSettings, *, timeout_s: float
    ) -> DirectorSettings | None:
        """Settings with the present timeouts; None where the director does not give these.

        Raises:
            LinkLost: no whole answer in time.
        """
        if self.source.kind == "netfilter":  # there they are sysctls
            answer = await self.ask(ask_conntrack_sysctls(), timeout_s=timeout_s)
            read = parse_settings(answer.text)
            if not read.sysctl:
                return None
            return replace(settings, sysctl=read.sysctl, insert_failed=read.insert_failed)
        timeouts = await self.timeouts(timeout_s=timeout_s)
        return None if timeouts is None else replace(settings, timeouts=timeouts)

    async def set_timeouts(self, timeouts: Timeouts, *, timeout_s: float) -> str:
        """Set the three; 0 leaves one as it is. Only the room ``timeouts`` may call this.

        Returns:
            What the director complained of, its last line; "" if of nothing.

        Raises:
            LinkLost: no whole answer in time; they may be set or not.
        """
        answer = await self.ask(set_timeouts(timeouts), timeout_s=timeout_s)
        return last_line(answer.text)

    async def _poll_by_sed(self, what: What, timeout_s: float, most_bytes: int) -> ShellAnswer:
        if not self._in_sed:
            # the shell reads ahead: it must have begun the sed before more is said
            start = f"echo {self._shell.mark}; {sed_program(self._shell.mark, self.source)}\n"
            await self._shell.send(start, timeout_s=_ASK_S)
            self._in_sed = True
        try:
            answer = await self._shell.send(f"{what}\n", timeout_s=timeout_s, most_bytes=most_bytes)
        except LinkLost:
            self._sed_fails = not self._sed_works
            raise
        self._sed_works = True
        return answer

    async def _poll_compressed(self, timeout_s: float, most_bytes: int) -> Snapshot:
        """CPU time by what the shell and its children have used before and after."""
        before = await self.ask("times", timeout_s=_ASK_S)
        script = ask_compressed(self.source)
        answer = await self._shell.ask(script, timeout_s=timeout_s, most_bytes=most_bytes)
        after = await self._shell.ask("times", timeout_s=_ASK_S)
        used = [times_s(times.text) for times in (before, after)]
        cpu_s = None if None in used else (used[1] or 0) - (used[0] or 0)
        return await self._snapshot("entries", answer, compressed=most_bytes, cpu_s=cpu_s)

    async def _snapshot(
        self,
        what: What,
        answer: ShellAnswer,
        *,
        compressed: int = 0,
        cpu_s: float | None = None,
    ) -> Snapshot:
        """Parsed beside the event loop where it is large.

        Args:
            what: was polled.
            answer: to a poll.
            compressed: 0, or the most bytes that may come out of it.
            cpu_s: of reading the entries, where the answer does not have it.
        """

        def parse() -> Snapshot | None:
            text = gunzipped(answer.content, compressed) if compressed else answer.text
            return parse_snapshot(answer, text, cpu_s, what=what, source=self.source)

        snapshot = await self.worker_thread.run(compressed or len(answer.content), parse)
        if snapshot is None:
            raise LinkLost(f"{self.link.spec}: /proc/uptime cannot be parsed")
        return snapshot
