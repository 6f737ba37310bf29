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

ASK_WAY = (
    f"if [ ! -e {COUNT_FILE} ]; then :; "
    f"elif head -c 1 {FILE} >/dev/null 2>&1; then echo {BY_FILE}; "
    "elif (PATH=$PATH:/usr/sbin:/sbin; conntrack -C) >/dev/null 2>&1; then echo conntrack; "
    f"elif sudo -n head -c 1 {FILE} >/dev/null 2>&1; then echo sudo-file; "
    "elif (PATH=$PATH:/usr/sbin:/sbin; sudo -n conntrack -C) >/dev/null 2>&1; "
    "then echo sudo-conntrack; else echo none; fi"
)
"""Prints the first of the ways that works, ``none`` of none; nothing where nothing is tracked."""
