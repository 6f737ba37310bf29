"""The words that our own messages are made of, and kinds of events: what a sentence may keep."""

from __future__ import annotations

from analyzer.recording.manifest.director import CONNTRACK_SYSCTLS


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


FAULTS = frozenset(
    words(
        "link-down link-up unplug replug crash boot keepalived-stop "
        "keepalived-start keepalived-kill nginx-stop nginx-start weight"
    )
)

EVENTS = FAULTS | frozenset(
    words(
        "burst-start burst-end neighbour link-lost link-back rebooted "
        "clock-stepped slow-answer entries-resumed entries-given-up "
        "entries-unreadable lines-unreadable timeouts-changed sysctl-changed insert-failed "
        "vip-gained vip-lost vrrp-state sync-daemon capture-drop capture-deleted "
        "capture-interface-down capture-stopped fault fault-undone keepalived "
        "sockets-lost sockets-unreadable recording-thinned command server-removed "
        "server-added server-edited services-cleared worker-lost"
    )
)
"""Kinds of the rows of ``events/``."""

SYSCTLS = frozenset(
    words(
        "am_droprate amemthresh backup_only cache_bypass conn_lfactor conn_max "
        "conn_reuse_mode conntrack debug_level drop_entry drop_packet est_cpulist "
        "est_nice expire_nodest_conn expire_quiescent_template ignore_tunneled "
        "lblc_expiration lblcr_expiration nat_icmp_send pmtu_disc run_estimation "
        "schedule_icmp secure_tcp sloppy_sctp sloppy_tcp snat_reroute svc_lfactor "
        "sync_persist_mode sync_ports sync_qlen_max sync_refresh_period "
        "sync_retries sync_sock_size sync_threshold sync_version"
    )
)
"""Sysctls below ``/proc/sys/net/ipv4/vs``."""

WORDS = (
    EVENTS
    | SYSCTLS
    | frozenset(CONNTRACK_SYSCTLS)
    | frozenset(
        words(
            "a about all allows alone an and answer answers any are as asked at "
            "because before beside but by cannot captured change clock closed come "
            "could count counted deleted did do does done end ended entries entry "
            "every expected first from given gone has have here how in into is it its "
            "joined kept known last later left less line link lost many measured more "
            "most ms must named neighbour no none not nothing now of often old on one "
            "only or other out over own packet packets per poll polls read reads "
            "reading record request requests s same sent shows since so some stopped "
            "such than that the their them there they this those time times to too "
            "two under until up use was were what when where which while who why will "
            "with within without word yet"
        )
    )
    | frozenset(
        words(
            "ActiveConn InActConn Conns InPkts ActiveConn, CPU FIN SYN TCP UDP DR HZ "
            "IPVS VIP VRRP ARP MASTER BACKUP FAULT STATE Entering master backup "
            "master+backup priority FAILED INCOMPLETE REACHABLE STALE DELAY PROBE "
            "PERMANENT keepalived ipvsadm netlink tcpdump capture captures director "
            "directors client server servers service services table timeouts sysctls "
            "addresses counters latencies prediction loadgen imported log stamps "
            "events shift --no-capture --capture --set -> is: boot director's watch "
            "sends datagrams way run schedule stages duration rate seconds closes "
            "connections sockets engine"
        )
    )
)
