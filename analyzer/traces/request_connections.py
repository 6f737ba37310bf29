"""Requests and the connections that served them, for the few of both that matter.

A connection may have served several; what is said of it is the slowest of them, and an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.observed.entries import ns, span_ms
from analyzer.recording.requests import NEVER
from analyzer.traces.choose import MOST, connection_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from analyzer.recording.requests import RequestRows

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

_CAPTURED_ENDS = ["client_ip", "client_port", "vip", "port"]
_SENT_ENDS = ["source_ip", "source_port", "vip", "port"]
_SLACK_NS = 5_000_000
"""A SYN may be captured this much after its request is said to have started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The requests that a connection served; None for what was not reached.

    Attributes:
        connect_ms: of the first.
        total_ms: of the slowest.
        error: of the first that failed.
    """

    connect_ms: float | None
    total_ms: float | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotableRequests:
    """The slowest and the first failed requests; arrays have shape (requests,).

    Attributes:
        connection: the row of each one's connection.
        total_ms: NaN where it did not end.
        failed: whether it did.
    """

    connection: Ints
    total_ms: Floats
    failed: Bools

    def of_part(self, table: pd.DataFrame) -> tuple[Floats, Bools]:
        """Those of a part of the connections, put beside them.

        Args:
            table: of ``wire.connections``; index: their rows.

        Returns:
            ``total_ms`` (NaN for all others) and ``failed``, both of shape (connections,).
        """
        total_ms, failed = np.full(len(table), np.nan), np.zeros(len(table), dtype=bool)
        place = self.connection - (int(table.index[0]) if len(table) else 0)
        here = (place >= 0) & (place < len(table))
        np.fmax.at(total_ms, place[here], self.total_ms[here])
        np.logical_or.at(failed, place[here], self.failed[here])
        return total_ms, failed


def notable_requests(
    requests: RequestRows, flows: pd.DataFrame, table: pd.DataFrame
) -> NotableRequests:
    """The slowest and the first failed requests whose connections were captured.

    Args:
        requests: the recording's.
        flows: ``Segments.flows``.
        table: ``wire.connections``.
    """
    if not len(requests):
        none = np.zeros(0, dtype=np.int64)
        return NotableRequests(connection=none, total_ms=np.zeros(0), failed=none.astype(bool))
    sent = _notable(pd.concat([_notable(part.frame()) for part in requests.parts()]))
    row = _connection_rows(sent, flows, table)
    known = row >= 0
    return NotableRequests(
        connection=row[known],
        total_ms=span_ms(sent, "started", "ended")[known],
        failed=sent["error"].notna().to_numpy()[known],
    )


def _notable(requests: pd.DataFrame) -> pd.DataFrame:
    """The slowest of some requests and the first that failed, in the same order."""
    sent = requests[requests["started"].notna()].reset_index(drop=True)
    worst = pd.Series(span_ms(sent, "started", "ended")).nlargest(4 * MOST).index
    first = sent.index[sent["error"].notna()][: 4 * MOST]
    return sent.loc[worst.union(first)]


def requests_of(
    requests: RequestRows, flows: pd.DataFrame, table: pd.DataFrame, chosen: Sequence[int]
) -> dict[int, Served]:
    """What each of some connections served, by the connection's row in ``table``."""
    if not len(requests):
        return {}
    ports = flows["client_port"].iloc[table["flow"].iloc[list(chosen)]].unique().astype(np.int64)
    near = requests.where(
        lambda rows: np.isin(rows["source_port"], ports) & (rows["started"] != NEVER)
    ).frame()
    rows = _connection_rows(near, flows, table)
    is_chosen = np.isin(rows, list(chosen))
    near = near[is_chosen].sort_values("started", kind="stable")
    found = pd.DataFrame(
        {
            "row": _connection_rows(near, flows, table),
            "connect_ms": span_ms(near, "started", "connected"),
            "total_ms": span_ms(near, "started", "ended"),
            "error": near["error"].to_numpy(dtype=object),
        }
    )
    by_row = found.groupby("row").agg({"connect_ms": "first", "total_ms": "max", "error": "first"})
    return {
        int(row): Served(
            connect_ms=_known(connect_ms),
            total_ms=_known(total_ms),
            error=None if pd.isna(error) else str(error),
        )
        for row, connect_ms, total_ms, error in by_row.itertuples()
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


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
