"""Texts that are no director's are refused by name, with a line and what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.recording.directory import Recording
from loadgen.errors import UsageProblem
from loadgen.importing.sources.refusals import foreign_line
from tests.importing import import_folder
from tests.unit.loadgen.commands.in_process import run_in_process

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = {
    "tcpdump": (
        "03:59:40.000000 IP 192.0.2.9.40000 > 192.0.2.80.80: Flags [S], seq 1, length 0",
        "tcpdump -w FILE",
    ),
    "tcpdump -tt": ("1795838380.000000 IP6 fd00::1 > ff02::12: VRRPv3", "tcpdump -w FILE"),
    "tcpdump -e": (
        "03:59:40.000000 02:00:00:00:00:0b > 02:00:00:00:00:0c, ethertype IPv4",
        "tcpdump -w FILE",
    ),
    "tcpdump -e, names": (
        "03:59:40.000000 02:00:00:00:00:fe (oui Unknown) > 02:00:00:00:00:0d (oui Unknown), ether",
        "tcpdump -w FILE",
    ),
    "tcpdump -t": ("IP 192.0.2.9.40000 > 192.0.2.80.80: Flags [S], seq 1", "tcpdump -w FILE"),
    "tcpdump -ttt": (" 00:00:00.000020 IP 192.0.2.9.1 > 192.0.2.80.80: Flags", "tcpdump -w FILE"),
    "tcpdump -#": ("    1  03:59:40.000000 IP 192.0.2.9.1 > 192.0.2.80.80: F", "tcpdump -w FILE"),
    "tcpdump -i any -e": (
        "03:59:50.000000  In 02:00:00:00:00:fe ethertype IPv4 (0x0800), length 56",
        "tcpdump -w FILE",
    ),
    "tcpdump -i any": ("03:59:40.000000 eth0  In  IP 192.0.2.9 > 192.0.2.80", "tcpdump -w FILE"),
    "tshark": (
        "    1   0.000000000    192.0.2.9 → 192.0.2.80   TCP 74 40000 → 80",
        "tshark -w FILE",
    ),
    "tshark -t ad": (
        "    1 2026-11-28 03:59:40.000000    192.0.2.9 → 192.0.2.80   TCP 74 40000 → 80",
        "tshark -w FILE",
    ),
    "tshark -V": ("Frame 1: 74 bytes on wire (592 bits), 74 bytes captured", "tshark -w FILE"),
    "tshark -T json": ('    "_index": "packets-2026-11-28",', "tshark -w FILE"),
    "Wireshark's CSV": ('"No.","Time","Source","Destination","Protocol"', "tshark -w FILE"),
    "xxd": ("00000000: d4c3 b2a1 0200 0400 0000 0000 0000 0000  ................", "-w FILE"),
    "keepalived": (
        "Nov 28 03:59:40 lb1 Keepalived_vrrp[813]: (VI_1) Entering MASTER STATE",
        "tcpdump -i any -w FILE vrrp",
    ),
    "keepalived's own": ("Sat Nov 28 03:59:40 2026: (VI_1) Entering BACKUP STATE", "ipvsadm -Ln"),
    "keepalived's start": ("Sat Nov 28 03:59:40 2026: Starting Keepalived v2.2.7", "-w FILE vrrp"),
    "keepalived's check": ("Nov 28 03:59:40 lb1 k: Removing service [192.0.2.21]:tcp:80", "vrrp"),
    "keepalived.conf": ("vrrp_instance VI_1 {", "ipvsadm -Ln"),
    "conntrack -o xml": ("<conntrack>", "ipvsadm -Lnc"),
    "conntrack -o save": ("-A -s 192.0.2.9 -d 192.0.2.80 -r 192.0.2.21 -q 192.0.2.9", "-Lnc"),
    "conntrack -S": ("cpu=0   found=0 invalid=5 insert=0 insert_failed=0", "loadgen collect"),
    "conntrack -L": (
        "tcp      6 431999 ESTABLISHED src=192.0.2.9 dst=192.0.2.80 sport=40000 dport=80",
        "ipvsadm -Lnc",
    ),
    "nf_conntrack": ("ipv4     2 udp      17 29 src=192.0.2.9 dst=192.0.2.80 sport=4", "-Lnc"),
    "ss": ("State  Recv-Q Send-Q Local Address:Port Peer Address:Port", "ipvsadm -Ln"),
    "ss -H": ("LISTEN 0      128          0.0.0.0:22        0.0.0.0:*", "ipvsadm -Ln"),
    "netstat": ("Proto Recv-Q Send-Q Local Address  Foreign Address  State", "ipvsadm -Ln"),
    "ss, of one state": ("Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess", "-Ln"),
    "ss -s": ("Total: 128", "ipvsadm -Ln"),
    "Prometheus": ("# HELP go_gc_duration_seconds A summary of the pause", "ipvsadm -Ln"),
    "Prometheus' answer": ('{"status":"success","data":{"resultType":"vector"}}', "ipvsadm -Ln"),
    "journalctl -o json-pretty": ('\t"__CURSOR" : "s=0639;i=1a"', "journalctl -o short-iso"),
    "journalctl -o verbose": ("Sat 2026-11-28 03:59:40.1 UTC [s=0639;i=1a2;b=7]", "-o short-iso"),
    "asciinema": ('{"version": 2, "width": 80, "height": 24}', "ipvsadm -Ln"),
    "dmesg": ("[    1.234567] IPVS: Registered protocols (TCP, UDP, SCTP)", "ipvsadm -Ln"),
    "node_exporter": ('node_ipvs_backend_connections_active{local_port="80"} 3', "ipvsadm -Ln"),
}
EACH = pytest.mark.parametrize("tool", FOREIGN)


@EACH
def test_an_import_refuses_it_by_name(tmp_path: Path, tool: str) -> None:
    line, instead = FOREIGN[tool]
    (tmp_path / "x").write_text(f"\n\n{line}\n")
    with pytest.raises(UsageProblem) as caught:
        import_folder([tmp_path / "x"], tmp_path / "run")
    told = str(caught.value)
    assert told.startswith(f"{tmp_path / 'x'}: line 3: ")
    assert instead in told
    assert line not in told
    assert "\n" not in told


@EACH
def test_parse_refuses_it_by_the_same_name(tmp_path: Path, tool: str) -> None:
    line, instead = FOREIGN[tool]
    (tmp_path / "x").write_text(f"{line}\n")
    refused = run_in_process("analyzer", "parse", tmp_path / "x")
    assert refused.returncode == 2
    told = refused.stderr.splitlines()[-1]
    assert told.startswith(f"analyzer: {tmp_path / 'x'}: no text of ipvsadm")
    assert instead in told


@pytest.mark.parametrize(
    "line",
    [
        "TCP  192.0.2.80:80 wlc",
        "  -> 192.0.2.21:80                Route   1      0          0",
        "TCP 00:59  FIN_WAIT    192.0.2.9:40000 192.0.2.80:80      192.0.2.21:80",
        "IP Virtual Server version 1.2.1 (size=4096)",
        "Prot LocalAddress:Port Scheduler Flags",
        "IPVS connection entries",
        "-A -t 192.0.2.80:80 -s wlc",
        "  12   345678  0000 00FF       1A",
        '{"t": 1795838380.25, "services": "", "connections": ""}',
        "2026-11-28 03:59:40",
        "03:59:40.123456 IP Virtual Server version 1.2.1 (size=4096)",
        "Sat Nov 28 03:59:40 2026",
        "# watch -n1 ipvsadm",
    ],
)
def test_what_belongs_to_a_log_is_not_refused(line: str) -> None:
    found = foreign_line([line])
    assert found is None or line.startswith("03:59:40.123456 IP ")  # IPVS' text comes first


@pytest.mark.parametrize(
    ("printed", "what"),
    [
        ("bash: ipvsadm: command not found", "line 2: an error instead of a table"),
        ("Can't initialize ipvs: Permission denied", "line 2: an error instead of a table"),
        ("lb1: TCP  192.0.2.80:80 wlc", "line 2: no row of it was understood"),
        ("-A -t 192.0.2.80:80 -s wlc", "line 2: neither real servers nor entries"),
        ("IP Virtual Server version 1.2.1 (size=4096)\nlb1: TCP  192.0.2.80:80 wlc", "line 3: no"),
    ],
)
def test_a_log_of_nothing_but_errors_or_lost_rows_is_refused(
    tmp_path: Path, printed: str, what: str
) -> None:
    (tmp_path / "x").write_text("".join(f"{1795838380 + n}\n{printed}\n" for n in range(3)))
    with pytest.raises(UsageProblem) as caught:
        import_folder([tmp_path / "x"], tmp_path / "run")
    assert what in str(caught.value)
    assert "expected rows such as 'TCP  192.0.2.80:80 wlc'" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_what_script_keeps_of_watch_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(
        "\x1b[H\x1b[2JEvery 1.0s: ipvsadm -Ln\x1b[1;53Hlb1: Sun Nov 29 22:06:24 2026\x1b[3;1H"
        "IP Virtual Server version 1.2.1 (size=4096)\r\x1b[4dProt LocalAddress:Port\x1b[1;75H5"
    )
    with pytest.raises(UsageProblem, match=r"redrawn in place.*; expected while sleep 1"):
        import_folder([tmp_path / "x"], tmp_path / "run")


def test_a_log_of_entries_alone_says_that_counts_are_missing(tmp_path: Path) -> None:
    entry = "TCP 00:59  FIN_WAIT    192.0.2.9:40000 192.0.2.80:80      192.0.2.21:80"
    (tmp_path / "x").write_text("".join(f"{1795838380 + n}\n{entry}\n" for n in range(3)))
    import_folder([tmp_path / "x"], tmp_path / "run")
    missing = Recording.open(tmp_path / "run").manifest.raw["not_measured"]
    assert {row["what"]: row["why"] for row in missing}["ActiveConn and InActConn"] == (
        "the log has none; ipvsadm -Ln prints them"
    )


def test_a_log_of_an_empty_table_is_read(tmp_path: Path) -> None:
    table = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
    (tmp_path / "x").write_text("".join(f"{1795838380 + n}\n{table}" for n in range(3)))
    import_folder([tmp_path / "x"], tmp_path / "run")


def test_a_journal_with_keepalived_between_the_polls_is_read(tmp_path: Path) -> None:
    printed = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        "TCP  192.0.2.80:80 wlc\n"
        "  -> 192.0.2.21:80                Route   1      0          0\n"
    )
    begin = "Nov 28 03:59:40 lb1 Keepalived_vrrp[813]: (VI_1) Entering MASTER STATE\n"
    lines = "".join(f"Nov 28 03:59:41 lb1 mon[8]: {line}\n" for line in printed.splitlines())
    (tmp_path / "x").write_text(begin + lines)
    import_folder([tmp_path / "x"], tmp_path / "run")


@given(st.lists(st.text()))
def test_any_lines_are_told_or_not(lines: list[str]) -> None:
    found = foreign_line(lines)
    assert found is None or 1 <= found[0] <= len(lines)


def test_a_log_without_times_is_told_where_one_was_expected(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("root@lb1:~# ipvsadm -Ln\nTCP  192.0.2.80:80 wlc\n")
    with pytest.raises(UsageProblem, match=r"line 2: no time before .* date \+%s; ipvsadm -Ln"):
        import_folder([tmp_path / "x"], tmp_path / "run")


@pytest.mark.parametrize(
    "text",
    [
        "IP Virtual Server version 1.2.1 (size=4096)\n@@ TCP  192.0.2.80:80 wlc\n",
        "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port\nTCP@192.0.2.80=80 wlc\n",
    ],
)
def test_parse_of_a_text_whose_every_row_was_lost_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    refused = run_in_process("analyzer", "parse", tmp_path / "x")
    number = text.count("\n")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        f"analyzer: {tmp_path / 'x'}: line {number}: no row of it was understood; expected rows "
        "such as 'TCP  192.0.2.80:80 wlc' and '  -> 192.0.2.21:80  Route  1  0  0'"
    )


def test_parse_of_an_empty_table_is_fine(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
    )
    assert run_in_process("analyzer", "parse", tmp_path / "x", "--json").returncode == 0
