"""What was held over time: as seen, as predicted, and as it would have been."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """ActiveConn and InActConn of one real server on one director.

    ``t_s`` ascends; an observed curve has one point for each poll, a predicted one a point for
    each change (it holds its value until the next). All three arrays have the same shape (n,).
    """

    director: str
    real_server: str  # address:port as ipvsadm prints it
    t_s: Floats
    active: Ints
    inactive: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketCurve:
    """How many of a host's own sockets were in one TCP state; both arrays of shape (n,)."""

    host: str
    state: str
    t_s: Floats
    count: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfGroup:
    """Entries that would have ended in one state, under one timeout."""

    state: str
    timeout_s: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What a director would have held, had some things been otherwise."""

    director: str
    assumptions: tuple[str, ...]  # such as tcpfin=30
    peak_active: int
    peak_inactive: int
    forgotten_after_s: float | None  # from the last packet of all to the last entry's end
    groups: tuple[WhatIfGroup, ...]
    doubt: str | None  # what the capture cannot tell
    curve: Curve  # the sum over real servers; not in the JSON document
