"""A run by hand: what a director held, packet by packet and poll by poll, as a run directory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.analysis import analyse
from analyzer.ipvs.states import ACTIVE_STATES, Flag, State
from analyzer.ipvs.timers import expiry_uptime_s
from analyzer.recording.directory import Recording, RecordingWriter
from tests.unit.analyzer.builders_packets import (
    ACK,
    BOOT_NS,
    CLIENT,
    CLIENT_MAC,
    FIN,
    IPV6,
    NS,
    PORT,
    RST,
    SYN,
    VIP,
    Seg,
    ethernet,
    ipv4,
    ipv6,
    pcap,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.report import Analysis

FIRST, SECOND = "192.168.10.21", "192.168.10.22"
TCP_FLAGS = {Flag.SYN: SYN, Flag.FIN: FIN | ACK, Flag.ACK: ACK, Flag.RST: RST, Flag.BARE: 0}
FOR_EVER = float("inf")


def expires_at_s(last_s: float, timeout_s: float) -> float:
    """When the timer fires at a director of HZ 100 whose jiffies are its uptime."""
    return float(expiry_uptime_s(last_s, timeout_s, hz=100, phase_s=0.0))


@dataclass(frozen=True)
class Held:
    """An entry as the director had it: its states with their instants, and when it was gone."""

    port: int
    states: tuple[tuple[float, State], ...]
    gone_s: float = FOR_EVER
    server: str = FIRST
    waits_s: float | None = None  # what its last state waits; not shown where it is None

    def state_at(self, at_s: float) -> State | None:
        """Its state at an instant, None if it is not there."""
        past = [state for since_s, state in self.states if since_s <= at_s]
        return past[-1] if past and at_s < self.gone_s else None

    def expires_s(self, state: State | None, at_s: float) -> int:
        """What the director shows that it has left; 0, which tells nothing, of earlier states."""
        since_s, last = self.states[-1]
        if self.waits_s is None or state is not last or at_s < since_s:
            return 0
        return max(int(round(since_s + self.waits_s - at_s, 6)), 0)


@dataclass(frozen=True)
class Life:
    """A connection: what it sent, and what the director held of it."""

    sent: tuple[Seg, ...]
    held: Held


def closed(port: int, began_s: float, tcpfin_s: float = 20.0, server: str = FIRST) -> Life:
    """In dr, as curl makes it: 0.4 s open, then the client closes."""
    sent = (
        Seg(began_s, port, Flag.SYN),
        Seg(began_s + 0.1, port, Flag.ACK),
        Seg(began_s + 0.4, port, Flag.FIN),
    )
    states = (
        (began_s, State.SYN_RECV),
        (began_s + 0.1, State.ESTABLISHED),
        (began_s + 0.4, State.FIN_WAIT),
    )
    return Life(sent, Held(port, states, expires_at_s(began_s + 0.4, tcpfin_s), server, tcpfin_s))


def half_open(port: int, began_s: float, timeout_s: float = 60.0) -> Life:
    """A SYN and nothing after it."""
    sent = (Seg(began_s, port, Flag.SYN),)
    return Life(sent, Held(port, ((began_s, State.SYN_RECV),), expires_at_s(began_s, timeout_s)))


def opened(port: int, began_s: float, tcp_s: float = 900.0, server: str = FIRST) -> Life:
    """Open, and left so."""
    sent = (Seg(began_s, port, Flag.SYN), Seg(began_s + 0.1, port, Flag.ACK))
    states = ((began_s, State.SYN_RECV), (began_s + 0.1, State.ESTABLISHED))
    return Life(sent, Held(port, states, expires_at_s(began_s + 0.1, tcp_s), server, tcp_s))


def removed_at(life: Life, at_s: float) -> Life:
    """The same, but something ended the entry early."""
    return Life(life.sent, replace(life.held, gone_s=at_s))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All that happens; ``absent`` says when a real server was not in the table.

    A poll states its instant first, and reads the table ``read_s`` later.
    """

    lives: Sequence[Life]
    facts: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)  # directors that nobody polled
    events: Sequence[tuple[float, str, str]] = ()
    absent: Sequence[tuple[str, float, float]] = ()
    weights: Sequence[tuple[str, float, float, int]] = ()  # server, from, to, other than 1
    unpolled: Sequence[tuple[float, float]] = ()  # polls that nobody answered
    booted_s: float = 0.0  # uptimes from then on count from there
    until_s: float = 1100.0
    poll_s: float = 0.1
    read_s: float = 0.0
    protocol: str = "TCP"
    forwarding: str = "dr"
    vip: str = VIP
    client: str = CLIENT

    def played(self, path: Path) -> Analysis:
        """Recorded, and analysed."""
        return analyse(self.recorded(path))

    def recorded(self, path: Path) -> Recording:
        """A run directory of all this."""
        service = {"protocol": self.protocol, "vip": self.vip, "port": PORT}
        facts = {
            "hz": 100,
            "timer_phase_s": 0.0,
            "uptime_step_s": 0.0,
            "timeouts": {"tcp": 900, "tcpfin": 20, "udp": 300},
            "macs": ["02:00:00:00:00:11"],
        }
        manifest = {
            "started_at_ns": BOOT_NS + 999 * NS,
            "service": service,
            "plan": self.plan,
            "directors": {
                "bal01": facts | self.facts,
                **{name: facts | more for name, more in self.others.items()},
            },
        }
        writer = RecordingWriter(path, manifest)
        writer.capture_path.write_bytes(self.capture())
        writer.extend("events", [self.event(*row) for row in self.events])
        quick = {"at": BOOT_NS + 999 * NS, "director": "bal01", "what": "services", "took_ms": 0.0}
        writer.append("polls", quick | {"asked": quick["at"], "director_uptime_s": 999.0})
        for at_s in np.arange(999.03, self.until_s, self.poll_s).tolist():
            if not self.is_unpolled(at_s):
                self.poll(writer, at_s)
        writer.close("completed")
        return Recording.open(path)

    def capture(self) -> bytes:
        """The client's side of the director's link."""
        sent = sorted((seg for life in self.lives for seg in life.sent), key=lambda seg: seg.at_s)
        return pcap((BOOT_NS + round(seg.at_s * NS), self.frame(seg)) for seg in sent)

    def frame(self, seg: Seg) -> bytes:
        """A packet on the wire."""
        source_port, destination_port = (PORT, seg.port) if seg.reply else (seg.port, PORT)
        source, destination = (self.vip, self.client) if seg.reply else (self.client, self.vip)
        by, to = (seg.mac, CLIENT_MAC) if seg.reply else (CLIENT_MAC, seg.mac)
        if seg.flag is Flag.DATAGRAM:
            number, payload = 17, udp(source_port=source_port, destination_port=destination_port)
        else:
            number, payload = (
                6,
                tcp(
                    TCP_FLAGS[seg.flag] | (ACK if seg.reply and seg.flag is Flag.SYN else 0),
                    source_port=source_port,
                    destination_port=destination_port,
                    sequence=seg.sequence,
                    acknowledgement=seg.acknowledgement,
                    payload=bytes(seg.payload_bytes),
                    window=seg.window,
                ),
            )
        if ":" in self.vip:
            packet = ipv6(payload, source=source, destination=destination, next_header=number)
            return ethernet(packet, source=by, destination=to, ethertype=IPV6)
        packet = ipv4(payload, source=source, destination=destination, protocol=number)
        return ethernet(packet, source=by, destination=to)

    def event(self, at_s: float, kind: str, detail: str) -> dict[str, Any]:
        """Something that was done to the director."""
        at_ns = BOOT_NS + round(at_s * NS)
        return {"at": at_ns, "host": "bal01", "kind": kind, "detail": detail}

    def is_unpolled(self, at_s: float) -> bool:
        """Whether nobody answers a poll at an instant."""
        return any(begin <= at_s < end for begin, end in self.unpolled)

    def poll(self, writer: RecordingWriter, at_s: float) -> None:
        """One poll of the director: its services, and what changed among its entries since."""
        at_ns = BOOT_NS + round(at_s * NS)
        uptime_s = at_s - self.booted_s if at_s >= self.booted_s else at_s
        read_s, before_s = at_s + self.read_s, at_s - self.poll_s
        while self.is_unpolled(before_s):
            before_s -= self.poll_s
        head = {"at": at_ns, "director": "bal01"}
        row = head | {"what": "entries", "took_ms": self.read_s * 1e3, "asked": at_ns, "entries": 0}
        writer.append("polls", row | {"director_uptime_s": uptime_s})
        for life in self.lives:
            now, then = life.held.state_at(read_s), life.held.state_at(before_s + self.read_s)
            if now is not then:
                kind = "appeared" if then is None else "gone" if now is None else "state"
                state = now or then
                left = {"expires_s": life.held.expires_s(state, read_s)}
                writer.append("entries", head | self.entry(life.held, kind, state) | left)
        for server in (FIRST, SECOND):
            if not any(name == server and a <= at_s < b for name, a, b in self.absent):
                writer.append("services", head | self.counters(server, at_s))

    def entry(self, held: Held, kind: str, state: State | None) -> dict[str, Any]:
        """One change of an entry."""
        return {
            "change": kind,
            "protocol": self.protocol,
            "state": state.name if state is not None else None,
            "expires_s": 0,
            "client_ip": self.client,
            "client_port": held.port,
            "vip": self.vip,
            "port": PORT,
            "real_server": held.server,
            "real_port": PORT,
        }

    def weight(self, server: str, at_s: float, /) -> int:
        """A real server's weight at an instant."""
        other = [w for name, a, b, w in self.weights if name == server and a <= at_s < b]
        return other[0] if other else 1

    def counters(self, server: str, at_s: float) -> dict[str, Any]:
        """One real server's row of the table."""
        states = [life.held.state_at(at_s) for life in self.lives if life.held.server == server]
        there = [state for state in states if state is not None]
        active = sum(state in ACTIVE_STATES for state in there)
        return {
            "protocol": self.protocol,
            "vip": self.vip,
            "port": PORT,
            "scheduler": "rr",
            "real_server": server,
            "real_port": PORT,
            "forwarding": self.forwarding,
            "weight": self.weight(server, at_s),
            "active": active,
            "inactive": len(there) - active,
        }
