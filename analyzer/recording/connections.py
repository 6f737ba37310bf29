"""Rows of ``requests/`` as connections: one may have carried several requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.arrays import Bools


def is_reused(requests: pd.DataFrame) -> Bools:
    """Which requests went on on the connection of the one before; shape (n,)."""
    return (requests["reused"] == 1).fillna(value=False).to_numpy(dtype=bool)


def is_last_of_connection(requests: pd.DataFrame) -> Bools:
    """Which requests were the last on their connection; shape (n,), in any order of rows.

    A row with ``reused`` goes on on the connection of the row whose ``id`` is one less, if that is
    there and has the same source address and port.
    """
    reused = is_reused(requests)
    if not reused.any():
        return np.ones(len(requests), dtype=bool)
    ids = requests["id"].to_numpy(dtype=np.int64, na_value=-1)
    order = np.argsort(ids, kind="stable")
    ends = requests[["source_ip", "source_port"]].iloc[order]
    same = (ends == ends.shift()).fillna(value=False).to_numpy(dtype=bool).all(axis=1)
    follows = reused[order] & same & np.r_[False, np.diff(ids[order]) == 1]
    is_last = np.ones(len(requests), dtype=bool)
    is_last[order[:-1][follows[1:]]] = False
    return is_last
