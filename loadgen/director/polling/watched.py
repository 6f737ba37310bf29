"""Which services a run watches: all that a director has, or those that were named."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.proc.entry_rows import is_address
from loadgen.errors import UsageProblem
from loadgen.target import split_host_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Service
    from loadgen.target import Target

    Mask = NDArray[np.bool_]

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
        return (
            service.address == self.vip
            and self.port in (None, service.port)
            and self.protocol in (None, service.protocol)
        )

    def are_entries(self, rows: Rows) -> Mask:
        """Which entries are of it; a persistence template of the VIP's has port 0.

        An entry shows no mark, so for a firewall mark every entry is taken.
        """
        chosen: Mask = np.ones(len(rows), dtype=bool)
        if self.vip is not None:
            chosen &= is_address(rows, "vip", self.vip)
        if self.port is not None:
            chosen &= rows["port"] == self.port
        if self.protocol is not None:
            chosen &= rows["protocol"] == self.protocol.encode()
        return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The services that are watched.

    Attributes:
        named: these; None for all.
    """

    named: tuple[Named, ...] | None = None

    def has_service(self, service: Service) -> bool:
        """Whether a service is watched."""
        return self.named is None or any(name.is_service(service) for name in self.named)

    def entries(self, rows: Rows) -> Rows:
        """Those of the entries that are watched."""
        return rows if self.named is None else rows[self.are_entries(rows)]

    def are_entries(self, rows: Rows) -> Mask:
        """Which of the entries are watched."""
        if self.named is None:
            return np.ones(len(rows), dtype=bool)
        chosen: Mask = np.logical_or.reduce([name.are_entries(rows) for name in self.named])
        return chosen


ALL = Watched()


def watch_targets(targets: Sequence[Target]) -> Watched:
    """The services that load is sent to."""
    return Watched(
        named=tuple(
            Named(vip=target.vip, port=target.port, protocol=target.protocol) for target in targets
        )
    )


def parse_services_given(texts: Sequence[str]) -> Watched:
    """The values of ``--service``: ``VIP``, ``VIP:PORT``, ``[VIP]:PORT`` or ``fwmark:N``.

    Raises:
        UsageProblem: one is none of these.
    """
    return Watched(named=tuple(_named(text) for text in texts)) if texts else ALL


def _named(text: str) -> Named:
    try:
        if text.startswith(_FWMARK):
            return Named(fwmark=_number(text.removeprefix(_FWMARK), 2**32 - 1))
        host, port = split_host_port(text)
        return Named(vip=str(ip_address(host)), port=port)
    except ValueError:
        expected = "VIP, VIP:PORT, [VIP]:PORT or fwmark:N"
        raise UsageProblem(f"--service {text}: expected {expected}") from None


def _number(text: str, highest: int) -> int:
    number = int(text, 0)
    if not 0 < number <= highest:
        raise ValueError(text)
    return number
