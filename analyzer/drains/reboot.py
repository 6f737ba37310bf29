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
        is_draining: its weight is 0.
        last_gone_ns: when its last entry is gone at the latest, Unix time; 0 where it holds none.
        obstacle: why no instant can be promised; None where there is one.
    """

    director: str
    real_server: str
    is_draining: bool
    last_gone_ns: int = 0
    obstacle: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """A real server that drains somewhere.

    Attributes:
        after_ns: it holds no entry on any director from then on, if no packet arrives; 0 where
            that is so already, None where there are obstacles.
        obstacles: each once.
    """

    real_server: str
    after_ns: int | None
    obstacles: tuple[str, ...] = ()


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
        _reboot(address, of_server, unknown)
        for address, of_server in by_server.items()
        if any(use.is_draining for use in of_server)
    )


def _reboot(address: str, uses: Sequence[ServerUse], unknown: Sequence[str]) -> Reboot:
    obstacles = tuple(dict.fromkeys([*unknown, *(u.obstacle for u in uses if u.obstacle)]))
    after_ns = None if obstacles else max(use.last_gone_ns for use in uses)
    return Reboot(real_server=address, after_ns=after_ns, obstacles=obstacles)
