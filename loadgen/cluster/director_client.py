"""A client of a director that a worker of the cluster asks, over its own link or on its own host.

The worker polls; what is recorded is recorded here, from its snapshots, so that everything that
goes by a poller goes by this one too. A snapshot's instants are the worker's, in our clock: they
are as far apart as the director took, and as sure as the worker's clock is known, however long the
way to the worker is.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.states import Timeouts
from analyzer.units import NS_PER_S
from loadgen.cluster.connection import WorkerLost
from loadgen.cluster.worker.links import ask_director, leave_director
from loadgen.cluster.worker.questions import (
    Answer,
    Opened,
    PackedSnapshot,
    Question,
    unpacked,
)
from loadgen.director.links.client import DirectorClient
from loadgen.director.links.shell import (
    MAX_ANSWER_BYTES,
    AnswerTooLong,
    LinkLost,
    ShellAnswer,
    last_line,
)
from loadgen.director.links.snapshot import Snapshot, most_bytes_of
from loadgen.director.settings import DirectorSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.cluster.clocks import WorkerOffset
    from loadgen.cluster.connection import Cluster, ConnectedWorker
    from loadgen.cluster.crew import Crew
    from loadgen.cluster.worker.questions import Asked
    from loadgen.director.links.link import Link
    from loadgen.director.links.snapshot import What

_VALUES: Mapping[Asked, tuple[type, ...]] = {
    "open": (Opened,),
    "ask": (ShellAnswer,),
    "poll": (Snapshot, PackedSnapshot),
    "director_settings": (DirectorSettings,),
    "timeouts": (Timeouts, NoneType),
    "set_timeouts": (str,),
}

OPEN_S = 40.0
"""For the worker to reach the director: a link's own limits are 25 s."""

WAY_S = 2.0
"""More than the director is given, for the way to the worker and back."""

CLOSE_S = 2.0


