"""A director's timeouts, changed for a while and always put back.

What is owed is written to the journal before anything is changed, and the journal is deleted when
the director has been seen to have its old timeouts again. So they come back at the end of a sweep,
however it ends; and where this process cannot see to it (kill -9, a lost link), the next command
that meets the director does (``put_back_left``). A value that is neither the old one nor one that
we set is somebody else's, and stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.states import Timeouts
from loadgen.director import journal
from loadgen.director.link import by_hand
from loadgen.director.shell import LinkLost
from loadgen.director.standing import set_words
from loadgen.errors import LoadgenError, RunFailed, UsageProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from loadgen.director.eye import Eye
    from loadgen.director.journal import Owed

ASK_S = 15.0
LeftTimeouts = Literal["put back", "keep", "ours"]

RETRY_FOR_S = 60.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 8.0

_NAMES = ("tcp", "tcpfin", "udp")
_WHO = (
    "cat /proc/sys/kernel/random/boot_id 2>/dev/null; "
    "readlink /proc/self/ns/net 2>/dev/null; echo ."
)


class TimeoutsRefused(LoadgenError):
    """The director does not let its timeouts be read or set; exit code 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be done about timeouts as they stand.

    Attributes:
        set_to: 0 where a value stays as it is; None if nothing is to be set.
        strange: the names of those that somebody else has changed.
    """

    set_to: Timeouts | None
    strange: tuple[str, ...]


def due(owed: Owed, present: Timeouts) -> Due:
    """What to put back: what is ours and not as it was; nothing that somebody else has set."""
    back = dict.fromkeys(_NAMES, 0.0)
    strange = []
    for name in _NAMES:
        now_s, before_s = _value(present, name), _value(owed.before, name)
        if now_s == before_s:
            continue
        if now_s in {_value(one, name) for one in owed.ours}:
            back[name] = before_s
        else:
            strange.append(name)
    set_to = Timeouts(tcp_s=back["tcp"], tcpfin_s=back["tcpfin"], udp_s=back["udp"])
    return Due(set_to=set_to if any(back.values()) else None, strange=tuple(strange))


async def put_back(eye: Eye, owed: Owed) -> str:
    """Put back what a director is owed, see that it is in force, and forget the debt.

    Returns:
        What was done, one line.

    Raises:
        LinkLost: the director does not answer.
        TimeoutsRefused: it does not let us.
    """
    present = await _read(eye)
    what = due(owed, present)
    if what.set_to is not None:
        present = await _set(eye, what.set_to)
        still = due(owed, present)
        if still.set_to is not None:
            raise TimeoutsRefused(f"{eye.link.name}: its timeouts are still {in_words(present)}")
    journal.forget(owed.identity)
    parts = [f"tcp, tcpfin, udp are {in_words(present)}"]
    if what.set_to is not None:
        parts[0] += ", as they were"
    parts += [
        f"{name} {_value(present, name):g} s was set by somebody else meanwhile "
        f"({_value(owed.before, name):g} s before us) and stays"
        for name in what.strange
    ]
    return f"{eye.link.name}: {'; '.join(parts)}"


async def put_back_left(
    eye: Eye, say: Callable[[str], None], left: LeftTimeouts = "put back"
) -> None:
    """Give a director back what a sweep that was killed still owes it, and say so.

    Args:
        eye: on it, open.
        say: takes a line for the operator.
        left: what to do about it: ``keep`` says what is owed and leaves it for now, ``ours`` does
            not look, because the sweep is our own and goes on.

    Raises:
        LinkLost: it stopped answering.
    """
    if left == "ours" or not journal.are_any():
        return
    identity = await identity_of(eye)
    owed = None
    try:
        with journal.locked(identity):
            owed = journal.read(identity)
            if owed is None:
                return
            if left == "keep":
                say(f"{_left(eye, owed)}; kept for now (--keep-timeouts)")
                return
            say(f"{_left(eye, owed)}: putting them back")
            say(await put_back(eye, owed))
    except TimeoutsRefused as error:
        say(f"{error}; NOT put back. By hand: {owed.by_hand if owed else ''}")
    except UsageProblem as error:
        say(f"{eye.link.name}: {error}")


def _left(eye: Eye, owed: Owed) -> str:
    return (
        f"{eye.link.name}: a sweep of {owed.since} ended without putting its timeouts "
        f"{in_words(owed.before)} back"
    )


async def identity_of(eye: Eye) -> str:
    """What names the kernel and network namespace behind a link, until it is booted again.

    Raises:
        LinkLost: it does not answer.
    """
    said = (await eye.ask(_WHO, timeout_s=ASK_S)).text.split()
    words = said[: said.index(".")] if "." in said else []
    return " ".join(words) or " ".join(eye.link.argv)


class TimeoutsChange:
    """Directors' timeouts, for a while not their own.

    Attributes:
        before: the timeouts that each director had, by its name.
        owing: after the end, a line for each director that could not be given them back.
    """

    def __init__(
        self,
        eyes: Sequence[Eye],
        say: Callable[[str], None],
        *,
        retry_for_s: float = RETRY_FOR_S,
    ) -> None:
        self.before: dict[str, Timeouts] = {}
        self.owing: list[str] = []
        self._eyes, self._say, self._retry_for_s = eyes, say, retry_for_s
        self._identities: dict[str, str] = {}
        self._owed: dict[str, Owed] = {}
        self._locks = contextlib.ExitStack()
        self._given_up = asyncio.Event()

    async def __aenter__(self) -> TimeoutsChange:
        """Lock the directors and read their timeouts; nothing is changed yet.

        Raises:
            UsageProblem: a director cannot be reached or read, another sweep is on, or what an
                earlier one owes it cannot be put back.
        """
        try:
            for eye in self._eyes:
                await self._begin(eye)
        except LoadgenError as error:
            self._locks.close()
            raise UsageProblem(f"{error}; nothing was changed") from error
        except BaseException:
            self._locks.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Put everything back; what cannot be is in ``owing``, and said."""
        try:
            for eye in self._eyes:
                owed = self._owed.get(eye.link.name)
                if owed is not None:
                    await self._end(eye, owed)
        finally:
            self._locks.close()

    async def set_tcpfin(self, seconds: int) -> None:
        """Set tcpfin on all directors.

        Raises:
            RunFailed: one does not let us, or somebody else has changed it meanwhile.
            LinkLost: one does not answer.
        """
        for eye in self._eyes:
            async with _reached(eye):
                await self._set_one(eye, seconds)

    def give_up(self) -> None:
        """Do not wait for a lost link any longer."""
        self._given_up.set()

    async def _begin(self, eye: Eye) -> None:
        name = eye.link.name
        async with _reached(eye):
            identity = await identity_of(eye)
            try:
                self._locks.enter_context(journal.locked(identity))
            except journal.SweepGoesOn as error:
                raise UsageProblem(f"{name}: {error}") from error
            left = journal.read(identity)
            if left is not None:
                self._say(f"{_left(eye, left)}: putting them back first")
                self._say(await put_back(eye, left))
            self._identities[name] = identity
            self.before[name] = await _read(eye)

    async def _set_one(self, eye: Eye, seconds: int) -> None:
        name = eye.link.name
        present = await _read(eye)
        owed = self._owed.get(name)
        expected = owed.ours[-1] if owed else self.before[name]
        if present != expected:
            raise RunFailed(
                f"{name}: its timeouts are {in_words(present)}, {in_words(expected)} expected: "
                "somebody else has changed them"
            )
        wanted = replace(present, tcpfin_s=float(seconds))
        # what is in force if the next step does not come back: either
        self._owed[name] = self._owing(eye, (present, wanted))
        journal.write(self._owed[name])
        reached = await _set(eye, Timeouts(tcp_s=0, tcpfin_s=seconds, udp_s=0))
        if reached != wanted:
            raise RunFailed(
                f"{name}: tcpfin {seconds} was set, but {in_words(reached)} are in force"
            )

    def _owing(self, eye: Eye, ours: tuple[Timeouts, ...]) -> Owed:
        name = eye.link.name
        before, known = self.before[name], self._owed.get(name)
        back = Timeouts(tcp_s=0, tcpfin_s=before.tcpfin_s, udp_s=0)
        return journal.Owed(
            director=name,
            identity=self._identities[name],
            before=before,
            ours=ours,
            since=known.since if known else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            by_hand=by_hand(eye.link, ("ipvsadm", *set_words(back))),
        )

    async def _end(self, eye: Eye, owed: Owed) -> None:
        """Try until it works, for so long, or until told to give up."""
        deadline_s = time.monotonic() + self._retry_for_s
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                async with _reached(eye):
                    self._tell(await put_back(eye, owed))
                return
            except (LinkLost, TimeoutsRefused) as error:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or self._given_up.is_set():
                    self._lament(eye, owed, error)
                    return
                self._tell(f"{error}; its timeouts are put back in {delay_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._given_up.wait(), min(delay_s, left_s))
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    def _lament(self, eye: Eye, owed: Owed, error: Exception) -> None:
        self.owing.append(
            f"{eye.link.name} DOES NOT HAVE ITS OLD TIMEOUTS {in_words(owed.before)} BACK "
            f"({error}). By hand: {owed.by_hand}   The next loadgen command on it tries again."
        )
        self._tell(self.owing[-1])

    def _tell(self, line: str) -> None:
        """A terminal that has gone away must not keep a director from getting its own back."""
        with contextlib.suppress(OSError):
            self._say(line)


def in_words(timeouts: Timeouts) -> str:
    """The three numbers, as ``ipvsadm --set`` takes them."""
    return " ".join(f"{_value(timeouts, name):g}" for name in _NAMES)


def _value(timeouts: Timeouts, name: str) -> float:
    value: float = getattr(timeouts, f"{name}_s")
    return value


@contextlib.asynccontextmanager
async def _reached(eye: Eye) -> AsyncIterator[None]:
    """Each time anew: between two values of a sweep a link may have gone."""
    try:
        await eye.open()
        yield
    finally:
        await eye.close()


async def _read(eye: Eye) -> Timeouts:
    present = await eye.timeouts(timeout_s=ASK_S)
    if present is None:
        raise TimeoutsRefused(
            f"{eye.link.name}: its timeouts cannot be read; expected root there, or sudo -n ipvsadm"
        )
    return present


async def _set(eye: Eye, timeouts: Timeouts) -> Timeouts:
    """Set them, and read what is in force now."""
    complaint = await eye.set_timeouts(timeouts, timeout_s=ASK_S)
    present = await _read(eye)
    asked = {name: _value(timeouts, name) for name in _NAMES if _value(timeouts, name)}
    if any(_value(present, name) != value_s for name, value_s in asked.items()):
        why = complaint or "no complaint"
        raise TimeoutsRefused(
            f"{eye.link.name}: ipvsadm {' '.join(set_words(timeouts))} had no effect: {why}"
        )
    return present
