"""Random tables, printed as ipvsadm 1.31 and the kernel print them, are read back; broken ones too.

The format strings are those of ipvsadm's ``print_service_entry``, ``print_conn`` and
``print_largenum`` and of the kernel's ``ip_vs_info_seq_show`` and ``ip_vs_conn_seq_show``.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from analyzer.documents import to_json
from analyzer.ipvs.ipvsadm import ParsedDocument, ParsedText, decode, parse
from analyzer.ipvs.ipvsadm.model import Connection, Destination, End, Service
from analyzer.ipvs.ipvsadm.services.columns import ENDS
from tests.unit.properties import examples

TEXTS = sorted((Path(__file__).parents[2] / "data" / "texts").glob("*.txt"))
HZ = 250
HEADER = "IP Virtual Server version 1.2.1 (size=4096)\n"
STATS = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
RATE = ("cps", "inpps", "outpps", "inbps", "outbps")
FLAGS = ("flag-1", "flag-2", "flag-3", "sh-port", "mh-fallback")

small = st.integers(0, 10**7)
counts = st.one_of(small, st.integers(0, 10**18))
ports = st.integers(0, 65535)
v4 = st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number)))
v6 = (
    st.integers(0, 2**128 - 1)
    .map(IPv6Address)
    .filter(lambda address: not address.ipv4_mapped)
    .map(str)
)


@st.composite
def servers(draw: st.DrawFn, addresses: st.SearchStrategy[str]) -> Destination:
    """A real server with everything that any table prints of it."""
    forward = draw(st.sampled_from(["Masq", "Route", "Tunnel", "Local"]))
    tunnels = st.sampled_from(["ipip", "gue:6080:r+c", "gue:65535:+c", "gre:+c"])
    return Destination(
        address=draw(addresses),
        port=draw(ports),
        port_name=None,
        forward=forward,
        weight=draw(st.integers(0, 65535)),
        active=draw(small),
        inactive=draw(small),
        uthreshold=draw(small),
        lthreshold=draw(small),
        persistent=draw(small),
        tunnel_info=draw(tunnels) if forward == "Tunnel" else None,
        **{name: draw(counts) for name in STATS + RATE},
    )


@st.composite
def services(draw: st.DrawFn) -> Service:
    """A service with everything that any table prints of it."""
    family = draw(st.sampled_from(["ipv4", "ipv6"]))
    addresses = v4 if family == "ipv4" else v6
    protocol = draw(st.sampled_from(["TCP", "UDP", "SCTP", "FWM"]))
    mark = draw(st.integers(1, 2**32 - 1)) if protocol == "FWM" else None
    persistent_s = draw(st.one_of(st.none(), st.integers(1, 31 * 86400)))
    masks = ["255.255.255.0", "255.0.0.0"] if family == "ipv4" else ["64", "1", "127"]
    mask = draw(st.sampled_from([None, *masks])) if persistent_s else None
    flags = draw(st.lists(st.sampled_from(FLAGS), max_size=3, unique=True))
    counters: dict[str, Any] = {name: draw(counts) for name in STATS + RATE}
    service = Service(
        protocol=protocol,
        address=None if mark else draw(addresses),
        port=None if mark else draw(ports),
        fwmark=mark,
        family=family,
        scheduler=draw(st.sampled_from(["rr", "wrr", "wlc", "sh", "mh", "nq"])),
        persistent_s=persistent_s,
        netmask=mask,
        ops=draw(st.booleans()),
        pe=draw(st.sampled_from([None, "sip"])),
        sched_flags=tuple(flags),
        destinations=tuple(draw(st.lists(servers(addresses), max_size=4))),
        **counters,
    )
    return replace(service, flags=flags_text(service))


def flags_text(service: Service) -> str:
    """As ``ipvsadm -L`` puts them: the scheduler's, persistence, engine, ops."""
    parts = [
        f"({','.join(service.sched_flags)})" if service.sched_flags else "",
        f"persistent {service.persistent_s}" if service.persistent_s else "",
        f"mask {service.netmask}" if service.netmask else "",
        f"pe {service.pe}" if service.pe else "",
        "ops" if service.ops else "",
    ]
    return " ".join(filter(None, parts))


def end(address: str | None, port: int | None) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def signed(mark: int) -> int:
    """``%d`` of an unsigned int."""
    return mark - 2**32 if mark >= 2**31 else mark


def name(service: Service) -> str:
    """Protocol and end, or mark."""
    if service.fwmark is None:
        return f"{service.protocol:<4s} {end(service.address, service.port)}"
    return f"FWM  {signed(service.fwmark)}" + (" IPv6" if service.family == "ipv6" else "")


