"""Watching the decay: how long at most, and when it is over."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from analyzer.ipvs.proc.entry_rows import rows_of
from analyzer.ipvs.proc.formats import Entry, parse_services
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.timers import TimerPhase
from loadgen.burst import watch as watch_module
from loadgen.burst.watch import DecayWatch, longest_decay_s
from loadgen.load.engines.sources import SourcePorts
from loadgen.load.plan import ClosedModel, Closing, Datagram, LoadPlan
from loadgen.target import Target
from tests.unit.loadgen.director.fakes import SERVICES
from tests.unit.waiting import turns

if TYPE_CHECKING:
    from analyzer.forecast.closings import Close
    from analyzer.ipvs.proc.entry_rows import Rows
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.polling.poller import Poller
    from loadgen.load.engines.activity import Burst


def facts(*, tcpfin_s: float | None, forwarding: str = "Route", hz: int | None = 100) -> BootFacts:
    text = SERVICES.replace("Route  ", forwarding.ljust(7))
    found = SimpleNamespace(
        kind="ipvs",
        timeouts=None if tcpfin_s is None else Timeouts(tcpfin_s=tcpfin_s),
        services=parse_services(text),
        timer_phase=None if hz is None else TimerPhase(hz=hz, phase_s=0, uncertainty_s=0),
    )
    return cast("BootFacts", found)


def tracked(**sysctl: str) -> BootFacts:
    named = {f"nf_conntrack_{name}": text for name, text in sysctl.items()}
    settings = SimpleNamespace(sysctl=named)
    return cast("BootFacts", SimpleNamespace(kind="netfilter", director_settings=settings))


def test_a_tracked_connection_is_remembered_for_the_longest_of_its_timeouts() -> None:
    director = tracked(tcp_timeout_time_wait="7", tcp_timeout_fin_wait="9", tcp_timeout_close="3")
    assert longest_decay_s(director, plan("client")) == 9
    assert longest_decay_s(director, plan("reset")) == 3


def test_nobody_waits_five_days_for_a_tracked_connection_that_stays_open() -> None:
    director = tracked(tcp_timeout_established="432000")
    assert longest_decay_s(director, plan("never")) == 900
    assert longest_decay_s(tracked(), plan("client")) == 900


@pytest.mark.parametrize(
    ("director", "longest_s", "why"),
    [
        (facts(tcpfin_s=20), 20.64, "dr: tcpfin and a granule"),
        (facts(tcpfin_s=120, hz=250), 122.048, "the granule is the one of this HZ"),
        (facts(tcpfin_s=20, forwarding="Masq"), 125.12, "nat: TIME_WAIT is longer than tcpfin"),
        (facts(tcpfin_s=200, forwarding="Masq"), 205.12, "nat, where tcpfin is the longer one"),
        (facts(tcpfin_s=None), 125.12, "the kernel's defaults where they are not known"),
        (facts(tcpfin_s=120, hz=None), 120 + 4096 / 300, "the coarsest wheel where HZ is not"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_closed_connection_is_remembered_for_a_timeout_and_a_granule(
    director: BootFacts, longest_s: float, why: str
) -> None:
    assert longest_decay_s(director, plan("client")) == pytest.approx(longest_s), why


@pytest.mark.parametrize(
    ("kind", "forwarding", "longest_s"),
    [
        ("server", "Route", 20.64),
        ("reset", "Route", 10.64),  # fixed
        ("half", "Route", 20.64),
        ("half", "Masq", 125.12),
        ("never", "Route", 40.96 * 23),  # 900 s, and the wheel's granule there
        ("abandon", "Masq", 40.96 * 23),
        ("half-open", "Route", 65.12),
        ("half-open", "Masq", 31 + 65.12),  # the server's last SYN-ACK
        ("fin-no-ack", "Masq", 54.7 + 125.12),  # its last FIN
        ("fin-no-ack", "Route", 20.64),
        ("reset-syn", "Masq", 65.12),
        ("reset-fin", "Masq", 10.64),
    ],
)
def test_how_a_connection_ends_decides_how_long_it_is_remembered(
    kind: Close, forwarding: str, longest_s: float
) -> None:
    director = facts(tcpfin_s=20, forwarding=forwarding)
    assert longest_decay_s(director, plan(kind)) == pytest.approx(longest_s, abs=2)


def test_a_datagram_is_remembered_for_the_udp_timeout() -> None:
    load_plan = LoadPlan(
        target=Target(vip="192.0.2.1", port=53, protocol="UDP"),
        arrivals=ClosedModel(requests=1),
        datagram=Datagram(),
    )
    assert 300 < longest_decay_s(facts(tcpfin_s=20), load_plan) < 325


def plan(close: Close) -> LoadPlan:
    return LoadPlan(
        target=Target(vip="192.0.2.1", port=80),
        arrivals=ClosedModel(requests=1),
        closing=Closing(shares=((close, 1.0),)),
    )


@dataclass
class Table:
    """A poller's view: how many of ours are left, one value for each poll."""

    left: list[int]
    reads_entries: bool = True
    counts: tuple[int, int] | None = None
    entries_polled_ns: int | None = 1 << 62
    entry_polls: int = field(default=0)

    @property
    def entries(self) -> Rows:
        now = self.left[min(self.entry_polls, len(self.left) - 1)]
        self.entry_polls += 1
        ours = [entry("10.0.0.9", port) for port in range(now)]
        return rows_of([*ours, entry("10.0.0.7", 5000)])  # and a stranger's


