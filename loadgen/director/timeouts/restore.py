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
from loadgen.director.timeouts import journal
from loadgen.director.timeouts.present import (
    NAMES,
    TimeoutsRefused,
    identity_of,
    in_words,
    read,
    set_and_read,
    value_of,
)
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.director.links.client import DirectorClient
    from loadgen.director.timeouts.journal import Owed

LeftTimeouts = Literal["put back", "keep", "ours"]


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
    back = dict.fromkeys(NAMES, 0.0)
    strange = []
    for name in NAMES:
        now_s, before_s = value_of(present, name), value_of(owed.before, name)
        if now_s == before_s:
            continue
        if now_s in {value_of(timeouts, name) for timeouts in owed.ours}:
            back[name] = before_s
        else:
            strange.append(name)
    set_to = Timeouts(tcp_s=back["tcp"], tcpfin_s=back["tcpfin"], udp_s=back["udp"])
    return Due(set_to=set_to if any(back.values()) else None, strange=tuple(strange))


async def put_back(client: DirectorClient, owed: Owed, still: Owed | None = None) -> str:
    """Put back what a director is owed, see that it is in force, and forget the debt.

    Args:
        client: on it, open.
        owed: what it gets.
        still: what it is owed afterwards; None if nothing.

    Returns:
        What was done, one line.

    Raises:
        LinkLost: the director does not answer.
        TimeoutsRefused: it does not let us.
    """
    present = await read(client)
    what = due(owed, present)
    if what.set_to is not None:
        present = await set_and_read(client, what.set_to)
        if due(owed, present).set_to is not None:
            raise TimeoutsRefused(f"{client.link.name}: its timeouts are still {in_words(present)}")
    if still is None:
        journal.forget(owed.identity)
    else:
        journal.write(still)
    parts = [f"tcp, tcpfin, udp are {in_words(present)}"]
    if what.set_to is not None:
        parts[0] += ", as they were"
    parts += [
        f"{name} {value_of(present, name):g} s was set by somebody else meanwhile "
        f"({value_of(owed.before, name):g} s before us) and stays"
        for name in what.strange
    ]
    return f"{client.link.name}: {'; '.join(parts)}"


async def put_back_left(
    client: DirectorClient, say: Callable[[str], None], left: LeftTimeouts = "put back"
) -> None:
    """Give a director back what a sweep that was killed still owes it, and say so.

    Args:
        client: on it, open.
        say: takes a line for the operator.
        left: what to do about it: ``keep`` says what is owed and leaves it for now, ``ours`` does
            not look, because the sweep is our own and goes on.

    Raises:
        LinkLost: it stopped answering.
    """
    if left == "ours" or not journal.are_any():
        return
    identity = await identity_of(client)
    owed = None
    try:
        with journal.locked(identity):
            owed = journal.read(identity)
            if owed is None:
                return
            if left == "keep":
                say(kept_words(client, owed))
                return
            say(f"{left_words(client, owed)}: putting them back")
            say(await put_back(client, owed))
    except TimeoutsRefused as error:
        say(f"{error}; NOT put back. By hand: {owed.by_hand if owed else ''}")
    except UsageProblem as error:
        say(f"{client.link.name}: {error}")


def left_words(client: DirectorClient, owed: Owed) -> str:
    """What an earlier sweep left behind."""
    return (
        f"{client.link.name}: a sweep of {owed.since} ended without putting its timeouts "
        f"{in_words(owed.before)} back"
    )


def kept_words(client: DirectorClient, owed: Owed) -> str:
    """That it stays so for now."""
    return f"{left_words(client, owed)}; kept for now (--keep-timeouts)"
