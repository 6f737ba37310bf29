"""The counters of one service over time, for real servers of one forwarding method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.compared.agreement import value_at
from analyzer.estimate.counted.rates import WIDEST_GAP_S, ConnectionRates
from analyzer.ipvs.addresses import bracketed
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

MOST_POLLS = 1200
"""A longer series is thinned out to this many polls, the first and the last among them."""

_WHOLE_SECOND_S = 1.0
_CONNS_KNOWN = 0.8
"""Share of the time polled for which Conns must have been read to be used."""

_FEWEST = 3
_ROUNDING_S = 1e-6

SERVICE = ["protocol", "vip", "port", "fwmark"]
_SERVER = [*SERVICE, "real_server", "real_port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSeries:
    """ActiveConn and InActConn, summed over a service's real servers of one forwarding method.

    Attributes:
        service: as ipvsadm names it: ``TCP 192.0.2.80:80``, ``FWM 3``.
        protocol: TCP, UDP, SCTP, FWM.
        t_s: when it was polled, ascending; the other arrays have the same shape (n,).
        conns: connections ever made (``--stats``); None where that was not read.
        stamp_s: how far a poll may have been from ``t_s``: a second where all name whole seconds.
        rates: CPS (``--rate``); None where it was not read all along, or Conns was.
    """

    director: str
    service: str
    protocol: str
    forwarding: str
    t_s: Floats
    active: Ints
    inactive: Ints
    conns: Ints | None
    stamp_s: float
    rates: ConnectionRates | None = None

    @property
    def came(self) -> Ints | None:
        """Entries that became inactive between two polls, by Conns; shape (n - 1,)."""
        if self.conns is None:
            return None
        came: Ints = np.maximum(np.diff(self.conns) - np.diff(self.active), 0)
        return came


def series_of(
    services: pd.DataFrame, counted: pd.DataFrame, director: str, zero_ns: int
) -> list[CounterSeries]:
    """A series for each service and forwarding method that a director was polled for.

    Args:
        services: the director's polls with ActiveConn and InActConn.
        counted: its polls with Conns or CPS; some may be the same rows.
        director: its name.
        zero_ns: the run's start, Unix time.
    """
    rows, counted = _timed(services, zero_ns), _timed(counted, zero_ns)
    conns, rates = counted[counted["conns"].notna()], counted[counted["cps"].notna()]
    groups = rows.groupby([*SERVICE, "forwarding"], dropna=False, sort=True)
    return [
        _series(
            director, key, group, conns.merge(servers, on=_SERVER), rates.merge(servers, on=_SERVER)
        )
        for key, group in groups
        for servers in (group[_SERVER].drop_duplicates(),)
    ]


def uncounted(services: pd.DataFrame, counted: pd.DataFrame) -> list[tuple[str, str, float]]:
    """A director's services polled with Conns and without InActConn.

    Name, protocol and new connections per second of each.
    """
    known = services[SERVICE].drop_duplicates()
    polls = _timed(counted, 0)
    conns = polls[polls["conns"].notna()].merge(known, on=SERVICE, how="left", indicator=True)
    rows = []
    groups = conns[conns["_merge"] == "left_only"].groupby(SERVICE, dropna=False, sort=True)
    for (protocol, vip, port, fwmark), group in groups:
        came = group.groupby(["real_server", "real_port"])["conns"].agg(["first", "last"])
        rate = float((came["last"] - came["first"]).sum()) / max(_span_s(group), 1e-9)
        rows.append((_name(protocol, vip, port, fwmark), str(protocol), max(rate, 0.0)))
    return rows


def _timed(rows: pd.DataFrame, zero_ns: int) -> pd.DataFrame:
    return rows.assign(t_s=(ns(rows["at"]) - zero_ns) / NS_PER_S).sort_values("t_s")


def _series(
    director: str,
    key: tuple[object, ...],
    rows: pd.DataFrame,
    counted: pd.DataFrame,
    rated: pd.DataFrame,
) -> CounterSeries:
    *end, forwarding = key
    t_s = np.unique(rows["t_s"].to_numpy(dtype=np.float64))
    conns, polled_s, blurred_s = _conns(counted, t_s)
    t_s = _thinned(t_s if polled_s is None else polled_s)
    whole = bool(np.all(np.abs(t_s - np.rint(t_s)) < _ROUNDING_S))
    return CounterSeries(
        director=director,
        service=_name(*end),
        protocol=str(end[0]),
        forwarding=str(forwarding),
        t_s=t_s,
        active=_summed(rows, "active", t_s),
        inactive=_summed(rows, "inactive", t_s),
        conns=None if conns is None else np.rint(np.interp(t_s, *conns)).astype(np.int64),
        stamp_s=blurred_s + (_WHOLE_SECOND_S if whole else 0.0),
        rates=_rates(rated, t_s) if conns is None else None,
    )


def _conns(
    counted: pd.DataFrame, t_s: Floats
) -> tuple[tuple[Floats, Floats] | None, Floats | None, float]:
    """Conns when it was read, the polls to use with it, and how far it was read from those.

    It is read less often than the rest (the polls without it are left out), or by another command
    of a log's loop (it is interpolated, and its births are uncertain by as much).
    """
    read_s = np.unique(counted["t_s"].to_numpy(dtype=np.float64))
    if len(read_s) < _FEWEST or read_s[-1] - read_s[0] < _CONNS_KNOWN * (t_s[-1] - t_s[0]):
        return None, None, 0.0
    values = _summed(counted, "conns", read_s)
    if (np.diff(values) < 0).any():
        return None, None, 0.0  # zeroed meanwhile
    counter = (read_s, values.astype(np.float64))
    common_s = np.intersect1d(read_s, t_s)
    if len(common_s) >= _CONNS_KNOWN * len(read_s):
        return counter, common_s, 0.0
    inside = t_s[(t_s >= read_s[0]) & (t_s <= read_s[-1])]
    return counter, inside, float(np.median(np.diff(read_s)))


def _rates(rated: pd.DataFrame, t_s: Floats) -> ConnectionRates | None:
    """CPS where it was read all along: in a longer pause connections would leave no trace in it."""
    summed = rated.groupby("t_s")["cps"].sum()
    read_s = _thinned(summed.index.to_numpy(dtype=np.float64))
    if not len(read_s) or np.diff(np.r_[t_s[0], read_s, t_s[-1]]).max() > WIDEST_GAP_S:
        return None
    return ConnectionRates(
        t_s=read_s,
        cps=summed.reindex(read_s).to_numpy(dtype=np.int64),
        servers=len(rated[["real_server", "real_port"]].drop_duplicates()),
    )


def _span_s(rows: pd.DataFrame) -> float:
    return float(rows["t_s"].max() - rows["t_s"].min())


def _thinned(t_s: Floats) -> Floats:
    if len(t_s) <= MOST_POLLS:
        return t_s
    kept = np.linspace(0, len(t_s) - 1, MOST_POLLS).round().astype(np.int64)
    return t_s[kept]


def _summed(rows: pd.DataFrame, column: str, t_s: Floats) -> Ints:
    """The sum over all real servers; one that is removed for a while keeps its count."""
    total = np.zeros(len(t_s), dtype=np.int64)
    for _, of_server in rows.groupby(["real_server", "real_port"], dropna=False):
        values = of_server[column].to_numpy(dtype=np.int64)
        total += value_at(of_server["t_s"].to_numpy(dtype=np.float64), values, t_s)
    return total


def _name(protocol: object, vip: object, port: object, fwmark: object) -> str:
    if pd.notna(fwmark):  # type: ignore[call-overload]
        return f"{protocol} {int(str(fwmark))}"
    return f"{protocol} {bracketed(str(vip))}:{port}"
