"""How the connection tracking of a netfilter director is read: its file, else by conntrack(8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "/proc/net/nf_conntrack"
COUNT_FILE = "/proc/sys/net/netfilter/nf_conntrack_count"
"""Entries in the table, those included whose time is up; anyone may read it."""

_LIST = "; ".join(f"conntrack -L -o extended -f {family}" for family in ("ipv4", "ipv6"))
_SUDO_LIST = _LIST.replace("conntrack -L", "sudo -n conntrack -L")

BY_FILE = "file"
COMMANDS: Mapping[str, str] = {
    BY_FILE: f"cat {FILE}",
    "conntrack": f"PATH=$PATH:/usr/sbin:/sbin; {_LIST}",
    "sudo-file": f"sudo -n cat {FILE}",
    "sudo-conntrack": f"PATH=$PATH:/usr/sbin:/sbin; {_SUDO_LIST}",
}
"""Each way of reading the table, and the commands that print it."""

_WORKS = 'w() { { "$@" 2>/dev/null || echo !; } | { read -r line; [ "$line" != ! ]; }; }'
"""Whether a command can be run: it is ended after its first line, and may print none."""

_LIST_IPV4 = "conntrack -L -o extended -f ipv4"
ASK_WAY = (
    f"([ -e {COUNT_FILE} ] || exit 0; PATH=$PATH:/usr/sbin:/sbin; {_WORKS}; "
    f"if w cat {FILE}; then echo {BY_FILE}; "
    f"elif w {_LIST_IPV4}; then echo conntrack; "
    f"elif w sudo -n cat {FILE}; then echo sudo-file; "
    f"elif w sudo -n {_LIST_IPV4}; then echo sudo-conntrack; "
    "else echo none; fi)"
)
"""Prints the first of the ways that works, ``none`` of none; nothing where nothing is tracked."""
