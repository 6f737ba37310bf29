"""A director's timeouts, put back as they were.

What a director is owed stands in the journal until it was seen to have its old timeouts again. A
sweep gives them back at its end, however it ends; and where it cannot (kill -9, a lost link), the
next command that meets the director does (``put_back_left``). A value that is neither the old one
nor one that we set is somebody else's, and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.states import Timeouts
from loadgen.director import journal
from loadgen.director.standing import set_words
from loadgen.errors import LoadgenError, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.director.journal import Owed
    from loadgen.director.links.eye import Eye

ASK_S = 15.0
LeftTimeouts = Literal["put back", "keep", "ours"]

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


async def put_back(eye: Eye, owed: Owed, still: Owed | None = None) -> str:
    """Put back what a director is owed, see that it is in force, and forget the debt.

    Args:
        eye: on it, open.
        owed: what it gets.
        still: what it is owed afterwards; None if nothing.

    Returns:
        What was done, one line.

    Raises:
        LinkLost: the director does not answer.
        TimeoutsRefused: it does not let us.
    """
    present = await read(eye)
    what = due(owed, present)
    if what.set_to is not None:
        present = await set_and_read(eye, what.set_to)
        if due(owed, present).set_to is not None:
            raise TimeoutsRefused(f"{eye.link.name}: its timeouts are still {in_words(present)}")
    if still is None:
        journal.forget(owed.identity)
    else:
        journal.write(still)
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
                say(kept_words(eye, owed))
                return
            say(f"{left_words(eye, owed)}: putting them back")
            say(await put_back(eye, owed))
    except TimeoutsRefused as error:
        say(f"{error}; NOT put back. By hand: {owed.by_hand if owed else ''}")
    except UsageProblem as error:
        say(f"{eye.link.name}: {error}")


def left_words(eye: Eye, owed: Owed) -> str:
    """What an earlier sweep left behind."""
    return (
        f"{eye.link.name}: a sweep of {owed.since} ended without putting its timeouts "
        f"{in_words(owed.before)} back"
    )


def kept_words(eye: Eye, owed: Owed) -> str:
    """That it stays so for now."""
    return f"{left_words(eye, owed)}; kept for now (--keep-timeouts)"


async def identity_of(eye: Eye) -> str:
    """What names the kernel and network namespace behind a link, until it is booted again.

    Raises:
        LinkLost: it does not answer.
    """
    said = (await eye.ask(_WHO, timeout_s=ASK_S)).text.split()
    words = said[: said.index(".")] if "." in said else []
    return " ".join(words) or " ".join(eye.link.argv)


def in_words(timeouts: Timeouts) -> str:
    """The three numbers, as ``ipvsadm --set`` takes them."""
    return " ".join(f"{_value(timeouts, name):g}" for name in _NAMES)


def _value(timeouts: Timeouts, name: str) -> float:
    value: float = getattr(timeouts, f"{name}_s")
    return value


async def read(eye: Eye) -> Timeouts:
    """The three in force.

    Raises:
        LinkLost: the director does not answer.
        TimeoutsRefused: it does not tell us.
    """
    present = await eye.timeouts(timeout_s=ASK_S)
    if present is None:
        raise TimeoutsRefused(
            f"{eye.link.name}: its timeouts cannot be read; expected root there, or sudo -n ipvsadm"
        )
    return present


async def set_and_read(eye: Eye, timeouts: Timeouts) -> Timeouts:
    """Set them, and read what is in force now.

    Raises:
        LinkLost: the director does not answer.
        TimeoutsRefused: it does not let us.
    """
    complaint = await eye.set_timeouts(timeouts, timeout_s=ASK_S)
    present = await read(eye)
    asked = {name: _value(timeouts, name) for name in _NAMES if _value(timeouts, name)}
    if any(_value(present, name) != value_s for name, value_s in asked.items()):
        why = complaint or "no complaint"
        raise TimeoutsRefused(
            f"{eye.link.name}: ipvsadm {' '.join(set_words(timeouts))} had no effect: {why}"
        )
    return present
