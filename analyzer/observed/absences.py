"""When a real server was not in a director's table, though it had been there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.observed.entries import ns, servers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

ABSENCE_COLUMNS = (
    "server",
    "from_ns",
    "to_ns",
    "removed_since_ns",
    "removed_by_ns",
    "back_since_ns",
    "back_by_ns",
)
COMMAND_NS = 100_000_000
"""A command of which one instant is known had its effect this close to it."""

_SERVER_EVENTS = ("server-removed", "server-added")
_NEVER = np.iinfo(np.int64).max


def absences(services: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """When a real server was not in a director's table, though it was there before.

    Args:
        services: the director's polls of services.
        events: the director's; ``server-removed`` and ``server-added`` with the server as detail
            are more exact than the polls.

    Returns:
        DataFrame with ``ABSENCE_COLUMNS``: ``from_ns`` the first poll that missed it, or the order
        to remove it, ``to_ns`` the first that had it again, the far future if none did; it was
        removed between ``removed_since_ns`` and ``removed_by_ns``, and came back between
        ``back_since_ns`` and ``back_by_ns``.
    """
    polled_ns, poll = np.unique(ns(services["at"]), return_inverse=True)
    number, names = pd.factorize(servers_of(services), sort=True)
    polled: list[tuple[str, int, int, int, int, int, int]] = []
    for name, polls in _polls_of_each(number, names, poll):
        if len(polls) == len(polled_ns):
            continue  # never missed
        there = np.zeros(len(polled_ns), dtype=bool)
        there[polls] = True
        edges = np.flatnonzero(np.diff(np.r_[True, there, True].astype(np.int8)))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            if begin == 0:
                continue  # not there yet: it was added during the run
            removed_since_ns, removed_by_ns = int(polled_ns[begin - 1]), int(polled_ns[begin])
            back = end < len(polled_ns)
            back_since_ns, back_by_ns = (
                (int(polled_ns[end - 1]), int(polled_ns[end])) if back else (_NEVER, _NEVER)
            )
            edges_ns = (removed_since_ns, removed_by_ns, back_since_ns, back_by_ns)
            polled.append((name, removed_by_ns, back_by_ns, *edges_ns))
    ordered = _ordered_absences(events)
    exact = {name for name, *_ in ordered}
    kept = [row for row in polled if row[0] not in exact] + ordered
    return pd.DataFrame(kept, columns=list(ABSENCE_COLUMNS))


def _polls_of_each(number: Ints, names: pd.Index[str], poll: Ints) -> Iterator[tuple[str, Ints]]:
    """Each real server's name, and the polls that listed it, each once."""
    pairs = np.unique(number.astype(np.int64) * (poll.max(initial=0) + 1) + poll)
    owner, polls = np.divmod(pairs, poll.max(initial=0) + 1)
    edges = np.searchsorted(owner, np.arange(len(names) + 1))
    for each, name in enumerate(names):
        yield str(name), polls[edges[each] : edges[each + 1]]


def _ordered_absences(events: pd.DataFrame) -> list[tuple[str, int, int, int, int, int, int]]:
    rows = events.loc[events["kind"].isin(_SERVER_EVENTS), ["at", "kind", "detail"]]
    open_since: dict[str, int] = {}
    ordered = []
    for at_ns, kind, server in zip(ns(rows["at"]), rows["kind"], rows["detail"], strict=True):
        if kind == "server-removed":
            open_since[server] = int(at_ns)
        elif server in open_since:
            ordered.append(_by_orders(server, open_since.pop(server), int(at_ns)))
    return ordered + [_by_orders(server, since, _NEVER) for server, since in open_since.items()]


def _by_orders(server: str, from_ns: int, to_ns: int) -> tuple[str, int, int, int, int, int, int]:
    """An absence by the orders to remove and to add, each of one known instant."""
    back_by_ns = to_ns if to_ns == _NEVER else to_ns + COMMAND_NS
    around = (from_ns - COMMAND_NS, from_ns + COMMAND_NS, to_ns - COMMAND_NS, back_by_ns)
    return (server, from_ns, to_ns, *around)
