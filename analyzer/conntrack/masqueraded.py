"""Connections whose client a director hides behind an address and port of its own.

The reply's tuple of such an entry goes to that address and port, not to the client
(``nf_nat_masquerade.c``, ``nf_nat_core.c``): what real servers take for the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.proc.entry_rows import ENTRY, entry_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows

    Mask = NDArray[np.bool_]
    Numbers = NDArray[np.uint64]

MASQUERADED = np.dtype([("entry", ENTRY), ("source", ENTRY)], align=True)
"""An entry, and the same with the end that stands for its client before the real server."""

_IDENTITY = (
    *(f"{end}_{half}" for end in ("client_ip", "vip", "real_server") for half in ("high", "low")),
    *("client_port", "port", "real_port", "ipv6"),
)
_SOURCE = ("client_ip_high", "client_ip_low", "client_port")
_NOT_OURS = ("change", "state", "expires_s", "origin")


def masquerade_columns(rows: Rows) -> dict[str, pa.Array]:
    """Rows as the columns of ``masquerades/``, but for the poll's instant and director."""
    columns = entry_columns(np.ascontiguousarray(rows["entry"]))
    sources = entry_columns(np.ascontiguousarray(rows["source"]))
    ends = {name: column for name, column in columns.items() if name not in _NOT_OURS}
    return {**ends, "source_ip": sources["client_ip"], "source_port": sources["client_port"]}


class Masquerades:
    """Which of them each read has that the read before had not.

    One that a torn read missed is new again with the next: the recording may have it twice.
    """

    def __init__(self) -> None:
        self._seen: Numbers = np.zeros(0, np.uint64)

    def fresh(self, rows: Rows) -> Rows:
        """The new ones of a read, MASQUERADED."""
        codes = _codes(rows)
        is_fresh: Mask = ~np.isin(codes, self._seen)
        self._seen = codes
        return rows[is_fresh]


def _codes(rows: Rows) -> Numbers:
    """A number for each row by what identifies it: equal ones have the same."""
    entry, source = rows["entry"], rows["source"]
    columns = {name: entry[name].astype(np.uint64) for name in _IDENTITY}
    columns |= {f"source_{name}": source[name].astype(np.uint64) for name in _SOURCE}
    columns["protocol"] = np.ascontiguousarray(entry["protocol"]).view(np.uint64)
    codes = pd.util.hash_pandas_object(pd.DataFrame(columns), index=False)
    return np.asarray(codes.to_numpy(), dtype=np.uint64)
