"""The texts of a real director (Linux 6.1, HZ=100, ipvsadm 1.31) that was given one of everything.

``tests/data/texts/`` holds what it printed, untouched: one set of services and entries in every
form that ipvsadm and the kernel have for them, so the forms can be held against one another.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.documents import as_pieces, as_text, to_json
from analyzer.ipvs.ipvsadm import ParsedDocument, ParsedText, decode, parse
from analyzer.ipvs.ipvsadm.model import Connection, Counters, Daemon, Header, Rates, Service

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXTS = Path(__file__).parents[2] / "data" / "texts"
HZ = 100


def read(name: str, *, hz: int | None = None) -> ParsedText:
    return parse(decode((TEXTS / f"{name}.txt").read_bytes()), hz=hz)


def key(service: Service) -> tuple[Any, ...]:
    return (service.protocol, service.address, service.port, service.fwmark)


def values(service: Service, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(service, name) for name in names)


def by_key(parsed: ParsedText) -> dict[tuple[Any, ...], Service]:
    return {key(service): service for service in parsed.services}


def servers(service: Service, *names: str) -> list[tuple[Any, ...]]:
    """The real servers, sorted: the kernel lists them in another order."""
    return sorted(tuple(getattr(one, name) for name in names) for one in service.destinations)


def test_every_file_is_understood_without_a_doubt_but_for_names_and_jiffies() -> None:
    allowed = ("is cut", "may be cut", "jiffies", "http-alt")
    for file in sorted(TEXTS.glob("*.txt")):
        parsed = read(file.stem)
        assert parsed.lines_understood, file
        assert parsed.error is None, file
        assert [one for one in parsed.warnings if not any(word in one for word in allowed)] == []


def test_lines_that_are_read_at_once_are_read_as_those_looked_at_closely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [file.stem for file in sorted(TEXTS.glob("*.txt"))]
    at_once = [read(name, hz=HZ) for name in names]
    monkeypatch.setattr("analyzer.ipvs.ipvsadm.services.columns.row_pattern", lambda _: None)
    monkeypatch.setattr("analyzer.ipvs.ipvsadm.connections.plain_connections", lambda _: [])
    monkeypatch.setattr("analyzer.ipvs.ipvsadm.rules.Rules.plain_rules", lambda *_: 0)
    for module in ("table", "reading"):
        nothing = re.compile("(?!)")
        monkeypatch.setattr(f"analyzer.ipvs.ipvsadm.services.{module}.PLAIN", nothing)
    assert [read(name, hz=HZ) for name in names] == at_once


def test_a_document_in_pieces_is_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    for rows in (1, 3, 1000):
        monkeypatch.setattr("analyzer.documents._ROWS", rows)
        for file in sorted(TEXTS.glob("*.txt")):
            parsed = read(file.stem)
            whole = as_text(to_json(parsed, ParsedDocument))
            assert "".join(as_pieces(parsed, ParsedDocument)) == whole


def test_the_plain_table() -> None:
    parsed = read("ipvsadm-Ln")
    assert parsed.header == Header(version="1.2.1", size=4096)
    assert parsed.warnings == ()
    assert len(parsed.services) == 12
    found = by_key(parsed)
    names = ("family", "scheduler", "flags", "persistent_s", "netmask", "ops", "pe", "sched_flags")
    expected = {
        ("FWM", None, None, 4294967295): (
            *("ipv4", "sh", "(sh-fallback) persistent 600", 600, None, False, None),
            ("sh-fallback",),
        ),
        ("TCP", "192.168.10.2", 80, None): ("ipv4", "rr", "", None, None, False, None, ()),
        ("TCP", "192.168.10.3", 443, None): (
            *("ipv4", "wrr", "persistent 360 mask 255.255.255.0", 360, "255.255.255.0"),
            *(False, None, ()),
        ),
        ("UDP", "192.168.10.2", 53, None): ("ipv4", "rr", "ops", None, None, True, None, ()),
        ("UDP", "192.168.10.2", 5060, None): (
            *("ipv4", "rr", "persistent 60 pe sip ops", 60, None, True, "sip", ()),
        ),
        ("TCP", "2001:1db8:1111:2222:3333:4444:5555:6666", 8080, None): (
            *("ipv6", "rr", "(flag-1,flag-3) persistent 30 mask 64", 30, "64", False, None),
            ("flag-1", "flag-3"),
        ),
        ("FWM", None, None, 99): (
            *("ipv6", "lc", "persistent 300 mask 64", 300, "64", False, None, ()),
        ),
        ("SCTP", "192.168.10.2", 2905, None): ("ipv4", "wlc", "", None, None, False, None, ()),
    }
    assert {one: values(found[one], *names) for one in expected} == expected


def test_the_kernels_table_says_the_same_in_hexadecimal() -> None:
    """Marks of eight decimal digits, IPv6 masks, persistence: equal once HZ is known."""
    ours, kernels = by_key(read("ipvsadm-Ln")), by_key(read("ip_vs", hz=HZ))
    assert ours.keys() == kernels.keys()
    row = ("address", "port", "forward", "weight", "active", "inactive")
    for one, service in ours.items():
        assert servers(service, *row) == servers(kernels[one], *row)
        assert values(service, "scheduler", "ops", "persistent_s") == values(
            kernels[one], "scheduler", "ops", "persistent_s"
        )
        everybody = {"ipv4": "255.255.255.255", "ipv6": "128"}[service.family or ""]
        if service.persistent_s:  # ipvsadm leaves out the mask that takes in one client
            assert kernels[one].netmask == (service.netmask or everybody)


def test_jiffies_are_no_seconds_without_hz() -> None:
    parsed = read("ip_vs")
    assert {one.persistent_s for one in parsed.services} == {None}
    assert (
        "line 14: persistent 36000 is in jiffies: 360 s at HZ=100, 144 s at HZ=250, "
        "120 s at HZ=300, 36 s at HZ=1000" in parsed.warnings
    )


def test_the_family_of_the_kernels_marks_is_that_of_their_servers() -> None:
    marks = {one.fwmark: one.family for one in read("ip_vs").services if one.protocol == "FWM"}
    assert marks == {258: "ipv4", 99: "ipv6", 0x12345678: "ipv4", 0xFFFFFFFF: None}


@pytest.mark.parametrize("name", ["ipvsadm-Ln--stats", "ipvsadm-Ln--rate", "ipvsadm-Ln--nosort"])
def test_other_tables_have_the_same_services_and_servers(name: str) -> None:
    plain, other = by_key(read("ipvsadm-Ln")), by_key(read(name))
    ends = ("address", "port")
    assert {one: servers(service, *ends) for one, service in plain.items()} == {
        one: servers(service, *ends) for one, service in other.items()
    }


def test_stats_count_services_and_servers() -> None:
    service = read("ipvsadm-Ln--stats").services[1]
    names = ("conns", "inpkts", "outpkts", "inbytes", "outbytes")
    assert values(service, *names) == (7, 42, 0, 2755, 0)
    assert servers(service, *names) == [(3, 18, 0, 1179, 0), (4, 24, 0, 1576, 0)]
    assert values(service, "scheduler", "flags", "ops", "sched_flags", "cps") == (None,) * 5


def test_rates() -> None:
    service = read("ipvsadm-Ln--rate").services[1]
    names = ("cps", "inpps", "outpps", "inbps", "outbps")
    assert values(service, *names) == (1, 3, 0, 200, 0)
    assert servers(service, *names) == [(0, 1, 0, 88, 0), (0, 2, 0, 112, 0)]
    assert service.conns is None


def test_thresholds_and_persistent_connections() -> None:
    vip = ("TCP", "192.168.10.3", 443, None)
    thresholds = by_key(read("ipvsadm-Ln--thresholds"))[vip]
    assert thresholds.persistent_s == 360  # these tables keep the scheduler and its flags
    assert servers(thresholds, "uthreshold", "lthreshold", "active", "inactive")[-1] == (
        *(5000, 4000, 0, 0),
    )
    assert {one.forward for one in thresholds.destinations} == {None}
    persistent = by_key(read("ipvsadm-Ln--persistent-conn"))[vip]
    assert servers(persistent, "address", "weight", "persistent", "active", "inactive")[-1] == (
        *("192.168.10.33", 3, 1, 2, 0),
    )


def test_tunnels() -> None:
    service = by_key(read("ipvsadm-Ln--tun-info"))["TCP", "192.168.10.2", 8080, None]
    rows = [(one.forward, one.tunnel_info, one.weight) for one in service.destinations]
    assert rows == [
        ("Route", None, 1),
        ("Tunnel", "ipip", 1),
        ("Tunnel", "gue:6080:r+c", 1),
        ("Tunnel", "gre:+c", 1),
    ]


def test_rules_name_the_same_services_and_servers() -> None:
    table, rules = by_key(read("ipvsadm-Ln--tun-info")), by_key(read("ipvsadm-Sn"))
    assert table.keys() == rules.keys()
    kept = ("scheduler", "persistent_s", "netmask", "ops", "pe", "sched_flags", "family")
    row = ("address", "port", "forward", "weight", "tunnel_info")
    for one, service in table.items():
        assert values(service, *kept) == values(rules[one], *kept)
        assert [str(server) for server in servers(service, *row)] == [
            str(server) for server in servers(rules[one], *row)
        ]
    assert rules["TCP", "192.168.10.2", 80, None].destinations[0].active is None


def test_names_become_numbers_or_nothing() -> None:
    """The tool cuts at 28 characters; what looked like :http was :https."""
    named = read("ipvsadm-L").services
    assert (named[1].address, named[1].port, named[1].port_name) == ("vip.example.com", 80, "http")
    ends = [(one.address, one.port, one.port_name) for one in named[3].destinations]
    assert named[3].address == "a-rather-long-virtual-servic"
    assert named[3].port is None
    assert ends == [
        ("srv01.example.com", 8443, None),
        ("real-server-number-two.rack-", None, None),
        ("twenty-eight-in-all.ex.com", None, None),
        ("a23456789.b23456789.c234", None, None),
        ("a23456789.b23456789.c23", None, None),
    ]
    v6 = named[7]
    assert (v6.address, v6.port, v6.family) == ("vip6.example.com", 80, "ipv6")
    assert v6.destinations[0].address == "real-server-number-one-of-six.rack-07.example.com"


def ends(parsed: Iterable[Connection]) -> set[tuple[Any, ...]]:
    return {
        (one.proto, one.state, one.source.address, one.source.port, one.virtual, one.destination)
        for one in parsed
    }


@pytest.mark.parametrize("suffix", ["", "-ipv6"])
def test_connections_are_the_same_in_both_notations(suffix: str) -> None:
    ours, kernels = read(f"ipvsadm-Lnc{suffix}"), read(f"ip_vs_conn{suffix}")
    assert len(ours.connections) == len(kernels.connections) > 0
    assert ends(ours.connections) == ends(kernels.connections)


def test_an_entry_and_a_template() -> None:
    entry, *_ = read("ipvsadm-Lnc").connections
    assert (entry.proto, entry.expire_s, entry.state) == ("TCP", 111, "FIN_WAIT")
    assert (entry.source.address, entry.source.port) == ("192.168.10.250", 39390)
    template = next(one for one in read("ip_vs_conn").connections if one.pe_name)
    assert (template.state, template.source.port, template.expire_s) == ("NONE", 0, 48)
    assert template.pe_name == "sip"
    assert template.pe_data == "3848276298220188511@client.example.com"
    shown = next(one for one in read("ipvsadm-Lnc--persistent-conn").connections if one.pe_name)
    assert (shown.pe_name, shown.pe_data) == (template.pe_name, template.pe_data)


def test_who_made_an_entry_and_several_tables_in_one_text() -> None:
    assert {one.origin for one in read("ip_vs_conn_sync").connections} == {"LOCAL"}
    backup = read("backup-director")
    assert [one.origin for one in backup.connections] == ["SYNC"] * 6 + [None] * 6
    assert [one.role for one in backup.daemons] == ["backup"]


def test_daemons_and_timeouts() -> None:
    common: dict[str, Any] = {"mcast": "eth1", "syncid": 7}
    assert read("ipvsadm-L--daemon").daemons == (
        Daemon(role="master", maxlen=1472, group="224.0.0.81", port=8848, ttl=1, **common),
        Daemon(role="backup", maxlen=1400, group="224.0.0.82", port=8850, ttl=2, **common),
    )
    timeouts = read("ipvsadm-L--timeout").timeouts
    assert timeouts
    assert (timeouts.tcp, timeouts.tcpfin, timeouts.udp) == (900, 120, 300)


def test_the_totals_are_hexadecimal() -> None:
    total = Counters(conns=0xC, inpkts=0x30, outpkts=2, inbytes=0xC71, outbytes=0xB0)
    assert read("ip_vs_stats").total == read("ip_vs_stats_percpu").total == total
    assert read("ip_vs_stats").rate == Rates(cps=0, inpps=1, outpps=0, inbps=0x4B, outbps=7)
    assert read("ip_vs_stats").cpus is None
    assert read("ip_vs_stats_percpu").cpus == {"0": total}
