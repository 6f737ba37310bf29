"""TCP states of the hosts' sockets, which the director's entries need not match.

Source: include/net/tcp_states.h; the numbers are the ``st`` column of ``/proc/net/tcp`` and the
``idiag_state`` of sock_diag(7). A socket that its program has closed and that still waits for the
peer's FIN is reported as FIN_WAIT2 by both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SOCKET_STATES: Mapping[int, str] = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    11: "CLOSING",
    12: "SYN_RECV",  # NEW_SYN_RECV, a request socket
}
"""TCP states by number; CLOSE (7) and LISTEN (10) are no connection's."""

_COUNT = re.compile(r"^([0-9A-F]{2}) (\d{1,9})$", re.M)
_END = "end"


def count_script(ports: Collection[int]) -> str:
    """A line of POSIX shell that counts a host's sockets at some local ports, by state.

    Counted there, because a busy server has a hundred thousand lines of them.
    """
    port_pattern = "|".join(f"{port:04X}" for port in sorted(ports))
    return (
        "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '"
        f'{{n=split($2,a,":");if(n==2&&a[2]~/^({port_pattern})$/)c[$4]++}}'
        f'END{{for(s in c)print s,c[s];if(NR)print "{_END}"}}\' 2>/dev/null'
    )


def parse_counts(text: str) -> dict[str, int] | None:
    """What ``count_script`` printed, by state; None if the host could not count."""
    if _END not in text.split():
        return None
    counts: dict[str, int] = {}
    for number, count in _COUNT.findall(text):
        state = SOCKET_STATES.get(int(number, 16))
        if state:
            counts[state] = counts.get(state, 0) + int(count)
    return counts
