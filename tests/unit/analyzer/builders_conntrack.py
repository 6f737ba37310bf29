"""A netfilter director by hand: connections as packets, and its entries at every poll."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.analysis import analyse
from analyzer.ipvs.states import Flag
from analyzer.recording.directory import Recording, RecordingWriter
from tests.unit.analyzer.builders_packets import BOOT_NS, CLIENT, NS, PORT, VIP, Seg, pcap
from tests.unit.analyzer.builders_run import FIRST, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.report import Analysis

FOR_EVER = float("inf")
SYSCTL = {
    "nf_conntrack_tcp_timeout_syn_sent": 120,
    "nf_conntrack_tcp_timeout_syn_recv": 60,
    "nf_conntrack_tcp_timeout_established": 86_400,
    "nf_conntrack_tcp_timeout_fin_wait": 120,
    "nf_conntrack_tcp_timeout_close_wait": 3600,
    "nf_conntrack_tcp_timeout_last_ack": 30,
    "nf_conntrack_tcp_timeout_time_wait": 30,
    "nf_conntrack_tcp_timeout_close": 10,
    "nf_conntrack_tcp_timeout_max_retrans": 300,
    "nf_conntrack_tcp_timeout_unacknowledged": 300,
    "nf_conntrack_tcp_be_liberal": 0,
    "nf_conntrack_tcp_loose": 1,
    "nf_conntrack_tcp_max_retrans": 3,
    "nf_conntrack_udp_timeout": 30,
    "nf_conntrack_udp_timeout_stream": 120,
    "nf_conntrack_max": 65_536,
    "nf_conntrack_buckets": 16_384,
}


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A connection: its packets, and the states that the director showed, each since an instant."""

    port: int
    sent: tuple[Seg, ...]
    states: tuple[tuple[float, str], ...]
    gone_s: float = FOR_EVER
    server: str = FIRST
    waits_s: float = 0.0  # what its last state waits

    def state_at(self, at_s: float) -> str | None:
        """Its state at an instant, None if it is not there."""
        past = [state for since_s, state in self.states if since_s <= at_s]
        return past[-1] if past and at_s < self.gone_s else None


def closed(port: int, began_s: float, waits_s: float = 30.0) -> Flow:
    """A request of 50 bytes, an answer of 200, closed by the client 0.4 s after it began."""
    client, server = 100, 900
    t = [began_s + step / 10 for step in range(6)]
    sent = (
        Seg(t[0], port, Flag.SYN, sequence=client - 1),
        Seg(t[1], port, Flag.SYN, reply=True, sequence=server - 1, acknowledgement=client),
        Seg(t[1] + 0.01, port, Flag.ACK, sequence=client, acknowledgement=server),
        Seg(
            *(t[2], port, Flag.ACK),
            sequence=client,
            acknowledgement=server,
            payload_bytes=50,
        ),
        Seg(
            *(t[2] + 0.01, port, Flag.ACK),
            reply=True,
            sequence=server,
            acknowledgement=client + 50,
            payload_bytes=200,
        ),
        Seg(t[3], port, Flag.FIN, sequence=client + 50, acknowledgement=server + 200),
        Seg(
            *(t[3] + 0.05, port, Flag.FIN),
            reply=True,
            sequence=server + 200,
            acknowledgement=client + 51,
        ),
        Seg(t[4], port, Flag.ACK, sequence=client + 51, acknowledgement=server + 201),
    )
    states = (
        (t[0], "SYN_SENT"),
        (t[1], "SYN_RECV"),
        (t[1] + 0.01, "ESTABLISHED"),
        (t[3], "FIN_WAIT"),
        (t[3] + 0.05, "LAST_ACK"),
        (t[4], "TIME_WAIT"),
    )
    return Flow(port=port, sent=sent, states=states, gone_s=t[4] + waits_s, waits_s=waits_s)


def left_open(port: int, began_s: float) -> Flow:
    """Open and idle after a request that was answered and acknowledged."""
    whole = closed(port, began_s)
    last = Seg(began_s + 0.25, port, Flag.ACK, sequence=150, acknowledgement=1100)
    return Flow(port=port, sent=(*whole.sent[:5], last), states=whole.states[:3], waits_s=86_400)


