"""Where a burst goes: one address, found once, before anything is sent.

``--connect-to`` and ``--resolve`` are curl's. The name that was asked for goes on standing in
``Host`` and in SNI; load goes to the one address that was found, whatever the name says later.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.addresses import bracketed
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Lookup = Callable[[str, int], list[str]]

Family = Literal[4, 6]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDestination:
    """One address and port.

    Attributes:
        name: what was asked for, where that is a name; for ``Host`` and SNI.
        asked_port: and at which port.
    """

    address: str
    port: int
    name: str | None
    asked_port: int

    @property
    def authority(self) -> str | None:
        """For ``Host``; None where the address itself will do."""
        if self.name is None and self.asked_port == self.port:
            return None
        host = self.name or bracketed(self.address)
        return f"{host}:{self.asked_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameOverrides:
    """What the operator says about names.

    Attributes:
        connect_to: ``HOST1:PORT1:HOST2:PORT2``, the first that fits counts.
        resolve: ``HOST:PORT:ADDRESS[,ADDRESS]``, the last that fits counts.
        family: 4 or 6; None for either.
    """

    connect_to: Sequence[str] = ()
    resolve: Sequence[str] = ()
    family: Family | None = None


def find_destination(
    host: str, port: int, overrides: NameOverrides, lookup: Lookup | None = None
) -> LoadDestination:
    """The one address that a burst goes to.

    Args:
        host: an address or a name, as ``--vip`` has it.
        port: as ``--port`` has it.
        overrides: other addresses, ports and families for names.
        lookup: asks the resolver; by default the machine's.

    Raises:
        UsageProblem: a mapping that cannot be read, or a name without an address.
    """
    name = None if _is_address(host) else host
    to_host, to_port = _connect_to(host, port, overrides.connect_to)
    addresses = _resolved(to_host, to_port, overrides.resolve)
    if addresses is None and _is_address(to_host):
        addresses = [str(ip_address(_bare(to_host)))]
    if addresses is None:
        addresses = (lookup or _ask)(to_host, to_port)
    fitting = [a for a in addresses if overrides.family in (None, ip_address(a).version)]
    if not fitting:
        which = f"IPv{overrides.family} address" if overrides.family else "address"
        via = "" if to_host == host else f"{host}: "
        raise UsageProblem(f"{via}{to_host} has no {which}")
    return LoadDestination(address=fitting[0], port=to_port, name=name, asked_port=port)


def _is_address(text: str) -> bool:
    try:
        ip_address(_bare(text))
    except ValueError:
        return False
    return True


def _bare(text: str) -> str:
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _connect_to(host: str, port: int, mappings: Sequence[str]) -> tuple[str, int]:
    for mapping in mappings:
        from_host, from_port, to_host, to_port = _fields(
            "--connect-to", mapping, 4, "HOST1:PORT1:HOST2:PORT2"
        )
        if _bare(from_host).lower() in ("", host.lower()) and from_port in ("", str(port)):
            return _bare(to_host) or host, _port("--connect-to", mapping, to_port or str(port))
    return host, port


def _resolved(host: str, port: int, mappings: Sequence[str]) -> list[str] | None:
    resolved = None
    for mapping in mappings:
        expected = "HOST:PORT:ADDRESS[,ADDRESS]"
        for_host, for_port, addresses = _fields("--resolve", mapping.removeprefix("+"), 3, expected)
        if not all(_is_address(address) for address in addresses.split(",")):
            raise UsageProblem(f"--resolve {mapping}: expected {expected}")
        if for_host.lower() in ("*", host.lower()) and for_port == str(port):
            resolved = [str(ip_address(_bare(address))) for address in addresses.split(",")]
    return resolved


def _fields(flag: str, mapping: str, count: int, expected: str) -> list[str]:
    """Cut at colons, but not within brackets; the last field of --resolve may hold more."""
    fields, depth = [""], 0
    for character in mapping:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == ":" and not depth and (len(fields) < count or count == 4):
            fields.append("")
        else:
            fields[-1] += character
    if len(fields) != count:
        raise UsageProblem(f"{flag} {mapping}: expected {expected}")
    return fields


def _port(flag: str, mapping: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise UsageProblem(f"{flag} {mapping}: expected a port from 1 to 65535, got {text!r}")
    return int(text)


def _ask(host: str, port: int) -> list[str]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageProblem(f"{host}: no address found: {error}") from error
    return [str(entry[4][0]) for entry in infos]
