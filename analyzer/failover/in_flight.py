"""The fate of connections that were open at a fault: downloads, dialogues, idle ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.failover.results import InFlight
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

KINDS = ("download", "dialogue", "idle")
_SENDS_LITTLE = "idle"


def in_flight(rows: pd.DataFrame, from_ns: int, to_ns: int) -> Mapping[str, InFlight]:
    """The fate, until ``to_ns``, of the connections that were open at ``from_ns``, by kind.

    Args:
        rows: the recording's ``in_flight``.
        from_ns: Unix time of the fault.
        to_ns: later changes do not count.
    """
    if rows.empty:
        return {}
    known = rows.assign(at_ns=ns(rows["at"])).sort_values("at_ns", kind="stable")
    outcomes = {kind: _outcomes(of_kind, from_ns, to_ns) for kind, of_kind in known.groupby("kind")}
    return {kind: _sum(kind, outcomes[kind]) for kind in KINDS if outcomes.get(kind)}


def _outcomes(rows: pd.DataFrame, from_ns: int, to_ns: int) -> list[tuple[str, float]]:
    """How each connection ended, and its longest stall, seconds."""
    made = []
    for _, of_connection in rows.groupby("connection"):
        ended = of_connection.loc[of_connection["change"].isin(("reset", "closed")), "at_ns"]
        opened_ns = int(of_connection["at_ns"].iloc[0])
        if opened_ns >= from_ns or (len(ended) and int(ended.iloc[0]) < from_ns):
            continue
        made.append(_outcome(of_connection, from_ns, to_ns))
    return made


def _outcome(rows: pd.DataFrame, from_ns: int, to_ns: int) -> tuple[str, float]:
    within = rows[rows["at_ns"] < to_ns]
    if (within["change"] == "reset").any():
        return "reset", 0.0
    heard = within.loc[within["change"] == "progress", "at_ns"].to_numpy(dtype=np.int64)
    if (within["change"] == "closed").any() or not (heard >= from_ns).any():
        return "other", 0.0
    before = heard[heard < from_ns][-1:]
    around = np.concatenate([before, heard[heard >= from_ns]])
    return "survived", float(np.diff(around).max(initial=0)) / NS_PER_S


def _sum(kind: str, outcomes: list[tuple[str, float]]) -> InFlight:
    ends = [end for end, _ in outcomes]
    stalls = [stall_s for end, stall_s in outcomes if end == "survived"]
    return InFlight(
        survived=ends.count("survived"),
        reset=ends.count("reset"),
        other=ends.count("other"),
        longest_stall_s=max(stalls) if stalls and kind != _SENDS_LITTLE else None,
    )