class WorkerDirectorClient(DirectorClient):
    """Asks a director by a worker.

    Args:
        link: to the director, whose ``worker`` is the worker's name.
        cluster: that the worker belongs to.
        run: names this burst at the worker.
        worker: as it was when the burst began; one that took its place on its host will do.
        offset: of its clock.
    """

    def __init__(
        self,
        link: Link,
        *,
        cluster: Cluster,
        run: str,
        worker: ConnectedWorker,
        offset: WorkerOffset,
    ) -> None:
        super().__init__(link)
        self._from_worker = link  # ``link`` may yet get another name
        self._cluster = cluster
        self._run = run
        self._worker = worker
        self._offset = offset
        self._is_open = False

    async def open(self) -> None:
        """Have the worker reach the director.

        Raises:
            LinkLost: the worker is not there, or does not reach it.
        """
        await self._find_worker()
        self._is_open = True
        opened: Opened = await self._asked("open", limit_s=OPEN_S)
        self.boot_id, self.host_name = opened.boot_id, opened.host_name
        self.programs = opened.programs

    def manifest(self) -> dict[str, Any]:
        """Who polls the director, and that worker's clock."""
        return {
            "worker": {
                "name": self._worker.name,
                "clock_offset_s": self._offset.offset_ns / NS_PER_S,
                "clock_uncertainty_s": self._offset.uncertainty_ns / NS_PER_S,
            }
        }

    async def close(self) -> None:
        """Let go of it, once."""
        self.worker_thread.close()
        if not self._is_open:
            return
        self._is_open = False
        with suppress(WorkerLost):
            await self._cluster.run(
                self._worker.address,
                leave_director,
                self._run,
                self._from_worker,
                limit_s=CLOSE_S,
            )

    async def ask(
        self, script: str, *, timeout_s: float, most_bytes: int = MAX_ANSWER_BYTES
    ) -> ShellAnswer:
        """Run a line of shell on the director.

        Raises:
            LinkLost: no whole answer in time, or one that is too long.
        """
        answer: ShellAnswer = await self._timed(
            "ask", script, timeout_s=timeout_s, most_bytes=most_bytes
        )
        return answer

    async def poll(self, what: What, *, timeout_s: float, expected: int = 0) -> Snapshot:
        """Take a snapshot.

        Raises:
            LinkLost: no whole answer in time, or none that a director gives.
        """
        snapshot: Snapshot = await self._timed("poll", what, timeout_s=timeout_s, expected=expected)
        return snapshot

    async def director_settings(self, *, timeout_s: float) -> DirectorSettings:
        """Settings, which change rarely.

        Raises:
            LinkLost: no whole answer in time.
        """
        settings: DirectorSettings = await self._asked("director_settings", timeout_s=timeout_s)
        return settings

    async def timeouts(self, *, timeout_s: float) -> Timeouts | None:
        """The three that ``ipvsadm --set`` changes; None where it does not tell us.

        Raises:
            LinkLost: no whole answer in time.
        """
        timeouts: Timeouts | None = await self._asked("timeouts", timeout_s=timeout_s)
        return timeouts

    async def set_timeouts(self, timeouts: Timeouts, *, timeout_s: float) -> str:
        """Set the three; 0 leaves one as it is.

        Raises:
            LinkLost: no whole answer in time; they may be set or not.
        """
        complaint: str = await self._asked("set_timeouts", timeouts, timeout_s=timeout_s)
        return complaint

    async def _find_worker(self) -> None:
        """The worker's address now: a nanny starts another one in the place of one that died."""
        try:
            there = await self._cluster.workers()
        except WorkerLost as error:
            raise LinkLost(f"{self.link.spec}: no answer from the worker") from error
        ours = (self._worker.name, self._worker.host)
        same = [worker for worker in there if (worker.name, worker.host) == ours]
        if not same:
            raise LinkLost(f"{self.link.spec}: the worker is not there")
        self._worker = same[0]

    async def _timed(self, asked: Asked, *args: Any, **more: Any) -> Any:
        """An answer that has instants, in our clock."""
        sent_ns = time.time_ns()
        answer = await self._asked(asked, *args, **more)
        got_ns = time.time_ns()
        if isinstance(answer, PackedSnapshot):
            answer = await self._unpacked(answer, more["expected"])
        asked_ns, answered_ns = in_our_clock(
            (answer.asked_ns, answer.answered_ns), self._offset, (sent_ns, got_ns)
        )
        return replace(answer, asked_ns=asked_ns, answered_ns=answered_ns)

    async def _unpacked(self, answer: PackedSnapshot, expected: int) -> Snapshot:
        most_bytes = most_bytes_of("entries", expected)
        try:
            return await self.worker_thread.run(
                answer.characters, lambda: unpacked(answer, most_bytes)
            )
        except ValueError as error:
            raise LinkLost(f"{self.link.spec}: an answer that cannot be read") from error

    async def _asked(
        self, asked: Asked, *args: Any, limit_s: float | None = None, **more: Any
    ) -> Any:
        question = Question(
            run=self._run,
            link=self._from_worker,
            asked=asked,
            args=args,
            more=more,
            source=self.source,
        )
        limit_s = more["timeout_s"] + WAY_S if limit_s is None else limit_s
        try:
            answer = await self._cluster.run(
                self._worker.address, ask_director, question, limit_s=limit_s
            )
        except WorkerLost as error:
            raise LinkLost(f"{self.link.spec}: no answer from the worker") from error
        if isinstance(answer, Answer) and answer.lost is not None:
            raise (AnswerTooLong if answer.too_long else LinkLost)(last_line(answer.lost))
        if not isinstance(answer, Answer) or not isinstance(answer.value, _VALUES[asked]):
            raise LinkLost(f"{self.link.spec}: no answer from the worker")
        return answer.value


def in_our_clock(
    there_ns: tuple[int, int], offset: WorkerOffset, here_ns: tuple[int, int]
) -> tuple[int, int]:
    """Between which instants of our clock a director was asked and had answered.

    By the worker's clock, and as far as that is known; but within the two instants between which
    the worker was asked, which hold whatever its clock does.

    Args:
        there_ns: when the worker asked and had the answer, on its clock, Unix ns.
        offset: of its clock, as it was measured before the start.
        here_ns: when we asked the worker and had its answer.
    """
    earliest = there_ns[0] - offset.offset_ns - offset.uncertainty_ns
    latest = there_ns[1] - offset.offset_ns + offset.uncertainty_ns
    open_ns = 2 * offset.uncertainty_ns
    if earliest + open_ns < here_ns[0] or latest - open_ns > here_ns[1]:  # its clock was set since
        return here_ns
    return max(earliest, here_ns[0]), min(latest, here_ns[1])


def director_client_of(link: Link, crew: Crew) -> WorkerDirectorClient:
    """The client for a link from a worker of the crew, not open yet."""
    known = next(each for each in crew.workers if each.worker.name == link.worker)
    return WorkerDirectorClient(
        link,
        cluster=crew.cluster,
        run=crew.run,
        worker=known.worker,
        offset=known.offset,
    )
