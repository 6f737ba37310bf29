"""The rules of a director that translates addresses instead of running IPVS, rendered; pure.

The real servers take turns, as IPVS's rr has them: ``numgen inc`` of nftables, ``--mode nth`` of
iptables. Their replies come back through the director, where connection tracking undoes the
translation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import host_port
from loadgen.lab.topology.model import IPTABLES, NFTABLES, address6

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadgen.lab.topology.model import Topology

TABLE = "loadgen"

_TRACKING = ("nf_conntrack", "nf_conntrack_netlink")
MODULES: Mapping[str, tuple[str, ...]] = {
    NFTABLES: (*_TRACKING, "nf_tables", "nft_chain_nat", "nft_nat", "nft_numgen"),
    IPTABLES: (*_TRACKING, "ip_tables", "iptable_nat", "xt_nat", "xt_statistic"),
}
"""What a kernel of the director's own loads for each kind."""

MODULES6: Mapping[str, tuple[str, ...]] = {
    NFTABLES: (),
    IPTABLES: ("ip6_tables", "ip6table_nat"),
}

PROVES: Mapping[str, str] = {NFTABLES: "nft_nat", IPTABLES: "iptable_nat"}
"""The module without which a kernel cannot translate by rules of the kind."""


def files(topology: Topology) -> dict[str, str]:
    """File name -> content: the rules as ``nft -f`` or ``iptables-restore`` reads them."""
    if topology.director_kind == NFTABLES:
        return {"nft.rules": nft_rules(topology)}
    rules = {"iptables.rules": iptables_rules(topology, family6=False)}
    if topology.ipv6:
        rules["ip6tables.rules"] = iptables_rules(topology, family6=True)
    return rules


def nft_rules(topology: Topology) -> str:
    """The table of each family; one of that name which is there already is replaced."""
    families = [("ip", False), *([("ip6", True)] if topology.ipv6 else [])]
    lines: list[str] = []
    for family, family6 in families:
        lines += [f"table {family} {TABLE}", f"delete table {family} {TABLE}"]
        lines += [f"table {family} {TABLE} {{", "\tchain prerouting {"]
        lines += ["\t\ttype nat hook prerouting priority dstnat; policy accept;"]
        for vip, protocol, port in _services(topology, family6=family6):
            to = _in_turns(_servers(topology, family6=family6))
            lines += [f"\t\t{family} daddr {vip} {protocol} dport {port} dnat to {to}"]
        lines += ["\t}", "}"]
    return "".join(f"{line}\n" for line in lines)


def iptables_rules(topology: Topology, *, family6: bool) -> str:
    """The nat table of one family."""
    servers = _servers(topology, family6=family6)
    lines = ["*nat"]
    for vip, protocol, port in _services(topology, family6=family6):
        match = f"-A PREROUTING -d {vip} -p {protocol} -m {protocol} --dport {port}"
        for number, server in enumerate(servers):
            left = len(servers) - number
            turn = f" -m statistic --mode nth --every {left} --packet 0" if left > 1 else ""
            lines += [f"{match}{turn} -j DNAT --to-destination {host_port(server, port)}"]
    return "".join(f"{line}\n" for line in [*lines, "COMMIT"])


def _services(topology: Topology, *, family6: bool) -> Iterator[tuple[str, str, int]]:
    for vip in topology.vips:
        address = vip.address6 if family6 else vip.address
        yield address, "tcp", topology.port
        if topology.udp_port is not None:
            yield address, "udp", topology.udp_port


def _servers(topology: Topology, *, family6: bool) -> list[str]:
    addresses = [server.address for server in topology.servers]
    return [address6(address) for address in addresses] if family6 else addresses


def _in_turns(servers: list[str]) -> str:
    if len(servers) == 1:
        return servers[0]
    turns = ", ".join(f"{number} : {server}" for number, server in enumerate(servers))
    return f"numgen inc mod {len(servers)} map {{ {turns} }}"
