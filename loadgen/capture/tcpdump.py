"""tcpdump on another host: the line of shell that runs it there, and what it says at its end.

It runs as root or by ``sudo -n``, without promiscuous mode. It ends with the link, however that
ends: the shell there waits for the end of its input, and then has a second one end tcpdump. Where
tcpdump ends by itself, the second ends the first, and so the link: over ssh the end of a program's
output goes unnoticed, because its input is the same socket.
"""

from __future__ import annotations

import re
import shlex

from loadgen.capture.model import SNAP_BYTES

RING_S = 1.0
"""tcpdump looks into its packet ring once a second; what it has not seen at its end is lost."""

_DROPPED = re.compile(r"^(\d{1,15}) packets? dropped by (?:kernel|interface)", re.MULTILINE)
_NO_COMPLAINT = re.compile(r"^\d+ packets? (captured|received|dropped)|: listening on |^\(")


def script(expression: str, interface: str | None, client_ip: str) -> str:
    """One line for a POSIX shell; the capture comes on standard output, complaints on the other.

    Args:
        expression: what is wanted, pcap-filter(7).
        interface: to listen on; None for the one that leads back to the client.
        client_ip: the client's address.
    """
    chosen = shlex.quote(interface) if interface else f"$({route(client_ip)})"
    flags = f"-p -n -U -s {SNAP_BYTES} --time-stamp-precision=nano -w -"
    run = f'$as tcpdump {flags} -i "${{on:-any}}" {shlex.quote(expression)}'
    end = "{ kill $it || $as kill $it; } 2>/dev/null"
    steps = (
        "{ PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin",
        "[ -t 0 ] && stty raw -echo",
        "command -v tcpdump >/dev/null || { echo 'tcpdump: not found' >&2; exit 127; }",
        "as=; [ $(id -u) = 0 ] || as='sudo -n'",
        f"on={chosen}",
        f"( trap '{end}' TERM; {run} & it=$!; wait $it; wait $it; kill $$ ) & watch=$!",
        "exec >/dev/null; cat; trap '' TERM; kill $watch; wait $watch; }",
    )
    return "; ".join(steps) + "\n"


def route(client_ip: str) -> str:
    """A line of shell that prints the interface towards an address; nothing where there is none."""
    find = shlex.quote(r"s/.* dev \([^ ]*\).*/\1/p")
    return f"ip -o route get {shlex.quote(client_ip)} 2>/dev/null | sed -n {find}"


def dropped(stderr: str) -> int | None:
    """Packets dropped by kernel or interface, as tcpdump says at its end; None if it does not."""
    counts = [int(count) for count in _DROPPED.findall(stderr)]
    return sum(counts) if counts else None


def complaint(stderr: str) -> str | None:
    """The last line on standard error that is no part of a good run; None if there is none.

    What libpcap adds in brackets on a line of its own is left out.
    """
    lines = [line for line in stderr.splitlines() if line and not _NO_COMPLAINT.search(line)]
    return "".join(filter(str.isprintable, lines[-1]))[:200] if lines else None