def half_closed(port: int, began_s: float) -> Flow:
    """The server closed, and its FIN was acknowledged; the client did not close."""
    whole = left_open(port, began_s)
    fin = Seg(*(began_s + 0.3, port, Flag.FIN), reply=True, sequence=1100, acknowledgement=150)
    acked = Seg(began_s + 0.35, port, Flag.ACK, sequence=150, acknowledgement=1101)
    states = ((began_s + 0.3, "FIN_WAIT"), (began_s + 0.35, "CLOSE_WAIT"))
    return Flow(
        port=port,
        sent=(*whole.sent, fin, acked),
        states=(*whole.states, *states),
        waits_s=3600,
    )


def refused(port: int, began_s: float) -> Flow:
    """A SYN that the real server reset."""
    sent = (
        Seg(began_s, port, Flag.SYN, sequence=99),
        Seg(began_s + 0.05, port, Flag.RST, reply=True, acknowledgement=100),
    )
    return Flow(
        port=port, sent=sent, states=((began_s, "SYN_SENT"),), gone_s=began_s + 0.05, waits_s=120
    )


@dataclass(frozen=True, kw_only=True)
class Node:
    """All that happens at a netfilter director, node01, that is polled every 0.1 s."""

    flows: Sequence[Flow]
    facts: dict[str, Any] = field(default_factory=dict)
    sysctl: dict[str, Any] = field(default_factory=lambda: dict(SYSCTL))
    until_s: float = 1060.0
    poll_s: float = 0.1
    protocol: str = "TCP"
    captured: bool = True
    counted: int | None = None  # nf_conntrack_count, at each poll; None as in older recordings
    events: Sequence[tuple[float, str, str]] = ()
    events_since_s: float | None = None  # not before this did any of them happen

    def played(self, path: Path) -> Analysis:
        """Recorded, and analysed."""
        return analyse(self.recorded(path))

    def recorded(self, path: Path) -> Recording:
        """A run directory of all this."""
        facts = {
            "kind": "netfilter",
            "kernel": "6.1.0-56-amd64",
            "hz": 100,
            "timer_phase_s": 0.0,
            "uptime_step_s": 0.0,
            "sysctl": self.sysctl,
            "macs": ["02:00:00:00:00:11"],
        }
        manifest = {
            "started_at_ns": BOOT_NS + 999 * NS,
            "command": "burst",
            "service": {"protocol": self.protocol, "vip": VIP, "port": PORT},
            "directors": {"node01": facts | self.facts},
        }
        writer = RecordingWriter(path, manifest)
        sent = sorted((seg for flow in self.flows for seg in flow.sent), key=lambda seg: seg.at_s)
        frames = Stage(lives=())
        if self.captured:
            writer.capture_path.write_bytes(
                pcap((BOOT_NS + round(seg.at_s * NS), frames.frame(seg)) for seg in sent)
            )
        since_s = self.events_since_s
        since = {} if since_s is None else {"since": BOOT_NS + round(since_s * NS)}
        rows = [
            {"at": BOOT_NS + round(at_s * NS), "host": "node01"} | since
            for at_s, _, _ in self.events
        ]
        named = zip(rows, self.events, strict=True)
        writer.extend("events", [row | {"kind": one[1], "detail": one[2]} for row, one in named])
        for at_s in np.arange(999.03, self.until_s, self.poll_s).tolist():
            self.poll(writer, at_s)
        writer.close("completed")
        return Recording.open(path)

    def poll(self, writer: RecordingWriter, at_s: float) -> None:
        """One poll: what changed among the entries since the one before."""
        at_ns = BOOT_NS + round(at_s * NS)
        states = [flow.state_at(at_s) for flow in self.flows]
        head = {"at": at_ns, "director": "node01"}
        row = head | {"what": "entries", "took_ms": 0.0, "asked": at_ns}
        there = sum(state is not None for state in states)
        known = {"entries": there, "director_uptime_s": at_s, "table_entries": self.counted}
        writer.append("polls", row | known)
        for flow, now in zip(self.flows, states, strict=True):
            then = flow.state_at(at_s - self.poll_s)
            if now == then:
                continue
            kind = "appeared" if then is None else "gone" if now is None else "state"
            is_last = now == flow.states[-1][1]
            left_s = flow.states[-1][0] + flow.waits_s - at_s if is_last else 0.0
            entry = {
                "change": kind,
                "protocol": self.protocol,
                "state": now or then,
                "expires_s": max(int(left_s), 0),
                "client_ip": CLIENT,
                "client_port": flow.port,
                "vip": VIP,
                "port": PORT,
                "real_server": flow.server,
                "real_port": PORT,
            }
            writer.append("entries", head | entry)
