"""The connection tracking table, as the kernel and conntrack(8) print it, to rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.conntrack import proc
from analyzer.conntrack.proc import STATE_NAMES, read_conntrack, translated
from analyzer.ipvs.proc.entry_rows import entries_of
from analyzer.ipvs.proc.formats import Entry

TIME_WAIT = (
    "ipv4     2 tcp      6 118 TIME_WAIT src=192.168.10.250 dst=192.168.10.2 sport=41068 dport=80 "
    "src=192.168.20.21 dst=192.168.10.250 sport=8080 dport=41068 [ASSURED] mark=0 zone=0 use=2\n"
)
ICMP = (
    "ipv4     2 icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=9 "
    "src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=9 mark=0 use=2\n"
)


def only(text: str) -> Entry:
    """The one entry of a text, which is understood."""
    table = read_conntrack(text)
    assert table.warnings == ()
    (entry,) = entries_of(table.rows)
    return entry


def test_a_row_is_the_original_tuple_and_the_reply_s_source() -> None:
    assert only(TIME_WAIT) == Entry(
        protocol="TCP",
        client_ip="192.168.10.250",
        client_port=41068,
        vip="192.168.10.2",
        port=80,
        real_server="192.168.20.21",
        real_port=8080,
        state="TIME_WAIT",
        expires_s=118,
    )


@pytest.mark.parametrize(
    "state",
    [
        *("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK"),
        *("TIME_WAIT", "CLOSE", "SYN_SENT2", "NONE"),
    ],
)
def test_a_tcp_state_is_the_one_that_is_printed(state: str) -> None:
    assert only(TIME_WAIT.replace("TIME_WAIT", state)).state == state


UDP = (
    "ipv4     2 udp      17 27 src=10.1.0.9 dst=10.1.0.2 sport=5000 dport=53 {0}"
    "src=10.2.0.1 dst=10.1.0.9 sport=53 dport=5000 {1}mark=0 zone=0 use=2\n"
)


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        (("[UNREPLIED] ", ""), "UNREPLIED"),
        (("", ""), "REPLIED"),
        (("", "[ASSURED] "), "ASSURED"),
    ],
)
def test_udp_has_the_state_that_its_flags_say(flags: tuple[str, str], state: str) -> None:
    entry = only(UDP.format(*flags))
    assert (entry.protocol, entry.state, entry.expires_s) == ("UDP", state, 27)


def test_a_syn_that_nobody_answered_keeps_its_printed_state() -> None:
    text = TIME_WAIT.replace("TIME_WAIT", "SYN_SENT").replace(" [ASSURED]", "")
    text = text.replace("src=192.168.20", "[UNREPLIED] src=192.168.20")
    assert only(text).state == "SYN_SENT"


@pytest.mark.parametrize("flag", ["OFFLOAD", "HW_OFFLOAD"])
@pytest.mark.parametrize("timer", ["", "431 ESTABLISHED "])
def test_an_offloaded_flow_has_a_state_of_its_own_and_needs_no_timer(flag: str, timer: str) -> None:
    text = TIME_WAIT.replace("118 TIME_WAIT ", timer).replace("ASSURED", flag)
    assert only(text).state == "OFFLOAD"
    assert only(text).expires_s == (431 if timer else 0)


def test_a_row_without_a_timer_that_is_not_offloaded_costs_itself() -> None:
    table = read_conntrack(TIME_WAIT.replace("118 ", "") + TIME_WAIT)
    assert (table.lines, table.unread) == (1, 1)


def test_ipv6_is_read_in_full_and_shortened_and_is_the_same() -> None:
    full = (
        "ipv6     10 tcp      6 3 CLOSE "
        "src=fd00:0010:0000:0000:0000:0000:0000:00fa dst=fd00:0010:0000:0000:0000:0000:0000:0002 "
        "sport=40000 dport=80 "
        "src=fd00:0020:0000:0000:0000:0000:0000:0021 dst=fd00:0010:0000:0000:0000:0000:0000:00fa "
        "sport=80 dport=40000 [ASSURED] mark=0 zone=0 use=2\n"
    )
    short = (
        "tcp      6 3 CLOSE src=fd00:10::fa dst=fd00:10::2 sport=40000 dport=80 "
        "src=fd00:20::21 dst=fd00:10::fa sport=80 dport=40000 [ASSURED] mark=0 use=1\n"
    )
    assert only(full) == only(short)
    assert only(full).vip == "fd00:10::2"
    assert only(full).real_server == "fd00:20::21"


@pytest.mark.parametrize(
    "text",
    [
        TIME_WAIT.removeprefix("ipv4     2 "),  # conntrack -L
        TIME_WAIT.replace(
            "zone=0 use=2", "secctx=system_u:object_r:t:s0 zone=7 delta-time=3 use=2"
        ),
        TIME_WAIT.replace("dport=80 ", "dport=80 packets=5 bytes=400 ").replace(
            "dport=41068 ", "dport=41068 packets=4 bytes=300 "
        ),
        TIME_WAIT.replace("dport=80 ", "dport=80 zone-orig=3 ").replace(
            "dport=41068 ", "dport=41068 zone-reply=4 packets=4 bytes=300 "
        ),
        TIME_WAIT.replace("\n", "\r\n"),
        TIME_WAIT.rstrip("\n"),
        "  " + TIME_WAIT,
        TIME_WAIT + "\n",
        ICMP + TIME_WAIT,
        TIME_WAIT + "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.\n",
        TIME_WAIT + ICMP.removeprefix("ipv4     2 "),
        TIME_WAIT + "ipv4     2 gre      47 9 src=10.0.0.1 dst=10.0.0.2 srckey=0x0 dstkey=0x1 "
        "src=10.0.0.2 dst=10.0.0.1 srckey=0x1 dstkey=0x0 use=1\n",
        TIME_WAIT + "ipv4     2 unknown  2 597 src=10.0.0.1 dst=224.0.0.1 [UNREPLIED] "
        "src=224.0.0.1 dst=10.0.0.1 mark=0 zone=0 use=2\n",
    ],
)
def test_what_else_is_printed_changes_no_entry_and_is_no_warning(text: str) -> None:
    assert only(text) == only(TIME_WAIT)


@pytest.mark.parametrize(
    "line",
    [
        TIME_WAIT.replace("192.168.10.2 ", "192.168.10.256 "),
        TIME_WAIT.replace("sport=41068", "sport=65536"),
        TIME_WAIT.replace("sport=8080", "sport="),
        TIME_WAIT.replace("TIME_WAIT", "TIME WAIT"),
        TIME_WAIT.replace("118", "-1"),
        TIME_WAIT.replace("src=192.168.20.21", "src=::g"),
        TIME_WAIT[:100] + "\n",
        "cat: /proc/net/nf_conntrack: Permission denied\n",
    ],
)
def test_a_row_that_is_not_understood_costs_itself_alone(line: str) -> None:
    table = read_conntrack(TIME_WAIT + line + TIME_WAIT.replace("118", "117"))
    assert [entry.expires_s for entry in entries_of(table.rows)] == [118, 117]
    assert table.unread == 1
    assert table.warnings[0].startswith("line 2: ")
    assert table.warnings[0].endswith("is not a connection entry")


def test_numbers_of_lines_go_on_from_piece_to_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc, "CHUNK_BYTES", len(TIME_WAIT) * 2)
    table = read_conntrack(TIME_WAIT * 5 + "what\n" + TIME_WAIT)
    assert (table.lines, table.unread) == (6, 1)
    assert table.warnings[0].startswith("line 6: ")


def test_warnings_are_few_however_many_rows_are_bad() -> None:
    table = read_conntrack("what\n" * 1000)
    assert table.unread == 1000
    assert len(table.warnings) == 21


def test_translated_entries_are_those_that_another_end_answers() -> None:
    other_port = TIME_WAIT.replace("src=192.168.20.21", "src=192.168.10.2")
    itself = other_port.replace("sport=8080", "sport=80")
    table = read_conntrack(TIME_WAIT + other_port + itself)
    assert translated(table.rows).tolist() == [True, True, False]


ipv4 = st.integers(0, 2**32 - 1).map(lambda n: ".".join(str(octet) for octet in n.to_bytes(4)))
ipv6 = st.integers(0, 2**128 - 1).map(
    lambda number: ":".join(f"{number:032x}"[at : at + 4] for at in range(0, 32, 4))
)
ports = st.integers(0, 65535)


@st.composite
def printed(draw: st.DrawFn) -> str:
    """A line as the kernel prints it (``ct_seq_show``)."""
    family, address = draw(st.sampled_from([("ipv4     2", ipv4), ("ipv6     10", ipv6)]))
    client, vip, server = (draw(address) for _ in range(3))
    port, client_port, real_port = (draw(ports) for _ in range(3))
    protocol, state = draw(
        st.sampled_from(
            [("tcp      6", "ESTABLISHED "), ("tcp      6", "TIME_WAIT "), ("udp      17", "")]
        )
    )
    acct = draw(st.sampled_from(["", "packets=1 bytes=52 "]))
    unreplied, flag = draw(st.sampled_from([("[UNREPLIED] ", ""), ("", ""), ("", "[ASSURED] ")]))
    expires = draw(st.integers(0, 432000))
    return (
        f"{family} {protocol} {expires} {state}src={client} dst={vip} "
        f"sport={client_port} dport={port} {acct}{unreplied}"
        f"src={server} dst={client} sport={real_port} dport={client_port} {acct}{flag}"
        "mark=0 zone=0 use=2\n"
    )


@given(st.lists(printed(), max_size=6))
def test_every_row_that_the_kernel_prints_is_read(lines: list[str]) -> None:
    table = read_conntrack("".join(lines))
    assert (table.lines, table.unread) == (len(lines), 0)
    for line, entry in zip(lines, entries_of(table.rows), strict=True):
        words = dict(word.split("=") for word in reversed(line.split()) if "=" in word)
        assert entry.client_port == int(words["sport"])
        assert entry.port == int(words["dport"])
        assert f" {entry.expires_s} " in line


@given(st.lists(printed() | st.text(max_size=30), max_size=6), st.data())
def test_any_text_is_read_and_rows_are_independent(lines: list[str], data: st.DataObject) -> None:
    text = "".join(lines)
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.text(max_size=3)) + text[at:]
    whole = read_conntrack(text)
    apart = [read_conntrack(line) for line in text.split("\n")]
    assert whole.lines == sum(part.lines for part in apart)
    assert whole.unread == sum(part.unread for part in apart)
    assert entries_of(whole.rows) == tuple(
        entry for part in apart for entry in entries_of(part.rows)
    )


@given(st.binary(max_size=300))
def test_no_bytes_raise(content: bytes) -> None:
    table = read_conntrack(content)
    assert table.lines + table.unread <= content.count(b"\n") + 1


def test_the_states_that_rows_may_have_are_the_kernels_and_those_of_flags() -> None:
    tcp = (
        "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2"
    )
    assert {*tcp.split(), "UNREPLIED", "REPLIED", "ASSURED", "OFFLOAD"} == STATE_NAMES
