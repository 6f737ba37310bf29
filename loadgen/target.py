"""The virtual service that a run is about, as an address."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The virtual service that a run is about.

    Attributes:
        vip: its address; names have been resolved, once, before there is a plan.
    """

    vip: str
    port: int
    protocol: str = "TCP"
