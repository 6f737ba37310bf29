"""What a director showed becomes rows of the recording."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from loadgen.director.links.snapshot import netfilter
from loadgen.director.polling.entries import CONNTRACK_PAGE_BYTES
from loadgen.director.polling.watched import ALL
from tests.unit.loadgen.director.fakes import (
    ENTRIES_HEADER,
    ESTABLISHED,
    FIN_WAIT,
    OTHERS,
    SERVICES,
    FakeShell,
)
from tests.unit.loadgen.director.polling.builders_polls import (
    answer,
    facts_of,
    polled,
    rows,
    uptime,
)

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.recording.directory import Recording
    from loadgen.director.polling.poller import Poller


pytestmark = pytest.mark.usefixtures("short_intervals")


def test_each_poll_is_a_row_per_real_server_of_our_service(tmp_path: Path) -> None:
    poller, recording = polled(FakeShell(answer(), answer()), tmp_path)
    columns = ("director", "real_server", "real_port", "forwarding", "weight", "active", "inactive")
    expected = [
        ("bal01", "192.168.10.22", 80, "dr", 1, 3, 25),
        ("bal01", "192.168.10.21", 80, "dr", 1, 0, 24),
    ]
    assert rows(recording, "services", *columns) == expected * 2
    assert poller.counts == (3, 49)  # the other service's 90 and 91 are not ours


def test_entries_are_recorded_as_changes_of_our_service(tmp_path: Path) -> None:
    fake = FakeShell(
        answer(ESTABLISHED, OTHERS), answer(ESTABLISHED), answer(FIN_WAIT), answer(OTHERS)
    )
    poller, recording = polled(fake, tmp_path)
    assert rows(recording, "entries", "change", "client_port", "state", "expires_s") == [
        ("appeared", 40001, "ESTABLISHED", 899),
        ("state", 40001, "FIN_WAIT", 9),
        ("gone", 40001, "FIN_WAIT", 9),
    ]
    assert len(poller.entries) == 0


def test_what_is_there_at_the_end_is_held(tmp_path: Path) -> None:
    poller, _ = polled(FakeShell(answer(FIN_WAIT)), tmp_path)
    assert set(poller.entries["client_port"].tolist()) == {40001}
    assert poller.reads_entries


def test_each_poll_says_what_it_asked_and_how_many_lines_it_got(tmp_path: Path) -> None:
    _, recording = polled(FakeShell(answer(FIN_WAIT, OTHERS), answer(at_s=1000.25)), tmp_path)
    assert rows(recording, "polls", "director", "what", "entries", "director_uptime_s") == [
        ("bal01", "entries", 2, 1000.0),
        ("bal01", "entries", 0, 1000.25),
    ]
    assert rows(recording, "polls", "took_ms") == [(2.0,), (2.0,)]


def test_all_services_are_watched_by_default(tmp_path: Path) -> None:
    poller, recording = polled(FakeShell(answer(FIN_WAIT, OTHERS)), tmp_path, watched=ALL)
    assert [service.port for service in poller.services] == [80, 81]
    assert poller.counts == (93, 140)
    assert rows(recording, "services", "port", "active") == [(80, 3), (80, 0), (81, 90)]
    assert set(poller.entries["client_port"].tolist()) == {40001, 40002}


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
        answer(services=sized(256)),
        answer(FIN_WAIT, services=sized(256, inactive=1)),
        answer(services=sized(256, inactive=1)),  # torn: the table grows meanwhile
        answer(FIN_WAIT, services=sized(512, inactive=1)),
        answer(FIN_WAIT, services=sized(512, inactive=1)),
        answer(services=sized(512)),
        answer(services=sized(512)),
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


def test_a_kernel_whose_table_keeps_its_size_needs_no_second_poll(tmp_path: Path) -> None:
    fake = FakeShell(
        answer(FIN_WAIT, services=sized(4096, inactive=1)), answer(services=sized(4096))
    )
    _, recording = polled(fake, tmp_path, facts=facts_of("6.1.176"))
    assert [kind for (kind,) in rows(recording, "entries", "change")] == ["appeared", "gone"]
    assert rows(recording, "polls", "what") == [("entries",), ("entries",)]


def tracked(port: int, state: str, expires_s: int, server: str = "192.168.20.21") -> str:
    return (
        f"ipv4     2 tcp      6 {expires_s} {state} src=192.168.10.250 dst=192.168.10.2 "
        f"sport={port} dport=80 src={server} dst=192.168.10.250 sport=80 dport={port} "
        "[ASSURED] mark=0 zone=0 use=2\n"
    )


SSH = (
    "ipv4     2 tcp      6 299 ESTABLISHED src=192.168.10.250 dst=192.168.10.11 sport=53208 "
    "dport=22 src=192.168.10.11 dst=192.168.10.250 sport=22 dport=53208 [ASSURED] use=2\n"
)
"""The poller's own link, as a director that tracks connections sees it."""


def read(*lines: str, at_s: float = 1000.0) -> str:
    """What a netfilter director answers to a poll with entries."""
    return f"{uptime(at_s)}{len(lines)}\n" + "".join(lines)


