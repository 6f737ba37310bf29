"""The director's texts.

The tables of IPv4 and the IPv6 services were printed by a kernel (6.1.176, 6.1.192) and then cut
short; the firewall mark and the IPv6 entry are written as its format strings have them.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.ipvs.proc.formats import (
    MAX_WARNINGS,
    Destination,
    Entry,
    Service,
    parse_entries,
    parse_services,
    parse_timeouts,
    parse_uptime,
)
from analyzer.ipvs.states import Timeouts
from tests.unit.properties import examples

SERVICES = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80A02:0050 rr  
  -> C0A80A16:0050      Route   1      3          25        
  -> C0A80A15:0050      Route   2      0          24        
TCP  C0A80A02:0051 rr  
  -> C0A81416:0051      Masq    1      0          0         
  -> C0A81415:0051      Tunnel  0      0          0         
"""  # noqa: W291 - as the kernel prints it

SERVICES_V6 = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  [fd00:0010:0000:0000:0000:0000:0000:0002]:0050 rr 
  -> [fd00:0010:0000:0000:0000:0000:0000:0022]:0050      Route   1      0          7         
"""  # noqa: W291

SERVICES_FWM = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
FWM  00000102 wlc persistent 20 FFFFFFFF
  -> C0A80A16:0000      Route   1      4          6         
"""  # noqa: W291

ENTRIES = """\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C0A80AFA A06C C0A80A02 0050 C0A80A15 0050 FIN_WAIT          9
TCP C0A80AFA 9C4C C0A80A03 0051 C0A80A16 1F90 ESTABLISHED     899
UDP C0A80AFB 9E92 C0A80A02 0035 C0A81415 0035 UDP             300
TCP C0A80AFA 0000 C0A80A02 0050 C0A80A15 0050 ASSURED          20
"""

ENTRIES_V6 = (
    "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
    "TCP fd00:0010:0000:0000:0000:0000:0000:00fa 9C4C "
    "fd00:0010:0000:0000:0000:0000:0000:0002 0050 "
    "fd00:0010:0000:0000:0000:0000:0000:0021 0050 SYN_RECV         59\n"
)

TIMEOUTS = "Timeout (tcp tcpfin udp): 900 120 300\n"
UPTIME = "1234.56 2460.11\n"
ALL = [SERVICES, SERVICES_V6, SERVICES_FWM, ENTRIES, ENTRIES_V6, TIMEOUTS, UPTIME]


