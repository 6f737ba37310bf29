"""ActiveConn and InActConn over time, per director and real server: polled, and predicted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.charts.curves import Curve
from analyzer.charts.thinning import LONG, lowest_and_highest
from analyzer.ipvs.states import is_active
from analyzer.observed.entries import ns
from analyzer.parts import by_stretches, stretches, taken
from analyzer.parts.columns import codes_of
from analyzer.predicted.curves import predicted_curve
from analyzer.results import Peak, RealServerRow, ServiceTable
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.parts import Store
    from analyzer.predicted.entries import Prediction

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

UNKNOWN_SERVER = "unknown"

_SERVICE = ("protocol", "vip", "port", "fwmark")
_SHOWN = (
    *_SERVICE,
    *("director", "scheduler", "real_server", "real_port"),
    *("forwarding", "weight", "active", "inactive"),
)
"""Columns of ``services`` that a table shows; a service's key first."""


def seconds(at_ns: Ints, zero_ns: int) -> Floats:
    """Seconds since the run's start."""
    return np.asarray((at_ns - zero_ns) / NS_PER_S, dtype=np.float64)


def observed_curves(services: pd.DataFrame, zero_ns: int) -> list[Curve]:
    """One curve per director and real server, a point for each poll that listed it."""
    at_ns = ns(services["at"])
    counts = [services[name].to_numpy(dtype=np.int64, na_value=0) for name in _COUNTS]
    curves = []
    for director, server, rows in _by_server(services):
        polls_ns, poll = np.unique(at_ns[rows], return_inverse=True)
        summed = np.zeros((len(counts), len(polls_ns)), dtype=np.int64)
        for total, count in zip(summed, counts, strict=True):
            np.add.at(total, poll, count[rows])
        active, inactive = summed
        curves.append(
            Curve(
                director=director,
                real_server=server,
                t_s=seconds(polls_ns, zero_ns),
                active=active,
                inactive=inactive,
            )
        )
    return curves


_COUNTS = ("active", "inactive")


def _by_server(services: pd.DataFrame) -> Iterator[tuple[str, str, Ints]]:
    """The rows of each director and real server, in order of their names."""
    names = ("director", "real_server", "real_port")
    codes = [pd.factorize(services[name]) for name in names]
    numbers = np.zeros(len(services), dtype=np.int64)
    for code, distinct in codes:
        numbers = np.where((numbers < 0) | (code < 0), -1, numbers * len(distinct) + code)
    kinds, begins = np.unique(np.sort(numbers), return_index=True)
    order = np.argsort(numbers, kind="stable")
    groups = []
    for kind, rows in zip(kinds.tolist(), np.split(order, begins[1:]), strict=False):
        if kind >= 0:
            rest, port = divmod(kind, len(codes[2][1]))
            director, server = divmod(rest, len(codes[1][1]))
            label = f"{codes[1][1][server]}:{codes[2][1][port]}"
            groups.append((str(codes[0][1][director]), label, rows))
    yield from sorted(groups, key=lambda group: group[:2])


def predicted_curves(
    prediction: Prediction,
    servers: pd.Series,
    zero_ns: int,
    kernel: str | None = None,
    counts_as_active: Bools | None = None,
) -> list[Curve]:
    """One curve per real server, a point for each change.

    Args:
        prediction: one director's.
        servers: the real server of each of its entries, by entry; categories.
        zero_ns: the run's start.
        kernel: the director's release, which decides what counts as active;
        counts_as_active: by the number of the state, where IPVS's kernel does not decide.
    """
    counted = is_active(kernel) if counts_as_active is None else counts_as_active
    numbers, names = codes_of(servers), servers.cat.categories.tolist()
    of_each = np.zeros(len(names), dtype=np.int64)
    for rows in stretches(len(numbers), prediction.store.part_rows):
        of_each += np.bincount(numbers[rows], minlength=len(names))
    return [
        curve_of(
            prediction,
            str(name),
            zero_ns,
            predicted_curve(prediction, None if n == len(numbers) else numbers == number, counted),
        )
        for name, number, n in sorted(zip(names, range(len(names)), of_each.tolist(), strict=True))
        if n
    ]


