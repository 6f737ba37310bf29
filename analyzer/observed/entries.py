"""What the directors were seen to hold: entries from their changes, and when who was there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.recording.polls import Looks, looks_in_order
from analyzer.wire.segments import FLOW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LIFE_COLUMNS = {
    "director": "string",
    "flow": "int64",
    "protocol": "string",
    "real_server": "string",
    "state": "string",
    "appeared_ns": "int64",
    "before_ns": "Int64",
    "changed_ns": "int64",
    "changed_by_ns": "int64",
    "expires_s": "int64",
    "seen_ns": "Int64",
    "seen_by_ns": "Int64",
    "left_s": "Int64",
    "gone_ns": "Int64",
    "gone_by_ns": "Int64",
}
_TOLD = ["director", "flow", "protocol", "server", "state", "at_ns", "expires_s", "change"]
_NEVER = np.iinfo(np.int64).max


def ns(column: pd.Series) -> Ints:
    """A timestamp column as Unix nanoseconds."""
    return np.asarray(column.astype("int64"), dtype=np.int64)


def span_ms(requests: pd.DataFrame, begin: str, end: str) -> Floats:
    """Milliseconds between two instants of each request, NaN where either is not reached."""
    span = (requests[end] - requests[begin]).dt.total_seconds()
    return np.asarray(span * 1e3, dtype=np.float64)


def numbered(entries: pd.DataFrame, flows: pd.DataFrame | None) -> pd.DataFrame:
    """The entries' changes with the number of the flow that each belongs to.

    Args:
        entries: the recording's table; persistence templates, which have no client port, go.
        flows: ``Segments.flows``; None without a capture.

    Returns:
        The rows in order of director, flow and time, with ``flow`` (numbers from ``len(flows)``
        on are flows that were not captured), ``at_ns``, ``server``.
    """
    with_port = entries["client_port"] != 0
    rows = entries.copy(deep=False) if with_port.all() else entries[with_port].copy()
    columns = list(FLOW_COLUMNS)
    captured = flows[columns] if flows is not None else rows.iloc[:0][columns]
    codes = _alike([pd.concat([captured[name], rows[name]]) for name in columns])
    rows["flow"] = codes[len(captured) :]
    rows["at_ns"] = ns(rows["at"])
    rows["server"] = rows["real_server"] + ":" + rows["real_port"].astype("string")
    director, _ = rows["director"].factorize(sort=True)
    order = np.lexsort((rows["at_ns"], rows["flow"], director))
    return rows.take(order).reset_index(drop=True)


def _alike(columns: Sequence[pd.Series]) -> Ints:
    """A number for each row, the same for rows that are alike, in order of the first of each."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        own, distinct = pd.factorize(column, use_na_sentinel=False)
        codes, _ = pd.factorize(codes * max(len(distinct), 1) + own)
    return codes


def entry_lives(entries: pd.DataFrame, polls: pd.DataFrame) -> pd.DataFrame:
    """Each entry's life as it was seen; one row from appeared to gone.

    Args:
        entries: ``numbered`` changes.
        polls: the recording's polls.

    Returns:
        DataFrame with ``LIFE_COLUMNS``: ``state`` the last one seen, ``changed_ns`` the poll that
        first saw it and ``expires_s`` what it then had left; ``before_ns`` the last poll before,
        which would have shown it (<NA> if none); ``seen_ns`` the last poll that had the entry,
        ``left_s`` what it then had left, and ``gone_ns`` the first that did not have it, all <NA>
        while it lives. ``changed_by_ns``, ``seen_by_ns`` and ``gone_by_ns``: when these polls had
        their answers; a poll tells its instant first and reads the table then, so the entry may
        have gone up to the answer.
    """
    if entries.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in LIFE_COLUMNS.items()})
    entries = entries[_TOLD]
    life = (entries["change"] == "appeared").cumsum().rename("life")
    held = entries[entries["change"] != "gone"]
    lives = held.groupby(life[held.index]).agg(
        director=("director", "first"),
        flow=("flow", "first"),
        protocol=("protocol", "first"),
        real_server=("server", "first"),
        state=("state", "last"),
        appeared_ns=("at_ns", "first"),
        changed_ns=("at_ns", "last"),
        expires_s=("expires_s", "last"),
    )
    gone = entries[entries["change"] == "gone"]
    ends = gone.groupby(life[gone.index])[["at_ns", "expires_s"]].first()
    lives["gone_ns"] = ends["at_ns"].astype("Int64").reindex(lives.index)
    lives["left_s"] = ends["expires_s"].astype("Int64").reindex(lives.index)
    _add_looks(lives, polls)
    return lives[list(LIFE_COLUMNS)].astype(LIFE_COLUMNS).reset_index(drop=True)


