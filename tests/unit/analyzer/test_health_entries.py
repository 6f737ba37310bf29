"""Entries find their services, each real server is judged by itself, and what is left is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.health import Check, Health, checks
from analyzer.health.document import to_json
from analyzer.health.load import lifetime_s
from analyzer.health.places import sort_entries
from analyzer.ipvs.proc.formats import Destination, Entry, Service, parse_entries, parse_services
from analyzer.ipvs.states import Timeouts

FIELD = Path(__file__).parents[2] / "data" / "field" / "verify"
VIP, VIP6 = "10.0.0.1", "fd00::1"

STATES = "entries' states"
COUNTERS = "counters and entries"
REMOVED = "entries of removed servers"


# -- tables as the kernel prints them ------------------------------------------------------------


def hexadecimal(address: str) -> str:
    """As ``/proc/net/ip_vs_conn`` has it."""
    parsed = ip_address(address)
    return parsed.exploded.upper() if parsed.version == 6 else f"{int(parsed):08X}"


def end(address: str, port: int) -> str:
    shown = hexadecimal(address)
    return f"[{shown}]:{port:04X}" if ":" in address else f"{shown}:{port:04X}"


@dataclass(frozen=True)
class Table:
    """The two files, written line by line."""

    services: list[str]
    entries: list[str]

    def service(self, protocol: str, where: str, *servers: tuple[str, int, str, int, int]) -> None:
        """A service; a server is its address, port, forwarding as printed, active, inactive."""
        self.services.append(f"{protocol}  {where} rr  ")
        for address, port, method, active, inactive in servers:
            row = f"  -> {end(address, port):<22} {method:<7} 1      {active:<10} {inactive:<10}"
            self.services.append(row)

    def hold(
        self,
        n: int,
        state: str,
        vip: tuple[str, int],
        server: tuple[str, int],
        protocol: str = "TCP",
    ) -> None:
        """Entries in a state, each of another client port."""
        client = "fd00::c" if ":" in vip[0] else "10.9.9.9"
        for _ in range(n):
            ends = [(client, 20_000 + len(self.entries)), vip, server]
            fields = " ".join(f"{hexadecimal(address)} {port:04X}" for address, port in ends)
            self.entries.append(f"{protocol:<4} {fields} {state:<11} 60")

    def template(self, vip: tuple[str, int], server: tuple[str, int], protocol: str) -> None:
        ends = [("10.9.9.9", 0), vip, server]
        fields = " ".join(f"{hexadecimal(address)} {port:04X}" for address, port in ends)
        self.entries.append(f"{protocol:<4} {fields} ASSURED 60")

    def health(self, kernel: str = "6.1.176") -> Health:
        return health_of("\n".join(self.services), "\n".join(self.entries), kernel)


def table() -> Table:
    return Table([], [])


def health_of(services: str, entries: str, kernel: str = "6.1.176") -> Health:
    read = parse_services(services)
    assert not read.warnings
    known = parse_entries(entries)
    assert not known.warnings
    return Health(
        director="lb1",
        kernel=kernel,
        hz=250,
        timeouts=Timeouts(),
        services=read.services,
        conn_tab_bits=12,
        per_s={},
        entries=known.entries,
        sample_of=None,
        memory_available_bytes=10**9,
        vrrp_state=None,
        sync_daemon="none",
    )


def from_field(name: str) -> Health:
    folder = FIELD / name
    return health_of((folder / "ip_vs").read_text(), (folder / "ip_vs_conn").read_text())


def check(what: str, health: Health) -> Check:
    return next(one for one in checks([health], None) if one.what == what)


def outcomes(health: Health) -> tuple[str, str, str]:
    return tuple(check(what, health).outcome for what in (STATES, COUNTERS, REMOVED))  # type: ignore[return-value]


ALL_WELL = ("passed", "passed", "passed")


# -- whose entries ------------------------------------------------------------------------------


def test_entries_of_a_firewall_marks_service_are_found_by_its_real_servers() -> None:
    health = from_field("fwmark")
    assert outcomes(health) == ALL_WELL
    assert check(STATES, health).detail == "60 FIN_WAIT; besides 1 persistence template"
    assert check(COUNTERS, health).detail == "0 active, 60 inactive; by entries 0 and 60"
    assert to_json((), [health])["directors"][0]["templates"] == 1


def test_of_a_mark_what_is_wrong_is_seen_as_of_any_service() -> None:
    wrong = table()
    wrong.service("FWM", "0000000A", ("10.0.0.7", 0, "Masq", 30, 0), ("10.0.0.8", 0, "Masq", 30, 0))
    wrong.hold(30, "ESTABLISHED", (VIP, 80), ("10.0.0.7", 80))
    wrong.hold(30, "SYN_RECV", (VIP, 443), ("10.0.0.8", 443))
    found = check(STATES, wrong.health())
    assert found.outcome == "failed"
    assert found.detail.startswith("10.0.0.8:443 of fwmark 10: 30 of 30 half open")
    lost = table()
    lost.service("FWM", "0000000A", ("10.0.0.7", 0, "Masq", 0, 300))
    assert outcomes(lost.health()) == ("passed", "failed", "passed")


@pytest.mark.parametrize("server_port", [0, 8080])
@pytest.mark.parametrize("mark", [True, False])
def test_a_service_of_any_port_has_entries_of_every_port(server_port: int, mark: bool) -> None:
    """Under persistence a server with a port of its own gets the client's (ip_vs_sched_persist)."""
    any_port = table()
    where = ("FWM", "00000001") if mark else ("TCP", end(VIP, 0))
    any_port.service(*where, ("10.0.0.7", server_port, "Masq", 20, 10))
    any_port.hold(10, "ESTABLISHED", (VIP, 80), ("10.0.0.7", 80))
    any_port.hold(10, "ESTABLISHED", (VIP, 443), ("10.0.0.7", server_port or 443))
    any_port.hold(10, "TIME_WAIT", (VIP, 22), ("10.0.0.7", 22))
    any_port.template((VIP, 0), ("10.0.0.7", server_port), "TCP")
    assert outcomes(any_port.health()) == ALL_WELL
    assert (
        "20 active, 10 inactive; by entries 20 and 10" in check(COUNTERS, any_port.health()).detail
    )


