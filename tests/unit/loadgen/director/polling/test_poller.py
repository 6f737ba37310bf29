"""A director is polled: recorded texts in, rows out."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

from analyzer.ipvs.proc.formats import parse_services
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_status import parse_table_status
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.recording.tables import TABLES
from loadgen.director.boot_facts import BootFacts
from loadgen.director.links.client import DirectorClient
from loadgen.director.links.shell import LinkLost
from loadgen.director.polling import entries as entries_module
from loadgen.director.polling import poller as poller_module
from loadgen.director.polling.counters import Counters
from loadgen.director.polling.poller import Poller
from loadgen.director.polling.rows import server_key, service_columns, service_rows
from loadgen.director.polling.watched import ALL, Watched, watch_target
from loadgen.director.settings import parse_settings
from loadgen.load.plan import Target
from tests.unit.loadgen.director.fakes import (
    ENTRIES_HEADER,
    ESTABLISHED,
    FIN_WAIT,
    OTHERS,
    SERVICES,
    FakeShell,
)

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.ipvs.table_status import TableStatus

OURS = watch_target(Target(vip="192.168.10.2", port=80))


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the clock."""
    monkeypatch.setattr(poller_module, "INTERVAL_S", 0.001)
    monkeypatch.setattr(poller_module, "_RECONNECT_AFTER_S", (0.001,))
    monkeypatch.setattr(poller_module, "LAST_LOOK_S", 0.001)


def uptime(seconds: float = 1000.0) -> str:
    return f"{seconds:.2f} {seconds:.2f}\n"


def look(*entries: str, at_s: float = 1000.0, services: str = SERVICES) -> str:
    """What a poll that asks for entries is answered."""
    return uptime(at_s) + services + ENTRIES_HEADER + "".join(entries)


def polled(
    fake: FakeShell,
    path: Path,
    *,
    watched: Watched = OURS,
    director_cpu: float = 100,  # of which a look that took 2 ms is nothing
    facts: BootFacts | None = None,
) -> tuple[Poller, Recording]:
    """A poller run until its shell has said all it had to say."""
    recording = RecordingWriter(path, {})
    poller = Poller(fake.client, recording, watched=watched, facts=facts, director_cpu=director_cpu)

    async def main() -> None:
        async with poller:
            await fake.used_up.wait()

    asyncio.run(main())
    recording.close("completed")
    return poller, Recording.open(path)


def facts_of(kernel: str | None, director_settings: str = "") -> BootFacts:
    """What was learnt of a director before the first poll."""
    return BootFacts(
        kernel=kernel,
        macs=(),
        director_settings=parse_settings(director_settings),
        services=parse_services(SERVICES),
        timeouts=None,
        timeouts_source=None,
        timer_phase=None,
        timer_phase_source=None,
    )


def rows(recording: Recording, table: str, *columns: str) -> list[tuple[Any, ...]]:
    frame = recording.table(table)[list(columns)].astype(object)
    return [
        tuple(None if pd.isna(cell) else cell for cell in row)
        for row in frame.itertuples(index=False)
    ]


def test_each_poll_is_a_row_per_real_server_of_our_service(tmp_path: Path) -> None:
    poller, recording = polled(FakeShell(look(), look()), tmp_path)
    columns = ("director", "real_server", "real_port", "forwarding", "weight", "active", "inactive")
    expected = [
        ("bal01", "192.168.10.22", 80, "dr", 1, 3, 25),
        ("bal01", "192.168.10.21", 80, "dr", 1, 0, 24),
    ]
    assert rows(recording, "services", *columns) == expected * 2
    assert poller.counts == (3, 49)  # the other service's 90 and 91 are not ours


def test_entries_are_recorded_as_changes_of_our_service(tmp_path: Path) -> None:
    fake = FakeShell(look(ESTABLISHED, OTHERS), look(ESTABLISHED), look(FIN_WAIT), look(OTHERS))
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "entries", "change", "client_port", "state", "expires_s") == [
        ("appeared", 40001, "ESTABLISHED", 899),
        ("state", 40001, "FIN_WAIT", 9),
        ("gone", 40001, "FIN_WAIT", 9),
    ]
    assert len(poller.entries) == 0


