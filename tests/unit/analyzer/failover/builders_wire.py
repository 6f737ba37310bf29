"""Fail-overs made by hand: who advertises when, and clients who repeat their SYN each second."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from analyzer.client.outcomes import outcomes_of
from analyzer.client.requests import summarise
from analyzer.evidence.evidence import Evidence, with_records
from analyzer.failover.describe import failover
from analyzer.findings.figures import Figures
from analyzer.observed.entries import numbered
from analyzer.observed.parted import Parted
from analyzer.recording.director import directors_of
from analyzer.recording.manifest import manifest_of
from analyzer.recording.requests import RequestRows
from analyzer.wire.segments import VirtualEnd
from analyzer.wire.vrrp import Advertisement, Announcements, Claim, master_down_interval_s, skew_s
from tests.unit.analyzer.builders_packets import NS, table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

ZERO_NS = 1_700_000_000 * NS
VIP, PORT = "192.168.10.2", 80
MACS = {"bal01": 0x02000000000B, "bal02": 0x02000000000C}
ADDRESSES = {"bal01": "192.168.10.11", "bal02": "192.168.10.12"}
BORN_S = 0.3
"""The first advertisement."""


def at(second: float) -> int:
    return ZERO_NS + round(second * NS)


@dataclass
class Wire:
    """What the capture will hold."""

    version: int = 2
    interval_s: float = 1.0
    vrid: int = 41
    adverts: list[Advertisement] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    def advert(self, who: str, second: float, priority: int) -> None:
        self.adverts.append(
            Advertisement(
                at_ns=at(second),
                sender=ADDRESSES[who],
                sender_mac=MACS[who],
                version=self.version,
                vrid=self.vrid,
                priority=priority,
                interval_s=self.interval_s,
                addresses=(VIP,),
                checksum_ok=True,
                ttl=255,
            )
        )

    def reign(self, who: str, from_s: float, to_s: float, priority: int, *, claim: bool) -> float:
        """Advertisements from an instant on, none at ``to_s`` or later; the last one's time."""
        count = max(ceil((to_s - from_s) / self.interval_s - 1e-9), 1)
        for number in range(count):
            self.advert(who, from_s + number * self.interval_s, priority)
        if claim:
            self.claim(who, from_s + 0.002)
        return from_s + (count - 1) * self.interval_s

    def claim(self, who: str, second: float) -> None:
        mac = MACS[who]
        self.claims.append(
            Claim(
                at_ns=at(second),
                kind="gratuitous-arp",
                address=VIP,
                mac=mac,
                target=VIP,
                sender_mac=mac,
            )
        )

    def announcements(self) -> Announcements:
        return Announcements(
            advertisements=tuple(sorted(self.adverts, key=lambda row: row.at_ns)),
            claims=tuple(sorted(self.claims, key=lambda row: row.at_ns)),
            malformed=0,
            left_out=0,
        )


def requests(
    rate: float,
    to_s: float,
    outages: list[tuple[float, float]],
    absent: tuple[float, float] = (0, 0),
    slow_s: Callable[[int], float] = lambda _: 0.0005,
) -> pd.DataFrame:
    """An open loop; what meets an outage is connected by its first SYN after it.

    Between ``absent`` the client begins nothing and sees no answer; ``slow_s`` is what the answer
    to a SYN takes, by the request's number.
    """
    rows: list[dict[str, Any]] = []
    for number in range(int(rate * to_s)):
        due_s = number / rate
        begun_s = absent[1] if absent[0] <= due_s < absent[1] else due_s
        away = [(begin, end) for begin, end in outages if begin <= begun_s < end]
        wait_s = ceil(away[0][1] - begun_s) if away else 0
        done_s = begun_s + wait_s + slow_s(number)
        done_s = absent[1] if absent[0] <= done_s < absent[1] else done_s
        reached = done_s < to_s
        rows.append(
            {"id": number, "kind": "HEAD", "scheduled": at(due_s), "started": at(begun_s)}
            | {name: at(done_s) if reached else None for name in ("connected", "first_byte")}
            | {"ended": at(done_s) if reached else None}
            | {"error": None if reached else "interrupted"}
        )
    return table("requests", rows)


def evidence(
    wire: Wire | None,
    sent: pd.DataFrame,
    recorded: dict[str, Any],
    *,
    in_flight: list[dict[str, Any]] | None = None,
    **tables: list[dict[str, Any]],
) -> Evidence:
    facts = {name: {"macs": [_mac(mac)]} for name, mac in MACS.items()}
    manifest = manifest_of({"failover": recorded, "directors": facts, "ended": "completed"})
    changes = table("entries", tables.get("entries", ()))
    gathered = Evidence(
        manifest=manifest,
        directors=directors_of(manifest),
        zero_ns=ZERO_NS,
        service=VirtualEnd("TCP", VIP, PORT),
        requests=RequestRows.of(sent),
        services=table("services", tables.get("services", ())),
        counted=table("services", tables.get("services", ())),
        entries=Parted.of(numbered(changes, None)),
        changes=Parted.of(changes),
        polls=table("polls", tables.get("polls", ())),
        events=table("events", ()),
        sockets=table("sockets", ()),
        captured=None,
        not_measured=(),
        in_flight=table("in_flight", in_flight or ()),
        announcements=wire.announcements() if wire else None,
    )
    return with_records(gathered)


def failover_of(given: Evidence) -> Any:
    outcome = failover(given)
    assert outcome is not None
    return outcome


def figures(outcome: Any) -> Figures:
    return Figures(
        requests=summarise(outcomes_of(RequestRows.of(requests(1, 0, [])))),
        peaks=(),
        lifetimes=(),
        agreement=(),
        events=(),
        forwarding="dr",
        capture_dropped=None,
        foreign_entries={},
        failover=outcome,
    )


def _mac(number: int) -> str:
    text = f"{number:012x}"
    return ":".join(text[i : i + 2] for i in range(0, 12, 2))


@dataclass
class Silence:
    """bal01 dies without a word; bal02 follows, and says so."""

    rate: float = 50
    fault_s: float = 5.6
    to_s: float = 20.0
    priority: int = 9
    version: int = 2
    interval_s: float = 1.0

    def __post_init__(self) -> None:
        self.wire = Wire(version=self.version, interval_s=self.interval_s)
        self.last_s = self.wire.reign("bal01", BORN_S, self.fault_s, 10, claim=False)
        self.wait_s = master_down_interval_s(self.version, self.priority, self.interval_s)
        self.skew_s = skew_s(self.version, self.priority, self.interval_s)
        self.taken_s = self.last_s + self.wait_s
        self.wire.reign("bal02", self.taken_s, self.to_s, self.priority, claim=True)
        self.age_s = self.fault_s - self.last_s
        self.outages = [(self.fault_s, self.taken_s + 0.004)]

    @property
    def outage_s(self) -> float:
        return self.taken_s + 0.004 - self.fault_s

    def evidence(self, **more: Any) -> Evidence:
        recorded = {"fault": "bal01: link-down", "ordered_ns": at(self.fault_s - 0.05)}
        sent = requests(self.rate, self.to_s, self.outages)
        return evidence(self.wire, sent, recorded | more.pop("recorded", {}), **more)
