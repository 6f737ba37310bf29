"""Timers that were restarted while a real server was drained, by packets or by new connections.

A template's timer is restarted by each new connection of its client, which a template of a server
of weight 0 still takes there (unless ``expire_quiescent_template`` is 1): such a server does not
empty while clients come back. A template whose timer ends while it controls entries is put off by
60 s, which is no renewal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.ipvs.persistence import PUT_OFF_S
from analyzer.ipvs.table_diff.restarts import BUSY_STATES, RESTART_S
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from analyzer.arrays import Bools, Ints
    from analyzer.recording.polls import EntryPolls


_KEY = list(CONNECTION_KEY)
_NEVER = np.iinfo(np.int64).min


def renewals(changes: pd.DataFrame, entry_polls: EntryPolls, since_ns: int) -> pd.DataFrame:
    """Restarts of timers by traffic, as far as the changes show them.

    Args:
        changes: of one real server, as recorded, with ``at_ns`` (Unix time).
        entry_polls: its director's polls of entries.
        since_ns: restarts up to then do not count.

    Returns:
        The rows of ``changes`` that show a restart, of entries in ``BUSY_STATES`` and of templates.
    """
    rows = changes.sort_values("at_ns", kind="stable").reset_index(drop=True)
    before = rows.groupby(_KEY, sort=False, dropna=False)[["state", "change"]].shift()
    again = (rows["change"] == "state") & before["change"].isin(["appeared", "state"])
    again &= rows["at_ns"] > since_ns
    is_template = rows["client_port"] == 0
    busy = again & rows["state"].isin(BUSY_STATES) & (before["state"] == rows["state"])
    return rows[(busy & ~is_template) | (again & is_template & _by_clients(rows, entry_polls))]


def _by_clients(rows: pd.DataFrame, entry_polls: EntryPolls) -> Bools:
    """Which rows show a timer that a new connection restarted, if they are a template's."""
    at_ns = rows["at_ns"].to_numpy(dtype=np.int64)
    left_s = rows["expires_s"].to_numpy(dtype=np.int64)
    ends = pd.Series(at_ns + left_s * NS_PER_S, index=rows.index)
    keys = [rows[name] for name in _KEY]
    before = ends.groupby(keys, sort=False, dropna=False).shift(fill_value=_NEVER)
    ended_ns = before.to_numpy(dtype=np.int64)
    gained = (ends.to_numpy() - round(RESTART_S * NS_PER_S) > ended_ns) & (left_s > 0)
    surely = surely_renewed(left_s, entry_polls.answered(at_ns) < ended_ns)
    unclear = gained & ~surely & (rows["client_port"] == 0).to_numpy(dtype=bool)
    renewed = gained & surely
    renewed[unclear] = _client_came(rows, unclear, entry_polls)
    return renewed


def surely_renewed(left_s: Ints, was_running: Bools) -> Bools:
    """Whether a template's timer that gained time cannot have been put off, but was restarted.

    Args:
        left_s: its remaining time now.
        was_running: its timer had not ended yet.
    """
    return was_running | (left_s > PUT_OFF_S)


def _client_came(rows: pd.DataFrame, chosen: Bools, entry_polls: EntryPolls) -> Bools:
    """Whether an entry of the client appeared since the last poll, for some templates' rows.

    If no entry has the template's address (a netmask is set), any client's counts.
    """
    at_ns = rows["at_ns"].to_numpy(dtype=np.int64)[chosen]
    before = entry_polls.before(at_ns)
    since_ns = np.full(len(at_ns), _NEVER)
    since_ns[before >= 0] = entry_polls.at_ns[before[before >= 0]]
    made = rows[(rows["change"] == "appeared") & (rows["client_port"] != 0)]
    by_client = dict(tuple(made.groupby("client_ip", sort=False)["at_ns"]))
    return np.array(
        [
            bool(by_client.get(client, made["at_ns"]).between(since + 1, until).any())
            for client, since, until in zip(rows["client_ip"][chosen], since_ns, at_ns, strict=True)
        ],
        dtype=bool,
    )