def entry(client_ip: str, client_port: int) -> Entry:
    return Entry(
        protocol="TCP",
        client_ip=client_ip,
        client_port=client_port,
        vip="10.0.0.2",
        port=80,
        real_server="10.0.0.3",
        real_port=80,
        state="FIN_WAIT",
        expires_s=20,
    )


def sources(ports: range) -> SourcePorts:
    made = SourcePorts()
    made.add(np.zeros(len(ports), np.int64), np.array(ports), ["10.0.0.9"])
    return made


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls without waiting; by the watch's clock they are a second apart."""
    looks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: float(next(looks)), time_ns=time.time_ns)
    monkeypatch.setattr(watch_module, "time", clock)
    monkeypatch.setattr(watch_module, "CHECK_EVERY_S", 0)
    monkeypatch.setattr(watch_module, "SETTLED_FOR_S", 4)


def watched(table: Table, limit_s: float, *, until_settled: bool = True) -> list[int]:
    """How many entries the progress was given as left, poll by poll."""
    seen: list[int] = []

    async def main() -> None:
        burst: Any = SimpleNamespace(ended=asyncio.Event(), sources=sources(range(50)))
        watch = DecayWatch(
            cast("Burst", burst),
            [cast("Poller", table)],
            limit_s,
            until_settled=until_settled,
            progress=lambda _waited, _limit, left: seen.append(left),
        )
        async with watch:
            waiting = asyncio.create_task(watch.done())
            await turns()
            assert seen == []  # not before the burst has ended
            burst.ended.set()
            await waiting

    asyncio.run(main())
    return seen


def test_it_ends_when_none_of_the_bursts_entries_is_left() -> None:
    seen = watched(Table([3, 3, 1, 0]), 600)
    assert seen[:4] == [3, 3, 1, 0]
    assert set(seen[3:]) == {0}  # the stranger's entry is not waited for


def test_entries_that_come_back_start_the_settling_anew() -> None:
    seen = watched(Table([0, 2, 0]), 600)
    assert seen[:3] == [0, 2, 0]


def test_it_ends_at_the_limit_when_they_never_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_MARGIN_S", 0.0)
    assert watched(Table([7]), 20) == [7] * 19


def test_a_given_time_is_waited_for_whatever_is_left() -> None:
    assert watched(Table([0]), 40, until_settled=False) == [0] * 39


def test_no_time_is_no_waiting() -> None:
    assert watched(Table([7]), 0, until_settled=False) == []


def test_where_entries_are_not_read_the_counters_stand_for_them() -> None:
    table = Table([0], reads_entries=False, counts=(2, 9))
    assert set(watched(table, 20, until_settled=False)) == {11}
    never_polled = Table([0], reads_entries=False, counts=None)
    assert set(watched(never_polled, 20, until_settled=False)) == {0}


def test_entries_read_before_the_burst_had_ended_do_not_say_that_none_is_left() -> None:
    """A busy director may give its entries so seldom that the counters know of the burst first."""
    late = Table([0], counts=(0, 40), entries_polled_ns=1)
    assert set(watched(late, 20)) == {40}
