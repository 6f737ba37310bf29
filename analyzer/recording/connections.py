"""Rows of ``requests/`` as connections: one may have carried several requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.recording.requests import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.arrays import Bools
    from analyzer.recording.requests import RequestRows


def is_reused(requests: pd.DataFrame) -> Bools:
    """Which requests went on on the connection of the one before; shape (n,)."""
    return (requests["reused"] == 1).fillna(value=False).to_numpy(dtype=bool)


def is_last_of_connection(requests: RequestRows) -> Bools:
    """Which requests were the last on their connection; shape (n,).

    A row with ``reused`` goes on on the connection of the row whose ``id`` is one less, if that is
    there and has the same source address and port.
    """
    columns, following = requests.columns, requests.following
    ids, reused, address, port = (
        np.concatenate([columns[name], following[name]]) if following else columns[name]
        for name in ("id", "reused", "source_ip", "source_port")
    )
    same = (address[1:] == address[:-1]) & (port[1:] == port[:-1])
    same &= (address[1:] != UNKNOWN) & (port[1:] != UNKNOWN)
    goes_on = same & (reused[1:] == 1) & (np.diff(ids) == 1)
    is_last = np.ones(len(requests), dtype=bool)
    is_last[: len(goes_on)] = ~goes_on
    return is_last