def largenum(number: int) -> str:
    """``print_largenum``."""
    if number < 100_000_000:
        return f"{number:9d}"
    for limit, suffix, unit in ((10**9, "K", 10**3), (10**11, "M", 10**6), (10**14, "G", 10**9)):
        if number < limit:
            return f"{number // unit:8d}{suffix}"
    return f"{number // 10**12:8d}T"


def rounded(number: int) -> int:
    """What is left of a number that went through ``print_largenum``."""
    for limit, unit in ((10**8, 1), (10**9, 10**3), (10**11, 10**6), (10**14, 10**9)):
        if number < limit:
            return number // unit * unit
    return number // 10**12 * 10**12


def wide(number: int) -> str:
    """``%8llu`` behind a blank, which ``--rate`` has for real servers' first three."""
    return f" {number:8d}"


def print_table(found: list[Service], mode: str) -> str:
    """``ipvsadm -Ln`` with the option ``mode``."""
    text = HEADER + TITLES[mode]
    for service in found:
        counters = {"stats": STATS, "rate": RATE}.get(mode)
        if counters:
            numbers = "".join(largenum(getattr(service, one)) for one in counters)
            text += f"{name(service):<33s}{numbers}\n"
        else:
            text += f"{name(service)} {service.scheduler} {service.flags}".rstrip() + "\n"
        for one in service.destinations:
            text += f"  -> {end(one.address, one.port):<28s}{ROWS[mode](one)}\n"
    return text


def stats_title(columns: list[str]) -> str:
    first = "Prot LocalAddress:Port"
    return f"{first:<33s}{''.join(f' {one:>8s}' for one in columns)}\n  -> RemoteAddress:Port\n"