def test_a_service_table_gives_every_service_with_its_real_servers() -> None:
    found = parse_services(SERVICES)
    assert found.conn_tab_size == 4096
    assert found.warnings == ()
    assert found.services == (
        Service(
            protocol="TCP",
            address="192.168.10.2",
            port=80,
            fwmark=None,
            scheduler="rr",
            destinations=(
                Destination(
                    address="192.168.10.22",
                    port=80,
                    forwarding="dr",
                    weight=1,
                    active=3,
                    inactive=25,
                ),
                Destination(
                    address="192.168.10.21",
                    port=80,
                    forwarding="dr",
                    weight=2,
                    active=0,
                    inactive=24,
                ),
            ),
        ),
        Service(
            protocol="TCP",
            address="192.168.10.2",
            port=81,
            fwmark=None,
            scheduler="rr",
            destinations=(
                Destination(
                    address="192.168.20.22",
                    port=81,
                    forwarding="nat",
                    weight=1,
                    active=0,
                    inactive=0,
                ),
                Destination(
                    address="192.168.20.21",
                    port=81,
                    forwarding="tun",
                    weight=0,
                    active=0,
                    inactive=0,
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("printed", "ours"),
    [("Route", "dr"), ("Masq", "nat"), ("Tunnel", "tun"), ("Local", "local"), ("Bypass", "Bypass")],
)
def test_a_forwarding_method_has_our_word_or_else_stays_as_printed(printed: str, ours: str) -> None:
    (service, _) = parse_services(SERVICES.replace("Route  ", printed.ljust(7))).services
    assert service.destinations[0].forwarding == ours


def test_ipv6_services_stand_in_brackets() -> None:
    (service,) = parse_services(SERVICES_V6).services
    assert (service.address, service.port) == ("fd00:10::2", 80)
    (server,) = service.destinations
    assert (server.address, server.port, server.inactive) == ("fd00:10::22", 80, 7)


def test_a_firewall_mark_is_hexadecimal_and_has_no_address() -> None:
    (service,) = parse_services(SERVICES_FWM).services
    assert (service.protocol, service.fwmark, service.scheduler) == ("FWM", 258, "wlc")
    assert (service.address, service.port) == (None, None)
    (server,) = service.destinations
    assert (server.address, server.port, server.active, server.inactive) == (
        "192.168.10.22",
        0,
        4,
        6,
    )


def test_an_entry_has_every_column_in_its_place() -> None:
    first, second, third, template = parse_entries(ENTRIES).entries
    assert first == Entry(
        protocol="TCP",
        client_ip="192.168.10.250",
        client_port=0xA06C,
        vip="192.168.10.2",
        port=80,
        real_server="192.168.10.21",
        real_port=80,
        state="FIN_WAIT",
        expires_s=9,
    )
    assert second == Entry(
        protocol="TCP",
        client_ip="192.168.10.250",
        client_port=0x9C4C,
        vip="192.168.10.3",
        port=81,
        real_server="192.168.10.22",
        real_port=8080,
        state="ESTABLISHED",
        expires_s=899,
    )
    assert (third.protocol, third.state) == ("UDP", "UDP")
    assert (template.client_port, template.state) == (0, "ASSURED")


def test_ipv6_entries_have_no_brackets_and_the_port_as_its_own_field() -> None:
    (entry,) = parse_entries(ENTRIES_V6).entries
    assert entry == Entry(
        protocol="TCP",
        client_ip="fd00:10::fa",
        client_port=0x9C4C,
        vip="fd00:10::2",
        port=80,
        real_server="fd00:10::21",
        real_port=80,
        state="SYN_RECV",
        expires_s=59,
    )


def test_duplicates_of_a_torn_read_are_one_entry_but_count_as_lines() -> None:
    lines = ENTRIES.splitlines(keepends=True)
    found = parse_entries("".join([*lines, lines[1], lines[2]]))
    assert len(found.entries) == 4
    assert found.lines == 6


def test_the_longest_state_of_a_kernel_is_kept_whole() -> None:
    """SCTP's, of 17 characters (``ip_vs_proto_sctp.c``)."""
    line = ENTRIES.splitlines(keepends=True)[1].replace("TCP", "SCTP", 1)
    text = line.replace("FIN_WAIT         ", "SHUTDOWN_RECEIVED")
    (entry,) = parse_entries(text).entries
    (row,) = read_entries(text.encode()).rows
    assert entry.state == row["state"].decode() == "SHUTDOWN_RECEIVED"


def test_of_a_duplicate_the_later_line_counts() -> None:
    line = ENTRIES.splitlines(keepends=True)[1]
    (entry,) = parse_entries(
        line + line.replace("FIN_WAIT          9", "SYN_RECV         60")
    ).entries
    assert (entry.state, entry.expires_s) == ("SYN_RECV", 60)


@pytest.mark.parametrize("text", [SERVICES, SERVICES_V6, SERVICES_FWM])
def test_line_ends_of_another_system_change_nothing(text: str) -> None:
    assert parse_services(text.replace("\n", "\r\n")) == parse_services(text)


def test_line_ends_of_another_system_change_no_entry() -> None:
    assert parse_entries(ENTRIES.replace("\n", "\r\n")) == parse_entries(ENTRIES)


def test_an_empty_table_holds_nothing_and_gives_no_warning() -> None:
    header = ENTRIES.splitlines(keepends=True)[0]
    assert parse_entries(header).entries == ()
    assert parse_entries(header).warnings == ()
    assert parse_entries("") == parse_entries(header)
    assert parse_services("").services == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("TCP C0A80AFA A06C C0A80A02 0050 C0A80A15 00", "cut off in a port"),
        ("TCP C0A80AFA A06C C0A80A02 0050 C0A80A15 0050 FIN_W", "cut off in the state"),
        ("TCP C0A80AF A06C C0A80A02 0050 C0A80A15 0050 FIN_WAIT 9", "an address of 7 digits"),
        ("TCP C0A80AFG A06C C0A80A02 0050 C0A80A15 0050 FIN_WAIT 9", "not hexadecimal"),
        ("TCP C0A80AFA A06C C0A80A02 0050 C0A80A15 0050 FIN_WAIT soon", "no number of seconds"),
        ("TCP 1:2:3 A06C C0A80A02 0050 C0A80A15 0050 FIN_WAIT 9", "a short IPv6 address"),
    ],
)
def test_a_bad_line_costs_itself_and_is_named_by_its_number(line: str, why: str) -> None:
    lines = ENTRIES.splitlines()
    found = parse_entries("\n".join([*lines[:2], line, *lines[2:]]))
    assert found.entries == parse_entries(ENTRIES).entries, why
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("line 3: ")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("TCP  C0A80A02:0050", "a service without a scheduler"),
        ("TCP  C0A80A02 rr", "a service without a port"),
        ("FWM  whatever rr", "a mark that is no number"),
        ("  -> C0A80A16:0050      Route   1      3", "a real server cut short"),
        ("  -> C0A80A16:0050      Route   1      x          0", "a count that is no number"),
    ],
)
def test_a_bad_line_of_the_service_table_costs_itself(line: str, why: str) -> None:
    found = parse_services(SERVICES + line + "\n")
    assert found.services == parse_services(SERVICES).services, why
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("line 10: ")