def _add_looks(lives: pd.DataFrame, polls: pd.DataFrame) -> None:
    """The polls about each change of a life: the one before it, and when each was answered.

    A poll that is not among them, or has no time of asking, was answered at its own instant.
    """
    for name in ("before_ns", "seen_ns", "seen_by_ns"):
        lives[name] = pd.Series(pd.NA, index=lives.index, dtype="Int64")
    lives["changed_by_ns"] = lives["changed_ns"]
    lives["gone_by_ns"] = lives["gone_ns"]
    for director, group in lives.groupby("director"):
        looks = looks_of(polls, str(director))
        changed_ns = group["changed_ns"].to_numpy(dtype=np.int64)
        lives.loc[group.index, "changed_by_ns"] = looks.answered(changed_ns)
        here = looks.before(changed_ns)
        lives.loc[group.index[here >= 0], "before_ns"] = looks.at_ns[here[here >= 0]]
        went = group.index[group["gone_ns"].notna()]
        gone_ns = group.loc[went, "gone_ns"].to_numpy(dtype=np.int64)
        lives.loc[went, "gone_by_ns"] = looks.answered(gone_ns)
        last = np.searchsorted(looks.at_ns, gone_ns) - 1
        seen, last = went[last >= 0], last[last >= 0]
        lives.loc[seen, "seen_ns"] = looks.at_ns[last]
        lives.loc[seen, "seen_by_ns"] = looks.by_ns[last]


def looks_of(polls: pd.DataFrame, director: str) -> Looks:
    """A director's polls of entries."""
    chosen = polls[(polls["director"] == director) & (polls["what"] == "entries")]
    return looks_in_order(
        ns(chosen["at"]),
        ns(chosen["asked"].fillna(chosen["at"])),
        chosen["took_ms"].to_numpy(dtype=np.float64),
        chosen["entries"].fillna(0).to_numpy(dtype=np.int64),
    )