def test_ipv6_entries_find_their_services_and_marks() -> None:
    six = table()
    six.service("TCP", end(VIP6, 80), ("fd00::7", 80, "Route", 0, 10))
    six.service("FWM", "00000001", ("10.0.0.7", 0, "Route", 0, 8))
    six.service("FWM", "00000001", ("fd00::8", 0, "Route", 9, 0))
    six.hold(10, "FIN_WAIT", (VIP6, 80), ("fd00::7", 80))
    six.hold(8, "FIN_WAIT", (VIP, 80), ("10.0.0.7", 80))
    six.hold(9, "ESTABLISHED", (VIP6, 443), ("fd00::8", 443))
    assert outcomes(six.health()) == ALL_WELL
    places = sort_entries(six.health().services, six.health().entries or ()).places
    names = [place.name for place in places]
    assert names == [
        "[fd00::7]:80 of TCP [fd00::1]:80",
        "10.0.0.7 of fwmark 1",
        "fd00::8 of fwmark 1 (IPv6)",
    ]


def test_a_real_server_in_several_services_has_the_entries_of_each() -> None:
    shared = table()
    for port, active in ((80, 25), (443, 15)):
        shared.service("TCP", end(VIP, port), ("10.0.0.7", port, "Masq", active, 0))
        shared.hold(active, "ESTABLISHED", (VIP, port), ("10.0.0.7", port))
    assert outcomes(shared.health()) == ALL_WELL
    swapped = table()
    for port, active, held in ((80, 25, 40), (443, 15, 0)):
        swapped.service("TCP", end(VIP, port), ("10.0.0.7", port, "Masq", active, 0))
        swapped.hold(held, "ESTABLISHED", (VIP, port), ("10.0.0.7", port))
    found = check(COUNTERS, swapped.health())
    assert found.outcome == "failed"
    assert "10.0.0.7:80 of TCP 10.0.0.1:80: 25 and 0, by entries 40 and 0" in found.detail