def test_what_is_there_at_the_end_is_held(tmp_path: Path) -> None:
    poller, _ = polled(FakeShell(look(FIN_WAIT)), tmp_path)
    assert set(poller.entries["client_port"].tolist()) == {40001}
    assert poller.reads_entries


def test_each_poll_says_what_it_asked_and_how_many_lines_it_got(tmp_path: Path) -> None:
    _, recording = polled(FakeShell(look(FIN_WAIT, OTHERS), look(at_s=1000.25)), tmp_path)
    assert rows(recording, "polls", "director", "what", "entries", "director_uptime_s") == [
        ("bal01", "entries", 2, 1000.0),
        ("bal01", "entries", 0, 1000.25),
    ]
    assert rows(recording, "polls", "took_ms") == [(2.0,), (2.0,)]


def test_a_look_lies_between_the_asking_and_the_answer(tmp_path: Path) -> None:
    _, recording = polled(FakeShell(*[look() for _ in range(5)]), tmp_path)
    for at, asked, took_ms in rows(recording, "polls", "at", "asked", "took_ms"):
        assert asked <= at <= asked + pd.Timedelta(milliseconds=took_ms)


def test_the_offset_is_this_polls_reading_of_the_boot_less_the_first(tmp_path: Path) -> None:
    boot_s = time.time() - 5000

    def now(_: str) -> str:
        return look(at_s=time.time() - boot_s)

    recording = RecordingWriter(tmp_path, {})
    fake = FakeShell(now)
    poller = Poller(fake.client, recording, boot_ns=round(boot_s * 1e9) - 3_000_000_000)

    async def main() -> None:
        async with poller:
            while len(fake.asked) < 4:
                await asyncio.sleep(0.001)

    asyncio.run(main())
    recording.close("completed")
    found = rows(Recording.open(tmp_path), "polls", "offset_ms")
    assert len(found) >= 3
    for (offset_ms,) in found:
        assert offset_ms == pytest.approx(3000, abs=100)
    assert poller.clock_manifest()["boot_at_ns"] == round(boot_s * 1e9) - 3_000_000_000
    assert 0 <= poller.clock_manifest()["clock_uncertainty_ms"] < 100


def test_a_lost_link_is_an_event_and_the_polling_goes_on(tmp_path: Path) -> None:
    fake = FakeShell(look(FIN_WAIT), LinkLost("bal01: no answer in 30 s"), look(FIN_WAIT), look())
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "events", "host", "kind", "detail") == [
        ("bal01", "link-lost", "no answer in 30 s"),
        ("bal01", "link-back", "polling again"),
    ]
    assert len(recording.table("polls")) == 3
    assert [change for (change,) in rows(recording, "entries", "change")] == ["appeared", "gone"]
    assert not poller.lost


def test_it_tries_again_until_the_director_is_back(tmp_path: Path) -> None:
    fake = FakeShell(look(), LinkLost("gone"), LinkLost("gone again"), look())
    fake.refusals = 3
    _, recording = polled(fake, tmp_path)
    assert fake.opened == 5  # three refused, one lost at its first poll, one that lasted
    kinds = [kind for (kind,) in rows(recording, "events", "kind")]
    assert kinds == ["link-lost", "link-back"]