TITLES = {
    "plain": "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n",
    "tunnel": "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n",
    "stats": stats_title(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
    "rate": stats_title(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
    "thresholds": "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn\n"
    "  -> RemoteAddress:Port\n",
    "persistent": "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn\n"
    "  -> RemoteAddress:Port\n",
}
ROWS = {
    "plain": lambda one: (
        f" {one.forward:<7s} {one.weight:<6d} {one.active:<10d} {one.inactive:<10d}"
    ),
    "tunnel": lambda one: (
        f" {one.forward:<7s} {one.tunnel_info or 'n/a':<13s} {one.weight:<6d} "
        f"{one.active:<10d} {one.inactive:<10d}"
    ),
    "stats": lambda one: "".join(largenum(getattr(one, name)) for name in STATS),
    "rate": lambda one: (
        "".join(wide(getattr(one, name)) for name in RATE[:3])
        + "".join(largenum(getattr(one, name)) for name in RATE[3:])
    ),
    "thresholds": lambda one: (
        f" {one.uthreshold:<10d} {one.lthreshold:<10d} {one.active:<10d} {one.inactive:<10d}"
    ),
    "persistent": lambda one: (
        f" {one.weight:<9d} {one.persistent:<11d} {one.active:<10d} {one.inactive:<10d}"
    ),
}
SHOWN = {
    "plain": ("forward", "weight", "active", "inactive"),
    "tunnel": ("forward", "tunnel_info", "weight", "active", "inactive"),
    "stats": STATS,
    "rate": RATE,
    "thresholds": ("uthreshold", "lthreshold", "active", "inactive"),
    "persistent": ("weight", "persistent", "active", "inactive"),
}
SCHEDULED = ("scheduler", "flags", "persistent_s", "netmask", "ops", "pe", "sched_flags")
EXACT = {"cps", "inpps", "outpps"}  # of real servers


def visible(service: Service, mode: str) -> Service:
    """The part of a service that a table shows."""
    counted = mode in ("stats", "rate")
    kept = SHOWN[mode] if counted else SCHEDULED
    values = {one: getattr(service, one) for one in kept}
    below = []
    for one in service.destinations:
        shown = {key: getattr(one, key) for key in SHOWN[mode]}
        if counted:
            shown = {key: value if key in EXACT else rounded(value) for key, value in shown.items()}
        below.append(Destination(address=one.address, port=one.port, port_name=None, **shown))
    if counted:
        values = {key: rounded(value) for key, value in values.items()}
    return Service(
        protocol=service.protocol,
        address=service.address,
        port=service.port,
        fwmark=service.fwmark,
        family=service.family,
        destinations=tuple(below),
        **values,
    )


@pytest.mark.parametrize("mode", sorted(TITLES))
@given(found=st.lists(services(), max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_printed_table_is_read_back(mode: str, found: list[Service]) -> None:
    text = print_table(found, mode)
    parsed = parse(text)
    assert parsed.services == tuple(visible(service, mode) for service in found)
    assert parsed.warnings == ()
    collapsed = "\n".join(" ".join(line.split()) for line in text.splitlines())
    assert parse(collapsed + "\n").services == parsed.services


def kernel_end(address: str, port: int) -> str:
    return f"{kernel_address(address)}:{port:04X}"


def kernel_address(address: str) -> str:
    if ":" in address:
        return f"[{IPv6Address(address).exploded}]"
    return f"{int(IPv4Address(address)):08X}"


def kernel_mask(service: Service) -> str:
    """``%08X`` of ``ntohl(svc->netmask)`` on a little-endian machine."""
    if service.family == "ipv6":
        return int(service.netmask or 128).to_bytes(4, "little").hex().upper()
    return f"{int(IPv4Address(service.netmask or '255.255.255.255')):08X}"


def print_kernel(found: list[Service]) -> str:
    """``/proc/net/ip_vs``."""
    text = HEADER + "Prot LocalAddress:Port Scheduler Flags\n"
    text += "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
    for one in found:
        if one.fwmark is not None:
            text += f"FWM  {one.fwmark:08X} {one.scheduler} {'ops ' if one.ops else ''}"
        else:
            text += f"{one.protocol}  {kernel_end(one.address or '', one.port or 0)} "
            text += f"{one.scheduler} " + (f"{'ops ' if one.ops else ''} ")
        if one.persistent_s:
            text += f"persistent {one.persistent_s * HZ} {kernel_mask(one)}"
        text += "\n"
        for server in one.destinations:
            row = ROWS["plain"](server).lstrip()
            text += f"  -> {kernel_end(server.address, server.port or 0)}      {row}\n"
    return text


@given(found=st.lists(services(), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_kernels_table_is_read_back(found: list[Service]) -> None:
    parsed = parse(print_kernel(found), hz=HZ)
    certain = any(one.fwmark is None or one.destinations for one in found)
    for given_, read in zip(found, parsed.services, strict=True):
        everybody = "128" if given_.family == "ipv6" else "255.255.255.255"
        assert (read.protocol, read.address) == (given_.protocol, given_.address)
        assert (read.scheduler, read.ops) == (given_.scheduler, given_.ops)
        assert read.persistent_s == given_.persistent_s
        assert [(one.address, one.port, one.weight) for one in read.destinations] == [
            (one.address, one.port, one.weight) for one in given_.destinations
        ]
        if given_.persistent_s and (given_.fwmark is None or given_.destinations):
            assert read.netmask == (given_.netmask or everybody)
        if parsed.warnings == () or certain:
            assert (read.port, read.fwmark) == (given_.port, given_.fwmark)


entries = st.builds(
    Connection,
    proto=st.sampled_from(["TCP", "UDP", "IP"]),
    expire_s=st.integers(0, 10**6),
    state=st.sampled_from(["ESTABLISHED", "FIN_WAIT", "NONE", "ASSURED", "UDP", "SYN_RECV"]),
    source=st.builds(End, address=v4 | v6, port=ports, port_name=st.none()),
    virtual=st.builds(End, address=v4 | v6, port=ports, port_name=st.none()),
    destination=st.builds(End, address=v4 | v6, port=ports, port_name=st.none()),
)


def print_entry(one: Connection) -> str:
    """``print_conn``."""
    clock = f"{one.expire_s // 60:02d}:{one.expire_s % 60:02d}"
    source, virtual, server = (
        end(each.address, each.port) for each in (one.source, one.virtual, one.destination)
    )
    return f"{one.proto:<3s} {clock:<6s} {one.state:<11s} {source:<18s} {virtual:<18s} {server}\n"


def print_kernel_entry(one: Connection, origin: str) -> str:
    """``ip_vs_conn_seq_show``, or with an origin ``ip_vs_conn_sync_seq_show``."""
    pairs = " ".join(
        f"{kernel_address(each.address).strip('[]')} {each.port:04X}"
        for each in (one.source, one.virtual, one.destination)
    )
    who = f" {origin:<6s}" if origin else ""
    return f"{one.proto:<3s} {pairs} {one.state:<11s}{who} {one.expire_s:7d}\n"


@given(st.lists(entries))
def test_printed_entries_are_read_back(found: list[Connection]) -> None:
    text = "IPVS connection entries\npro expire state       source\n"
    parsed = parse(text + "".join(map(print_entry, found)))
    assert parsed.connections == tuple(found)


@given(st.lists(entries), st.sampled_from(["", "LOCAL", "SYNC"]))
def test_the_kernels_entries_are_read_back(found: list[Connection], origin: str) -> None:
    parsed = parse("".join(print_kernel_entry(one, origin) for one in found))
    assert parsed.connections == tuple(replace(one, origin=origin or None) for one in found)
    assert parsed.services == ()


@given(st.text())
def test_any_text_gives_a_document(text: str) -> None:
    assert to_json(parse(text), ParsedDocument)


@given(st.binary())
def test_any_bytes_give_a_document(data: bytes) -> None:
    assert to_json(parse(decode(data)), ParsedDocument)


VOCABULARY = [
    *("TCP", "UDP", "FWM", "MATCH", "->", "Prot", "LocalAddress:Port", "RemoteAddress:Port", "-A"),
    *("-a", "-t", "-f", "-r", "-p", "-M", "-1", "0", "00:10", "10.0.0.1:80", "[fd00::1]:80", "rr"),
    *("C0A80A02:0050", "C0A80A02", "0050", "12345678", "FFFFFFFF", "persistent", "mask", "(a,b)"),
    *("pe", "ops", "Route", "NONE", "99999999999999999999", "1K", "n/a", "CPU", "Conns", "~"),
    *("Packets", "Bytes", "Conns/s", "Pkts/s", "Bytes/s", "Weight", "Forward", "master", "IPv6"),
    *("\n", "\r", "\n", "\x1b[0m", "\0", "Timeout (tcp tcpfin udp): 1 2 3", "a.b:http", ":", "["),
]


@given(st.lists(st.sampled_from(VOCABULARY), max_size=60))
def test_its_own_words_in_any_order_give_a_document(words: list[str]) -> None:
    assert to_json(parse(" ".join(words)), ParsedDocument)


def identity(service: Service) -> tuple[Any, ...]:
    return (service.protocol, service.address, service.port, service.fwmark)


def rows(parsed: ParsedText) -> set[str]:
    """Each thing that was understood, alone; a mark's family may come from its servers."""
    alone = {repr(replace(one, destinations=(), family=None)) for one in parsed.services}
    below = {repr(server) for one in parsed.services for server in one.destinations}
    single = (parsed.header, parsed.timeouts, parsed.total, parsed.rate, *parsed.daemons)
    cpus = (parsed.cpus or {}).items()
    return alone | below | {repr(one) for one in (*parsed.connections, *single, *cpus) if one}


def filed(parsed: ParsedText) -> set[tuple[Any, ...]]:
    """Which real server stands below which service."""
    return {
        (identity(one), server.address, server.port)
        for one in parsed.services
        for server in one.destinations
    }


def edited(line: str, data: st.DataObject) -> str:
    """A line with one character changed, gone or added."""
    body = line.removesuffix("\n")
    at = data.draw(st.integers(0, max(0, len(body) - 1)))
    new = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    how = data.draw(st.sampled_from(["change", "take", "add"]))
    return body[:at] + ("" if how == "take" else new) + body[at + (how != "add") :] + "\n"


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.stem)
@given(data=st.data())
@examples(50)
def test_a_wrong_character_costs_no_more_than_its_line(file: Path, data: st.DataObject) -> None:
    """Titles too; and no real server is filed under a service that is not its own."""
    lines = decode(file.read_bytes()).splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    wrong = edited(lines[at], data)
    whole = parse("".join(lines))
    alone = parse("".join(lines[:at] + lines[at + 1 :]))
    broken = parse("".join([*lines[:at], wrong, *lines[at + 1 :]]))
    assert rows(whole) & rows(alone) <= rows(broken)
    if "->" in lines[at] or "-a" in lines[at]:
        return  # then it is the real server that is another
    itself = {identity(one) for one in parse(wrong).services}
    known = {identity(one) for one in whole.services} - itself
    assert {one for one in filed(broken) - filed(whole) if one[0] in known} == set()


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.stem)
@given(data=st.data())
@examples(25)
def test_a_broken_line_costs_no_more_than_itself(file: Path, data: st.DataObject) -> None:
    """What the other lines said alone is still there."""
    lines = decode(file.read_bytes()).splitlines(keepends=True)
    titles = 3 if lines[0].startswith("IP Virtual") else 2
    if len(lines) <= titles:
        return
    at = data.draw(st.integers(titles, len(lines) - 1))
    garbage = data.draw(st.text(st.characters(exclude_characters="\r\n"), max_size=40))
    assume(not ENDS & set(garbage.split()))  # a title is no garbage: it names other columns
    whole = rows(parse("".join(lines)))
    alone = rows(parse("".join(lines[:at] + lines[at + 1 :])))
    broken = rows(parse("".join([*lines[:at], garbage + "\n", *lines[at + 1 :]])))
    assert whole & alone <= broken
