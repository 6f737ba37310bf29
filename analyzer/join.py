"""The join that nothing else makes: a director's entries, as seen, with the packets behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.observed import ns

if TYPE_CHECKING:
    from analyzer.predict import Prediction

REQUEST_END_UNCERTAINTY_S = 0.05
"""Without a capture the last packet is taken to lie this close to the request's end."""

_NEVER = np.iinfo(np.int64).max


def with_packets(lives: pd.DataFrame, prediction: Prediction) -> pd.DataFrame:
    """Each observed life of one director beside the entry that the packets predict.

    Args:
        lives: as ``observed.entry_lives`` gives them, one director's.
        prediction: for the same director.

    Returns:
        ``lives`` with ``last_ns`` (the last packet), ``predicted_state``, ``timeout_s``,
        ``ends_ns``, ``cause`` and ``entry``; <NA> where no packet was captured.
    """
    current = lives["seen_ns"].fillna(_NEVER).astype("int64")
    left = lives.assign(at_ns=current).sort_values("at_ns")
    right = prediction.entries.rename_axis("entry").reset_index()
    right = right.rename(columns={"state": "predicted_state"})
    right = right.astype(
        {"entry": "Int64", "last_ns": "Int64", "ends_ns": "Int64", "flow": "int64"}
    )
    joined = pd.merge_asof(
        left,
        right.sort_values("first_ns"),
        left_on="at_ns",
        right_on="first_ns",
        by="flow",
        direction="backward",
    )
    return joined.drop(columns=["at_ns", "first_ns"])


def with_requests(
    lives: pd.DataFrame, entries: pd.DataFrame, requests: pd.DataFrame
) -> pd.DataFrame:
    """Without a capture: each life beside the end of the connection that it served.

    Args:
        lives: one director's.
        entries: its ``numbered`` changes, which know each flow's client.
        requests: the recording's.

    Returns:
        ``lives`` with ``last_ns``; <NA> where no request of ours had that port.
    """
    clients = entries.drop_duplicates("flow")[["flow", "client_ip", "client_port"]]
    ended = requests[requests["ended"].notna() & requests["source_port"].notna()]
    right = pd.DataFrame(
        {
            "client_ip": ended["source_ip"],
            "client_port": ended["source_port"],
            "last_ns": ns(_closed_or_ended(ended)),
        }
    ).merge(clients, on=["client_ip", "client_port"])
    right = right.astype({"flow": "int64", "last_ns": "int64"}).sort_values("last_ns")
    right["at_ns"] = right["last_ns"]
    joined = pd.merge_asof(
        lives.assign(at_ns=lives["appeared_ns"]).sort_values("at_ns"),
        right[["flow", "last_ns", "at_ns"]].astype({"last_ns": "Int64"}),  # some find no partner
        on="at_ns",
        by="flow",
        direction="nearest",
        tolerance=60_000_000_000,
    )
    return joined.drop(columns="at_ns")


def _closed_or_ended(requests: pd.DataFrame) -> pd.Series:
    """When each connection was closed; where nobody noted it, when its answer was whole."""
    return requests["closed"].fillna(requests["ended"])


def with_polls(lives: pd.DataFrame, poll_s: float) -> pd.DataFrame:
    """With neither packets nor requests: the last packet by the poll that saw the last state.

    Args:
        lives: one director's.
        poll_s: what lies between two polls of entries; the last packet came within it.

    Returns:
        ``lives`` with ``last_ns``, in the middle of that poll and the one before.
    """
    middle_ns = lives["changed_ns"] - round(poll_s / 2 * 1e9)
    return lives.assign(last_ns=middle_ns.astype("Int64"))
