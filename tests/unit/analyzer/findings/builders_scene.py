"""What the findings are tested on: lives that show one thing each, and a stage that can be set."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.states import Flag, State
from analyzer.recording.directory import MANIFEST, Recording
from tests.unit.analyzer.builders_packets import (
    BOOT_NS,
    CLIENT,
    DIRECTOR_MAC,
    NS,
    PORT,
    SERVER_MAC,
    VIP,
    Seg,
    ethernet,
    pcap,
)
from tests.unit.analyzer.builders_run import FIRST, Held, Life, Stage, expires_at_s

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.recording.directory import RecordingWriter
    from analyzer.report import Analysis
    from analyzer.results import Finding

SYN_ACK_AGAIN_S = (0.0, 1.0, 3.0, 7.0, 15.0, 31.0)


def by_id(found: Analysis) -> dict[str, Finding]:
    """The findings, each of which is made once."""
    ids = [one.id for one in found.findings]
    assert len(set(ids)) == len(ids)
    return {one.id: one for one in found.findings}


def ends(port: int) -> str:
    """A connection as evidence names it."""
    return f"{CLIENT}:{port} to {VIP}:{PORT}"


def reset(port: int, began_s: float, *, server: str = FIRST) -> Life:
    """Open for 0.3 s, then the client resets."""
    sent = (
        Seg(began_s, port, Flag.SYN),
        Seg(began_s + 0.1, port, Flag.ACK),
        Seg(began_s + 0.3, port, Flag.RST),
    )
    states = (
        (began_s, State.SYN_RECV),
        (began_s + 0.1, State.ESTABLISHED),
        (began_s + 0.3, State.CLOSE),
    )
    return Life(sent, Held(port, states, expires_at_s(began_s + 0.3, 10), server))


def answered_never_completed(port: int, began_s: float, *, nat: bool) -> Life:
    """A SYN, and SYN-ACKs that come again and again; in nat each of them restarts the timer."""
    again = tuple(
        Seg(
            began_s + 0.01 + at_s,
            port,
            Flag.SYN,
            reply=True,
            mac=DIRECTOR_MAC if nat else SERVER_MAC,
        )
        for at_s in SYN_ACK_AGAIN_S
    )
    last_s = again[-1].at_s if nat else began_s
    held = Held(port, ((began_s, State.SYN_RECV),), expires_at_s(last_s, 60))
    return Life((Seg(began_s, port, Flag.SYN), *again), held)


def refused(port: int, began_s: float) -> Life:
    """In dr: the client gets a RST that the director never sees."""
    sent = (Seg(began_s, port, Flag.SYN), Seg(began_s + 0.01, port, Flag.RST, True, mac=SERVER_MAC))
    return Life(sent, Held(port, ((began_s, State.SYN_RECV),), expires_at_s(began_s, 60)))


def leaked(port: int, began_s: float) -> Life:
    """The SYN passes the director, then ARP tells the client a real server's MAC."""
    syn = Seg(began_s, port, Flag.SYN)
    sent = (
        syn,
        Seg(began_s + 0.01, port, Flag.SYN, reply=True, mac=SERVER_MAC),
        replace(syn, at_s=began_s + 0.02, flag=Flag.ACK, mac=SERVER_MAC),
        replace(syn, at_s=began_s + 0.30, flag=Flag.FIN, mac=SERVER_MAC),
        Seg(began_s + 0.31, port, Flag.FIN, reply=True, mac=SERVER_MAC),
    )
    return Life(sent, Held(port, ((began_s, State.SYN_RECV),), expires_at_s(began_s, 60)))


def held_by_client(
    port: int, began_s: float, tcp_s: float, *, then: Flag | None = None, tcpfin_s: float = 20
) -> Life:
    """In dr the server closes after 0.5 s; the client acknowledges, and may end it at 2 s."""
    sent = [
        Seg(began_s, port, Flag.SYN),
        Seg(began_s + 0.01, port, Flag.SYN, reply=True, mac=SERVER_MAC),
        Seg(began_s + 0.02, port, Flag.ACK),
        Seg(began_s + 0.5, port, Flag.FIN, reply=True, mac=SERVER_MAC),
        Seg(began_s + 0.51, port, Flag.ACK),
    ]
    states = [(began_s, State.SYN_RECV), (began_s + 0.02, State.ESTABLISHED)]
    gone_s = expires_at_s(began_s + 0.51, tcp_s)
    if then is not None:
        sent.append(Seg(began_s + 2, port, then))
        states.append((began_s + 2, State.FIN_WAIT if then is Flag.FIN else State.CLOSE))
        gone_s = expires_at_s(began_s + 2, tcpfin_s if then is Flag.FIN else 10)
    return Life(tuple(sent), Held(port, tuple(states), gone_s))


@dataclass(frozen=True, kw_only=True)
class Scene(Stage):
    """A stage whose scheduler and weights can be set, with requests and another director.

    ``weight`` gives a real server's at an instant; ``copies`` are entries that bal02 holds. Under
    lc connections need not be shared evenly.
    """

    poll_s: float = 0.3
    scheduler: str = "lc"
    weight: Callable[[str, float], int] = lambda _server, _at_s: 1
    copies: tuple[Held, ...] | None = None

    def recorded(self, path: Path) -> Recording:
        """As staged; with a backup in the manifest if it has copies."""
        made = super().recorded(path)
        if self.copies is None:
            return made
        manifest = json.loads((path / MANIFEST).read_text())
        facts = manifest["directors"]["bal01"]
        manifest["directors"]["bal02"] = facts | {"macs": ["02:00:00:00:00:12"]}
        (path / MANIFEST).write_text(json.dumps(manifest))
        return Recording.open(path)

    def counters(self, server: str, at_s: float) -> dict[str, Any]:
        """One real server's row, scheduler and weight as set."""
        set_to = {"scheduler": self.scheduler, "weight": self.weight(server, at_s)}
        return super().counters(server, at_s) | set_to

    def poll(self, writer: RecordingWriter, at_s: float) -> None:
        """One look at bal01, and one at bal02."""
        super().poll(writer, at_s)
        head = {"at": BOOT_NS + round(at_s * NS), "director": "bal02"}
        asked = {"what": "entries", "took_ms": 0.0, "entries": 0, "asked": head["at"]}
        if self.copies is not None:
            writer.append("polls", head | asked | {"director_uptime_s": at_s})
        for held in self.copies or ():
            now, then = held.state_at(at_s), held.state_at(at_s - self.poll_s)
            if now is not then:
                kind = "appeared" if then is None else "gone" if now is None else "state"
                writer.append("entries", head | self.entry(held, kind, now or then))


class AtTheDirector(Scene):
    """Captured on the director's link: each request arrives, and is sent on to the server."""

    def capture(self) -> bytes:
        """Requests twice; of replies nothing, as they bypass a dr director."""
        requests = [seg for life in self.lives for seg in life.sent if not seg.reply]
        frames = []
        for seg in sorted(requests, key=lambda seg: seg.at_s):
            at_ns, frame = BOOT_NS + round(seg.at_s * NS), self.frame(seg)
            on = ethernet(frame[14:], source=DIRECTOR_MAC, destination=SERVER_MAC)
            frames += [(at_ns, frame), (at_ns + 20_000, on)]
        return pcap(frames)
