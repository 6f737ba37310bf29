"""Real servers of weight 0 at a director's last poll, each in one service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import host_port
from analyzer.observed.entries import ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Bools

_SERVER_OF_SERVICE = ["protocol", "vip", "port", "fwmark", "real_server", "real_port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A real server of weight 0 in one service of a director.

    Attributes:
        row: its row in the last poll.
        since_ns: the first poll of the present spell of weight 0.
    """

    row: Any
    since_ns: int

    @property
    def service(self) -> str:
        """Protocol and virtual end, or the firewall mark."""
        return service_label(self.row)

    @property
    def server(self) -> str:
        """Address and port."""
        return host_port(str(self.row.real_server), int(self.row.real_port))

    def has(self, entries: pd.DataFrame) -> Bools:
        """Which entries are this server's; they do not show a firewall mark."""
        chosen = entries["real_server"] == self.row.real_server
        if self.row.real_port:
            chosen &= (entries["real_port"] == self.row.real_port) | (entries["real_port"] == 0)
        if not pd.isna(self.row.vip):
            chosen &= entries["protocol"] == self.row.protocol
            chosen &= entries["vip"] == self.row.vip
        if not pd.isna(self.row.vip) and self.row.port:  # port 0 is any port
            chosen &= (entries["port"] == self.row.port) | (entries["port"] == 0)
        return np.asarray(chosen.fillna(value=False), dtype=bool)


def service_label(row: Any) -> str:
    """``TCP 192.168.10.2:80`` of a row of ``services/``, or ``FWM 258``."""
    if pd.isna(row.vip):
        return f"FWM {row.fwmark}"
    return f"{row.protocol} {host_port(str(row.vip), int(row.port))}"


def spells(rows: pd.DataFrame) -> Iterator[Spell]:
    """Those of one director, by its polls of services."""
    if not (rows["weight"] == 0).any():
        return
    last = rows["at"].max()
    at_last = rows.loc[(rows["at"] == last) & (rows["weight"] == 0), "real_server"]
    rows = rows[rows["real_server"].isin(at_last)].sort_values("at", kind="stable")
    for _, polls in rows.groupby(_SERVER_OF_SERVICE, dropna=False, sort=True):
        is_zero = (polls["weight"] == 0).to_numpy(dtype=bool)
        if not is_zero[-1] or polls["at"].iloc[-1] != last:
            continue
        first = int(np.flatnonzero(~is_zero)[-1]) + 1 if not is_zero.all() else 0
        row = next(polls.iloc[[-1]].itertuples(index=False))
        yield Spell(row=row, since_ns=int(ns(polls["at"])[first]))