def test_a_link_that_is_lost_again_at_once_is_told_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is between two looks is a gap of its own, even if one look came between two losses."""

    def first_after_the_loss(_: str) -> str:
        fake.lost_by = "--stats"
        fake.texts[:] = [look()]
        return look()

    monkeypatch.setattr(poller_module, "COUNTERS_EVERY_S", 0)
    fake = FakeShell(look(), LinkLost("gone"), first_after_the_loss)
    fake.asides["--stats"] = STATS
    poller, recording = polled(fake, tmp_path)
    kinds = [kind for (kind,) in rows(recording, "events", "kind")]
    assert kinds == ["link-lost", "link-back", "link-lost", "link-back"]
    assert len(recording.table("polls")) == 3
    assert not poller.lost


def test_an_answer_without_an_uptime_is_a_lost_link(tmp_path: Path) -> None:
    fake = FakeShell(look(), "sh: cat: not found\n", look())
    _, recording = polled(fake, tmp_path)
    assert [kind for (kind,) in rows(recording, "events", "kind")] == ["link-lost", "link-back"]


def test_a_director_that_is_gone_from_the_start_raises(tmp_path: Path) -> None:
    poller = Poller(FakeShell(LinkLost("no")).client, RecordingWriter(tmp_path, {}))

    async def main() -> None:
        async with poller:
            pass

    with pytest.raises(LinkLost):
        asyncio.run(main())


def test_entries_that_cannot_be_read_are_told_once_and_not_asked_for_again(tmp_path: Path) -> None:
    unreadable = uptime() + SERVICES
    poller, recording = polled(FakeShell(unreadable, unreadable, unreadable), tmp_path)
    assert rows(recording, "events", "kind") == [("entries-unreadable",)]
    assert rows(recording, "polls", "what", "entries") == [("services", None)] * 3
    assert not poller.reads_entries
    assert poller.counts == (3, 49)


def test_entries_are_asked_for_with_every_poll_while_the_table_is_small(tmp_path: Path) -> None:
    fake = FakeShell(look(), look(), look())
    polled(fake, tmp_path)
    assert all("ip_vs_conn" in script for script in fake.asked)


def test_entries_are_read_no_more_often_than_their_share_of_the_director_allows(
    tmp_path: Path,
) -> None:
    fake = FakeShell(look(FIN_WAIT, OTHERS), uptime() + SERVICES, uptime() + SERVICES)
    poller, recording = polled(fake, tmp_path, director_cpu=0.02)  # 2 ms, so every 100 ms
    assert ["ip_vs_conn" in script for script in fake.asked[:3]] == [True, False, False]
    assert rows(recording, "polls", "what") == [("entries",), ("services",), ("services",)]
    assert poller.reads_entries  # again, when its time has come


CROWDED = SERVICES.replace("90         91", "90    3000000")


def test_entries_that_cost_too_much_are_given_up_and_taken_up_again(tmp_path: Path) -> None:
    fake = FakeShell(look(FIN_WAIT, services=CROWDED), uptime() + CROWDED, uptime() + SERVICES)
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "polls", "what") == [("entries",), ("services",), ("services",)]
    events = rows(recording, "events", "kind", "detail")
    assert [kind for kind, _ in events] == ["entries-given-up", "entries-resumed"]
    assert "a read of 3000142 takes about" in events[0][1]
    assert poller.reads_entries
    (given_up, _) = poller.not_measured()
    assert given_up["what"] == "entries on bal01"
    assert "the counters go on" in given_up["why"]


def test_all_services_are_watched_unless_told(tmp_path: Path) -> None:
    poller, recording = polled(FakeShell(look(FIN_WAIT, OTHERS)), tmp_path, watched=ALL)
    assert [service.port for service in poller.services] == [80, 81]
    assert poller.counts == (93, 140)
    assert rows(recording, "services", "port", "active") == [(80, 3), (80, 0), (81, 90)]
    assert set(poller.entries["client_port"].tolist()) == {40001, 40002}


STATS = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  192.168.10.2:80                     8       44        0     2867        0
  -> 192.168.10.21:80                    4       20        0     1291        0
  -> 192.168.10.22:80                    4       24        1     1576       40
"""
COUNTERS = ("conns", "in_packets", "out_packets", "in_bytes", "out_bytes")


def test_counters_stand_in_the_rows_of_the_poll_that_asked_for_them(tmp_path: Path) -> None:
    fake = FakeShell(look(), look())
    fake.asides["--stats"] = STATS
    poller, recording = polled(fake, tmp_path)
    unknown = (None,) * 5
    assert rows(recording, "services", "real_server", *COUNTERS) == [
        ("192.168.10.22", 4, 24, 1, 1576, 40),
        ("192.168.10.21", 4, 20, 0, 1291, 0),
        ("192.168.10.22", *unknown),  # their time has not come again
        ("192.168.10.21", *unknown),
    ]
    server = ("TCP", "192.168.10.2", 80, None, "192.168.10.21", 80)
    assert poller.counters[server]._asdict() == dict(
        zip(COUNTERS, (4, 20, 0, 1291, 0), strict=True)
    )
    assert poller.not_measured() == []


def test_a_director_without_ipvsadm_has_no_counters_and_says_so(tmp_path: Path) -> None:
    poller, recording = polled(FakeShell(look(), look()), tmp_path)
    assert rows(recording, "services", *COUNTERS) == [(None,) * 5] * 4
    assert [row["what"] for row in poller.not_measured()] == [
        "counters (Conns, InPkts ...) on bal01"
    ]


