"""The service and the load, as ``run.json`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from analyzer.recording.manifest.bounds import Count, Port, Rate, Seconds
from analyzer.wire.segments import VirtualEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The virtual service that load was sent to."""

    vip: str
    port: Port
    protocol: str = "TCP"

    def __post_init__(self) -> None:
        """Refuse a VIP that is no address."""
        try:
            ip_address(self.vip)
        except ValueError:
            raise ValueError("Expected an IP address as `vip`") from None

    @property
    def end(self) -> VirtualEnd:
        """As packets give it: IPv6 has many spellings."""
        return VirtualEnd(self.protocol, str(ip_address(self.vip)), self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Of an open model's schedule."""

    duration_s: Seconds
    rate_per_s: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When requests were to be begun; ``arrivals`` is ``uniform`` or ``poisson``."""

    arrivals: str | None = None
    requests: Count | None = None
    duration_s: Seconds | None = None
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked of the service."""

    authority: str | None = None
    server_name: str | None = None
    redirects: Count = 0  # to follow at most


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTarget:
    """One of several targets."""

    request: Request = Request()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was to be sent.

    Attributes:
        request: what was asked of the target; of several, of the first.
        targets: where they were several: all of them.
        requests: as older recordings have it; now in ``arrivals``.
        requests_per_connection: that each connection was to carry, one after another.
        close: shares of the ways of closing.
    """

    engine: str | None = None
    model: str | None = None
    arrivals: Arrivals = Arrivals()
    requests: Count | None = None
    request: Request = Request()
    targets: tuple[PlanTarget, ...] = ()
    requests_per_connection: Count = 1
    close: Mapping[str, Rate] = field(default_factory=dict)
    hold_s: Seconds = 0
    sources: tuple[str, ...] = ()
