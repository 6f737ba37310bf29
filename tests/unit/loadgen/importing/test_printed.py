"""What ipvsadm printed, as the records that the poller makes of the kernel's own texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.proc.formats import Destination, Entry, EntryTable, Service, parse_entries
from analyzer.ipvs.states import Timeouts
from loadgen.director.counters import Counters
from loadgen.importing.printed import from_printed

SERVICES = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
"""
ENTRIES = """IPVS connection entries
pro expire state       source             virtual            destination
"""
TCP = "TCP  192.168.10.2:80 wrr persistent 20\n"
ONE = "TCP 01:57  FIN_WAIT    192.168.10.250:40000 192.168.10.2:80    192.168.10.21:80\n"


def three(text: str) -> tuple[tuple[Service, ...], EntryTable | None, tuple[str, ...]]:
    found = from_printed(text)
    return found.services, found.table, found.warnings


@pytest.mark.parametrize(
    ("printed", "forwarding"),
    [("Route", "dr"), ("Masq", "nat"), ("Tunnel", "tun"), ("Local", "local")],
)
def test_a_service_and_its_real_servers(printed: str, forwarding: str) -> None:
    server = f"  -> 192.168.10.21:8080           {printed:7} 3      12         345\n"
    services, table, doubts = three(SERVICES + TCP + server)
    assert services == (
        Service(
            protocol="TCP",
            address="192.168.10.2",
            port=80,
            fwmark=None,
            scheduler="wrr",
            destinations=(
                Destination(
                    address="192.168.10.21",
                    port=8080,
                    forwarding=forwarding,
                    weight=3,
                    active=12,
                    inactive=345,
                ),
            ),
        ),
    )
    assert table is None  # entries were not read
    assert doubts == ()


def test_ipv6_and_firewall_marks() -> None:
    text = (
        f"{SERVICES}UDP  [fd00:10::2]:53 rr\n"
        "  -> [fd00:10::15]:53             Route   1      0          9\n"
        "FWM  258 rr\n"
        "  -> 192.168.10.21:0              Route   1      0          4\n"
    )
    (six, mark), _, doubts = three(text)
    assert (six.protocol, six.address, six.port) == ("UDP", "fd00:10::2", 53)
    assert six.destinations[0].address == "fd00:10::15"
    assert (mark.fwmark, mark.address, mark.destinations[0].port) == (258, None, 0)
    assert doubts == ()


def test_counters_alone_make_no_real_server_with_active_connections() -> None:
    """``--stats`` has no ActiveConn: not seen is not zero."""
    text = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  192.168.10.2:80                    50      300        0    20000        0
  -> 192.168.10.21:80                   50      300        0    20000        0
"""
    (service,), table, _ = three(text)
    assert service.destinations == ()
    assert table is None
    key = ("TCP", "192.168.10.2", 80, None, "192.168.10.21", 80)
    assert from_printed(text).counters == {key: Counters(50, 300, 0, 20000, 0)}


def test_a_real_server_whose_weight_is_not_printed_does_not_drain() -> None:
    """``--thresholds`` prints limits in its place; taken for 0, it "may be rebooted"."""
    (service,) = from_printed(
        "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn\n"
        "  -> RemoteAddress:Port\n"
        "TCP  192.0.2.80:80 wlc\n"
        "  -> 192.0.2.21:80                0          0          3          60\n"
    ).services
    (server,) = service.destinations
    assert (server.weight, server.active, server.inactive) == (1, 3, 60)


def test_the_timeouts_of_a_poll() -> None:
    text = "Timeout (tcp tcpfin udp): 900 20 300\n"
    assert from_printed(text + SERVICES).timeouts == Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)
    assert from_printed(SERVICES + TCP).timeouts is None


def test_an_entry() -> None:
    services, table, doubts = three(ENTRIES + ONE)
    assert services == ()
    assert table is not None
    assert table.entries == (
        Entry(
            protocol="TCP",
            client_ip="192.168.10.250",
            client_port=40000,
            vip="192.168.10.2",
            port=80,
            real_server="192.168.10.21",
            real_port=80,
            state="FIN_WAIT",
            expires_s=117,
        ),
    )
    assert table.lines == 1
    assert doubts == ()


def test_it_is_the_entry_that_the_kernels_own_text_has() -> None:
    _, table, _ = three(ENTRIES + ONE)
    kernels = parse_entries(
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
        "TCP C0A80AFA 9C40 C0A80A02 0050 C0A80A15 0050 FIN_WAIT         117\n"
    )
    assert table is not None
    assert table.entries == kernels.entries


@pytest.mark.parametrize("before", ["", SERVICES, SERVICES + TCP])
def test_an_empty_table_of_entries_was_read(before: str) -> None:
    """Its last entries have gone: that is known only if the empty table counts as a poll."""
    _, table, _ = three(before + ENTRIES)
    assert table is not None
    assert (table.entries, table.lines) == ((), 0)


@pytest.mark.parametrize("text", ["", SERVICES, "Can't initialize ipvs: Protocol not available\n"])
def test_without_such_a_table_entries_were_not_read(text: str) -> None:
    services, table, _ = three(text)
    assert (services, table) == ((), None)


def test_entries_without_a_title_are_entries() -> None:
    """``ipvsadm -Lnc | grep FIN_WAIT``."""
    _, table, _ = three(ONE)
    assert table is not None
    assert table.lines == 1


@pytest.mark.parametrize("source", ["a.very.long.name.exa", "client.example:nosuchservice"])
def test_an_end_without_a_port_is_counted_as_a_line_and_is_no_entry(source: str) -> None:
    """Names as ``ipvsadm -Lc`` cuts them."""
    cut = ONE.replace("192.168.10.250:40000", source)
    _, table, doubts = three(ENTRIES + ONE + cut)
    assert table is not None
    assert (len(table.entries), table.lines) == (1, 2)
    assert len(doubts) == 1


def test_a_line_that_is_not_understood_is_a_doubt() -> None:
    _, _, doubts = three(SERVICES + TCP + "  -> what is this\n")
    assert any("what is this" in doubt for doubt in doubts)


@given(
    st.lists(
        st.one_of(
            st.sampled_from([SERVICES, ENTRIES, TCP, ONE, ONE[:40], "FWM  258 rr\n"]),
            st.text(max_size=60),
        ),
        max_size=8,
    )
)
def test_any_text_gives_something(parts: list[str]) -> None:
    services, table, doubts = three("".join(parts))
    assert all(service.protocol for service in services)
    assert table is None or len(table.entries) <= table.lines
    assert all(isinstance(doubt, str) for doubt in doubts)


def test_a_print_that_comes_again_is_read_once_and_a_long_one_not_kept() -> None:
    short = "IPVS connection entries\npro expire state source virtual destination\n"
    assert from_printed(short) is from_printed(f"{short}")
    long = short + "TCP 01:59  FIN_WAIT 10.0.0.1:5 10.0.0.2:80 10.0.0.3:80\n" * 200
    first, again = from_printed(long), from_printed(long)
    assert first is not again
    assert first == again
    assert from_printed(short).table == EntryTable(entries=(), lines=0, warnings=())


@pytest.mark.parametrize(
    "around", ["   in 0.004s (0)", "lb1 | CHANGED | rc=0 >>", "lb1 | SUCCESS | rc=0 >>"]
)
def test_what_watch_and_ansible_print_around_a_table_is_no_lost_row(around: str) -> None:
    printed = from_printed(f"{around}\nTCP  192.0.2.80:80 wlc\n{around}\n")
    assert (len(printed.services), printed.warnings) == (1, ())
