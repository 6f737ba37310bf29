"""A director's settings, which change rarely and are polled rarely.

Timeouts and the sync daemon's role by its own ipvsadm, sysctls, the addresses it has, and whether
keepalived runs there. keepalived tells its VRRP state to nobody who only reads, so it is concluded:
a director that holds a VIP of its services while keepalived runs is master, another one backup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.conntrack import statistics
from analyzer.ipvs.proc.formats import parse_timeouts
from analyzer.recording.manifest.director import CONNTRACK_SYSCTLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from analyzer.ipvs.states import Timeouts
    from analyzer.recording.manifest.director import Kind

TIMEOUTS_CHANGED, SYSCTL_CHANGED = "timeouts-changed", "sysctl-changed"
INSERT_FAILED = "insert-failed"
TIMEOUT_EVENTS: Mapping[Kind, tuple[str, ...]] = {
    "ipvs": (TIMEOUTS_CHANGED,),
    "netfilter": (TIMEOUTS_CHANGED, SYSCTL_CHANGED, INSERT_FAILED),
}
"""Events of what is asked for with the timeouts; of a netfilter director these are sysctls."""

_MAX_SYSCTL_CHARACTERS = 100
_MAX_ADDRESSES = 4096
_MAX_DAEMONS_CHARACTERS = 4096

_IPVSADM = "{{ ipvsadm {0} || sudo -n ipvsadm {0}; }} 2>/dev/null"

_BY_IPVSADM = (
    "echo @timeouts",
    _IPVSADM.format("-L --timeout"),
    "echo @daemon",
    _IPVSADM.format("-L --daemon"),
)
_SYSCTLS: Mapping[Kind, str] = {
    # a sysctl gives all at one read(2) or nothing, which the shell's own read cannot do
    "ipvs": "(cd /proc/sys/net/ipv4/vs && grep . *) 2>/dev/null",
    "netfilter": f"(cd /proc/sys/net/netfilter && grep . {' '.join(CONNTRACK_SYSCTLS)}) "
    "2>/dev/null",
}
_STATISTICS = f"echo @statistics; cat {statistics.FILE} 2>/dev/null"
_BY_OTHERS = (
    "echo @addresses; ip -o addr show 2>/dev/null",
    "echo @keepalived; grep -lx keepalived /proc/[0-9]*/comm 2>/dev/null",
    "echo @end",
)
_PARTS = ("timeouts", "daemon", "sysctl", "statistics", "addresses", "keepalived", "end")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorSettings:
    """One reading of the settings; None where a value could not be read.

    Attributes:
        timeouts: the three that ``ipvsadm --set`` changes.
        timeouts_source: where they were read.
        sync_daemon: the roles of the sync daemons that run: ``master``, ``backup``, both, or
            ``none``.
        sysctl: ``net.ipv4.vs.*`` by name; of a netfilter director ``CONNTRACK_SYSCTLS``.
        addresses: of all its interfaces.
        keepalived: whether one runs.
        insert_failed: of a netfilter director, packets that it lost so far because no entry could
            be made for them (``insert_failed_of``).
    """

    timeouts: Timeouts | None
    timeouts_source: str | None
    sync_daemon: str | None
    sysctl: Mapping[str, str]
    addresses: frozenset[str] | None
    keepalived: bool
    insert_failed: int | None = None

    def vips_held(self, vips: Collection[str]) -> frozenset[str] | None:
        """Which of the services' addresses are its own at present; None where it does not tell."""
        return None if self.addresses is None else self.addresses & frozenset(vips)

    def vrrp_state(self, vips: Collection[str]) -> str | None:
        """``MASTER`` or ``BACKUP``, as concluded; None without keepalived or addresses."""
        held = self.vips_held(vips)
        if not self.keepalived or held is None:
            return None
        return "MASTER" if held else "BACKUP"


def ask_script(*, kind: Kind = "ipvs", ipvsadm: bool = True) -> str:
    """What to run on a director.

    Args:
        kind: what keeps its connections.
        ipvsadm: False where there is a better way to ask IPVS.
    """
    by_ipvsadm = _BY_IPVSADM if ipvsadm and kind == "ipvs" else ()
    of_kind = (f"echo @sysctl; {_SYSCTLS[kind]}", *([_STATISTICS] if kind == "netfilter" else []))
    return "; ".join(("PATH=$PATH:/usr/sbin:/sbin", *by_ipvsadm, *of_kind, *_BY_OTHERS))


