"""When a real server may be rebooted: no director has an entry of it left, or sends it more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUse:
    """A real server in one service of one director.

    Attributes:
        real_server: its address, which all its services share.
        is_draining: its weight is 0, or it was removed.
        entries: that it holds; None where they were not read. The watch leaves them out.
        first_gone_ns: when its last entry is gone at the earliest, Unix time; 0 where it has none.
        last_gone_ns: the same, at the latest.
        obstacle: why no instant can be promised; None where there is one.
        is_known: False where the obstacle is only that something was not measured.
    """

    director: str
    real_server: str
    is_draining: bool
    entries: int | None = 0
    first_gone_ns: int = 0
    last_gone_ns: int = 0
    obstacle: str | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """A real server that drains somewhere.

    Attributes:
        after_ns: it holds no entry on any director from then on, if no packet arrives; 0 where
            that is so already, None where there are obstacles.
        earliest_ns: the same, at the earliest.
        obstacles: each once.
        is_known: False where all that stands against it is that something was not measured.
    """

    real_server: str
    after_ns: int | None
    earliest_ns: int | None = None
    obstacles: tuple[str, ...] = ()
    is_known: bool = True


def reboots(uses: Iterable[ServerUse], unknown: Sequence[str] = ()) -> tuple[Reboot, ...]:
    """Every real server that has weight 0 in a service of a director, as they come.

    Args:
        uses: of all services of all directors.
        unknown: why some director's services are not known, which nobody may be promised then.
    """
    by_server: dict[str, list[ServerUse]] = {}
    for use in uses:
        by_server.setdefault(use.real_server, []).append(use)
    return tuple(
        reboot_of(address, of_server, unknown)
        for address, of_server in by_server.items()
        if any(use.is_draining for use in of_server)
    )


def reboot_of(address: str, uses: Sequence[ServerUse], unknown: Sequence[str] = ()) -> Reboot:
    """One real server; see ``reboots``."""
    obstacles = tuple(dict.fromkeys([*unknown, *(u.obstacle for u in uses if u.obstacle)]))
    return Reboot(
        real_server=address,
        after_ns=None if obstacles else max((use.last_gone_ns for use in uses), default=0),
        earliest_ns=None if obstacles else max((use.first_gone_ns for use in uses), default=0),
        obstacles=obstacles,
        is_known=not obstacles or any(use.obstacle and use.is_known for use in uses),
    )