def curve_of(
    prediction: Prediction, server: str, zero_ns: int, changes: tuple[Ints, Ints, Ints]
) -> Curve:
    """What ``predicted_curve`` gave, as a curve."""
    at_ns, active, inactive = changes
    return Curve(
        director=prediction.director,
        real_server=server,
        t_s=by_stretches(prediction.store, len(at_ns), lambda rows: seconds(at_ns[rows], zero_ns)),
        active=active,
        inactive=inactive,
    )


def thinned(curve: Curve, store: Store) -> Curve:
    """A curve with what a chart can show; as it is where it is short."""
    if len(curve.t_s) <= LONG:
        return curve
    shown = np.union1d(
        *(lowest_and_highest(values, store) for values in (curve.active, curve.inactive))
    )
    return replace(
        curve,
        t_s=taken(store, curve.t_s, shown),
        active=taken(store, curve.active, shown),
        inactive=taken(store, curve.inactive, shown),
    )


def peaks(services: pd.DataFrame) -> tuple[Peak, ...]:
    """The highest counts polled, per director and over all.

    The sum adds each director's latest poll at every poll of any of them.
    """
    if services.empty:
        return ()
    polled = services.groupby(["director", "at"], as_index=False)[["active", "inactive"]].sum()
    polls_ns = np.unique(ns(polled["at"]))
    rows, summed = [], np.zeros((2, len(polls_ns)), dtype=np.int64)
    for name, group in polled.groupby("director", sort=True):
        counts = group[["active", "inactive"]].to_numpy(dtype=np.int64).T
        rows.append(_peak(str(name), counts))
        latest = np.searchsorted(ns(group["at"]), polls_ns, side="right") - 1
        summed += np.where(latest >= 0, counts[:, latest], 0)
    return (*rows, _peak(None, summed))


def _peak(director: str | None, counts: Ints) -> Peak:
    """The highest of both counts, of shape (2, polls)."""
    active, inactive = counts.max(axis=1).tolist()
    return Peak(director=director, active=active, inactive=inactive)


def peak_tables(services: pd.DataFrame, zero_ns: int) -> tuple[ServiceTable, ...]:
    """Each director's services at the poll in which it held most entries.

    Services that held none then are left out, unless none held any: then the first stands.
    """
    tables: list[ServiceTable] = []
    for _, group in services[["director", "at", *_COUNTS]].groupby("director", sort=True):
        held = (group["active"] + group["inactive"]).groupby(group["at"]).sum()
        rows = services.loc[group.index[group["at"] == held.idxmax()]]
        t_s = float(seconds(ns(rows["at"].iloc[:1]), zero_ns)[0])
        services_then: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        columns = [rows[name].to_numpy(dtype=object).tolist() for name in _SHOWN]
        for values in zip(*columns, strict=True):
            row = dict(zip(_SHOWN, values, strict=True))
            services_then.setdefault(tuple(map(str, values[: len(_SERVICE)])), []).append(row)
        parts = list(services_then.values())
        with_entries = [
            part for part in parts if any(row["active"] + row["inactive"] for row in part)
        ]
        tables += [_table(part, t_s) for part in with_entries or parts[:1]]
    return tuple(tables)


def _table(rows: list[dict[str, Any]], t_s: float) -> ServiceTable:
    first = rows[0]
    marked = pd.isna(first["vip"])
    return ServiceTable(
        director=str(first["director"]),
        t_s=t_s,
        protocol=str(first["protocol"]),
        vip=str(first["fwmark"]) if marked else str(first["vip"]),
        port=0 if marked else int(first["port"]),
        scheduler=str(first["scheduler"]),
        rows=tuple(map(_real_server_row, rows)),
    )


def _real_server_row(row: dict[str, Any]) -> RealServerRow:
    return RealServerRow(
        real_server=str(row["real_server"]),
        real_port=int(row["real_port"]),
        forwarding=str(row["forwarding"]),
        weight=int(row["weight"]),
        active=int(row["active"]),
        inactive=int(row["inactive"]),
    )
