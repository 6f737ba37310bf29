"""Entries as rows of one array, and back."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.proc.entry_rows import AddressNames, entries_of, rows_of
from analyzer.ipvs.proc.formats import Entry

ports = st.integers(0, 65535)


def entries(addresses: st.SearchStrategy[str]) -> st.SearchStrategy[list[Entry]]:
    entry = st.builds(
        Entry,
        protocol=st.sampled_from(["TCP", "UDP", "SCTP"]),
        client_ip=addresses,
        client_port=ports,
        vip=addresses,
        port=ports,
        real_server=addresses,
        real_port=ports,
        state=st.sampled_from(["ESTABLISHED", "SHUTDOWN_RECEIVED"]),
        expires_s=st.integers(-(2**40), 2**40),
    )
    return st.lists(entry, max_size=8)


@given(entries(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)))
def test_entries_come_back_from_rows_as_they_were(given_entries: list[Entry]) -> None:
    assert list(entries_of(rows_of(given_entries))) == given_entries


@given(entries(st.sampled_from(["www.example.org", "lb-1", "192.168.10.2", "fd00::2"])))
def test_addresses_that_are_names_come_back_as_columns(given_entries: list[Entry]) -> None:
    names = AddressNames()
    columns = names.columns(names.rows_of(given_entries))
    for name, column in columns.items():
        assert column.to_pylist() == [asdict(entry)[name] for entry in given_entries]
    assert columns.keys() == Entry.__dataclass_fields__.keys()


def test_a_name_has_one_number_from_read_to_read() -> None:
    names = AddressNames()
    entry = Entry(
        protocol="TCP",
        client_ip="client.example",
        client_port=40_000,
        vip="vip.example",
        port=80,
        real_server="srv01.example",
        real_port=80,
        state="FIN_WAIT",
        expires_s=20,
    )
    first, then = names.rows_of([entry]), names.rows_of([entry, entry])
    assert (then == first[0]).all()
