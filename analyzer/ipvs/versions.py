"""Differences between kernels, as one table, and the rules of one kernel.

The state tables, the timeouts and the timer wheel are the same on every kernel that was measured
(5.10, 6.1, 6.12 with HZ 100 and 1000, 7.2). What is around them is not; each change is a row here,
with the release it came with and where that is known from. A distribution may carry a change back
to an older kernel, which its version does not show: such rows say so in ``carried_back``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Release = tuple[int, int]
"""Major and minor number of a kernel version, as (6, 12)."""

Known = Literal["measured", "source", "reported"]
"""How a row is known: measured on real kernels; read in their source; reported by others."""

HALF_OPEN_IS_ACTIVE: Release = (4, 8)
REUSES_UNCONFIRMED: Release = (5, 9)
NODEST_IN_ANY_REUSE_MODE: Release = (5, 16)
ESTIMATOR_MAY_STOP: Release = (6, 2)
TIMER_MIGRATION: Release = (6, 9)
READS_LINEARLY: Release = (6, 14)
TABLE_RESIZES: Release = (7, 1)
HAS_CONN_MAX: Release = (7, 2)
READS_PAST_EXTENSIONS: Release = (7, 2)

RESIZING_LEAST_BUCKETS = 256
"""Buckets of a table that resizes itself, in a namespace with no service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChange:
    """One thing that is otherwise from a release on.

    Attributes:
        since: the first release that has it.
        what: what holds from then on, a sentence.
        known: how that is known.
        source: the file of the kernel, or the recording, that it is known from.
        carried_back: why an older version number does not exclude it; None where it does.
    """

    since: Release
    what: str
    known: Known
    source: str
    carried_back: str | None = None


CHANGES: tuple[VersionChange, ...] = (
    VersionChange(
        since=HALF_OPEN_IS_ACTIVE,
        what="Half-open entries (SYN_RECV, SYN_SENT) count in ActiveConn, not in InActConn.",
        known="reported",
        source="net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_state_active_table",
        carried_back="some distributions carried it in 3.10 and 4.4 kernels",
    ),
    VersionChange(
        since=HALF_OPEN_IS_ACTIVE,
        what="Timers fire at the granule's next boundary and are not moved nearer in between.",
        known="reported",
        source="kernel/time/timer.c",
    ),
    VersionChange(
        since=REUSES_UNCONFIRMED,
        what="With conntrack, a SYN on a used port is dropped only if the packet belongs to a "
        "confirmed old conntrack entry.",
        known="source",
        source="net/netfilter/ipvs/ip_vs_core.c, ip_vs_conn_uses_old_conntrack",
        carried_back="stable trees and distributions took it into older kernels",
    ),
    VersionChange(
        since=NODEST_IN_ANY_REUSE_MODE,
        what="With expire_nodest_conn a SYN to an entry of a server of weight 0 is scheduled anew, "
        "also where conn_reuse_mode is 0.",
        known="source",
        source="net/netfilter/ipvs/ip_vs_core.c, ip_vs_in",
        carried_back="5.15.6, 5.10.83 and the older stable trees of that time have it",
    ),
    VersionChange(
        since=ESTIMATOR_MAY_STOP,
        what="Rates and counters are added up by kernel threads (est_cpulist, est_nice); an empty "
        "list stops them as run_estimation=0 does: --stats and --rate then stand still.",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_est.c, ip_vs_chain_estimation; sysctl "
        "net.ipv4.vs.est_cpulist on 7.2",
    ),
    VersionChange(
        since=TIMER_MIGRATION,
        what="Timers of idle CPUs are run by another CPU; granules as before, lateness on idle "
        "hosts of many CPUs not measured.",
        known="source",
        source="kernel/time/timer_migration.c",
    ),
    VersionChange(
        since=READS_LINEARLY,
        what="A read of ip_vs_conn takes time by the number of entries, not by its square.",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_conn.c, ip_vs_conn_seq_next",
    ),
    VersionChange(
        since=TABLE_RESIZES,
        what="The table of entries belongs to a network namespace and resizes itself, from 256 "
        "buckets up to 2^conn_tab_bits; a read during a resize can miss entries or double them.",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_conn.c; /proc/net/ip_vs, size=",
    ),
    VersionChange(
        since=TABLE_RESIZES,
        what="size= of /proc/net/ip_vs is the namespace's present number of buckets, 256 with no "
        "service; before it is the module's, 2^conn_tab_bits, fixed when that was loaded.",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show",
    ),
    VersionChange(
        since=TABLE_RESIZES,
        what="The tables of entries and of services grow beyond buckets x 2^lfactor (sysctls "
        "conn_lfactor, -4, and svc_lfactor, -3).",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_ctl.c; sysctl net.ipv4.vs.conn_lfactor",
    ),
    VersionChange(
        since=TABLE_RESIZES,
        what="/proc/net/ip_vs_status tells root how many entries there are, of whatever service, "
        "and the chains; an entry under masquerading stands in two of them.",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_status_show",
    ),
    VersionChange(
        since=TABLE_RESIZES,
        what="An entry needs 288 bytes at least (280 on 6.1), and 341 of slab as before; the "
        "kernel's own boot line says what it is.",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_conn.c, ip_vs_conn_init; dmesg of 6.1 and 7.2",
    ),
    VersionChange(
        since=TABLE_RESIZES,
        what="drop_entry looks at size/32 consecutive buckets from a random one on, each second; "
        "before it draws size/32 of them, any one again and again.",
        known="source",
        source="net/netfilter/ipvs/ip_vs_conn.c, ip_vs_random_dropentry",
    ),
    VersionChange(
        since=TABLE_RESIZES,
        what="A template that was invalidated keeps its ports; only its destination port is "
        "65535, before its virtual port too.",
        known="source",
        source="net/netfilter/ipvs/ip_vs_conn.c, ip_vs_check_template",
    ),
    VersionChange(
        since=HAS_CONN_MAX,
        what="A namespace holds at most conn_max entries; a SYN above it gets no entry and no "
        "answer.",
        known="measured",
        source="net/netfilter/ipvs/ip_vs_conn.c, ip_vs_conn_new; sysctl net.ipv4.vs.conn_max",
    ),
    VersionChange(
        since=HAS_CONN_MAX,
        what="InActConn is the total less the active ones, read one after the other: off by a few "
        "for a moment.",
        known="source",
        source="net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show",
        carried_back="stable trees of August 2026 have it",
    ),
    VersionChange(
        since=READS_PAST_EXTENSIONS,
        what="Of an IPv6 packet with an extension header the TCP flags are read behind it; before "
        "at a fixed offset, so that the entry's state is guessed wrongly.",
        known="source",
        source="net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_state_transition (commit 2500fa3958b1)",
        carried_back="stable trees of July 2026 have it",
    ),
)
"""Differences in the order of their releases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The rules of one kernel.

    Attributes:
        kernel: its release as the director gave it; None where that is not known.
        release: major and minor number; None where the kernel's name holds none.
        half_open_is_active: half-open entries count as active.
        reads_linearly: reading the table of entries takes time by their number.
        table_resizes: the table resizes itself, so that ``size=`` is its present size.
        has_conn_max: there is an upper limit of entries, the sysctl ``conn_max``.
        sweeps_in_a_row: drop_entry looks at consecutive buckets; else it draws each one.
        uncertain: changes that its version does not have but its distributor may.
    """

    kernel: str | None
    release: Release | None
    half_open_is_active: bool
    reads_linearly: bool
    table_resizes: bool
    has_conn_max: bool
    sweeps_in_a_row: bool
    uncertain: tuple[VersionChange, ...]

    @property
    def holds(self) -> tuple[VersionChange, ...]:
        """The changes that it has; all that are taken for granted where it is not known."""
        return tuple(change for change in CHANGES if self.has(change.since))

    def has(self, since: Release) -> bool:
        """Whether it is of this release or later; a kernel that is not known is taken for 6.1."""
        return (self.release or ASSUMED) >= since