def test_services_whose_entries_cannot_be_distinguished_are_counted_together() -> None:
    """Two marks of the same servers: an entry's line has no mark."""
    marks = table()
    marks.service("FWM", "00000001", ("10.0.0.7", 0, "Route", 0, 30))
    marks.service("FWM", "00000002", ("10.0.0.7", 0, "Route", 0, 12))
    marks.hold(30, "FIN_WAIT", (VIP, 80), ("10.0.0.7", 80))
    marks.hold(12, "FIN_WAIT", (VIP, 443), ("10.0.0.7", 443))
    assert outcomes(marks.health()) == ALL_WELL
    beside = table()
    beside.service("TCP", end(VIP, 80), ("10.0.0.7", 80, "Route", 0, 10))
    beside.service("FWM", "00000001", ("10.0.0.7", 0, "Route", 0, 30))
    beside.hold(40, "FIN_WAIT", (VIP, 80), ("10.0.0.7", 80))
    assert outcomes(beside.health()) == ALL_WELL


def test_data_connections_of_ftp_belong_to_the_control_connections_server() -> None:
    ftp = table()
    ftp.service("TCP", end(VIP, 21), ("10.0.0.7", 21, "Masq", 20, 0))
    ftp.hold(10, "ESTABLISHED", (VIP, 21), ("10.0.0.7", 21))
    ftp.hold(5, "ESTABLISHED", (VIP, 20), ("10.0.0.7", 20))
    ftp.hold(5, "ESTABLISHED", (VIP, 40_000), ("10.0.0.7", 40_000))
    assert outcomes(ftp.health()) == ALL_WELL


def test_the_same_address_and_port_of_another_protocol_is_another_service() -> None:
    dns = table()
    dns.service("TCP", end(VIP, 53), ("10.0.0.7", 53, "Masq", 6, 0))
    dns.service("UDP", end(VIP, 53), ("10.0.0.7", 53, "Masq", 0, 30))
    dns.hold(6, "ESTABLISHED", (VIP, 53), ("10.0.0.7", 53))
    dns.hold(30, "UDP", (VIP, 53), ("10.0.0.7", 53), protocol="UDP")
    assert outcomes(dns.health()) == ALL_WELL
    assert check(STATES, dns.health()).detail == "30 UDP, 6 ESTABLISHED"


# -- states and sums of every protocol -----------------------------------------------------------


def test_sctp_counts_as_active_in_established_alone() -> None:
    sctp = table()
    sctp.service("SCTP", end(VIP, 36412), ("10.0.0.7", 36412, "Masq", 20, 10))
    sctp.hold(20, "ESTABLISHED", (VIP, 36412), ("10.0.0.7", 36412), protocol="SCTP")
    sctp.hold(6, "S-RECEIVED", (VIP, 36412), ("10.0.0.7", 36412), protocol="SCTP")
    sctp.hold(4, "CLOSED", (VIP, 36412), ("10.0.0.7", 36412), protocol="SCTP")
    assert outcomes(sctp.health()) == ALL_WELL
    detail = check(STATES, sctp.health()).detail
    assert detail == "20 SCTP ESTABLISHED, 6 SCTP S-RECEIVED, 4 SCTP CLOSED"


def test_sctp_associations_that_nobody_answers_are_half_open() -> None:
    sctp = table()
    sctp.service("SCTP", end(VIP, 36412), ("10.0.0.7", 36412, "Route", 0, 30))
    sctp.hold(30, "INIT", (VIP, 36412), ("10.0.0.7", 36412), protocol="SCTP")
    assert outcomes(sctp.health()) == ("failed", "passed", "passed")
    assert "30 of 30 half open" in check(STATES, sctp.health()).detail


@pytest.mark.parametrize("protocol", ["AH", "ESP", "ICMP"])
def test_what_has_no_states_is_inactive_all_its_life(protocol: str) -> None:
    other = table()
    other.service("FWM", "00000001", ("10.0.0.7", 0, "Route", 0, 12))
    other.hold(12, "NONE", (VIP, 500), ("10.0.0.7", 500), protocol=protocol)
    assert outcomes(other.health()) == ALL_WELL


