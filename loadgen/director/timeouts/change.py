"""A director's timeouts, changed for a while and always put back.

What is owed is written to the journal before anything is changed, and the journal is deleted when
the director has been seen to have its old timeouts again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.ipvs.states import Timeouts
from loadgen.director.links.link import by_hand
from loadgen.director.links.shell import LinkLost
from loadgen.director.settings import set_words
from loadgen.director.timeouts import journal
from loadgen.director.timeouts.present import (
    TimeoutsRefused,
    identity_of,
    in_words,
    read,
    set_and_read,
)
from loadgen.director.timeouts.restore import kept_words, left_words, put_back
from loadgen.errors import LoadgenError, RunFailed, UsageProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from loadgen.director.links.client import DirectorClient
    from loadgen.director.timeouts.journal import Owed
    from loadgen.director.timeouts.restore import LeftTimeouts

RETRY_FOR_S = 60.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 8.0


class TimeoutsChange:
    """Directors' timeouts, for a while not their own.

    Attributes:
        before: the timeouts that each director had, by its name.
        not_restored: after the end, a line for each director that could not be given them back.
        locks: on the directors' journals, from the start to the end.
    """

    def __init__(
        self,
        clients: Sequence[DirectorClient],
        say: Callable[[str], None],
        *,
        left: LeftTimeouts = "put back",
        retry_for_s: float = RETRY_FOR_S,
    ) -> None:
        """Nothing is asked or changed yet.

        Args:
            clients: on the directors.
            say: takes a line for the operator.
            left: what to do about timeouts that an earlier sweep left behind: with ``keep`` what
                is found is given back at the end, and the earlier debt stays one.
            retry_for_s: how long a lost link is tried again at the end.
        """
        self.before: dict[str, Timeouts] = {}
        self.not_restored: list[str] = []
        self._clients, self._say, self._retry_for_s = clients, say, retry_for_s
        self._keeps = left == "keep"
        self._kept: dict[str, Owed] = {}
        self._identities: dict[str, str] = {}
        self._debts: dict[str, Owed] = {}
        self.locks = contextlib.ExitStack()
        self._given_up = asyncio.Event()

    async def __aenter__(self) -> TimeoutsChange:
        """Lock the directors and read their timeouts; nothing is changed yet.

        Raises:
            UsageProblem: a director cannot be reached or read, another sweep is on, or what an
                earlier one owes it cannot be put back.
        """
        try:
            for client in self._clients:
                await self._begin(client)
        except LoadgenError as error:
            self.locks.close()
            raise UsageProblem(f"{error}; nothing was changed") from error
        except BaseException:
            self.locks.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Put everything back; what cannot be is in ``not_restored``, and said."""
        try:
            for client in self._clients:
                owed = self._debts.get(client.link.name)
                if owed is not None:
                    await self._end(client, owed)
        finally:
            self.locks.close()

    async def set_tcpfin(self, seconds: int) -> None:
        """Set tcpfin on all directors.

        Raises:
            RunFailed: one does not let us, or somebody else has changed it meanwhile.
            LinkLost: one does not answer.
        """
        for client in self._clients:
            async with _reached(client):
                await self._set_one(client, seconds)

    def give_up(self) -> None:
        """Do not wait for a lost link any longer."""
        self._given_up.set()

    async def _begin(self, client: DirectorClient) -> None:
        name = client.link.name
        async with _reached(client):
            identity = await identity_of(client)
            try:
                self.locks.enter_context(journal.locked(identity))
            except journal.SweepGoesOn as error:
                raise UsageProblem(f"{name}: {error}") from error
            left = journal.read(identity)
            if left is not None and self._keeps:
                self._say(kept_words(client, left))
                self._kept[name] = left
            elif left is not None:
                self._say(f"{left_words(client, left)}: putting them back first")
                self._say(await put_back(client, left))
            self._identities[name] = identity
            self.before[name] = await read(client)

    async def _set_one(self, client: DirectorClient, seconds: int) -> None:
        name = client.link.name
        present = await read(client)
        owed = self._debts.get(name)
        expected = owed.ours[-1] if owed else self.before[name]
        if present != expected:
            raise RunFailed(
                f"{name}: its timeouts are {in_words(present)}, {in_words(expected)} expected: "
                "somebody else changed them"
            )
        target = replace(present, tcpfin_s=float(seconds))
        # what is in force if the next step does not come back: either
        self._debts[name] = self._debt_of(client, (present, target))
        journal.write(self._debts[name])
        reached = await set_and_read(client, Timeouts(tcp_s=0, tcpfin_s=seconds, udp_s=0))
        if reached != target:
            raise RunFailed(
                f"{name}: tcpfin {seconds} was set, but {in_words(reached)} are in force"
            )

    def _debt_of(self, client: DirectorClient, ours: tuple[Timeouts, ...]) -> Owed:
        """What the next command is to put back if we cannot: the older debt, where there is one."""
        name = client.link.name
        earlier, known = self._kept.get(name), self._debts.get(name)
        before = earlier.before if earlier else self.before[name]
        back = Timeouts(tcp_s=0, tcpfin_s=before.tcpfin_s, udp_s=0)
        return journal.Owed(
            director=name,
            identity=self._identities[name],
            before=before,
            ours=(*(earlier.ours if earlier else ()), *ours),
            since=known.since if known else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            by_hand=by_hand(client.link, ("ipvsadm", *set_words(back))),
        )

    async def _end(self, client: DirectorClient, owed: Owed) -> None:
        """Retry until it works, the time is up, or ``give_up`` is called."""
        deadline_s = time.monotonic() + self._retry_for_s
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                to_restore = replace(owed, before=self.before[client.link.name])
                async with _reached(client):
                    self._say_safely(
                        await put_back(client, to_restore, self._kept.get(client.link.name))
                    )
                return
            except (LinkLost, TimeoutsRefused) as error:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or self._given_up.is_set():
                    self._report_not_restored(client, owed, error)
                    return
                self._say_safely(f"{error}; its timeouts are put back in {delay_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._given_up.wait(), min(delay_s, left_s))
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    def _report_not_restored(self, client: DirectorClient, owed: Owed, error: Exception) -> None:
        self.not_restored.append(
            f"{client.link.name} DOES NOT HAVE ITS OLD TIMEOUTS {in_words(owed.before)} BACK "
            f"({error}). By hand: {owed.by_hand}   The next loadgen command on it tries again."
        )
        self._say_safely(self.not_restored[-1])

    def _say_safely(self, line: str) -> None:
        """A closed terminal must not keep a director's timeouts from being restored."""
        with contextlib.suppress(OSError):
            self._say(line)


@contextlib.asynccontextmanager
async def _reached(client: DirectorClient) -> AsyncIterator[None]:
    """Connect anew each time: between two values of a sweep a link may have been lost."""
    try:
        await client.open()
        yield
    finally:
        await client.close()
