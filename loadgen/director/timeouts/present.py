"""The timeouts that a director has at present: read, set, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.director.settings import set_words
from loadgen.errors import LoadgenError

if TYPE_CHECKING:
    from analyzer.ipvs.states import Timeouts
    from loadgen.director.links.client import DirectorClient

NAMES = ("tcp", "tcpfin", "udp")
_ASK_S = 15.0
_WHO = (
    "cat /proc/sys/kernel/random/boot_id 2>/dev/null; "
    "readlink /proc/self/ns/net 2>/dev/null; echo ."
)


class TimeoutsRefused(LoadgenError):
    """The director does not let its timeouts be read or set; exit code 1."""


async def identity_of(client: DirectorClient) -> str:
    """What names the kernel and network namespace behind a link, until it is booted again.

    Raises:
        LinkLost: it does not answer.
    """
    lines = (await client.ask(_WHO, timeout_s=_ASK_S)).text.split()
    words = lines[: lines.index(".")] if "." in lines else []
    return " ".join(words) or " ".join(client.link.argv)


def in_words(timeouts: Timeouts) -> str:
    """The three numbers, as ``ipvsadm --set`` takes them."""
    return " ".join(f"{value_of(timeouts, name):g}" for name in NAMES)


def value_of(timeouts: Timeouts, name: str) -> float:
    """One of ``NAMES``, seconds."""
    value: float = getattr(timeouts, f"{name}_s")
    return value


async def read(client: DirectorClient) -> Timeouts:
    """The three in force.

    Raises:
        LinkLost: the director does not answer.
        TimeoutsRefused: it does not tell us.
    """
    present = await client.timeouts(timeout_s=_ASK_S)
    if present is None:
        raise TimeoutsRefused(
            f"{client.link.name}: its timeouts cannot be read; "
            "expected root there, or sudo -n ipvsadm"
        )
    return present


async def set_and_read(client: DirectorClient, timeouts: Timeouts) -> Timeouts:
    """Set them, and read what is in force now.

    Raises:
        LinkLost: the director does not answer.
        TimeoutsRefused: it does not let us.
    """
    complaint = await client.set_timeouts(timeouts, timeout_s=_ASK_S)
    present = await read(client)
    requested = {name: value_of(timeouts, name) for name in NAMES if value_of(timeouts, name)}
    if any(value_of(present, name) != value_s for name, value_s in requested.items()):
        why = complaint or "no complaint"
        raise TimeoutsRefused(
            f"{client.link.name}: ipvsadm {' '.join(set_words(timeouts))} had no effect: {why}"
        )
    return present
