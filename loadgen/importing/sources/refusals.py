"""Texts that people take for a director's: each by its name, with what to record instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOP: Final = "while sleep 1; do date +%s; ipvsadm -Ln; done"
"""What leaves a log that is read."""

ROWS: Final = "'TCP  192.0.2.80:80 wlc' and '  -> 192.0.2.21:80  Route  1  0  0'"

_LINES: Final = 200
_CHARACTERS: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A kind of text that is not a director's.

    Attributes:
        what: its name.
        instead: what to record or call instead.
        line: a pattern of its lines.
    """

    what: str
    instead: str
    line: re.Pattern[str]


_TIME = (  # of tcpdump's -t to -ttttt, and with -#
    r"(?: {0,6}\d{1,9} {2})?(?:\d{4}-\d\d-\d\d )? ?"
    r"(?:\d\d:\d\d:\d\d\.\d{1,9} +|\d{9,10}\.\d{6,9} +)?"
)
_LINK = r"(?:\S{1,20} +)?(?:(?:In|Out|P|B|M) +)?"
_MAC = r"(?:[\da-f]{2}:){5}[\da-f]{2}"
_STATES = (
    "LISTEN|ESTAB|UNCONN|TIME-WAIT|SYN-SENT|SYN-RECV|FIN-WAIT-[12]|CLOSE-WAIT|LAST-ACK|CLOSING"
)
_HOSTS_SOCKETS = "a host's sockets, as ss, netstat or /proc/net/tcp show them"

FOREIGN: Final = (
    Foreign(
        what="packets as text, printed by tcpdump",
        instead="the packets themselves: tcpdump -w FILE",
        line=re.compile(
            rf"{_TIME}(?:{_LINK}(?:IP6? \S+ (?:>|\()|IP6? \(|ARP, |ethertype )"
            rf"|{_LINK}{_MAC} (?:\(oui [^)]*\) )?(?:> |ethertype ))"
        ),
    ),
    Foreign(
        what="packets as text, printed by tshark or Wireshark",
        instead="the packets themselves: tshark -w FILE",
        line=re.compile(
            r" *\d{1,9}\s+(?:\d{4}-\d\d-\d\d )?[\d:.]{6,20}\s+\S+\s+(?:(?:→|->)\s+)?\S+\s+[A-Z]"
            r"|Frame \d{1,9}: \d{1,9} bytes on wire"
            r'|"No\.","Time","Source"|<pdml |<psml '
            r'|\s*"_index": "packets-'
        ),
    ),
    Foreign(
        what="packets as a hexadecimal dump",
        instead="the packets themselves: tcpdump -w FILE",
        line=re.compile(r"\s*(?:0x)?0{4,8}:?\s+(?:[\da-f]{2,4} ){4}"),
    ),
    Foreign(
        what="keepalived's log",
        instead="its advertisements (tcpdump -i any -w FILE vrrp) or the director's table: " + LOOP,
        line=re.compile(
            r".{0,200}?(?:[Kk]eepalived(?:_vrrp|_healthcheckers|_bfd)?(?:\[\d{1,10}\])?: "
            r"|Entering (?:MASTER|BACKUP|FAULT) STATE|Starting (?:Keepalived|VRRP child)"
            r"|VRRP_Instance\(|(?:Removing|Adding) service \[|: \(\w{1,64}\) [A-Zr]"
            r"|SYSLOG_IDENTIFIER\W{1,5}Keepalived|TCP connection to \[)"
        ),
    ),
    Foreign(
        what="keepalived's configuration or data",
        instead="the director's table: " + LOOP,
        line=re.compile(
            r"(?:global_defs|vrrp_instance \S+|virtual_server [\d.a-f: ]+) *\{|-+< VRRP Topology"
        ),
    ),
    Foreign(
        what="the connection tracker's table, not IPVS'",
        instead="IPVS' own: ipvsadm -Lnc; of a netfilter director: loadgen collect",
        line=re.compile(
            r".{0,200}?\bsrc=[\da-fA-F.:]+ dst=[\da-fA-F.:]+ |<conntrack>"
            r"|-A -s \S+ -d \S+ -r \S+ |cpu=\d+ +(?:searched|found)="
            r"|entries +(?:searched|clashres) "
        ),
    ),
    Foreign(
        what=_HOSTS_SOCKETS,
        instead="the director's table: " + LOOP,
        line=re.compile(
            r"(?:Netid +)?(?:State +)?Recv-Q +Send-Q|Proto +Recv-Q +Send-Q| *sl +local_address"
            rf"|(?:(?:tcp|udp)6? +)?(?:{_STATES}) +\d+ +\d+ +\S+:\S+ "
            r"|Total: \d+ *(?:\(|$)|sockets: used \d"
        ),
    ),
    Foreign(
        what="metrics of Prometheus, without times and entries",
        instead="the director's table: " + LOOP,
        line=re.compile(
            r"# (?:HELP|TYPE) [a-zA-Z_:][\w:]* |node_ipvs_\w+"
            r'|\{"status":"success","data":\{"resultType"'
        ),
    ),
    Foreign(
        what="the journal in a form of several lines for each",
        instead="a line for each: journalctl -o short-iso",
        line=re.compile(
            r'__CURSOR=|\s+"__(?:CURSOR|REALTIME_TIMESTAMP)" ?: '
            r"|.{1,80}\[s=[\da-f]+;i=[\da-f]+;"
        ),
    ),
    Foreign(
        what="a terminal's recording, with its own times",
        instead="the director's table: " + LOOP,
        line=re.compile(r'\{"version": ?\d, ?"(?:width|term)"'),
    ),
    Foreign(
        what="the kernel's log",
        instead="the director's table: " + LOOP,
        line=re.compile(r"(?:\[ *\d+\.\d+\] |.{1,80} kernel: (?:\[ *\d+\.\d+\] )?)"),
    ),
)


def foreign_line(lines: Iterable[str]) -> tuple[int, Foreign] | None:
    """The first line of another tool's among the first of a text, from 1; None without one."""
    for number, line in enumerate(lines, 1):
        if number > _LINES:
            break
        for kind in FOREIGN:
            if kind.line.match(line[:_CHARACTERS]):
                return number, kind
    return None


def refusal(lines: Iterable[str], expected: str) -> str:
    """Why a text is none of a director's, after its name; the text itself is not repeated.

    Args:
        lines: the first of it.
        expected: where nothing says what it is.
    """
    found = foreign_line(lines)
    if found is None:
        return f"line 1: expected {expected}"
    number, kind = found
    return f"line {number}: {kind.what}; expected {kind.instead}"
