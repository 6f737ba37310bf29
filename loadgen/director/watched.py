"""Which services a run looks at: all that a director has, or those that were named."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.ipvs.formats import Entry, Service
    from loadgen.plan import Target

_FWMARK = "fwmark:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One service that was named; what is None is not asked about.

    Attributes:
        vip: its address, as the kernel's parser gives it; None for a firewall mark's.
        port: its port; None for every service of the VIP.
        protocol: TCP, UDP or SCTP.
        fwmark: its firewall mark.
    """

    vip: str | None = None
    port: int | None = None
    protocol: str | None = None
    fwmark: int | None = None

    def is_service(self, service: Service) -> bool:
        """Whether a director's service is the one that was named."""
        if self.fwmark is not None:
            return service.fwmark == self.fwmark
        return service.address == self.vip and self._fits(service.protocol, service.port)

    def is_entry(self, entry: Entry) -> bool:
        """Whether an entry is one of its; a persistence template of the VIP's has port 0.

        An entry shows no mark, so for a firewall mark every entry is taken.
        """
        if self.fwmark is not None:
            return True
        return entry.vip == self.vip and self._fits(entry.protocol, entry.port)

    def _fits(self, protocol: str, port: int | None) -> bool:
        return self.port in (None, port) and self.protocol in (None, protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The services that are looked at.

    Attributes:
        named: these; None for all.
    """

    named: tuple[Named, ...] | None = None

    def has_service(self, service: Service) -> bool:
        """Whether a service is looked at."""
        return self.named is None or any(name.is_service(service) for name in self.named)

    def has_entry(self, entry: Entry) -> bool:
        """Whether an entry is looked at."""
        return self.named is None or any(name.is_entry(entry) for name in self.named)


ALL = Watched()


def watch_target(target: Target) -> Watched:
    """The one service that load is sent to."""
    named = Named(vip=target.vip, port=target.port, protocol=target.protocol)
    return Watched(named=(named,))


def parse_services_told(texts: Sequence[str]) -> Watched:
    """The values of ``--service``: ``VIP``, ``VIP:PORT``, ``[VIP]:PORT`` or ``fwmark:N``.

    Raises:
        UsageProblem: one is none of these.
    """
    return Watched(named=tuple(_named(text) for text in texts)) if texts else ALL


def _named(text: str) -> Named:
    try:
        if text.startswith(_FWMARK):
            return Named(fwmark=_number(text.removeprefix(_FWMARK), 2**32 - 1))
        host, port = _split(text)
        vip = str(ip_address(host))
        return Named(vip=vip, port=_number(port, 65535) if port else None)
    except ValueError:
        expected = "VIP, VIP:PORT, [VIP]:PORT or fwmark:N"
        raise UsageProblem(f"--service {text}: expected {expected}") from None


def _split(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(text)
        return host, rest[1:]
    host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    return host, port


def _number(text: str, highest: int) -> int:
    number = int(text, 0)
    if not 0 < number <= highest:
        raise ValueError(text)
    return number
