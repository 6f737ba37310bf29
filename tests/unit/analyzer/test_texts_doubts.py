"""What surrounds tables, what is broken in them, and what cannot be known: never a wrong value."""

from __future__ import annotations

import pytest

from analyzer.documents import to_json
from analyzer.ipvs.ipvsadm import ParsedDocument, ParsedText, decode, parse
from analyzer.ipvs.ipvsadm.model import Counters, Service

TITLES = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
"""
FIRST = "TCP  192.168.10.2:80 rr\n"
ROW_21 = "  -> 192.168.10.21:80             Route   1      3          25        \n"
ROW_22 = "  -> 192.168.10.22:80             Route   1      0          24        \n"
SECOND = "TCP  192.168.10.3:443 wrr\n"
TABLE = TITLES + FIRST + ROW_21 + ROW_22 + SECOND + ROW_21
ENTRY = "TCP 01:59  FIN_WAIT    10.0.0.1:45678     192.168.10.2:80    192.168.10.21:80\n"


def addresses(service: Service) -> list[str]:
    return [one.address for one in service.destinations]


def only(parsed: ParsedText) -> Service:
    (service,) = parsed.services
    return service


SURROUNDED = {
    "windows": TABLE.replace("\n", "\r\n"),
    "tabs": TABLE.replace("  ", "\t"),
    "one blank": "\n".join(" ".join(line.split()) for line in TABLE.splitlines()),
    "indented": "".join(f"      {line}\n" for line in TABLE.splitlines()),
    "blank lines": TABLE.replace("\n", "\n\n"),
    "colours": TABLE.replace("TCP", "\x1b[01;31m\x1b[KTCP\x1b[m\x1b[K"),
    "a prompt": f"root@bal01:~# ipvsadm -Ln\n{TABLE}root@bal01:~# \n",
    "another prompt": f"[root@lvs ~]# ipvsadm -Ln -t 192.168.10.2:80\n{TABLE}[root@lvs ~]#\n",
    "a plain prompt": f"$ sudo ipvsadm -Ln\n{TABLE}$ exit\nexit\n",
    "comments": f"# the table of 192.168.10.2:80\n{TABLE}// the end\n; of it\n",
    "quoted": "".join(f"> {line}\n" for line in TABLE.splitlines()),
    "ts": "".join(f"Jan 02 15:04:05 {line}\n" for line in TABLE.splitlines()),
    "ts -i": "".join(f"00:00:01 {line}\n" for line in TABLE.splitlines()),
    "ts %.s": "".join(f"1704207845.123456 {line}\n" for line in TABLE.splitlines()),
    "iso times": "".join(f"2024-01-02T15:04:05+01:00 {line}\n" for line in TABLE.splitlines()),
    "bracketed": "".join(f"[2024-01-02 15:04:05.123] {line}\n" for line in TABLE.splitlines()),
    "syslog": "".join(f"Jan  2 15:04:05 bal01 lvs[42]: {line}\n" for line in TABLE.splitlines()),
    "watch": f"Every 1.0s: ipvsadm -Ln       bal01: Tue Jan  2 15:04:05 2024\n\n{TABLE}",
    "date": f"Tue Jan  2 15:04:05 UTC 2024\n{TABLE}Tue Jan  2 03:04:06 PM CET 2024\n",
    "uptime": f"123.45 99.10\n{TABLE}",
    "markdown": f"```\n{TABLE}```\n",
    "from head": f"==> /proc/net/ip_vs <==\n{TABLE}",
    "html": TABLE.replace("->", "-&gt;"),
    "utf-16": decode(b"\xff\xfe" + TABLE.encode("utf-16-le")),
    "a mark": decode(b"\xef\xbb\xbf" + TABLE.encode()),
}


@pytest.mark.parametrize("name", SURROUNDED)
def test_surroundings_change_nothing(name: str) -> None:
    found = parse(SURROUNDED[name])
    assert found.services == parse(TABLE).services
    assert found.warnings == ()


def test_an_unread_line_costs_itself() -> None:
    """Noise between a service and its servers leaves them together, and is named."""
    parsed = parse(TITLES + FIRST + "eth0: link is up\n" + ROW_21 + ROW_22)
    assert addresses(only(parsed)) == ["192.168.10.21", "192.168.10.22"]
    assert parsed.warnings == (
        "line 5: 'eth0: link is up' was not understood",
        "line 6: if line 5 was a service, the real servers from here on are its",
    )


@pytest.mark.parametrize(
    "broken",
    [
        "TCP  192.168.10.3;443 wrr",
        "TCP  999.999.999.999:443 wrr",
        "TCP  192.168.10.3:99999 wrr",
        "T@P  192.168.10.3:443 wrr",
        "TCP  192.168.10.3:443 w#r",
        "TCP  192.168.10.3:443",
        "FWM  12x wrr",
        "FWM  99999999999 wrr",
    ],
)
def test_a_broken_service_keeps_its_own_servers(broken: str) -> None:
    """They are never filed under the service above."""
    parsed = parse(TITLES + FIRST + ROW_21 + broken + "\n" + ROW_22)
    assert [addresses(one) for one in parsed.services] == [["192.168.10.21"], ["192.168.10.22"]]
    assert any("line 6" in warning for warning in parsed.warnings)


@pytest.mark.parametrize(
    "broken",
    [
        "  -> 192.168.10.999:80             Route   1      3          25        ",
        "  -> 192.168.10.21:80             Route   1      3",
        "  -> 192.168.10.21:80             Route   1      x          25        ",
        "  -> 192.168.10.21:80             Rou",
        "  -> 192.168.10.21:8",
        "  ->",
        "  -> 192.168.10.21:80 Route 1 2 3 4 5 6",
    ],
)
def test_a_broken_server_is_left_out(broken: str) -> None:
    parsed = parse(TITLES + FIRST + broken + "\n" + ROW_22)
    assert addresses(only(parsed)) == ["192.168.10.22"]
    assert any("line 5" in warning for warning in parsed.warnings)


def test_a_server_above_every_service_has_none() -> None:
    parsed = parse(ROW_21 + FIRST + ROW_22)
    assert addresses(only(parsed)) == ["192.168.10.22"]
    assert any("line 1" in warning for warning in parsed.warnings)


@pytest.mark.parametrize(
    "prose",
    ["TCP and UDP services:", "UDP is next", "The TCP service 10.0.0.1:80 rr", "FWM is a mark"],
)
def test_prose_is_no_service(prose: str) -> None:
    assert parse(f"{prose}\n").services == ()


@pytest.mark.parametrize(
    "broken",
    [
        "TCP 01:59  FIN_WAIT    10.0.0.1:45678     192.168.10.2:80",
        "TCP 01:59  FIN_WAIT    10.0.0.1:456789    192.168.10.2:80    192.168.10.21:80",
        "TCP 01:99  FIN_WAIT    10.0.0.1:45678     192.168.10.2:80    192.168.10.21:80",
        "TCP C0A80AFA 9736 C0A80A02 0050 C0A80A15 0050 FIN_WAIT",
        "TCP C0A80AFA 99DE C0A80A02 005 C0A80A15 0050 FIN_WAIT 10",
        "TCP C0A80AFA 99DE C0A80A02 0050 C0A80A1 0050 FIN_WAIT 10",
    ],
)
def test_a_broken_entry_is_left_out_and_no_service(broken: str) -> None:
    parsed = parse(ENTRY + broken + "\n" + ENTRY)
    assert len(parsed.connections) == 2
    assert parsed.services == ()
    assert [warning[:6] for warning in parsed.warnings] == ["line 2"]


def test_counters_rounded_by_ipvsadm() -> None:
    """K, M, G and T are powers of 1000."""
    parsed = parse(
        "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
        "  -> RemoteAddress:Port\n"
        "TCP  10.0.0.1:80                   123456K    1234M       7G  4567890T        0\n"
        "  -> 10.0.0.2:80                  99999999        1        2        3        4\n"
    )
    service = only(parsed)
    assert service.conns == 123_456_000
    assert service.inpkts == 1_234_000_000
    assert service.outpkts == 7_000_000_000
    assert service.inbytes == 4_567_890 * 10**12
    assert service.destinations[0].conns == 99_999_999
    assert parsed.warnings == ()


def test_numbers_without_titles_are_not_guessed() -> None:
    parsed = parse("TCP  10.0.0.1:80  1 2 3 4 5\n  -> 10.0.0.2:80  1 2 3 4 5\n")
    assert (only(parsed).conns, only(parsed).cps, only(parsed).scheduler) == (None, None, None)
    assert addresses(only(parsed)) == ["10.0.0.2"]
    assert [warning[:6] for warning in parsed.warnings] == ["line 1", "line 2"]


@pytest.mark.parametrize(
    ("text", "mark", "doubtful"),
    [
        ("FWM  -1 rr\n", 4294967295, False),
        ("FWM  -2147483648 rr\n", 2147483648, False),
        ("FWM  00000102 rr \n", 258, False),  # ipvsadm pads nothing: the kernel's
        ("FWM  0000BEEF rr \n", 0xBEEF, False),
        ("FWM  12345678 rr\n", 12345678, True),  # either's
        ("FWM  12345678 rr \n  -> C0A80A16:0000      Route   1 0 0\n", 0x12345678, False),
        ("FWM  12345678 rr\n  -> 10.0.0.1:0      Route   1 0 0\n", 12345678, False),
        (TITLES + "FWM  12345678 rr\n", 12345678, False),  # titles set apart: ipvsadm's
    ],
)
def test_whose_firewall_mark(text: str, mark: int, doubtful: bool) -> None:
    parsed = parse(text)
    assert only(parsed).fwmark == mark
    assert bool(parsed.warnings) == doubtful


def test_whose_ipv6_port() -> None:
    """0x8080 of the kernel, or 8080 of ipvsadm: the neighbour tells."""
    address = "2001:1db8:1111:2222:3333:4444:5555:6666"
    service = f"TCP  [{address}]:8080 rr \n"
    kernels = f"{service}  -> [{address}]:1F90      Masq    1      0          0         \n"
    ours = f"{service}  -> [fd00::1]:1790 Masq    1      0          0         \n"
    assert only(parse(kernels)).port == 0x8080
    assert only(parse(ours)).port == 8080
    assert only(parse(service)).port == 8080
    assert parse(service).warnings


@pytest.mark.parametrize(
    ("end", "port", "name"),
    [
        ("a.example.com:http", 80, "http"),
        ("a.example.com:webcache", 8080, "webcache"),
        ("a.example.com:nobody-knows", None, "nobody-knows"),
        ("a23456789.b23456789.c23:http", None, None),  # 28 characters: http, https, http-alt
        ("a23456789.b23456789.c2:https", 443, "https"),  # no name goes on from there
        ("a23456789.b23456789.c2345:80", None, None),  # 80, 8080, 8000
        ("a23456789.b23456789.c2:50000", 50000, None),  # no port has six digits
    ],
)
def test_ports_with_names(end: str, port: int | None, name: str | None) -> None:
    (found,) = only(parse(f"{FIRST}  -> {end} Route 1 0 0\n")).destinations
    assert (found.port, found.port_name) == (port, name)


def test_long_names_in_entries_are_whole() -> None:
    """Only the service table is cut at 28 characters."""
    text = ENTRY.replace("192.168.10.21:80", "a23456789.b23456789.c23:http")
    assert parse(text).connections[0].destination.port == 80


def test_a_cut_end_of_the_text_is_doubted() -> None:
    whole = TITLES + FIRST + ROW_21 + ROW_21 + ROW_22
    assert parse(whole).warnings == ()
    assert parse(whole[:-12]).warnings[0].startswith("line 7: the text ends here")
    cut = ENTRY + ENTRY.rstrip()[:-1]
    assert parse(cut).warnings == (
        "line 2: the text ends here, without a newline; the line may be cut",
    )
    assert parse((ENTRY + ENTRY).rstrip()).warnings == ()


def test_dpvs() -> None:
    parsed = parse(
        TITLES
        + "MATCH icmp,from=172.16.0.0-172.16.255.254:0-0,oif=dpdk1 rr\n"
        + "  -> 192.168.10.2:0               SNAT    100    0          295577\n"
        + "[1]tcp  90s  TCP_EST  192.168.1.9:12080 192.168.1.2:80 192.168.1.3:1038 10.0.0.2:80\n"
    )
    service = only(parsed)
    assert (service.protocol, service.scheduler) == ("MATCH", "rr")
    assert service.match == "icmp,from=172.16.0.0-172.16.255.254:0-0,oif=dpdk1"
    assert (service.address, service.port) == (None, None)
    assert service.destinations[0].forward == "SNAT"
    (entry,) = parsed.connections
    assert (entry.proto, entry.expire_s, entry.state) == ("tcp", 90, "TCP_EST")
    assert entry.destination.address == "10.0.0.2"
    assert parsed.warnings == ()


def test_old_forms() -> None:
    """What ipvsadm 1.26 printed, and kernels 2.4 to 2.6."""
    parsed = parse(
        "master sync daemon (mcast=eth0, syncid=1)\n"
        "-A -u 10.0.0.1:5060 -s rr -p 60 pe sip ops\n"
        "   Total Incoming Outgoing         Incoming         Outgoing   \n"
        "   Conns  Packets  Packets            Bytes            Bytes   \n"
        "      1A       FF        0        1000000FF        000000000   \n\n"
    )
    assert (parsed.daemons[0].syncid, parsed.daemons[0].maxlen) == (1, None)
    assert (only(parsed).pe, only(parsed).ops, only(parsed).persistent_s) == ("sip", True, 60)
    assert parsed.total == Counters(
        conns=26, inpkts=255, outpkts=0, inbytes=0x1000000FF, outbytes=0
    )


def test_cpus_by_their_number() -> None:
    parsed = parse(
        "CPU    Conns  Packets  Packets            Bytes            Bytes\n"
        "  9        1        0        0                0                0\n"
        "  A        2        0        0                0                0\n"
        "  ~        3        0        0                0                0\n"
    )
    assert parsed.cpus
    assert {number: one.conns for number, one in parsed.cpus.items()} == {"9": 1, "10": 2}
    assert parsed.total
    assert parsed.total.conns == 3


def test_rules_name_their_service() -> None:
    """In any order; a rule that is not understood costs itself."""
    parsed = parse(
        "-A -t 10.0.0.1:80 -s wlc\n-A -t 10.0.0.1:443 -s wlc -b sh-port\n"
        "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 5 -x 10 -y 8\n"
        "-a -t 10.0.0.9:80 -r 10.0.0.3:80 -g -w 1\n-a -t 10.0.0.1:443 -r bad -i -w 1\n"
    )
    assert [addresses(one) for one in parsed.services] == [["10.0.0.2"], [], ["10.0.0.3"]]
    server = parsed.services[0].destinations[0]
    assert (server.forward, server.weight, server.uthreshold, server.lthreshold) == (
        *("Masq", 5, 10, 8),
    )
    assert parsed.services[1].sched_flags == ("sh-port",)
    assert [warning[:6] for warning in parsed.warnings] == ["line 4", "line 5"]


@pytest.mark.parametrize(
    "error",
    [
        "Can't initialize ipvs: Protocol not available\n"
        "Are you sure that IP Virtual Server is built in the kernel or as module?",
        "Can't initialize ipvs: Permission denied (you must be root)",
        "Permission denied (you must be root)",
        "Memory allocation problem",
        "No such service",
        "-bash: ipvsadm: command not found",
        "sudo: ipvsadm: command not found",
        "sh: 1: ipvsadm: not found",
        "cat: /proc/net/ip_vs: No such file or directory",
        "modprobe: FATAL: Module ip_vs not found in directory /lib/modules/6.1.176",
        "cannot open file /proc/net/ip_vs_conn",
        "options conflicts in the list command",
        "invalid fwmark value `-6' specified",
    ],
)
def test_errors_are_reported_in_their_own_words(error: str) -> None:
    parsed = parse(f"root@bal01:~# ipvsadm -Ln\n{error}\n")
    assert parsed.error == error
    assert parsed.services == ()
    assert parsed.lines_understood


def test_nothing_at_all() -> None:
    for text in ("", "\n\n", "\x1b[0m\n", "nothing to see here"):
        parsed = parse(text)
        assert not parsed.lines_understood
        assert parsed.warnings[0] == "nothing in this text was understood"


def test_an_empty_table_is_understood() -> None:
    assert parse(TITLES).lines_understood == 3
    assert parse("IPVS connection entries\n").lines_understood == 1


def test_warnings_are_bounded() -> None:
    parsed = parse("what is this?\n" * 5000)
    assert len(parsed.warnings) == 1001
    assert parsed.warnings[-1] == "and 4001 more"


def test_several_values_of_one_kind_are_doubted() -> None:
    both = "Timeout (tcp tcpfin udp): 900 120 300\nTimeout (tcp tcpfin udp): 900 30 300\n"
    parsed = parse(both)
    assert parsed.timeouts
    assert parsed.timeouts.tcpfin == 30
    assert len(parsed.warnings) == 1


SERVICE_KEYS = {
    *("protocol", "address", "port", "port_name", "fwmark", "family", "scheduler", "flags"),
    *("persistent_s", "netmask", "ops", "pe", "sched_flags", "match", "destinations"),
    *("conns", "inpkts", "outpkts", "inbytes", "outbytes"),
    *("cps", "inpps", "outpps", "inbps", "outbps"),
}
SERVER_KEYS = {
    *("address", "port", "port_name", "forward", "weight", "active", "inactive"),
    *("uthreshold", "lthreshold", "persistent", "tunnel_info"),
    *("conns", "inpkts", "outpkts", "inbytes", "outbytes"),
    *("cps", "inpps", "outpps", "inbps", "outbps"),
}
ENTRY_KEYS = {
    *("proto", "expire_s", "state", "source", "virtual", "destination"),
    *("pe_name", "pe_data", "origin"),
}


def test_the_document_has_the_contracts_keys() -> None:
    document = to_json(parse(TABLE + ENTRY), ParsedDocument)
    assert list(document) == [
        *("schema_version", "header", "services", "connections", "timeouts", "daemons"),
        *("total", "rate", "cpus", "warnings", "error"),
    ]
    assert set(document["services"][0]) == SERVICE_KEYS
    assert set(document["services"][0]["destinations"][0]) == SERVER_KEYS
    assert set(document["connections"][0]) == ENTRY_KEYS
    assert set(document["connections"][0]["source"]) == {"address", "port", "port_name"}
    empty = to_json(parse(""), ParsedDocument)
    assert [empty[key] for key in ("services", "connections", "daemons")] == [[], [], []]
    nulls = ("header", "timeouts", "total", "rate", "cpus", "error")
    assert [empty[key] for key in nulls] == [None] * 6