def test_entries_that_become_readable_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries_module, "TRY_AGAIN_S", 0)
    fake = FakeShell(uptime() + SERVICES, look(FIN_WAIT), look(FIN_WAIT))
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "events", "kind") == [("entries-unreadable",), ("entries-resumed",)]
    assert len(poller.entries) == 1


def test_a_look_whose_counters_are_lost_is_recorded_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last(_: str) -> str:
        fake.lost_by = "--stats"
        fake.texts[:] = [look()]
        return look()

    monkeypatch.setattr(poller_module, "COUNTERS_EVERY_S", 0)
    fake = FakeShell(look(), last)
    fake.asides["--stats"] = STATS
    _, recording = polled(fake, tmp_path)
    assert len(recording.table("polls")) == 3
    assert len(recording.table("services")) == 6
    assert [kind for (kind,) in rows(recording, "events", "kind")] == ["link-lost", "link-back"]


def test_what_is_answered_slowly_aside_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "SLOW_S", 0)
    fake = FakeShell(look())
    fake.asides["--stats"] = STATS
    _, recording = polled(fake, tmp_path)
    assert rows(recording, "events", "kind", "detail") == [("slow-answer", "counters: 0.0 s")]


def test_a_director_that_reboots_begins_a_new_clock(tmp_path: Path) -> None:
    fake = FakeShell(look(at_s=5000.0), look(at_s=5000.01), look(at_s=12.0), look(at_s=12.01))
    poller, recording = polled(fake, tmp_path)
    assert [kind for (kind,) in rows(recording, "events", "kind")] == ["clock-stepped"]
    offsets = [offset for (offset,) in rows(recording, "polls", "offset_ms")]
    assert offsets[1] == pytest.approx(0, abs=500)
    assert offsets[2] == pytest.approx(4_988_000, abs=500)
    assert poller.clock_manifest()["clock_uncertainty_ms"] < 100
    for at, asked, took_ms in rows(recording, "polls", "at", "asked", "took_ms"):
        assert asked <= at <= asked + pd.Timedelta(milliseconds=took_ms)


STANDING = "@timeouts\nTimeout (tcp tcpfin udp): 900 {} 300\n@daemon\n@sysctl\n@end\n"


def facts_with(tcpfin_s: int) -> BootFacts:
    return facts_of(None, STANDING.format(tcpfin_s))


def test_what_changes_seldom_is_looked_at_again_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "STANDING_EVERY_S", 0)
    fake = FakeShell(look(), look(), look())
    fake.asides["@timeouts"] = STANDING.format(10)
    _, recording = polled(fake, tmp_path, facts=facts_with(120))
    assert rows(recording, "events", "host", "kind", "detail") == [
        ("bal01", "timeouts-changed", "900 10 300")  # once, as it changed once
    ]


def status(entries: int, buckets: int = 256) -> str:
    return f"Conns:\t{entries}\nConn buckets:\t{buckets} (8 bits, lfactor -4)\n"


def test_the_tables_status_is_read_again_and_the_fullest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "STANDING_EVERY_S", 0)
    answers = iter([status(7), status(90, 2048), status(20, 2048)])
    fake = FakeShell(look(), look(), look(), look())
    fake.asides["@timeouts"] = STANDING.format(120)

    async def table_status(self: DirectorClient, *, timeout_s: float) -> TableStatus | None:
        return parse_table_status(next(answers, status(3)))

    monkeypatch.setattr(DirectorClient, "table_status", table_status)
    facts = replace(facts_of("7.2.7"), table_status=parse_table_status(status(0)))
    poller, _ = polled(fake, tmp_path, facts=facts)
    found = poller.table_manifest()
    assert (found["table_status_fullest"]["entries"], found["table_status_fullest"]["buckets"]) == (
        90,
        2048,
    )
    assert found["table_status_at_end"]["entries"] == 3


