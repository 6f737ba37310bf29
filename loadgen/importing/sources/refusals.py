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
_CHARACTERS: Final = 1000


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


FOREIGN: Final = (
    Foreign(
        what="packets as text, printed by tcpdump",
        instead="the packets themselves: tcpdump -w FILE",
        line=re.compile(
            r"(?:\d{4}-\d\d-\d\d )?(?:\d\d:\d\d:\d\d\.\d{1,9}|\d{9,10}\.\d{6}) "
            r"(?:\S{1,20} +(?:In|Out|P|B|M) +)?(?:IP6?|ARP|ethertype|(?:\w\w:){5}\w\w >)[ ,]"
        ),
    ),
    Foreign(
        what="packets as text, printed by tshark",
        instead="the packets themselves: tshark -w FILE",
        line=re.compile(r" *\d{1,9} +\d{1,9}\.\d{6,9} +\S+ (?:→|->) \S+ "),
    ),
    Foreign(
        what="keepalived's log",
        instead="its advertisements (tcpdump -i any -w FILE vrrp) or the director's table: " + LOOP,
        line=re.compile(
            r".{0,200}?(?:Keepalived(?:_vrrp|_healthcheckers|_bfd)?(?:\[\d{1,10}\])?: "
            r"|Entering (?:MASTER|BACKUP|FAULT) STATE)"
        ),
    ),
    Foreign(
        what="the connection tracker's table, not IPVS'",
        instead="IPVS' own: ipvsadm -Lnc",
        line=re.compile(r".{0,200}?\bsrc=[\da-fA-F.:]+ dst=[\da-fA-F.:]+ "),
    ),
    Foreign(
        what="a host's sockets, as ss, netstat or /proc/net/tcp show them",
        instead="the director's table: " + LOOP,
        line=re.compile(
            r"(?:Netid +)?State +Recv-Q +Send-Q|Proto +Recv-Q +Send-Q| *sl +local_address"
            r"|(?:(?:tcp|udp)6? +)?(?:LISTEN|ESTAB|UNCONN|TIME-WAIT|SYN-SENT|SYN-RECV|FIN-WAIT-[12]"
            r"|CLOSE-WAIT|LAST-ACK|CLOSING) +\d+ +\d+ +\S+:\S+ "
        ),
    ),
    Foreign(
        what="a scrape of node_exporter, which has no times and no entries",
        instead="the director's table: " + LOOP,
        line=re.compile(r"(?:# (?:HELP|TYPE) )?node_ipvs_\w+"),
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