def test_a_real_server_above_any_service_is_doubtful() -> None:
    found = parse_services("  -> C0A80A16:0050      Route   1      3          0\n")
    assert found.services == ()
    assert len(found.warnings) == 1


def test_warnings_are_bounded_in_number_and_in_length() -> None:
    found = parse_entries("\n".join("x" * 10_000 for _ in range(1000)))
    assert len(found.warnings) == MAX_WARNINGS + 1
    assert found.warnings[-1] == f"and {1000 - MAX_WARNINGS} more lines"
    assert max(map(len, found.warnings)) < 200


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TIMEOUTS, Timeouts(tcp_s=900, tcpfin_s=120, udp_s=300)),
        ("warning: x\r\nTimeout (tcp tcpfin udp): 900 20 7\r\n", Timeouts(tcpfin_s=20, udp_s=7)),
        ("Permission denied (you must be root)\n", None),
        ("Timeout (tcp tcpfin udp): 900 120", None),  # cut off
        ("", None),
    ],
)
def test_the_three_timeouts_are_read_in_their_order(text: str, found: Timeouts | None) -> None:
    assert parse_timeouts(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (UPTIME, (1234.56, "")),
        (UPTIME + SERVICES, (1234.56, SERVICES)),  # the rest stays whole
        ("0.07 0.00\n", (0.07, "")),
        ("1234.56 2460.11", (1234.56, "")),
        ("1234.56\n", None),  # not /proc/uptime
        ("up 3 days\n", None),
        (SERVICES, None),
        ("", None),
    ],
)
def test_a_text_that_begins_with_the_uptime_is_split(
    text: str, found: tuple[float, str] | None
) -> None:
    assert parse_uptime(text) == found


def read_all(text: str) -> None:
    table = parse_services(text)
    for service in table.services:
        assert (service.fwmark is None) or service.protocol == "FWM"
    entries = parse_entries(text)
    assert len({entry.key for entry in entries.entries}) == len(entries.entries) <= entries.lines
    parse_timeouts(text)
    parse_uptime(text)


@given(st.text())
@example("TCP  ::1%eth0:0050 rr")
@example("٣٣.٣٣ ٣.٣٣\n")  # decimal digits, but not ours
@example("Timeout (tcp tcpfin udp): ٩ ٩ ٩")
@example("IP Virtual Server version 1.2.1 (size=٤)")
def test_no_text_raises(text: str) -> None:
    read_all(text)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A real text with some of it cut out, doubled or overwritten."""
    text = draw(st.sampled_from(ALL))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = draw(st.integers(at, min(at + 40, len(text))))
        put = draw(st.one_of(st.text(max_size=8), st.just(text[at:end] * 2), st.just("")))
        text = text[:at] + put + text[end:]
    return text


@given(damaged())
@examples(200)
def test_no_damage_raises(text: str) -> None:
    read_all(text)


@given(st.data())
@examples(50)
def test_a_text_cut_anywhere_keeps_the_lines_before_the_cut(data: st.DataObject) -> None:
    lines = ENTRIES.splitlines(keepends=True)
    whole = data.draw(st.integers(0, len(lines) - 1))
    part = lines[whole][: data.draw(st.integers(0, len(lines[whole]) - 1))]
    found = parse_entries("".join(lines[:whole]) + part).entries
    assert found[: max(whole - 1, 0)] == parse_entries("".join(lines[:whole])).entries