def test_a_table_that_gets_fuller_is_looked_at_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """52 entries are counted: 7 were told of, then 60, and there is nothing more to ask."""
    monkeypatch.setattr(poller_module, "TABLE_EVERY_S", 0)
    told = [status(60), status(3)]
    fake = FakeShell(*[look()] * 6)

    async def table_status(self: DirectorClient, *, timeout_s: float) -> TableStatus | None:
        return parse_table_status(told.pop(0))

    monkeypatch.setattr(DirectorClient, "table_status", table_status)
    facts = replace(facts_of("7.2.7"), table_status=parse_table_status(status(7)))
    poller, _ = polled(fake, tmp_path, facts=facts)
    assert poller.table_manifest()["table_status_fullest"]["entries"] == 60
    assert poller.table_manifest()["table_status_at_end"]["entries"] == 3
    assert told == []  # once while it was polled, and at the end


def test_a_director_that_does_not_tell_its_tables_status_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "STANDING_EVERY_S", 0)

    async def table_status(self: DirectorClient, *, timeout_s: float) -> TableStatus | None:
        raise AssertionError

    monkeypatch.setattr(DirectorClient, "table_status", table_status)
    fake = FakeShell(look(), look())
    fake.asides["@timeouts"] = STANDING.format(120)
    poller, recording = polled(fake, tmp_path, facts=facts_of("6.1.176"))
    assert poller.table_manifest() == {}
    assert len(recording.table("polls")) == 2


def test_a_link_that_is_lost_at_the_end_costs_only_the_last_status(tmp_path: Path) -> None:
    fake = FakeShell(look())
    fake.lost_by = "ip_vs_status"
    facts = replace(facts_of("7.2.7"), table_status=parse_table_status(status(90)))
    poller, recording = polled(fake, tmp_path, facts=facts)
    assert poller.table_manifest()["table_status_fullest"]["entries"] == 90
    assert len(recording.table("polls")) == 1


@pytest.mark.parametrize("sysctl", ["run_estimation:0\nest_cpulist:0\n", "run_estimation:1\n"])
def test_counters_that_stand_still_are_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sysctl: str
) -> None:
    """The kernel adds them up when it estimates rates; est_cpulist is there, but empty."""
    facts = facts_of("7.2.7", f"@sysctl\n{sysctl}@end\n")
    fake = FakeShell(look(), look())

    async def counters(self: DirectorClient, *, timeout_s: float) -> None:
        raise AssertionError

    monkeypatch.setattr(DirectorClient, "counters", counters)
    poller, recording = polled(fake, tmp_path, facts=facts)
    assert recording.table("services")["conns"].isna().all()
    (why,) = [row["why"] for row in poller.not_measured() if row["what"].startswith("counters")]
    assert why.endswith("the kernel no longer adds its counters up")


def test_timeouts_alone_are_read_between_and_since_when_they_may_hold_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "TIMEOUTS_EVERY_S", 0)
    answers = iter([120, 10, 30])
    fake = FakeShell(look(), look(), look(), look())

    async def timeouts(self: DirectorClient, *, timeout_s: float) -> Timeouts | None:
        return Timeouts(tcpfin_s=next(answers, 30))

    monkeypatch.setattr(DirectorClient, "timeouts", timeouts)
    _, recording = polled(fake, tmp_path, facts=facts_with(120))
    events = rows(recording, "events", "kind", "detail", "since", "at")
    assert [row[:2] for row in events] == [
        ("timeouts-changed", "900 10 300"),
        ("timeouts-changed", "900 30 300"),
    ]
    (_, _, since, at), (_, _, then_since, then_at) = events
    assert since < at
    assert since < then_since <= at < then_at


def test_a_director_that_does_not_tell_its_timeouts_is_asked_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "TIMEOUTS_EVERY_S", 0)
    asked = []

    async def timeouts(self: DirectorClient, *, timeout_s: float) -> Timeouts | None:
        asked.append(timeout_s)
        return None

    monkeypatch.setattr(DirectorClient, "timeouts", timeouts)
    _, recording = polled(FakeShell(look(), look(), look()), tmp_path, facts=facts_with(120))
    assert len(asked) == 1
    assert rows(recording, "events", "kind") == []


