"""Numbers of entries and of sockets over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.arrays import Floats, Ints


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
