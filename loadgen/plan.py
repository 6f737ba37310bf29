"""What is to be sent, as data: immutable, checked once, recorded in the manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The virtual service that a run is about."""

    vip: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A closed-model burst: so many requests, so many at a time, each its own connection.

    Attributes:
        path: of the URL, beginning with a slash.
        timeout_s: for a request as a whole.
        connect_timeout_s: for its connection.
    """

    target: Target
    requests: int
    concurrency: int = 1
    method: str = "HEAD"
    path: str = "/"
    timeout_s: float = 30
    connect_timeout_s: float = 10

    def manifest(self) -> dict[str, Any]:
        """The plan's part of ``run.json``."""
        return asdict(self)