def polled_netfilter(path: Path, *answers: str) -> tuple[Poller, Recording]:
    fake = FakeShell(*answers)
    client = fake.client
    client.source = netfilter("file")
    return polled(fake, path, client=client)


def test_a_netfilter_director_s_entries_are_recorded_as_those_of_ipvs(tmp_path: Path) -> None:
    poller, recording = polled_netfilter(
        tmp_path,
        read(SSH, tracked(4000, "ESTABLISHED", 431999), tracked(4001, "TIME_WAIT", 6)),
        read(SSH, tracked(4000, "TIME_WAIT", 6), tracked(4001, "TIME_WAIT", 6), at_s=1000.2),
        read(SSH, tracked(4000, "TIME_WAIT", 5), at_s=1001.3),
    )
    columns = ("change", "client_port", "state", "expires_s", "vip", "real_server")
    ends = ("192.168.10.2", "192.168.20.21")
    assert rows(recording, "entries", *columns) == [
        ("appeared", 4000, "ESTABLISHED", 431999, *ends),
        ("appeared", 4001, "TIME_WAIT", 6, *ends),
        ("state", 4000, "TIME_WAIT", 6, *ends),
        ("gone", 4001, "TIME_WAIT", 6, *ends),
    ]
    assert rows(recording, "polls", "what", "entries") == [("entries", n) for n in (3, 3, 2)]
    assert rows(recording, "polls", "table_entries") == [(n,) for n in (3, 3, 2)]
    assert poller.counts == (0, 1)


def test_what_stands_for_a_client_behind_the_director_is_recorded_once(tmp_path: Path) -> None:
    hidden = tracked(4001, "ESTABLISHED", 9).replace(
        "dst=192.168.10.250 sport=80 dport=4001", "dst=192.168.20.11 sport=80 dport=1024"
    )
    other = hidden.replace("dst=192.168.10.2 ", "dst=192.168.10.3 ")  # not watched
    poller, recording = polled_netfilter(
        tmp_path,
        read(tracked(4000, "ESTABLISHED", 9), hidden, other),
        read(tracked(4000, "ESTABLISHED", 8), hidden, other, at_s=1000.2),
    )
    columns = ("client_ip", "client_port", "source_ip", "source_port", "real_server")
    assert rows(recording, "masquerades", *columns) == [
        ("192.168.10.250", 4001, "192.168.20.11", 1024, "192.168.20.21")
    ]
    assert poller.counts == (2, 0)


def test_how_many_entries_it_has_is_recorded_where_they_are_not_read(tmp_path: Path) -> None:
    """More than it prints: those whose time is up count until they are freed."""
    _, recording = polled_netfilter(tmp_path, f"{uptime()}900\n{SSH}", f"{uptime(1000.2)}901\n")
    assert rows(recording, "polls", "table_entries") == [(900,), (901,)]


def test_its_services_are_what_its_entries_show_and_stay_until_the_end(tmp_path: Path) -> None:
    _, recording = polled_netfilter(
        tmp_path,
        read(SSH),
        read(tracked(4000, "ESTABLISHED", 9), tracked(4001, "CLOSE", 9, "192.168.20.22")),
        read(),
    )
    columns = ("vip", "port", "real_server", "forwarding", "active", "inactive")
    assert rows(recording, "services", *columns) == [
        ("192.168.10.2", 80, "192.168.20.21", "nat", 1, 0),
        ("192.168.10.2", 80, "192.168.20.22", "nat", 0, 1),
        ("192.168.10.2", 80, "192.168.20.21", "nat", 0, 0),
        ("192.168.10.2", 80, "192.168.20.22", "nat", 0, 0),
    ]


def test_a_netfilter_director_has_no_counters_and_says_why(tmp_path: Path) -> None:
    poller, _ = polled_netfilter(tmp_path, read(), read())
    (line,) = poller.not_measured()
    assert line["what"] == "counters (Conns, InPkts ...) on bal01"
    assert line["why"] == "connection tracking counts nothing for each real server"


def test_a_director_that_no_longer_tracks_gives_no_entries(tmp_path: Path) -> None:
    poller, recording = polled_netfilter(tmp_path, uptime(), uptime())
    assert rows(recording, "polls", "what")[0] == ("services",)
    assert rows(recording, "polls", "table_entries")[0] == (None,)
    assert rows(recording, "events", "kind", "detail") == [
        ("entries-unreadable", "connection tracking gave nothing")
    ]
    assert poller.counts is None


def test_what_a_long_table_lacks_has_ended_when_two_reads_lacked_it(tmp_path: Path) -> None:
    many = [tracked(5000 + number, "TIME_WAIT", 90) for number in range(40)]
    assert len("".join(many)) > CONNTRACK_PAGE_BYTES
    _, recording = polled_netfilter(
        tmp_path,
        read(*many, tracked(4000, "TIME_WAIT", 90)),
        read(*many, at_s=1000.3),
        read(*many, tracked(4000, "TIME_WAIT", 89), at_s=1000.6),
        read(*many, at_s=1000.9),
        read(*many, at_s=1001.2),
    )
    ended = [row for row in rows(recording, "entries", "change", "client_port") if row[0] == "gone"]
    assert ended == [("gone", 4000)]
