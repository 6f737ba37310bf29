"""Clients that are hidden behind a director's own address, as the table shows them."""

from __future__ import annotations

from analyzer.conntrack.masqueraded import Masquerades, masquerade_columns
from analyzer.conntrack.proc import read_conntrack
from analyzer.conntrack.statistics import insert_failed_of


def line(client: str, source: str, port: int = 41068, source_port: int = 41068) -> str:
    return (
        f"ipv4     2 tcp      6 118 TIME_WAIT src={client} dst=192.168.10.2 sport={port} dport=80 "
        f"src=192.168.20.21 dst={source} sport=8080 dport={source_port} [ASSURED] mark=0 use=2\n"
    )


PLAIN = line("192.168.10.250", "192.168.10.250")
HIDDEN = line("192.168.10.250", "192.168.20.11", 41069, 1024)
MOVED = line("192.168.10.250", "192.168.10.250", 41070, 1025)


def test_what_stands_for_a_client_before_the_real_server_is_read() -> None:
    table = read_conntrack(PLAIN + HIDDEN + MOVED)
    assert len(table.rows) == 3
    columns = masquerade_columns(table.masqueraded)
    found = [
        columns[name].to_pylist()
        for name in ("client_ip", "client_port", "source_ip", "source_port", "real_port")
    ]
    assert list(zip(*found, strict=True)) == [
        ("192.168.10.250", 41069, "192.168.20.11", 1024, 8080),
        ("192.168.10.250", 41070, "192.168.10.250", 1025, 8080),
    ]


def test_a_source_of_another_family_keeps_its_own() -> None:
    columns = masquerade_columns(read_conntrack(line("fd00::1", "fd00::b")).masqueraded)
    assert columns["source_ip"].to_pylist() == ["fd00::b"]
    columns = masquerade_columns(read_conntrack(line("fd00::1", "10.0.0.1")).masqueraded)
    assert columns["source_ip"].to_pylist() == ["10.0.0.1"]


def test_a_source_that_is_no_address_or_port_costs_only_itself() -> None:
    table = read_conntrack(line("10.0.0.1", "999.1.1.1") + line("10.0.0.1", "10.0.0.2", 1, 65536))
    assert len(table.rows) == 2
    assert len(table.masqueraded) == 0


def test_lines_that_are_no_entries_cost_only_themselves() -> None:
    table = read_conntrack(f"{HIDDEN}garbage\n{PLAIN}{MOVED}")
    assert len(table.masqueraded) == 2
    assert len(table.warnings) == 1


def test_only_what_the_read_before_had_not_is_new() -> None:
    folded = Masquerades()
    both = read_conntrack(HIDDEN + MOVED).masqueraded
    assert len(folded.fresh(both)) == 2
    assert len(folded.fresh(both)) == 0
    again = read_conntrack(HIDDEN + MOVED.replace("dport=1025", "dport=1026")).masqueraded
    assert masquerade_columns(folded.fresh(again))["source_port"].to_pylist() == [1026]


STATISTICS = """\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop
00000004  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000006 6 0
00000004  00000000 00000002 00000000 00000000 00000000 00000000 00000000 00000000 0000000a 0 0
"""


def test_packets_without_entry_are_added_up_over_cpus() -> None:
    assert insert_failed_of(STATISTICS) == 16


def test_what_is_no_such_table_is_not_known_and_never_raises() -> None:
    for text in ("", "entries\n0\n", "insert_failed\n", "insert_failed\nzz\n", "\0"):
        assert insert_failed_of(text) is None
