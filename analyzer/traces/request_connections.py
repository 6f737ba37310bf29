"""Requests and the connections that served them, for the few of both that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.observed.entries import ns, span_ms
from analyzer.traces.choose import MOST, connection_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

_CAPTURED_ENDS = ["client_ip", "client_port", "vip", "port"]
_SENT_ENDS = ["source_ip", "source_port", "vip", "port"]
_SLACK_NS = 5_000_000
"""A SYN may be captured this much after its request is said to have started."""


def notable_requests(
    requests: pd.DataFrame, flows: pd.DataFrame, table: pd.DataFrame
) -> tuple[Floats, Bools]:
    """The slowest and the first failed requests, put beside their connections.

    Args:
        requests: the recording's.
        flows: ``Segments.flows``.
        table: ``wire.connections``.

    Returns:
        ``total_ms`` (NaN for all others) and ``failed``, both of shape (connections,).
    """
    total_ms, failed = np.full(len(table), np.nan), np.zeros(len(table), dtype=bool)
    sent = requests[requests["started"].notna()].reset_index(drop=True)
    spent = pd.Series(span_ms(sent, "started", "ended"))
    worst = spent.nlargest(4 * MOST).index
    first = sent.index[sent["error"].notna()][: 4 * MOST]
    chosen = worst.union(first)
    row = _connection_rows(sent.loc[chosen], flows, table)
    known = row >= 0
    total_ms[row[known]] = spent[chosen].to_numpy()[known]
    failed[row[known]] = sent.loc[chosen, "error"].notna().to_numpy()[known]
    return total_ms, failed


def requests_of(
    requests: pd.DataFrame, flows: pd.DataFrame, table: pd.DataFrame, chosen: Sequence[int]
) -> dict[int, dict[Hashable, Any]]:
    """The request that each of some connections served, by the connection's row in ``table``."""
    ports = flows["client_port"].iloc[table["flow"].iloc[list(chosen)]].unique()
    near = requests[requests["source_port"].isin(ports) & requests["started"].notna()]
    rows = _connection_rows(near, flows, table)
    is_chosen = np.isin(rows, list(chosen))
    return dict(zip(rows[is_chosen].tolist(), near[is_chosen].to_dict("records"), strict=True))


def _connection_rows(sent: pd.DataFrame, flows: pd.DataFrame, table: pd.DataFrame) -> Ints:
    """The row in ``table`` of each of some requests, -1 where no packet of it was captured."""
    if sent.empty:
        return np.zeros(0, dtype=np.int64)
    near = flows[flows["client_port"].isin(sent["source_port"].dropna())].iloc[::-1]
    flow_of = dict(zip(_rows(near, _CAPTURED_ENDS), near.index.tolist(), strict=True))
    flow = [flow_of.get(ends, -1) for ends in _rows(sent, _SENT_ENDS)]  # the first of equal ones
    numbers = np.array(flow, dtype=np.int64)
    at = sent["ended"].fillna(sent["started"])
    return np.where(numbers >= 0, connection_of(table, numbers, ns(at) + _SLACK_NS), -1)


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[name].tolist() for name in columns), strict=True)
