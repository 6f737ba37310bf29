"""``--local-ips``: the addresses that a burst is sent from."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range
from itertools import chain, islice
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_ADDRESSES = 65536
_EXPECTED = "addresses such as 10.0.0.7, 10.0.0.7-10.0.0.20 or 10.0.0.0/28, with commas between"


def parse_pool(text: str) -> tuple[str, ...]:
    """Addresses, ranges and networks to addresses, each once, in the order in which they stand.

    Of a network the addresses of hosts count, not its own and not its broadcast address.

    Raises:
        UsageProblem: it cannot be read, or comes to more than ``MOST_ADDRESSES``.
    """
    try:
        parts = (_addresses(part.strip()) for part in text.split(","))
        addresses = dict.fromkeys(islice(chain.from_iterable(parts), MOST_ADDRESSES + 1))
    except (ValueError, TypeError) as error:
        raise UsageProblem(f"--local-ips {text}: {error}; expected {_EXPECTED}") from error
    if not addresses or len(addresses) > MOST_ADDRESSES:
        raise UsageProblem(f"--local-ips {text}: expected 1 to {MOST_ADDRESSES:,} addresses")
    return tuple(map(str, addresses))


def _addresses(part: str) -> Iterator[IPv4Address | IPv6Address]:
    if "/" in part:
        return iter(ip_network(part, strict=False).hosts())
    first, dash, last = part.partition("-")
    if not dash:
        return iter([ip_address(part)])
    # two addresses of different families have no range: summarize_address_range says so
    ranges = summarize_address_range(ip_address(first), ip_address(last))
    return chain.from_iterable(ranges)


def check_pool(pool: Sequence[str]) -> None:
    """See that this machine (or the namespace that we stand in) has the addresses.

    Raises:
        UsageProblem: the first that it has not.
    """
    for address in pool:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock, suppress(OSError):
            sock.bind((address, 0))
            continue
        raise UsageProblem(
            f"--local-ips: {address} is not an address of this machine "
            f"(ip address add {address} dev ...); --engine packets needs none"
        )
