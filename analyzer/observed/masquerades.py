"""Source ports behind the addresses that netfilter directors hide clients behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.observed.entries import ns, servers_of
from analyzer.recording.tables import TABLES

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Bools = npt.NDArray[np.bool_]

_NEVER = np.iinfo(np.int64).max
_HIDDEN_BY = ["protocol", "source_ip", "server"]


def no_masquerades() -> pd.DataFrame:
    """The table of a recording that has none."""
    table: pd.DataFrame = TABLES["masquerades"].empty_table().to_pandas()
    return table


def no_hidden_connections() -> pd.DataFrame:
    """The connections of a director that hides none."""
    return hidden_connections(no_masquerades(), TABLES["entries"].empty_table().to_pandas())


def hidden_connections(masquerades: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """The connections that one director hid, in order of time.

    Args:
        masquerades: its rows of the recording's table.
        changes: its entries' changes, as recorded.

    Returns:
        One row each, with ``CONNECTION_KEY``, ``server`` (``address:port``), ``source_ip,
        source_port`` (what that server took for the client), ``at_ns`` (first seen so),
        ``gone_ns`` (the first poll without the entry; the largest number where it stayed),
        ``moved`` (the port is not the client's own) and ``holder``: the row of another connection
        of the same source address and server that had the client's port just then; -1 for none.
    """
    key = [*CONNECTION_KEY]
    rows = masquerades.assign(server=servers_of(masquerades), at_ns=ns(masquerades["at"]))
    rows = rows.sort_values("at_ns", kind="stable")
    rows = rows.drop_duplicates([*key, "server", "source_ip", "source_port"], ignore_index=True)
    rows["row"] = np.arange(len(rows))
    rows["gone_ns"] = _gone_ns(rows, changes)
    rows["moved"] = (rows["source_port"] != rows["client_port"]).astype(bool)
    rows["holder"] = _holders(rows)
    columns = [*key, "server", "source_ip", "source_port", "at_ns", "gone_ns", "moved", "holder"]
    return rows[columns]


def _gone_ns(rows: pd.DataFrame, changes: pd.DataFrame) -> npt.NDArray[np.int64]:
    """When each row's entry was first seen gone."""
    key = [*CONNECTION_KEY]
    gone = changes.loc[changes["change"] == "gone", [*key, "at"]]
    ends_ns = np.full(len(rows), _NEVER, dtype=np.int64)
    if rows.empty or gone.empty:
        return ends_ns
    gone_ns = ns(gone["at"])
    both = rows[[*key, "row", "at_ns"]].merge(gone[key].assign(gone_ns=gone_ns), on=key)
    both = both[both["gone_ns"] > both["at_ns"]]
    np.minimum.at(ends_ns, both["row"].to_numpy(), both["gone_ns"].to_numpy())
    return ends_ns


def _holders(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Who had the port of each moved connection's client when that was made; -1 for none."""
    moved = rows[rows["moved"]]
    both = moved[[*_HIDDEN_BY, "client_port", "at_ns", "row"]].merge(
        rows[[*_HIDDEN_BY, "source_port", "at_ns", "gone_ns", "row"]],
        left_on=[*_HIDDEN_BY, "client_port"],
        right_on=[*_HIDDEN_BY, "source_port"],
        suffixes=("", "_other"),
    )
    both = both[(both["row"] != both["row_other"]) & (both["gone_ns"] >= both["at_ns"])]
    both = both[both["at_ns_other"] <= both["at_ns"]].drop_duplicates("row", keep="last")
    holders = np.full(len(rows), -1, dtype=np.int64)
    holders[both["row"].to_numpy()] = both["row_other"].to_numpy()
    return holders


def most_at_once(rows: pd.DataFrame) -> tuple[str, str, int] | None:
    """The source address and server with the most ports in use at an instant, and how many.

    Args:
        rows: ``hidden_connections``.
    """
    best: tuple[str, str, int] | None = None
    for (source_ip, server), group in rows.groupby(["source_ip", "server"], sort=True):
        began, ended = np.sort(group["at_ns"]), np.sort(group["gone_ns"])
        held = np.arange(1, len(group) + 1) - np.searchsorted(ended, began, side="right")
        if best is None or held.max() > best[2]:
            best = (str(source_ip), str(server), int(held.max()))
    return best