def test_half_open_counts_as_active_only_from_linux_4_8_on() -> None:
    old = table()
    old.service("TCP", end(VIP, 80), ("10.0.0.7", 80, "Masq", 40, 9))
    old.hold(40, "ESTABLISHED", (VIP, 80), ("10.0.0.7", 80))
    old.hold(9, "SYN_RECV", (VIP, 80), ("10.0.0.7", 80))
    assert outcomes(old.health("3.10.0")) == ALL_WELL
    assert outcomes(old.health()) == ("passed", "failed", "passed")


@pytest.mark.parametrize(
    ("protocols", "mark", "kept_s"),
    [((), False, 120), (("UDP",), False, 120), ((), True, 120), (("UDP", "TCP"), True, 300)],
)
def test_an_entry_is_kept_as_long_as_its_protocol_says(
    protocols: tuple[str, ...], mark: bool, kept_s: float
) -> None:
    service = Service(
        protocol="FWM" if mark else "TCP",
        address=None if mark else VIP,
        port=None if mark else 80,
        fwmark=1 if mark else None,
        scheduler="rr",
        destinations=(),
    )
    found_s = lifetime_s(service, Timeouts(), 250, protocols)
    assert kept_s < found_s < kept_s + 20


def test_sctp_is_not_kept_by_tcpfin() -> None:
    service = Service(
        protocol="SCTP", address=VIP, port=9, fwmark=None, scheduler="rr", destinations=()
    )
    assert 61 < lifetime_s(service, Timeouts(), 250) < 64


# -- each real server by itself ------------------------------------------------------------------


def test_a_real_server_that_is_half_open_alone_is_named_among_those_that_are_well() -> None:
    found = check(STATES, from_field("one-server-half-open"))
    assert found.outcome == "failed"
    assert found.detail.startswith(
        "10.178.166.153:8848 of TCP 10.148.201.234:8848: 40 of 40 half open"
    )
    assert "80 ESTABLISHED, 40 SYN_RECV" in found.detail


@pytest.mark.parametrize(
    ("n", "state", "method", "outcome"),
    [
        (5, "SYN_RECV", "Route", "failed"),
        (4, "SYN_RECV", "Route", "passed"),
        (30, "SYNACK", "Route", "failed"),
        (30, "FIN_WAIT", "Masq", "failed"),
        (6, "FIN_WAIT", "Masq", "passed"),
        (30, "FIN_WAIT", "Route", "passed"),
        (3, "TIME_WAIT", "Route", "failed"),
        (30, "TIME_WAIT", "Local", "passed"),
    ],
)
def test_one_server_is_judged_beside_a_hundred_times_as_many_entries(
    n: int, state: str, method: str, outcome: str
) -> None:
    active = state in ("SYN_RECV", "SYNACK")
    mixed = table()
    counts = (n, 0) if active else (0, n)
    mixed.service(
        "TCP",
        end(VIP, 80),
        ("10.0.0.7", 80, method, *counts),
        ("10.0.0.8", 80, method, 600, 0),
    )
    mixed.hold(n, state, (VIP, 80), ("10.0.0.7", 80))
    mixed.hold(600, "ESTABLISHED", (VIP, 80), ("10.0.0.8", 80))
    found = check(STATES, mixed.health())
    assert found.outcome == outcome
    assert found.detail.startswith("10.0.0.7:80 of TCP") is (outcome == "failed")


# -- entries without a server --------------------------------------------------------------------


def removed(state: str, n: int = 12) -> Health:
    left = table()
    left.service("TCP", end(VIP, 80), ("10.0.0.7", 80, "Route", 0, 30))
    left.hold(30, "FIN_WAIT", (VIP, 80), ("10.0.0.7", 80))
    left.hold(n, state, (VIP, 80), ("10.0.0.9", 80))
    return left.health()


def test_entries_of_a_removed_server_are_named_and_are_no_fault_once_they_only_wait() -> None:
    found = check(REMOVED, removed("FIN_WAIT"))
    assert found.outcome == "passed"
    assert found.detail.startswith("10.0.0.9:80 (TCP 10.0.0.1:80): 12 FIN_WAIT")
    assert outcomes(removed("FIN_WAIT")) == ALL_WELL
    assert to_json((), [removed("FIN_WAIT")])["directors"][0]["orphans"] == 12


