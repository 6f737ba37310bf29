"""What the directors were seen to hold, from the recording's rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzer.observed.entries import (
    TRACKED_COLUMNS,
    entry_polls_of,
    ns,
    numbered,
    state_samples,
)
from analyzer.observed.parted import Parted
from tests.unit.analyzer.builders_packets import BOOT_NS, CLIENT, NS, PORT, VIP, flows, table
from tests.unit.analyzer.builders_tracked import tracked_of


def change(
    at_s: float, kind: str, client_port: int, state: str = "FIN_WAIT", **more: Any
) -> dict[str, Any]:
    return {
        "at": BOOT_NS + round(at_s * NS),
        "director": "bal01",
        "change": kind,
        "protocol": "TCP",
        "state": state,
        "expires_s": 20,
        "client_ip": CLIENT,
        "client_port": client_port,
        "vip": VIP,
        "port": PORT,
        "real_server": "192.168.10.21",
        "real_port": 80,
    } | more


def polls(*at_s: float, director: str = "bal01", what: str = "entries") -> list[dict[str, Any]]:
    return [{"at": BOOT_NS + round(at * NS), "director": director, "what": what} for at in at_s]


def tracked(changes: list[dict[str, Any]], polled: list[dict[str, Any]]) -> list[dict[Any, Any]]:
    found = tracked_of(numbered(table("entries", changes), None), table("polls", polled))
    assert list(found.columns) == list(TRACKED_COLUMNS)
    assert {name: str(kind) for name, kind in found.dtypes.items()}["absent_ns"] == "Int64"
    return found.to_dict("records")


EVERY_QUARTER = polls(*np.arange(0, 10, 0.25))


def test_a_life_runs_from_appeared_to_gone() -> None:
    (row,) = tracked(
        [
            change(1.0, "appeared", 1, "ESTABLISHED"),
            change(2.0, "state", 1, "FIN_WAIT"),
            change(5.0, "gone", 1, "FIN_WAIT"),
        ],
        EVERY_QUARTER,
    )
    assert row["flow"] == 0
    assert row["state"] == "FIN_WAIT"
    assert row["real_server"] == "192.168.10.21:80"
    assert (row["appeared_ns"], row["absent_ns"]) == (BOOT_NS + NS, BOOT_NS + 5 * NS)
    assert (row["changed_ns"], row["expires_s"]) == (BOOT_NS + 2 * NS, 20)


def test_it_was_last_seen_by_the_poll_before_the_one_that_missed_it() -> None:
    (row,) = tracked([change(1.0, "appeared", 1), change(5.0, "gone", 1)], EVERY_QUARTER)
    assert row["seen_ns"] == BOOT_NS + round(4.75 * NS)


def test_it_may_have_been_there_until_the_poll_that_missed_it_was_answered() -> None:
    """The instant is read before the table: asked at 4.98, there at 5, answered at 5.13."""
    slow = {"asked": BOOT_NS + round(4.98 * NS), "took_ms": 150.0}
    polled = [*polls(1.0, 4.0), *(poll | slow for poll in polls(5.0))]
    (row,) = tracked([change(1.0, "appeared", 1), change(5.0, "gone", 1)], polled)
    assert row["absent_ns"] == BOOT_NS + 5 * NS
    assert row["absent_by_ns"] == BOOT_NS + round(5.13 * NS)


@pytest.mark.parametrize("polled", [EVERY_QUARTER, []])
def test_a_poll_that_does_not_say_how_long_it_took_was_answered_at_once(
    polled: list[dict[str, Any]],
) -> None:
    (row,) = tracked([change(1.0, "appeared", 1), change(5.0, "gone", 1)], polled)
    assert row["absent_by_ns"] == BOOT_NS + 5 * NS


def test_polls_of_the_counters_alone_do_not_see_entries() -> None:
    polled = polls(1.0, 2.0, 5.0) + polls(3.0, 4.0, what="services")
    (row,) = tracked([change(1.0, "appeared", 1), change(5.0, "gone", 1)], polled)
    assert row["seen_ns"] == BOOT_NS + 2 * NS


def test_another_directors_polls_do_not_see_it_either() -> None:
    polled = polls(1.0, 2.0, 5.0) + polls(4.0, director="bal02")
    (row,) = tracked([change(1.0, "appeared", 1), change(5.0, "gone", 1)], polled)
    assert row["seen_ns"] == BOOT_NS + 2 * NS


def test_a_flow_whose_first_changes_are_lost_ends_no_other() -> None:
    first, second = tracked(
        [
            change(1.0, "appeared", 1),
            change(2.0, "state", 2, "CLOSE"),
            change(3.0, "gone", 2, "CLOSE"),
            change(4.0, "gone", 3),
        ],
        EVERY_QUARTER,
    )
    assert first["state"] == "FIN_WAIT"
    assert pd.isna(first["absent_ns"])
    assert (second["state"], second["appeared_ns"]) == ("CLOSE", BOOT_NS + 2 * NS)
    assert second["absent_ns"] == BOOT_NS + 3 * NS


def test_what_is_still_there_has_no_end() -> None:
    (row,) = tracked([change(1.0, "appeared", 1)], EVERY_QUARTER)
    assert pd.isna(row["absent_ns"])
    assert pd.isna(row["seen_ns"])


def test_the_same_port_can_live_twice() -> None:
    rows = tracked(
        [
            change(1.0, "appeared", 1),
            change(3.0, "gone", 1),
            change(3.0, "appeared", 1, real_server="192.168.10.22"),
            change(6.0, "gone", 1, real_server="192.168.10.22"),
        ],
        EVERY_QUARTER,
    )
    assert [row["real_server"] for row in rows] == ["192.168.10.21:80", "192.168.10.22:80"]
    assert [row["absent_ns"] for row in rows] == [BOOT_NS + 3 * NS, BOOT_NS + 6 * NS]


def test_entries_of_two_directors_are_two_lives() -> None:
    rows = tracked(
        [change(1.0, "appeared", 1), change(1.0, "appeared", 1, director="bal02")], EVERY_QUARTER
    )
    assert {row["director"] for row in rows} == {"bal01", "bal02"}


def test_no_changes_are_no_lives() -> None:
    assert tracked([], EVERY_QUARTER) == []


def samples(
    changes: list[dict[str, Any]], polled: list[dict[str, Any]], director: str = "bal01"
) -> list[tuple[int, float, str]]:
    entries = numbered(table("entries", changes), None)
    mine = entries[entries["director"] == director]
    found = state_samples(Parted.of(mine), entry_polls_of(table("polls", polled), director))
    return sorted(
        (row["flow"], (at_ns - BOOT_NS) / NS, row["state"])
        for row in found.held.whole().to_dict("records")
        for at_ns in found.polled_ns[row["first"] : row["until"]]
    )


def test_an_entry_has_its_last_state_at_each_poll_until_the_next_change() -> None:
    changes = [
        change(1.0, "appeared", 1, "ESTABLISHED"),
        change(3.0, "state", 1, "FIN_WAIT"),
        change(5.0, "gone", 1, "FIN_WAIT"),
        change(4.0, "appeared", 2, "SYN_RECV"),
    ]
    assert samples(changes, polls(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)) == [
        (0, 1.0, "ESTABLISHED"),
        (0, 2.0, "ESTABLISHED"),
        (0, 3.0, "FIN_WAIT"),
        (0, 4.0, "FIN_WAIT"),
        (1, 4.0, "SYN_RECV"),
        (1, 5.0, "SYN_RECV"),
        (1, 6.0, "SYN_RECV"),
    ]


def test_each_director_has_its_own_polls_and_entries() -> None:
    changes = [
        change(1.0, "appeared", 1, "ESTABLISHED"),
        change(1.0, "appeared", 1, "FIN_WAIT", director="bal02"),
    ]
    polled = polls(1.0, 2.0) + polls(1.0, director="bal02")
    assert samples(changes, polled) == [(0, 1.0, "ESTABLISHED"), (0, 2.0, "ESTABLISHED")]
    assert samples(changes, polled, "bal02") == [(0, 1.0, "FIN_WAIT")]
    assert samples(changes, polled, "bal03") == []


def test_a_port_that_lived_twice_is_not_there_in_between() -> None:
    changes = [
        change(1.0, "appeared", 1),
        change(2.0, "gone", 1),
        change(4.0, "appeared", 1, "SYN_RECV"),
    ]
    assert samples(changes, polls(1.0, 2.0, 3.0, 4.0)) == [
        (0, 1.0, "FIN_WAIT"),
        (0, 4.0, "SYN_RECV"),
    ]


def test_no_changes_give_no_samples() -> None:
    assert samples([], EVERY_QUARTER) == []


# Which flow a change belongs to -------------------------------------------------------------------


def numbers(changes: list[dict[str, Any]], captured: list[tuple[int, str]] | None) -> list[int]:
    known = None if captured is None else flows(captured)
    found = numbered(table("entries", changes), known)
    return [int(number) for number in found["flow"]]


def test_a_captured_flow_keeps_its_number_and_others_come_after() -> None:
    changes = [change(1.0 + port, "appeared", port) for port in (1, 2, 3)]
    assert numbers(changes, [(2, "TCP"), (3, "TCP")]) == [0, 1, 2]
    found = numbered(table("entries", changes), flows([(2, "TCP"), (3, "TCP")]))
    assert dict(zip(found["client_port"], found["flow"], strict=True)) == {2: 0, 3: 1, 1: 2}


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": "UDP"},
        {"client_ip": "192.168.10.251"},
        {"vip": "192.168.10.3"},
        {"port": 81},
        {"client_port": 2},
    ],
)
def test_a_flow_is_all_five(other: dict[str, Any]) -> None:
    same = change(1.0, "appeared", 1, real_server="192.168.10.22", state="NONE", director="bal02")
    changes = [change(1.0, "appeared", 1), change(2.0, "state", 1) | other, same]
    found = numbered(table("entries", changes), flows([(1, "TCP")]))
    assert found[found["director"] == "bal02"]["flow"].tolist() == [0]
    assert sorted(found[found["director"] == "bal01"]["flow"]) == [0, 1]


def test_a_persistence_template_is_no_flow() -> None:
    changes = [change(1.0, "appeared", 0, "ASSURED"), change(1.0, "appeared", 1)]
    found = numbered(table("entries", changes), None)
    assert found["client_port"].tolist() == [1]
    assert found["flow"].tolist() == [0]


def test_numbered_rows_come_by_director_flow_and_time() -> None:
    changes = [
        change(5.0, "gone", 1),
        change(1.0, "appeared", 2),
        change(1.0, "appeared", 1, director="bal02"),
        change(2.0, "appeared", 1),
    ]
    found = numbered(table("entries", changes), flows([(1, "TCP")]))
    rows = zip(found["director"], found["flow"], found["at_ns"], strict=True)
    assert list(rows) == [
        ("bal01", 0, BOOT_NS + 2 * NS),
        ("bal01", 0, BOOT_NS + 5 * NS),
        ("bal01", 1, BOOT_NS + NS),
        ("bal02", 0, BOOT_NS + NS),
    ]


def test_an_ipv6_flow_is_found_among_the_captured_ones() -> None:
    ends = {"client_ip": "fd00:10::fa", "vip": "fd00:10::2"}
    captured = flows([(1, "TCP")]).assign(**ends)
    found = numbered(table("entries", [change(1.0, "appeared", 1, **ends)]), captured)
    assert found["flow"].tolist() == [0]


def test_no_entries_have_no_flows() -> None:
    assert numbers([], None) == numbers([], [(1, "TCP")]) == []


# When a real server was not there -----------------------------------------------------------------


def test_polls_come_in_order() -> None:
    frame = table("polls", polls(3.0, 1.0) + polls(2.0, director="bal02"))
    assert entry_polls_of(frame, "bal01").at_ns.tolist() == [BOOT_NS + NS, BOOT_NS + 3 * NS]


def test_timestamps_become_unix_nanoseconds_to_the_digit() -> None:
    frame = table("polls", [{"at": 1_795_352_064_123_456_789}])
    assert ns(frame["at"]).tolist() == [1_795_352_064_123_456_789]
