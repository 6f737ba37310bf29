"""How a director shared its connections among real servers, compared with their weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from analyzer.charts.values import Share, Shares
from analyzer.observed.entries import ns

if TYPE_CHECKING:
    import numpy as np

    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured

EVEN_SCHEDULERS = ("rr", "wrr")
"""Schedulers that share new connections by weight alone; others use load or addresses."""

_NEEDED = ("at", "vip", "port", "fwmark", "scheduler", "weight", "active", "inactive")

LEAST_EXPECTED = 5
"""Expected connections of each real server for the chi-square test (Cochran's rule)."""


def shares(result: Measured, evidence: Evidence) -> Shares | None:
    """A director's busiest service; None where it was not polled, or no entry was seen.

    ``p`` is the chance that a fair scheduler shares at least as unevenly.
    """
    rows = evidence.by_director[result.director.name].services
    if rows.empty or result.tracked.empty:
        return None
    server = rows["real_server"] + ":" + rows["real_port"].astype("string")
    rows = rows[[*_NEEDED]].assign(server=server)
    seen = _summed([part["real_server"].value_counts() for part in result.tracked])
    services = rows.groupby(["vip", "port", "fwmark"], dropna=False)
    tables = [(str(group["scheduler"].iloc[0]), _table(group, seen)) for _, group in services]
    scheduler, busiest = max(tables, key=lambda pair: int(pair[1]["seen"].sum()))
    if not busiest["seen"].sum():
        return None
    why, expected = _expected(scheduler, busiest)
    states = _at_peak(result, rows)
    servers = tuple(
        Share(
            real_server=name,
            weight=None if math.isnan(weight) else weight,
            entries=entries,
            expected=None if expected is None else float(expected[i]),
            states=states.get(name, {}),
        )
        for i, (name, weight, entries) in enumerate(
            zip(
                busiest["server"], busiest["weight"].tolist(), busiest["seen"].tolist(), strict=True
            )
        )
    )
    return Shares(
        director=result.director.name,
        scheduler=scheduler,
        servers=servers,
        p=_p(busiest["seen"].to_numpy(), expected) if why is None else None,
        why_no_test=why,
    )


def _there(tracked: pd.DataFrame, at_ns: int) -> pd.Series:
    """How many entries of each real server and state there were at an instant."""
    there = tracked["appeared_ns"] <= at_ns
    there &= tracked["absent_ns"].fillna(at_ns + 1) > at_ns
    return tracked[there].groupby(["real_server", "state"]).size()


def _summed(counts: list[pd.Series]) -> pd.Series:
    """Counts of parts, added; in the order of their names."""
    together = pd.concat(counts)
    summed: pd.Series = together.groupby(level=list(range(together.index.nlevels))).sum()
    return summed


def _table(rows: pd.DataFrame, seen: pd.Series) -> pd.DataFrame:
    """The weight of each real server, NaN if it changed meanwhile, and its entries."""
    weights = rows.groupby("server")["weight"].agg(["min", "max"]).astype("float64")
    steady = weights["max"].where(weights["min"] == weights["max"])
    counts = seen.reindex(weights.index).fillna(0).astype("int64")
    return pd.DataFrame({"server": weights.index, "weight": steady, "seen": counts})


def _expected(scheduler: str, table: pd.DataFrame) -> tuple[str | None, np.ndarray | None]:
    """The expected shares by weight, and why there can be no test of them."""
    if table["weight"].isna().any():
        return "a weight changed during the run", None
    total = int(table["weight"].sum())
    if not total:
        return "all weights are 0", None
    expected = table["weight"].to_numpy() / total * int(table["seen"].sum())
    if scheduler not in EVEN_SCHEDULERS:
        return f"the scheduler {scheduler} does not share by weight alone", expected
    if (expected > 0).sum() < 2:
        return "one real server gets all", expected
    if (expected[expected > 0] < LEAST_EXPECTED).any():
        return f"fewer than {LEAST_EXPECTED} connections are expected on a real server", expected
    return None, expected


def _p(seen: np.ndarray, expected: np.ndarray | None) -> float | None:
    from scipy.special import chdtrc  # scipy.stats would take longer to import than all else

    if expected is None or (seen[expected == 0] > 0).any():
        return None
    chosen = expected > 0
    squares = (seen[chosen] - expected[chosen]) ** 2 / expected[chosen]
    return float(chdtrc(chosen.sum() - 1, squares.sum()))


def _at_peak(result: Measured, rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """The last states of the entries that were there when the director held most."""
    held = (rows["active"] + rows["inactive"]).groupby(ns(rows["at"])).sum()
    peak_ns = int(held.index[int(held.to_numpy().argmax())])
    counts = _summed([_there(part, peak_ns) for part in result.tracked])
    states_by_server: dict[str, dict[str, int]] = {}
    for server, state, n in counts.reset_index().itertuples(index=False):
        states_by_server.setdefault(str(server), {})[str(state)] = int(n)
    return states_by_server