def test_open_connections_of_a_removed_server_are_a_fault() -> None:
    found = check(REMOVED, removed("ESTABLISHED", 1))
    assert found.outcome == "failed"
    assert "1 ESTABLISHED" in found.detail


def test_entries_of_a_removed_service_are_named_too() -> None:
    left = table()
    left.service("TCP", end(VIP, 443), ("10.0.0.7", 443, "Route", 0, 0))
    left.hold(7, "ESTABLISHED", (VIP, 80), ("10.0.0.7", 80))
    assert outcomes(left.health()) == ("passed", "passed", "failed")
    assert "10.0.0.7:80 (TCP 10.0.0.1:80): 7 ESTABLISHED" in check(REMOVED, left.health()).detail


def test_a_director_that_gives_no_entries_tells_nothing_of_whose_they_are() -> None:
    blind = replace(removed("FIN_WAIT"), entries=None)
    assert outcomes(blind) == ("not measured", "not measured", "not measured")
    shown = to_json((), [blind])["directors"][0]
    assert (shown["templates"], shown["orphans"]) == (None, None)


# -- for all tables ------------------------------------------------------------------------------

PORTS = st.sampled_from([0, 20, 21, 80, 443, 8080])
SERVERS = st.sampled_from(["10.0.0.7", "10.0.0.8", "10.0.0.9"])
DESTINATION = st.builds(
    Destination,
    address=SERVERS,
    port=PORTS,
    forwarding=st.sampled_from(["dr", "nat", "tun", "local"]),
    weight=st.just(1),
    active=st.integers(0, 9),
    inactive=st.integers(0, 9),
)
DESTINATIONS = st.lists(DESTINATION, max_size=3).map(tuple)
BY_ADDRESS = st.builds(
    Service,
    protocol=st.sampled_from(["TCP", "UDP", "SCTP"]),
    address=st.sampled_from([VIP, "10.0.0.2"]),
    port=PORTS,
    fwmark=st.none(),
    scheduler=st.just("rr"),
    destinations=DESTINATIONS,
)
BY_MARK = st.builds(
    Service,
    protocol=st.just("FWM"),
    address=st.none(),
    port=st.none(),
    fwmark=st.integers(1, 3),
    scheduler=st.just("rr"),
    destinations=DESTINATIONS,
)
ENTRY = st.builds(
    Entry,
    protocol=st.sampled_from(["TCP", "UDP", "SCTP", "AH", "IP"]),
    client_ip=st.just("10.9.9.9"),
    client_port=st.integers(0, 3),
    vip=st.sampled_from([VIP, "10.0.0.2"]),
    port=PORTS,
    real_server=SERVERS,
    real_port=PORTS,
    state=st.sampled_from(["NONE", "ESTABLISHED", "LISTEN", "INIT", "ASSURED"]),
    expires_s=st.just(1),
)


@given(st.lists(BY_ADDRESS | BY_MARK, max_size=5), st.lists(ENTRY, max_size=12))
def test_every_entry_is_in_one_class_and_every_place_in_one_group(
    services: list[Service], entries: list[Entry]
) -> None:
    found = sort_entries(services, entries)
    sizes = len(found.bound), len(found.orphans), len(found.templates)
    assert sum(sizes) == len(entries)
    assert sorted(n for group in found.groups() for n in group) == list(range(len(found.places)))
    for one in found.bound:
        assert len(set(one.at)) == len(one.at) > 0
        servers = {found.places[number].server.address for number in one.at}
        assert servers == {one.entry.real_server}
        assert any(set(one.at) <= group for group in found.groups())


@given(st.lists(BY_ADDRESS | BY_MARK, max_size=4), st.lists(ENTRY, max_size=9), st.randoms())
def test_the_order_of_lines_changes_no_outcome(
    services: list[Service], entries: list[Entry], chance: object
) -> None:
    assert isinstance(chance, Random)
    health = replace(removed("FIN_WAIT"), services=tuple(services), entries=tuple(entries))
    mixed = list(entries)
    chance.shuffle(mixed)
    assert outcomes(replace(health, entries=tuple(mixed))) == outcomes(health)
