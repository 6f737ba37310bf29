"""Everything that a log prints is taken: timeouts, as they were and as they changed; counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from analyzer.ipvs.states import Timeouts
from analyzer.observed.entries import ns
from analyzer.recording.director import directors_of
from analyzer.recording.directory import Recording
from loadgen.importing.timeouts import given_timeouts
from tests.importing import import_folder

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.80:80 wlc
  -> 192.0.2.21:80                Route   1      2          7
"""
STATS = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  192.0.2.80:80                      50      300        0    20000        0
  -> 192.0.2.21:80                      50      300        0    20000        0
"""
RATE = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS
  -> RemoteAddress:Port
TCP  192.0.2.80:80                       5       30        0     2000        0
  -> 192.0.2.21:80                       5       30        0     2000        0
"""
BEGAN = 1_795_838_380
NS = 1_000_000_000


def line(*numbers: int) -> str:
    return f"Timeout (tcp tcpfin udp): {' '.join(map(str, numbers))}\n"


def imported(tmp_path: Path, text: str) -> Recording:
    (tmp_path / "director.log").write_text(text)
    import_folder([tmp_path / "director.log"], tmp_path / "run")
    return Recording.open(tmp_path / "run")


def stamped(*polls: str) -> str:
    return "".join(f"{BEGAN + number}\n{poll}" for number, poll in enumerate(polls))


def changes(run: Recording) -> list[tuple[str, int | None, int]]:
    """Details, and between which seconds of the log."""
    rows = run.table("events")
    assert set(rows["kind"]) <= {"timeouts-changed"}
    events: list[Any] = list(rows.itertuples())
    return [
        (str(row.detail), None if pd.isna(row.since) else second(row.since), second(row.at))
        for row in events
    ]


def second(at: Any) -> int:
    return int(pd.Timestamp(at).value // NS) - BEGAN


def start(run: Recording) -> Timeouts | None:
    (director,) = directors_of(run.manifest)
    return director.timeouts


def test_timeouts_that_were_printed_are_the_directors(tmp_path: Path) -> None:
    run = imported(tmp_path, stamped(*[line(900, 20, 300) + TABLE] * 3))
    assert start(run) == Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)
    assert run.manifest.raw["directors"]["director"]["timeouts_source"] == "printed in the log"
    assert changes(run) == []


def test_printed_once_above_the_first_poll_they_hold_from_the_start(tmp_path: Path) -> None:
    run = imported(tmp_path, line(600, 15, 120) + stamped(TABLE, TABLE))
    assert start(run) == Timeouts(tcp_s=600, tcpfin_s=15, udp_s=120)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_printed_in_one_poll_only_they_are_used(tmp_path: Path, place: int) -> None:
    polls = [TABLE] * 3
    polls[place] += line(900, 20, 300)
    run = imported(tmp_path, stamped(*polls))
    assert start(run) == Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)


def test_others_than_before_were_set_between_the_two_polls(tmp_path: Path) -> None:
    polls = [
        line(900, 60, 300) + TABLE,
        TABLE,
        line(900, 60, 300) + TABLE,
        line(900, 10, 300) + TABLE,
        line(900, 10, 300) + TABLE,
        line(30, 60, 300) + TABLE,
    ]
    run = imported(tmp_path, stamped(*polls))
    assert start(run) == Timeouts(tcp_s=900, tcpfin_s=60, udp_s=300)
    assert changes(run) == [("900 10 300", 2, 3), ("30 60 300", 4, 5)]


def test_where_every_line_has_its_time_they_belong_to_their_own(tmp_path: Path) -> None:
    """``{ ipvsadm -L --timeout; ipvsadm -Ln; } | ts %s``: they come before the table."""
    text = "".join(
        f"{BEGAN + number} {row}\n"
        for number, poll in enumerate(
            [line(900, 60, 300) + TABLE, line(900, 60, 300) + TABLE, line(900, 10, 300) + TABLE]
        )
        for row in poll.splitlines()
    )
    run = imported(tmp_path, text)
    assert start(run) == Timeouts(tcp_s=900, tcpfin_s=60, udp_s=300)
    assert changes(run) == [("900 10 300", 1, 2)]


def test_what_came_with_the_log_holds_at_the_start_and_what_it_prints_later() -> None:
    found = given_timeouts(
        {"timeouts": {"tcp": 900, "tcpfin": 120, "udp": 300}},
        "meta.json",
        [(5.0, Timeouts(tcpfin_s=20))],
        "director",
        lambda t: round(t * NS),
    )
    assert (found.start, found.source) == (Timeouts(), "meta.json")
    (row,) = found.events
    assert (row["detail"], row["since"], row["at"]) == ("900 20 300", None, 5 * NS)


def test_without_a_word_of_them_none_are_recorded(tmp_path: Path) -> None:
    run = imported(tmp_path, stamped(TABLE, TABLE))
    assert start(run) is None
    assert run.manifest.raw["directors"]["director"]["timeouts_source"] is None


# Counters -----------------------------------------------------------------------------------------

COUNTS = ["conns", "in_packets", "out_packets", "in_bytes", "out_bytes"]


def test_counters_of_a_poll_stand_beside_its_connections(tmp_path: Path) -> None:
    rows = imported(tmp_path, stamped(TABLE + STATS, TABLE)).table("services")
    assert rows[["active", "inactive"]].to_numpy().tolist() == [[2, 7], [2, 7]]
    assert rows[COUNTS].iloc[0].tolist() == [50, 300, 0, 20000, 0]
    assert rows[COUNTS].iloc[1].isna().all()


def test_counters_alone_are_kept_and_are_no_connections(tmp_path: Path) -> None:
    """Not seen is not zero."""
    rows = imported(tmp_path, stamped(STATS, TABLE, STATS)).table("services")
    assert rows["active"].isna().tolist() == [True, False, True]
    assert rows["conns"].isna().tolist() == [False, True, False]
    assert set(rows["real_server"]) == {"192.0.2.21"}
    assert set(rows["vip"]) == {"192.0.2.80"}
    assert [int(at) // NS - BEGAN for at in ns(rows["at"])] == [0, 1, 2]


def test_rates_stand_beside_connections_and_hide_nothing(tmp_path: Path) -> None:
    rows = imported(tmp_path, stamped(RATE + TABLE, TABLE + STATS + RATE)).table("services")
    assert rows["active"].tolist() == [2, 2]
    assert rows["conns"].isna().tolist() == [True, False]
    assert rows["cps"].tolist() == [5, 5]


def test_rates_alone_are_kept_and_are_neither_connections_nor_counters(tmp_path: Path) -> None:
    rows = imported(tmp_path, stamped(RATE, TABLE, RATE)).table("services")
    assert rows["active"].isna().tolist() == [True, False, True]
    assert rows["conns"].isna().all()
    assert rows["cps"].isna().tolist() == [False, True, False]
