"""Whatever numbers a director prints: a row that cannot be true costs itself, nothing else."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.ipvsadm import parse
from analyzer.ipvs.proc.entry_rows import entry_columns
from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.ipvs.proc.formats import MOST_CONNECTIONS, parse_services
from analyzer.recording.tables import TABLES, table_of
from analyzer.units import MAX_COUNTER
from loadgen.director.counters import parse_counters
from loadgen.director.polling.rows import counters_alone, service_rows
from loadgen.importing.printed import from_printed

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(0, 100),
    st.sampled_from([-1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 10**30]),
)
SUFFIXES = st.sampled_from(["", "", "K", "M", "G", "T"])
STATS = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.0.0.1:80 1 2 3 4 5
  -> 10.0.0.2:80 {}
  -> 10.0.0.3:80 1 2 3 4 5
"""
PLAIN = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.0.0.1:80 rr
  -> 10.0.0.2:80 Route {}
  -> 10.0.0.3:80 Route 1 2 3
"""
KERNEL = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A000001:0050 rr
  -> 0A000002:0050      Route   {}
  -> 0A000003:0050      Route   1      2          3
"""
ENTRY = "TCP C0A80AFA 9C41 C0A80A02 0050 C0A80A15 0050 FIN_WAIT          {}\n"


def words(count: int) -> st.SearchStrategy[str]:
    word = st.builds("{}{}".format, NUMBERS, SUFFIXES)
    return st.lists(word, min_size=count, max_size=count).map(" ".join)


def stored(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TABLES["services"])


@given(words(5))
def test_no_counter_ends_a_watch(numbers: str) -> None:
    table = parse_counters(STATS.format(numbers))
    assert table is not None
    counters = table.counters
    assert table.unread == 2 - len(counters)
    assert ("TCP", "10.0.0.1", 80, None, "10.0.0.3", 80) in counters
    assert stored(counters_alone(counters, {}, ())).num_rows == len(counters)
    assert all(0 <= number <= MAX_COUNTER for row in counters.values() for number in row)


@given(words(3))
def test_no_number_of_a_service_table_ends_a_watch(numbers: str) -> None:
    for services in (
        parse_services(KERNEL.format(numbers)).services,
        from_printed(PLAIN.format(numbers)).services,
    ):
        servers = services[0].destinations
        assert servers[-1].address == "10.0.0.3"
        assert stored(service_rows(services[0])).num_rows == len(servers)
        for server in servers:
            for number in (server.weight, server.active, server.inactive):
                assert 0 <= number <= MOST_CONNECTIONS


@given(NUMBERS)
def test_no_time_of_an_entry_ends_a_watch(expires_s: int) -> None:
    read = read_entries(ENTRY.format(expires_s) + ENTRY.format(9))
    assert read.rows["expires_s"][-1] == 9
    columns = entry_columns(read.rows) | {"at": 0, "director": "bal01", "change": "appeared"}
    assert table_of("entries", columns).num_rows == read.lines
    assert all(0 <= held_s <= 10**9 for held_s in read.rows["expires_s"].tolist())


@given(st.lists(NUMBERS, min_size=3, max_size=3))
def test_no_number_in_a_log_ends_its_import(numbers: list[int]) -> None:
    clock, *rest = numbers
    text = f"""\
IPVS connection entries
pro expire state       source             virtual            destination
TCP {clock}:00 ESTABLISHED 10.0.0.9:4000 10.0.0.1:80 10.0.0.2:80
TCP 01:00 ESTABLISHED 10.0.0.9:4001 10.0.0.1:80 10.0.0.2:80
Timeout (tcp tcpfin udp): {clock} {rest[0]} {rest[1]}
"""
    table = from_printed(text).table
    assert table is not None
    assert table.entries[-1].client_port == 4001
    assert all(entry.expires_s <= 10**9 for entry in table.entries)


@pytest.mark.parametrize("odd", ["18446744073709551615", "-1", "2147483648"])
def test_a_row_that_no_kernel_prints_costs_itself_with_a_warning(odd: str) -> None:
    parsed = parse(PLAIN.format(f"1 {odd} 0"))
    assert [server.address for server in parsed.services[0].destinations] == ["10.0.0.3"]
    assert parsed.warnings == (f"line 5: {odd} is more, or less, than a kernel counts",)
    table = parse_services(KERNEL.format(f"1 {odd} 0"))
    assert [server.address for server in table.services[0].destinations] == ["10.0.0.3"]
    assert table.unread == 1
