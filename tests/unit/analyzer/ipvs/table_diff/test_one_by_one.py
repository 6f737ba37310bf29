"""From polls of the connection table to what changed between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.proc.formats import Entry
from tests.unit.analyzer.ipvs.table_diff.one_by_one import Change, EntryTracker

NS = 1_000_000_000
PAGE, TORN = 61, 62  # lines of one read(2), and one more


def entry(port: int, state: str = "FIN_WAIT", expires_s: int = 20, server: str = "21") -> Entry:
    return Entry(
        protocol="TCP",
        client_ip="192.168.10.250",
        client_port=port,
        vip="192.168.10.2",
        port=80,
        real_server=f"192.168.10.{server}",
        real_port=80,
        state=state,
        expires_s=expires_s,
    )


def kinds(changes: list[Change]) -> list[tuple[int, str, int]]:
    """Second, kind and port of each change, in an order of their own."""
    return sorted((one.at_ns // NS, one.kind, one.entry.client_port) for one in changes)


def test_an_entry_appears_changes_its_state_and_goes() -> None:
    tracker = EntryTracker()
    opened, closed = entry(1, "ESTABLISHED", 900), entry(1, "FIN_WAIT", 20)
    assert tracker.update(1 * NS, [opened], 1) == [Change(1 * NS, "appeared", opened)]
    assert tracker.update(2 * NS, [opened], 1) == []
    assert tracker.update(3 * NS, [closed], 1) == [Change(3 * NS, "state", closed)]
    assert tracker.held() == {closed.key}
    assert tracker.update(4 * NS, [], 0) == [Change(4 * NS, "gone", closed)]
    assert tracker.held() == set()


def test_a_countdown_alone_is_no_change() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1, expires_s=20)], 1)
    assert tracker.update(2 * NS, [entry(1, expires_s=19)], 1) == []


def test_a_timer_that_gained_time_was_restarted_by_a_packet_in_the_same_state() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1, "SYN_RECV", 60)], 1)
    assert tracker.update(2 * NS, [entry(1, "SYN_RECV", 58)], 1) == []  # only counted down
    again = entry(1, "SYN_RECV", 59)
    assert tracker.update(4 * NS, [again], 1) == [Change(4 * NS, "state", again)]


def test_an_open_connections_restarts_are_its_traffic_and_no_changes() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1, "ESTABLISHED", 800)], 1)
    assert tracker.update(2 * NS, [entry(1, "ESTABLISHED", 900)], 1) == []


def test_a_log_tells_every_restart_however_small() -> None:
    """Traffic every second, looked at every second, moves the expire column by one at a time."""
    tracker = EntryTracker(busy_too=True)
    tracker.update(1 * NS, [entry(1, "ESTABLISHED", 899)], 1)
    found = [tracker.update(at * NS, [entry(1, "ESTABLISHED", 899)], 1) for at in (2, 3, 4, 5)]
    assert [bool(changes) for changes in found] == [False, True, False, True]
    lowered = entry(1, "ESTABLISHED", 100)  # a packet after --set 100
    assert tracker.update(6 * NS, [lowered], 1) == [Change(6 * NS, "state", lowered)]


@pytest.mark.parametrize("busy_too", [False, True])
def test_a_timer_that_is_late_shows_0_and_was_not_restarted(busy_too: bool) -> None:
    """Looked at every 5 s, an entry that is up to 41 s late seems to gain 5 s each time."""
    tracker = EntryTracker(busy_too=busy_too)
    tracker.update(1 * NS, [entry(1, "FIN_WAIT", 2)], 1)
    for at in (6, 11, 16):
        assert tracker.update(at * NS, [entry(1, "FIN_WAIT", 0)], 1) == []


def test_an_entry_that_was_rescheduled_is_another_one() -> None:
    tracker = EntryTracker()
    old, new = entry(1, server="21"), entry(1, "ESTABLISHED", server="22")
    tracker.update(1 * NS, [old], 1)
    assert tracker.update(2 * NS, [new], 1) == [
        Change(2 * NS, "gone", old),
        Change(2 * NS, "appeared", new),
    ]


def test_a_read_of_up_to_61_lines_is_whole_so_one_miss_is_enough() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1), entry(2)], PAGE)
    changes = tracker.update(2 * NS, [entry(1)], PAGE)
    assert kinds(changes) == [(2, "gone", 2)]


def test_one_miss_of_a_longer_read_is_a_torn_read() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1, expires_s=20), entry(2, expires_s=20)], TORN)
    assert tracker.update(2 * NS, [entry(1, expires_s=19)], TORN) == []
    assert (
        tracker.update(3 * NS, [entry(1, expires_s=18), entry(2, expires_s=18)], TORN) == []
    )  # it was there all the time


def test_two_misses_are_gone_by_the_first_of_them() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1), entry(2)], TORN)
    tracker.update(2 * NS, [entry(1)], TORN)
    assert kinds(tracker.update(3 * NS, [entry(1)], TORN)) == [(2, "gone", 2)]


def test_misses_that_do_not_follow_each_other_do_not_add_up() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1), entry(2)], TORN)
    tracker.update(2 * NS, [entry(1)], TORN)
    tracker.update(3 * NS, [entry(1, expires_s=18), entry(2, expires_s=18)], TORN)
    assert tracker.update(4 * NS, [entry(1, expires_s=17)], TORN) == []


def test_an_entry_in_its_last_second_can_be_missed_too() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1), entry(2, expires_s=1)], TORN)
    assert tracker.update(2 * NS, [entry(1, expires_s=19)], TORN) == []
    late = [entry(1, expires_s=18), entry(2, expires_s=0)]
    assert tracker.update(3 * NS, late, TORN) == []


def test_an_entry_that_was_missed_when_its_time_was_up_and_has_time_again_came_anew() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1, expires_s=1)], TORN)
    assert tracker.update(3 * NS, [], TORN) == []
    changes = tracker.update(4 * NS, [entry(1, expires_s=20)], TORN)
    assert kinds(changes) == [(3, "gone", 1), (4, "appeared", 1)]


def test_what_the_last_read_lacks_is_gone_if_its_time_was_up() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1), entry(2, expires_s=1)], TORN)
    assert tracker.update(2 * NS, [], TORN) == []
    assert kinds(tracker.finish()) == [(2, "gone", 2)]
    assert tracker.held() == {entry(1).key}
    assert tracker.finish() == []


def test_the_whole_table_counts_other_services_entries_too() -> None:
    tracker = EntryTracker()
    tracker.update(1 * NS, [entry(1)], TORN)
    assert tracker.update(2 * NS, [], TORN) == []  # ours was the only one of 62 lines


states = st.sampled_from(["SYN_RECV", "ESTABLISHED", "FIN_WAIT"])
tables = st.dictionaries(
    st.integers(1, 8),
    st.builds(lambda state, server: (state, server), states, st.sampled_from(["21", "22"])),
)


@given(st.lists(tables, min_size=1, max_size=8))
def test_the_changes_rebuild_the_last_table_where_reads_are_whole(
    polls: list[dict[int, tuple[str, str]]],
) -> None:
    tracker = EntryTracker()
    rebuilt: dict[int, Entry] = {}
    for number, table in enumerate(polls, 1):
        polled = [entry(port, state, 20, server) for port, (state, server) in table.items()]
        for change in tracker.update(number * NS, polled, len(polled)):
            if change.kind == "gone":
                del rebuilt[change.entry.client_port]
            else:
                assert (change.kind == "state") == (change.entry.client_port in rebuilt)
                rebuilt[change.entry.client_port] = change.entry
        assert rebuilt == {one.client_port: one for one in polled}
        assert tracker.held() == {one.key for one in polled}


@given(st.lists(st.sets(st.integers(1, 6)), min_size=1, max_size=12))
def test_no_read_however_torn_loses_or_doubles_an_entry(reads: list[set[int]]) -> None:
    """Appearing and going take turns for each entry, and the last read is always held."""
    tracker = EntryTracker()
    there: set[int] = set()
    last_ns: dict[int, int] = {}
    for number, ports in enumerate(reads, 1):
        polled = [entry(port, expires_s=1000 - number) for port in ports]
        for change in tracker.update(number * NS, polled, TORN):
            port = change.entry.client_port
            assert (change.kind == "gone") == (port in there)
            assert change.at_ns >= last_ns.get(port, 0)
            last_ns[port] = change.at_ns
            there ^= {port}
        assert ports <= there
