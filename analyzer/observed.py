"""What the directors were seen to hold: entries from their changes, curves from the counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.wire.pcap import address_number

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_KEY = ["director", "protocol", "client_ip", "client_port", "vip", "port"]
LIFE_COLUMNS = {
    "director": "string",
    "client": "int64",
    "real_server": "string",
    "state": "string",
    "appeared_ns": "int64",
    "seen_ns": "Int64",
    "gone_ns": "Int64",
}


def ns(column: pd.Series) -> Ints:
    """A timestamp column as Unix nanoseconds."""
    return np.asarray(column.astype("int64"), dtype=np.int64)


def of_service(frame: pd.DataFrame, vip: str, port: int) -> pd.DataFrame:
    """The rows of one virtual service."""
    return frame[(frame["vip"] == vip) & (frame["port"] == port)]


def entry_lives(entries: pd.DataFrame, polls: pd.DataFrame) -> pd.DataFrame:
    """Each entry's life as it was seen; one row from appeared to gone.

    Args:
        entries: the recording's changes, of one service, IPv4.
        polls: the recording's polls.

    Returns:
        DataFrame with ``LIFE_COLUMNS``: ``client`` as in ``wire.connections.Segments``; ``state``
        the last one seen; ``seen_ns`` the last poll that had it and ``gone_ns`` the first that
        did not, both <NA> while it lives.
    """
    if entries.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in LIFE_COLUMNS.items()})
    rows = entries.sort_values([*_KEY, "at"], kind="stable").reset_index(drop=True)
    rows["life"] = (rows["change"] == "appeared").cumsum()
    rows["at_ns"] = ns(rows["at"])
    held = rows[rows["change"] != "gone"]
    lives = held.groupby("life").agg(
        director=("director", "first"),
        client_ip=("client_ip", "first"),
        client_port=("client_port", "first"),
        real_server=("real_server", "first"),
        real_port=("real_port", "first"),
        state=("state", "last"),
        appeared_ns=("at_ns", "first"),
    )
    gone = rows[rows["change"] == "gone"].groupby("life")["at_ns"].first()
    lives["gone_ns"] = gone.reindex(lives.index).astype("Int64")
    lives["seen_ns"] = _poll_before(lives, polls)
    lives["client"] = [
        address_number(ip) << 16 | int(port)
        for ip, port in zip(lives["client_ip"], lives["client_port"], strict=True)
    ]
    lives["real_server"] = lives["real_server"] + ":" + lives["real_port"].astype("string")
    return lives[list(LIFE_COLUMNS)].astype(LIFE_COLUMNS).reset_index(drop=True)


def _poll_before(lives: pd.DataFrame, polls: pd.DataFrame) -> pd.Series:
    """The last poll of entries before each ``gone_ns``."""
    seen = pd.Series(pd.NA, index=lives.index, dtype="Int64")
    for name, group in lives[lives["gone_ns"].notna()].groupby("director"):
        at_ns = entry_polls_ns(polls, str(name))
        before = np.searchsorted(at_ns, group["gone_ns"].to_numpy(dtype=np.int64)) - 1
        known = before >= 0
        seen.loc[group.index[known]] = at_ns[before[known]]
    return seen


def entry_polls_ns(polls: pd.DataFrame, director: str) -> Ints:
    """When a director's entries were polled, ascending."""
    chosen = polls[(polls["director"] == director) & (polls["what"] == "entries")]
    return np.sort(ns(chosen["at"]))


def state_samples(entries: pd.DataFrame, polls: pd.DataFrame) -> pd.DataFrame:
    """The state of every entry at every poll of entries: ``director, client, at_ns, state``.

    Changes only are stored; an entry has its last state at each poll until the next change.
    """
    if entries.empty:
        return pd.DataFrame({"director": [], "client": [], "at_ns": [], "state": []})
    rows = entries.sort_values([*_KEY, "at"], kind="stable").reset_index(drop=True)
    at_ns = ns(rows["at"])
    same = (rows[_KEY] == rows[_KEY].shift(-1)).all(axis=1).to_numpy()
    until_ns = np.where(same, np.r_[at_ns[1:], 0], np.iinfo(np.int64).max)
    parts = []
    for name, group in rows[rows["change"] != "gone"].groupby("director"):
        polled_ns = entry_polls_ns(polls, str(name))
        first = np.searchsorted(polled_ns, at_ns[group.index], side="left")
        last = np.searchsorted(polled_ns, until_ns[group.index], side="left")
        counts = np.maximum(last - first, 0)
        source = np.repeat(np.arange(len(group)), counts)
        step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = group.iloc[source]
        client = chosen["client_ip"].map(address_number).astype("int64") * 65536
        parts.append(
            pd.DataFrame(
                {
                    "director": str(name),
                    "client": (client + chosen["client_port"].astype("int64")).to_numpy(),
                    "at_ns": polled_ns[first[source] + step],
                    "state": chosen["state"].to_numpy(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
