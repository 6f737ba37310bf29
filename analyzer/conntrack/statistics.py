"""What connection tracking counts: ``/proc/net/stat/nf_conntrack`` (``ct_cpu_seq_show``).

A line of hexadecimal numbers for each CPU, after a line of their names. Anyone may read it.
"""

from __future__ import annotations

import re

FILE = "/proc/net/stat/nf_conntrack"

_MOST_CPUS = 8192


def insert_failed_of(text: str) -> int | None:
    """Packets lost because no entry could be made for them, on all CPUs; None if not known.

    Another entry has one of the two tuples that the new one was to have: as a rule because no
    source port is left to masquerade with, or because two first datagrams came at once.

    Args:
        text: of ``FILE``, untrusted.
    """
    names, *lines = text.splitlines()[: _MOST_CPUS + 1] or [""]
    columns = names.split()
    if "insert_failed" not in columns:
        return None
    place = columns.index("insert_failed")
    words = [fields[place] for line in lines if len(fields := line.split()) > place]
    if not words or not all(re.fullmatch("[0-9a-f]{1,16}", word) for word in words):
        return None
    return sum(int(word, 16) for word in words)