def test_another_boot_id_after_a_lost_link_is_a_reboot(tmp_path: Path) -> None:
    fake = FakeShell(look(at_s=10.0), LinkLost("gone"), look(at_s=9.0))
    fake.asides["boot_id"] = "boot=another\n"
    poller, recording = polled(fake, tmp_path)
    kinds = [kind for (kind,) in rows(recording, "events", "kind")]
    assert kinds == ["link-lost", "rebooted", "link-back"]  # and not: a clock was set
    assert poller.clock_manifest()["clock_uncertainty_ms"] < 100


def test_the_end_of_the_run_closes_the_shell(tmp_path: Path) -> None:
    fake = FakeShell(look())
    polled(fake, tmp_path)
    assert fake.closed >= 1


def test_texts_that_mean_nothing_are_no_rows_and_no_crash(tmp_path: Path) -> None:
    hostile = uptime() + "TCP zz rr\n  -> \x00 \n" + ENTRIES_HEADER + "TCP garbage\n" * 3
    poller, recording = polled(FakeShell(hostile), tmp_path)
    assert len(recording.table("services")) == len(recording.table("entries")) == 0
    assert poller.counts == (0, 0)


def sized(size: int, *, active: int = 0, inactive: int = 0) -> str:
    """The services by a table of so many buckets, one real server of ours with such counters."""
    heading, _, rest = SERVICES.partition("\n")
    lines = [line for line in rest.splitlines(keepends=True) if "->" not in line][:2]
    server = f"  -> C0A80A16:0050      Route   1      {active:<10} {inactive:<10}\n"
    return re.sub(r"size=\d+", f"size={size}", heading) + "\n" + "".join(lines) + server


def test_a_read_while_the_table_is_resized_proves_no_entry_gone(tmp_path: Path) -> None:
    """Linux 7.1 and later: the second read misses an entry that is there, and two see it go."""
    fake = FakeShell(
        look(services=sized(256)),
        look(FIN_WAIT, services=sized(256, inactive=1)),
        look(services=sized(256, inactive=1)),  # torn: the table grows meanwhile
        look(FIN_WAIT, services=sized(512, inactive=1)),
        look(FIN_WAIT, services=sized(512, inactive=1)),
        look(services=sized(512)),
        look(services=sized(512)),
    )
    poller, recording = polled(fake, tmp_path, facts=facts_of("7.2.7"))
    changes = rows(recording, "entries", "at", "change")
    polls = rows(recording, "polls", "at", "what", "buckets")
    assert [kind for _, kind in changes] == ["appeared", "gone"]
    assert [(what, buckets) for _, what, buckets in polls] == [
        ("entries", 256),  # nobody is counted either
        ("entries", 256),
        ("resizing", 256),
        ("resizing", 512),
        ("entries", 512),
        ("entries", 512),
        ("entries", 512),
    ]
    assert changes[1][0] == polls[5][0]
    (row,) = [row for row in poller.not_measured() if row["what"].startswith("entries, in every")]
    assert row["why"].startswith("2 of 7 reads")


def test_a_kernel_whose_table_keeps_its_size_needs_no_second_look(tmp_path: Path) -> None:
    fake = FakeShell(look(FIN_WAIT, services=sized(4096, inactive=1)), look(services=sized(4096)))
    _, recording = polled(fake, tmp_path, facts=facts_of("6.1.176"))
    assert [kind for (kind,) in rows(recording, "entries", "change")] == ["appeared", "gone"]
    assert rows(recording, "polls", "what") == [("entries",), ("entries",)]


def test_lines_that_cannot_be_read_are_an_event_once(tmp_path: Path) -> None:
    odd = SERVICES.replace("      25\n", " 18446744073709551615\n")
    _, recording = polled(FakeShell(*[look(services=odd) for _ in range(5)]), tmp_path)
    assert rows(recording, "events", "kind", "detail") == [("lines-unreadable", "1 of services")]
    assert rows(recording, "services", "real_server") == [("192.168.10.21",)] * 5


def test_columns_of_services_hold_what_their_rows_hold() -> None:
    services = parse_services(SERVICES).services
    counters = {server_key(services[0], services[0].destinations[0]): Counters(1, 2, 3, 4, 5)}
    columns = service_columns(services, counters)
    schema = pa.schema([TABLES["services"].field(name) for name in columns])
    rows = [row for service in services for row in service_rows(service, counters)]
    assert (
        pa.table(columns, schema=schema).to_pylist()
        == pa.Table.from_pylist(rows, schema=schema).to_pylist()
    )