def entry_polls_ns(polls: pd.DataFrame, director: str) -> Ints:
    """When a director's entries were polled, ascending."""
    chosen = polls[(polls["director"] == director) & (polls["what"] == "entries")]
    return np.sort(ns(chosen["at"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """The states of a director's entries at its polls of entries, each told once while it lasts.

    Attributes:
        polled_ns: when its entries were polled, ascending.
        answered_ns: when each of these polls had its answer; None where that is not known.
        held: ``flow, state, first, until``: the state at the polls from ``first`` up to, not
            including, ``until`` (indices into ``polled_ns``); no two rows of a flow overlap.
    """

    polled_ns: Ints
    held: pd.DataFrame
    answered_ns: Ints | None = None

    def without(self, flows: Collection[int]) -> Sampled:
        """The same without some flows."""
        return replace(self, held=self.held[~self.held["flow"].isin(flows)])


def most_buckets(polls: pd.DataFrame, director: str) -> int | None:
    """The most buckets of a director's table that a poll saw; None where none told."""
    seen = polls.loc[polls["director"] == director, "buckets"].dropna()
    return int(seen.max()) if len(seen) else None


def state_samples(entries: pd.DataFrame, polls: pd.DataFrame, director: str) -> Sampled:
    """The state of every entry of a director at every poll of entries.

    Changes only are stored; an entry has its last state at each poll until the next change.
    """
    rows = entries[entries["director"] == director]
    looks = looks_of(polls, director)
    polled_ns = looks.at_ns
    flow, at_ns = rows["flow"].to_numpy(), rows["at_ns"].to_numpy()
    until_ns = np.full(len(rows), _NEVER)
    until_ns[:-1] = np.where(flow[1:] == flow[:-1], at_ns[1:], _NEVER)
    first, until = (np.searchsorted(polled_ns, instants) for instants in (at_ns, until_ns))
    seen = (rows["change"] != "gone").to_numpy(dtype=bool) & (first < until)
    states = rows["state"][seen].reset_index(drop=True)
    held = {"flow": flow[seen], "state": states, "first": first[seen], "until": until[seen]}
    return Sampled(polled_ns=polled_ns, held=pd.DataFrame(held), answered_ns=looks.by_ns)


ABSENCE_COLUMNS = (
    "server",
    "from_ns",
    "to_ns",
    "gone_since_ns",
    "gone_by_ns",
    "back_since_ns",
    "back_by_ns",
)
COMMAND_NS = 100_000_000
"""A command of which one instant is known had its effect this close to it."""


def absences(services: pd.DataFrame, events: pd.DataFrame, director: str) -> pd.DataFrame:
    """When a real server was not in a director's table, though it was there before.

    Args:
        services: the recording's polls of services.
        events: the recording's; ``server-removed`` and ``server-added`` with the server as detail
            are more exact than the polls.
        director: whose.

    Returns:
        DataFrame with ``ABSENCE_COLUMNS``: ``from_ns`` the first poll that missed it, or the order
        to remove it, ``to_ns`` the first that had it again, the far future if none did; it went
        between ``gone_since_ns`` and ``gone_by_ns``, and came back between ``back_since_ns`` and
        ``back_by_ns``.
    """
    rows = services[services["director"] == director]
    polled_ns = np.sort(pd.unique(ns(rows["at"])))
    server = rows["real_server"] + ":" + rows["real_port"].astype("string")
    found: list[tuple[str, int, int, int, int, int, int]] = []
    for name, group in rows.groupby(server):
        there = np.isin(polled_ns, ns(group["at"]))
        edges = np.flatnonzero(np.diff(np.r_[True, there, True].astype(np.int8)))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            if begin == 0:
                continue  # not there yet: it was added during the run
            gone_since_ns, gone_by_ns = int(polled_ns[begin - 1]), int(polled_ns[begin])
            back = end < len(polled_ns)
            back_since_ns, back_by_ns = (
                (int(polled_ns[end - 1]), int(polled_ns[end])) if back else (_NEVER, _NEVER)
            )
            edges_ns = (gone_since_ns, gone_by_ns, back_since_ns, back_by_ns)
            found.append((str(name), gone_by_ns, back_by_ns, *edges_ns))
    told = _told_absences(events, director)
    exact = {name for name, *_ in told}
    kept = [row for row in found if row[0] not in exact] + told
    return pd.DataFrame(kept, columns=list(ABSENCE_COLUMNS))


def _told_absences(
    events: pd.DataFrame, director: str
) -> list[tuple[str, int, int, int, int, int, int]]:
    rows = events[(events["host"] == director) & events["kind"].isin(_SERVER_EVENTS)]
    open_since: dict[str, int] = {}
    found = []
    for at_ns, kind, server in zip(ns(rows["at"]), rows["kind"], rows["detail"], strict=True):
        if kind == "server-removed":
            open_since[server] = int(at_ns)
        elif server in open_since:
            found.append(_ordered(server, open_since.pop(server), int(at_ns)))
    return found + [_ordered(server, since, _NEVER) for server, since in open_since.items()]


def _ordered(server: str, from_ns: int, to_ns: int) -> tuple[str, int, int, int, int, int, int]:
    """An absence by the orders to remove and to add, each of one known instant."""
    back_by_ns = to_ns if to_ns == _NEVER else to_ns + COMMAND_NS
    around = (from_ns - COMMAND_NS, from_ns + COMMAND_NS, to_ns - COMMAND_NS, back_by_ns)
    return (server, from_ns, to_ns, *around)


_SERVER_EVENTS = ("server-removed", "server-added")
