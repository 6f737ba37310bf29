"""The two tables of a proof as sorted arrays: the links' counters, and the datagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.capacity.proof.model import Window


class ProofSamples:
    """Traffic and arrivals by time.

    Args:
        links: the recording's table, by host and time.
        datagrams: the recording's table.
    """

    def __init__(self, links: pd.DataFrame, datagrams: pd.DataFrame) -> None:
        ordered = datagrams.sort_values("sent", kind="stable")
        self.vip = ordered["vip"].to_numpy(dtype=object)
        self.due, self.sent, self.received = (
            ordered[name].to_numpy(dtype="datetime64[ns]").astype(np.int64)
            for name in ("due", "sent", "received")
        )
        self.was_received = ordered["received"].notna().to_numpy(dtype=bool)
        self._counters = {
            str(host): (
                rows["at"].to_numpy(dtype="datetime64[ns]").astype(np.int64),
                rows["in_bytes"].to_numpy(dtype=np.int64),
            )
            for host, rows in links.sort_values("at", kind="stable").groupby("host")
        }

    def carried_bps(self, host: str, window: Window) -> float | None:
        """The traffic towards a host; None unless its counters span the window."""
        if host not in self._counters:
            return None
        at, count = self._counters[host]
        if at[0] > window[0] or at[-1] < window[1]:
            return None
        seconds = (window[1] - window[0]) / NS_PER_S
        begin, end = np.interp([t - at[0] for t in window], at - at[0], count)
        return float(end - begin) * 8 / seconds

    def within(self, window: Window) -> slice:
        """The datagrams that were sent in a window."""
        begin, end = np.searchsorted(self.sent, window)
        return slice(int(begin), int(end))

    def longest_gap_s(self, vip: str, since_ns: int, until_ns: int) -> float:
        """The longest time without an arrival, between two instants."""
        arrivals = self.received[(self.vip == vip) & self.was_received]
        arrivals = np.sort(arrivals[(arrivals > since_ns) & (arrivals < until_ns)])
        return float(np.diff(np.r_[since_ns, arrivals, until_ns]).max()) / NS_PER_S
