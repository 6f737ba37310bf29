"""The reader of columns gives what the reader of lines gives, for any text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.ipvs.proc import entry_text
from analyzer.ipvs.proc.entry_rows import entries_of, entry_columns, is_address, rows_of
from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.ipvs.proc.formats import Entry, parse_entries
from tests.unit.properties import examples

TITLE = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
LINE = "TCP C0A80AFA A06C C0A80A02 0050 C0A80A15 0050 FIN_WAIT          9\n"
LINE_V6 = (
    "TCP fd00:0010:0000:0000:0000:0000:0000:00fa 9C4C fd00:0010:0000:0000:0000:0000:0000:0002 0050"
    " fd00:0010:0000:0000:0000:0000:0000:0021 0050 SYN_RECV         59\n"
)

states = st.sampled_from(["ESTABLISHED", "FIN_WAIT", "SYN_RECV", "UDP", "NONE", "ASSURED", "X"])
ipv4 = st.integers(0, 2**32 - 1).map("{:08X}".format)
ipv6 = st.integers(0, 2**128 - 1).map(
    lambda number: ":".join(f"{number:032x}"[at : at + 4] for at in range(0, 32, 4))
)
ports = st.integers(0, 65535).map("{:04X}".format)


@st.composite
def printed(draw: st.DrawFn) -> str:
    """A line as the kernel prints it: either family, also mixed, and with what an engine adds."""
    family = draw(st.sampled_from([ipv4, ipv6]))
    server = draw(st.sampled_from([family, family, ipv6]))
    ends = " ".join(f"{draw(each)} {draw(ports)}" for each in (family, family, server))
    protocol = draw(st.sampled_from(["TCP", "UDP", "SCTP", "AH"]))
    expires = draw(st.sampled_from([0, 9, 120, 9_999_999, 12_345_678_901]))
    engine = draw(st.sampled_from(["", "", "", " sip call-1"]))
    return f"{protocol:<3} {ends} {draw(states):<11} {expires:7}{engine}\n"


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Lines of the kernel's, some of them damaged, cut, doubled or none at all."""
    lines = draw(st.lists(printed() | st.just(LINE) | st.just(LINE_V6) | st.just("\n"), max_size=8))
    text = draw(st.sampled_from(["", TITLE])) + "".join(lines)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        taken = draw(st.integers(0, 3))
        put = draw(st.text(max_size=3) | st.sampled_from([" ", "\0", "\r", "G", "-", "Pro "]))
        text = text[:at] + put + text[at + taken :]
    return text


@given(texts() | st.text())
@example(TITLE + LINE + LINE_V6)
@example(LINE.replace("TCP", "Pro"))  # a title, wherever it stands
@example(LINE.replace("TCP", "TC\0"))
@example(LINE.replace("FIN_WAIT  ", "FIN_WAIT\0\0"))
@example(LINE.replace("FIN_WAIT", "FIN WAIT"))
@example(LINE.replace("         9", "       9  "))
@example(LINE.replace("         9", "         -"))
@example(LINE.replace("0050 FIN", "0050\tFIN"))
@example(LINE.replace("FIN_WAIT  ", "        FI"))
@example(LINE.replace("C0A80AFA", "C0A80AF\N{FULLWIDTH DIGIT NINE}"))
@example(" " + LINE)
@example(LINE.rstrip())
@examples(400)
def test_columns_give_what_lines_give(text: str) -> None:
    reference = parse_entries(text)
    found = read_entries(text)
    assert (found.lines, found.warnings) == (reference.lines, reference.warnings)
    last = {entry.key: entry for entry in entries_of(found.rows)}
    assert tuple(last.values()) == reference.entries


@given(texts(), st.integers(1, 200))
def test_a_text_is_the_same_in_any_pieces(text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = read_entries(text)
        patch.setattr(entry_text, "CHUNK_BYTES", size)
        pieces = read_entries(text)
    assert entries_of(pieces.rows) == entries_of(whole.rows)
    assert pieces.warnings == whole.warnings


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    found = read_entries(raw)
    assert found.lines <= raw.count(b"\n") + 1


@given(texts())
def test_entries_come_back_from_their_rows(text: str) -> None:
    entries = parse_entries(text).entries
    assert entries_of(rows_of(entries)) == entries


def test_the_kernels_own_lines_are_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_text, "read_entry", None)
    sctp = LINE.replace("TCP", "SCTP")
    assert read_entries((LINE + LINE_V6 + sctp) * 3).lines == 9


def test_rows_are_chosen_by_address() -> None:
    rows = read_entries(LINE + LINE_V6 + LINE.replace("C0A80A02", "C0A80A03")).rows
    assert is_address(rows, "vip", "192.168.10.2").tolist() == [True, False, False]
    assert is_address(rows, "vip", "fd00:10::2").tolist() == [False, True, False]
    assert is_address(rows, "real_server", "192.168.10.21").tolist() == [True, False, True]
    assert not is_address(rows, "client_ip", "::c0a8:afa").any()  # the same number, not the same


def test_columns_have_the_recordings_types() -> None:
    columns = entry_columns(read_entries(TITLE + LINE + LINE_V6).rows)
    assert {name: column.to_pylist() for name, column in columns.items()} == {
        "protocol": ["TCP", "TCP"],
        "state": ["FIN_WAIT", "SYN_RECV"],
        "expires_s": [9, 59],
        "client_ip": ["192.168.10.250", "fd00:10::fa"],
        "client_port": [0xA06C, 0x9C4C],
        "vip": ["192.168.10.2", "fd00:10::2"],
        "port": [80, 80],
        "real_server": ["192.168.10.21", "fd00:10::21"],
        "real_port": [80, 80],
    }
    assert entries_of(read_entries("").rows) == ()


def test_addresses_of_many_rows_are_the_same_whether_few_or_many_differ() -> None:
    rows = read_entries(LINE * 1200 + LINE_V6 + LINE.replace("C0A80A15", "00000000")).rows
    rows["client_ip_low"][:1200] = range(1200)
    columns = entry_columns(rows)
    assert columns["client_ip"].to_pylist()[1198:] == [
        "0.0.4.174",
        "0.0.4.175",
        "fd00:10::fa",
        "192.168.10.250",
    ]
    servers = ["192.168.10.21"] * 1200 + ["fd00:10::21", "0.0.0.0"]
    assert columns["real_server"].to_pylist() == servers


def test_a_page_of_warnings_says_how_many_more_there_are() -> None:
    found = read_entries("nonsense\n" * 1000)
    assert found.warnings[-1] == "and 980 more lines"
    assert found.lines == 0


def test_an_entry_has_all_that_a_row_has() -> None:
    entry = Entry(
        protocol="TCP",
        client_ip="::1",
        client_port=65535,
        vip="1.2.3.4",
        port=0,
        real_server="255.255.255.255",
        real_port=1,
        state="A" * 16,
        expires_s=-1,
    )
    assert entries_of(rows_of([entry])) == (entry,)
