"""The join that nothing else makes: a director's entries, as seen, with the packets behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.observed import ns
from analyzer.wire.pcap import address_number

if TYPE_CHECKING:
    from analyzer.predict import Prediction

REQUEST_END_UNCERTAINTY_S = 0.05
"""Without a capture the last packet is taken to lie this close to the request's end."""


def with_packets(lives: pd.DataFrame, prediction: Prediction) -> pd.DataFrame:
    """Each observed life of one director beside the entry that the packets predict.

    Args:
        lives: as ``observed.entry_lives`` gives them, one director's.
        prediction: for the same director.

    Returns:
        ``lives`` with ``last_ns`` (the last packet), ``predicted_state``, ``timeout_s``,
        ``ends_ns``, ``reused`` and ``entry``; <NA> where no packet was captured.
    """
    current = lives["seen_ns"].fillna(np.iinfo(np.int64).max).astype("int64")
    left = lives.assign(at_ns=current).sort_values("at_ns")
    right = prediction.entries.reset_index().rename(columns={"state": "predicted_state"})
    right = right.astype({"entry": "Int64", "last_ns": "Int64", "ends_ns": "Int64"})
    joined = pd.merge_asof(
        left,
        right.sort_values("first_ns"),
        left_on="at_ns",
        right_on="first_ns",
        by="client",
        direction="backward",
    )
    return joined.drop(columns=["at_ns", "first_ns"])


def with_requests(lives: pd.DataFrame, requests: pd.DataFrame) -> pd.DataFrame:
    """Without a capture: each life beside the end of the request that it served.

    Returns:
        ``lives`` with ``last_ns``; <NA> where no request of ours had that port.
    """
    ended = requests[requests["ended"].notna() & requests["source_port"].notna()]
    clients = [
        address_number(ip) << 16 | int(port)
        for ip, port in zip(ended["source_ip"], ended["source_port"], strict=True)
    ]
    right = pd.DataFrame({"client": clients, "last_ns": ns(ended["ended"])})
    right = right.astype({"client": "int64", "last_ns": "int64"}).sort_values("last_ns")
    left = lives.assign(at_ns=lives["appeared_ns"]).sort_values("at_ns")
    joined = pd.merge_asof(
        left,
        right.assign(at_ns=right["last_ns"]),
        on="at_ns",
        by="client",
        direction="nearest",
        tolerance=60_000_000_000,
    )
    return joined.drop(columns="at_ns").astype({"last_ns": "Int64"})