def ask_conntrack_sysctls() -> str:
    """What to run on a netfilter director to learn what its tracking goes by alone."""
    return f"echo @sysctl; {_SYSCTLS['netfilter']}; {_STATISTICS}; echo @end"


def ask_timeouts() -> str:
    """What to run on a director to learn its three timeouts alone."""
    return f"PATH=$PATH:/usr/sbin:/sbin; {_BY_IPVSADM[1]}"


def set_timeouts(timeouts: Timeouts) -> str:
    """What to run on a director to set its timeouts; prints what ipvsadm complains of.

    Where we may not run ipvsadm ourselves and sudo may not either, its complaint comes last.
    """
    set_them = f"ipvsadm {' '.join(set_words(timeouts))}"
    return f"PATH=$PATH:/usr/sbin:/sbin; {{ {set_them} || sudo -n {set_them}; }} 2>&1"


def set_words(timeouts: Timeouts) -> tuple[str, str, str, str]:
    """The words of ``ipvsadm --set``; 0 leaves a value as it is (ip_vs_ctl.c)."""
    three = (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s)
    tcp, tcpfin, udp = (str(round(value_s)) for value_s in three)
    return ("--set", tcp, tcpfin, udp)


def parse_settings(text: str) -> DirectorSettings:
    """Read what ``ask_script`` printed; what is missing is None, never an error."""
    sections = _sections(text)
    timeouts = parse_timeouts(sections.get("timeouts", ""))
    return DirectorSettings(
        timeouts=timeouts,
        timeouts_source="ipvsadm" if timeouts else None,
        # where no daemon runs it prints nothing, as where we may not run it
        sync_daemon=_roles(sections.get("daemon", "")) if timeouts else None,
        sysctl=_sysctls(sections.get("sysctl", "")),
        addresses=_addresses(sections.get("addresses", "")),
        keepalived=bool(sections.get("keepalived", "").strip()),
        insert_failed=statistics.insert_failed_of(sections.get("statistics", "")),
    )


def changes(
    before: DirectorSettings, now: DirectorSettings, vips: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What has changed between two polls: events' kinds and details.

    The detail of ``timeouts-changed`` is the three numbers, as ``ipvsadm --set`` takes them.
    """
    if now.timeouts is not None and before.timeouts != now.timeouts:
        three = (now.timeouts.tcp_s, now.timeouts.tcpfin_s, now.timeouts.udp_s)
        yield TIMEOUTS_CHANGED, " ".join(f"{value_s:g}" for value_s in three)
    names = before.sysctl.keys() | now.sysctl.keys() if before.sysctl and now.sysctl else ()
    for name in sorted(names):
        old, new = before.sysctl.get(name), now.sysctl.get(name)
        if old != new:
            yield SYSCTL_CHANGED, f"{name}: {old} -> {new}"
    failed_before, failed_now = before.insert_failed, now.insert_failed
    if failed_before is not None and failed_now is not None and failed_now > failed_before:
        yield INSERT_FAILED, f"{failed_before} -> {failed_now}"
    held_before, held_now = before.vips_held(vips), now.vips_held(vips)
    if held_before is not None and held_now is not None:
        yield from (("vip-gained", vip) for vip in sorted(held_now - held_before))
        yield from (("vip-lost", vip) for vip in sorted(held_before - held_now))
        if now.vrrp_state(vips) != before.vrrp_state(vips):
            yield "vrrp-state", now.vrrp_state(vips) or "keepalived does not run"
    if now.sync_daemon != before.sync_daemon and now.sync_daemon is not None:
        yield "sync-daemon", now.sync_daemon


def _sections(text: str) -> dict[str, str]:
    parts = re.split(rf"^@({'|'.join(_PARTS)})$\n?", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _roles(text: str) -> str:
    from analyzer.ipvs.ipvsadm.reader import parse  # who asks no director needs no parser

    roles = dict.fromkeys(daemon.role for daemon in parse(text[:_MAX_DAEMONS_CHARACTERS]).daemons)
    return "+".join(roles) or "none"


def _sysctls(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines())
    return {
        name: value.strip()[:_MAX_SYSCTL_CHARACTERS]
        for name, _, value in lines
        if re.fullmatch(r"[a-z_0-9]{1,64}", name)
    }


_ADDRESS = re.compile(r"^\d+: \S+ +inet6? ([0-9a-fA-F.:]{2,45})(?:/\d| peer | )", re.M)


def _addresses(text: str) -> frozenset[str] | None:
    addresses = _ADDRESS.findall(text)[:_MAX_ADDRESSES]
    return frozenset(addresses) if addresses else None
