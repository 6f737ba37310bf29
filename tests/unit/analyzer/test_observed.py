"""What the directors were seen to hold, from the recording's rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.observed import (
    LIFE_COLUMNS,
    entry_lives,
    entry_polls_ns,
    ns,
    of_service,
    state_samples,
)
from analyzer.recording import TABLES
from tests.unit.analyzer.build import BOOT_NS, NS, PORT, VIP, client


def table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a recording gives them back."""
    made = pa.Table.from_pylist(rows, schema=TABLES[name])
    frame: pd.DataFrame = made.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


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
        "client_ip": "192.168.10.250",
        "client_port": client_port,
        "vip": VIP,
        "port": PORT,
        "real_server": "192.168.10.21",
        "real_port": 80,
    } | more


def polls(*at_s: float, director: str = "bal01", what: str = "entries") -> list[dict[str, Any]]:
    return [{"at": BOOT_NS + round(at * NS), "director": director, "what": what} for at in at_s]


def lives(changes: list[dict[str, Any]], polled: list[dict[str, Any]]) -> list[dict[Any, Any]]:
    found = entry_lives(table("entries", changes), table("polls", polled))
    assert list(found.columns) == list(LIFE_COLUMNS)
    assert {name: str(kind) for name, kind in found.dtypes.items()}["gone_ns"] == "Int64"
    return found.to_dict("records")


EVERY_QUARTER = polls(*np.arange(0, 10, 0.25))


def test_a_life_runs_from_appeared_to_gone() -> None:
    (row,) = lives(
        [
            change(1.0, "appeared", 1, "ESTABLISHED"),
            change(2.0, "state", 1, "FIN_WAIT"),
            change(5.0, "gone", 1, "FIN_WAIT"),
        ],
        EVERY_QUARTER,
    )
    assert row["client"] == client(1)
    assert row["state"] == "FIN_WAIT"
    assert row["real_server"] == "192.168.10.21:80"
    assert (row["appeared_ns"], row["gone_ns"]) == (BOOT_NS + NS, BOOT_NS + 5 * NS)


def test_it_was_last_seen_by_the_poll_before_the_one_that_missed_it() -> None:
    (row,) = lives([change(1.0, "appeared", 1), change(5.0, "gone", 1)], EVERY_QUARTER)
    assert row["seen_ns"] == BOOT_NS + round(4.75 * NS)


def test_polls_of_the_counters_alone_do_not_see_entries() -> None:
    polled = polls(1.0, 2.0, 5.0) + polls(3.0, 4.0, what="services")
    (row,) = lives([change(1.0, "appeared", 1), change(5.0, "gone", 1)], polled)
    assert row["seen_ns"] == BOOT_NS + 2 * NS


def test_another_directors_polls_do_not_see_it_either() -> None:
    polled = polls(1.0, 2.0, 5.0) + polls(4.0, director="bal02")
    (row,) = lives([change(1.0, "appeared", 1), change(5.0, "gone", 1)], polled)
    assert row["seen_ns"] == BOOT_NS + 2 * NS


def test_what_is_still_there_has_no_end() -> None:
    (row,) = lives([change(1.0, "appeared", 1)], EVERY_QUARTER)
    assert pd.isna(row["gone_ns"])
    assert pd.isna(row["seen_ns"])


def test_the_same_port_can_live_twice() -> None:
    rows = lives(
        [
            change(1.0, "appeared", 1),
            change(3.0, "gone", 1),
            change(3.0, "appeared", 1, real_server="192.168.10.22"),
            change(6.0, "gone", 1, real_server="192.168.10.22"),
        ],
        EVERY_QUARTER,
    )
    assert [row["real_server"] for row in rows] == ["192.168.10.21:80", "192.168.10.22:80"]
    assert [row["gone_ns"] for row in rows] == [BOOT_NS + 3 * NS, BOOT_NS + 6 * NS]


def test_entries_of_two_directors_are_two_lives() -> None:
    rows = lives(
        [change(1.0, "appeared", 1), change(1.0, "appeared", 1, director="bal02")], EVERY_QUARTER
    )
    assert {row["director"] for row in rows} == {"bal01", "bal02"}


def test_no_changes_are_no_lives() -> None:
    assert lives([], EVERY_QUARTER) == []


def samples(
    changes: list[dict[str, Any]], polled: list[dict[str, Any]]
) -> list[tuple[str, int, float, str]]:
    found = state_samples(table("entries", changes), table("polls", polled))
    return sorted(
        (row["director"], row["client"] & 0xFFFF, (row["at_ns"] - BOOT_NS) / NS, row["state"])
        for row in found.to_dict("records")
    )


def test_an_entry_has_its_last_state_at_each_poll_until_the_next_change() -> None:
    changes = [
        change(1.0, "appeared", 1, "ESTABLISHED"),
        change(3.0, "state", 1, "FIN_WAIT"),
        change(5.0, "gone", 1, "FIN_WAIT"),
        change(4.0, "appeared", 2, "SYN_RECV"),
    ]
    assert samples(changes, polls(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)) == [
        ("bal01", 1, 1.0, "ESTABLISHED"),
        ("bal01", 1, 2.0, "ESTABLISHED"),
        ("bal01", 1, 3.0, "FIN_WAIT"),
        ("bal01", 1, 4.0, "FIN_WAIT"),
        ("bal01", 2, 4.0, "SYN_RECV"),
        ("bal01", 2, 5.0, "SYN_RECV"),
        ("bal01", 2, 6.0, "SYN_RECV"),
    ]


def test_each_director_has_its_own_polls() -> None:
    changes = [change(1.0, "appeared", 1), change(1.0, "appeared", 1, director="bal02")]
    found = samples(changes, polls(1.0, 2.0) + polls(1.0, director="bal02"))
    assert [(name, at) for name, _, at, _ in found] == [
        ("bal01", 1.0),
        ("bal01", 2.0),
        ("bal02", 1.0),
    ]


def test_no_changes_give_no_samples() -> None:
    assert samples([], EVERY_QUARTER) == []


def test_only_the_service_in_question_counts() -> None:
    frame = table(
        "entries",
        [
            change(1.0, "appeared", 1),
            change(1.0, "appeared", 2, vip="192.168.10.3"),
            change(1.0, "appeared", 3, port=81),
        ],
    )
    assert of_service(frame, VIP, PORT)["client_port"].tolist() == [1]


def test_polls_come_in_order() -> None:
    frame = table("polls", polls(3.0, 1.0) + polls(2.0, director="bal02"))
    assert entry_polls_ns(frame, "bal01").tolist() == [BOOT_NS + NS, BOOT_NS + 3 * NS]


def test_timestamps_become_unix_nanoseconds_to_the_digit() -> None:
    frame = table("polls", [{"at": 1_795_352_064_123_456_789}])
    assert ns(frame["at"]).tolist() == [1_795_352_064_123_456_789]