ASSUMED: Release = (6, 1)
"""The law of a kernel that is not known: states and timers as since 4.8, and no resizing."""


def sentence(change: VersionChange) -> str:
    """A change as it is shown: from which release on, what, and how that is known."""
    return f"Since {change.since[0]}.{change.since[1]}: {change.what} [{change.known}]"


def release_of(kernel: str | None) -> Release | None:
    """Major and minor number in a kernel's name, such as 6.1.0-56-amd64; None without one."""
    match = re.search(r"(\d{1,4})\.(\d{1,4})", kernel or "")
    return (int(match[1]), int(match[2])) if match else None


def stable_of(kernel: str | None) -> int:
    """The third number of a stable release, such as 83 of 5.10.83; 0 where the name has none."""
    match = re.match(r"\d{1,4}\.\d{1,4}\.(\d{1,4})", kernel or "")
    return int(match[1]) if match else 0


_NODEST_IN_STABLE = {
    (4, 4): 294,
    (4, 9): 292,
    (4, 14): 257,
    (4, 19): 219,
    (5, 4): 163,
    (5, 10): 83,
    (5, 15): 6,
}


def nodest_in_any_reuse_mode(kernel: str | None) -> bool:
    """Whether expire_nodest_conn reschedules a SYN also where conn_reuse_mode is 0.

    A distribution's version (5.10.0-30-amd64) names no stable release, nor what was carried back:
    such a kernel is taken for one that does, as is one that is not known.
    """
    series, stable = release_of(kernel), stable_of(kernel)
    if series is None or stable == 0:
        return True
    return series >= NODEST_IN_ANY_REUSE_MODE or (
        series in _NODEST_IN_STABLE and stable >= _NODEST_IN_STABLE[series]
    )


def why_counters_stand_still(kernel: str | None, sysctl: Mapping[str, str]) -> str | None:
    """Why a director's counters (Conns, InPkts ...) are not added up at present; None if they are.

    The kernel adds up what its CPUs have counted when it estimates the rates, and shows the sums of
    the last time (``ip_vs_copy_stats``; measured on 6.1 and 7.2: no counter moved).

    Args:
        kernel: its release, untrusted.
        sysctl: ``net.ipv4.vs.*`` by name, as far as they could be read; empty ones are not in it.
    """
    if sysctl.get("run_estimation") == "0":
        return "net.ipv4.vs.run_estimation is 0: the kernel no longer adds its counters up"
    stops = law_of(kernel).has(ESTIMATOR_MAY_STOP)
    if stops and "run_estimation" in sysctl and "est_cpulist" not in sysctl:
        return "net.ipv4.vs.est_cpulist is empty: the kernel no longer adds its counters up"
    return None


def law_of(kernel: str | None) -> Law:
    """The rules of a kernel.

    Args:
        kernel: ``uname -r`` of the director, untrusted; None where it is not known.
    """
    release = release_of(kernel)
    of = release or ASSUMED
    return Law(
        kernel=kernel,
        release=release,
        half_open_is_active=of >= HALF_OPEN_IS_ACTIVE,
        reads_linearly=of >= READS_LINEARLY,
        table_resizes=of >= TABLE_RESIZES,
        has_conn_max=of >= HAS_CONN_MAX,
        sweeps_in_a_row=of >= TABLE_RESIZES,
        uncertain=tuple(c for c in CHANGES if c.carried_back and of < c.since),
    )
