"""Logs of ``ipvsadm`` with times between: where polls begin, when, and what is refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.ipvs.states import ACTIVE_STATES, State
from analyzer.ipvs.timers import expiry_uptime_s
from analyzer.recording.directory import Recording
from loadgen.commands import exit_code_of
from loadgen.commands.analyzer import group
from loadgen.importing.log import LogPoll, polls_in
from tests.importing import import_folder
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from analyzer.estimate.counted.results import CountedReading
    from analyzer.report import Analysis

YEAR = 2026
AT_S = datetime(2026, 11, 22, 16, 34, 14, tzinfo=UTC).timestamp()
CLOCK_S = 16 * 3600 + 34 * 60 + 14.0
TITLE = "IP Virtual Server version 1.2.1 (size=4096)"
SERVICES = f"""{TITLE}
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.168.10.2:80 rr
  -> 192.168.10.21:80             Route   1      {{active:<10}} {{inactive:<10}}
"""
ENTRIES = """IPVS connection entries
pro expire state       source             virtual            destination
"""
PRINTED = SERVICES.format(active=0, inactive=7)


def times(text: str) -> list[float]:
    return [poll.at_s for poll in polls_in(text.splitlines(keepends=True), YEAR)]


def one_poll(text: str) -> LogPoll:
    (poll,) = polls_in(text.splitlines(keepends=True), YEAR)
    return poll


# When: a time for the whole poll ------------------------------------------------------------------

HEADINGS = [
    ("Every 1.0s: ipvsadm -Ln            bal01: Sun Nov 22 16:34:14 2026", AT_S),
    ("Every 0,5s: ipvsadm -Ln            bal01: Sun Nov 22 16:34:14 2026", AT_S),
    ("Every 2.0s: ipvsadm -Lnc           Sun Nov 22 16:34:14 2026", AT_S),  # an older watch
    ("Every 1.0s: ipvsadm -Ln     bal01: Sun Nov 22 04:34:14 PM UTC 2026", AT_S),
    ("Every 1.0s: ipvsadm -Ln     bal01: Sun 22 Nov 16:34:14 GMT 2026", AT_S),
    ("Sun Nov 22 16:34:14 UTC 2026", AT_S),  # date
    ("Sun Nov  1 16:34:14 UTC 2026", AT_S - 21 * 86400),
    ("Sun Nov 22 04:34:14 PM UTC 2026", AT_S),  # en_US.UTF-8
    ("Sun Nov 22 12:34:14 AM UTC 2026", AT_S - 16 * 3600),
    ("Sun Nov 22 16:34:14 CET 2026", AT_S - 3600),  # the one zone of that name
    ("Sun Nov 22 16:34:14 CST 2026", AT_S),  # one of three, so as if it were UTC
    ("Sun 22 Nov 16:34:14 GMT 2026", AT_S),  # en_GB
    ("Sun 22 Nov 2026 04:34:14 PM UTC", AT_S),
    ("Sun, 22 Nov 2026 16:34:14 +0000", AT_S),  # date -R
    ("Sun, 22 Nov 2026 17:34:14 +0100", AT_S),
    ("2026-11-22 16:34:14", AT_S),
    ("2026-11-22 16:34:14.250", AT_S + 0.25),
    ("2026-11-22 16:34:14,250", AT_S + 0.25),
    ("2026/11/22 16:34:14", AT_S),
    ("2026-11-22T16:34:14Z", AT_S),
    ("2026-11-22T17:34:14+01:00", AT_S),  # date -Is
    ("2026-11-22T16:34:14,250000000+00:00", AT_S + 0.25),  # date -Ins
    ("2026-11-22 11:34:14 -0500", AT_S),
    ("[2026-11-22 16:34:14]", AT_S),
    ("Nov 22 16:34:14", AT_S),
    ("16:34:14", CLOCK_S),
    ("[16:34:14]", CLOCK_S),
    ("9:04:14.5", 9 * 3600 + 254.5),
    ("1795365254", AT_S),  # date +%s
    ("1795365254.25", AT_S + 0.25),
    ("1795365254.250000000", AT_S + 0.25),  # date +%s.%N
    ("1795365254250", AT_S + 0.25),  # date +%s%3N
    ("1795365254250000", AT_S + 0.25),
    ("1795365254250000000", AT_S + 0.25),  # date +%s%N
    ("--- 1795365254 ---", AT_S),
    ("=== Sun Nov 22 16:34:14 UTC 2026 ===", AT_S),
    ("# 2026-11-22 16:34:14", AT_S),
]


def test_the_instant_that_the_headings_mean() -> None:
    assert AT_S == 1_795_365_254


@pytest.mark.parametrize(("heading", "at_s"), HEADINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_a_heading_dates_the_poll_that_follows(heading: str, at_s: float, end: str) -> None:
    poll = one_poll(heading + end + PRINTED)
    assert poll.at_s == pytest.approx(at_s, abs=1e-6)
    assert poll.text.split("\n") == ["", *PRINTED.splitlines()]


def test_a_zones_name_is_read_alike_wherever_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        there.setenv("TZ", "CET-1CEST")
        time.tzset()
        found = times(
            f"Sun Nov 22 16:34:14 CET 2026\n{PRINTED}Sun Nov 22 16:34:16 CST 2026\n{PRINTED}"
        )
    time.tzset()
    assert found == [AT_S - 3600, AT_S + 2]


@pytest.mark.parametrize(
    "line",
    [
        "99999999999",  # in the year 5138
        "9999-12-31 23:59:59",
        "1950-01-01 00:00:00",
        "0001-01-01 00:00:00 +0100",
        "2026-11-22 16:34:14 +99:99",
        "2026-02-30 10:00:00",
        "Feb 29 10:00:00",  # of 2026
        "Nov 31 10:00:00",
        "Sun Nov 22 25:00:00 UTC 2026",
        "00000000000000000000",
        "17953652542500",  # of no unit
    ],
)
def test_what_is_no_time_that_can_be_recorded_dates_nothing(line: str) -> None:
    """Nor does what follows it belong to the poll before it."""
    assert times(f"{line}\n{PRINTED}") == []
    if line != "00000000000000000000" and line != "17953652542500":
        before, after = polls_in(
            f"100\n1795365254\n{PRINTED}{line}\n{PRINTED}1795365256\n{PRINTED}".splitlines(), YEAR
        )
        assert (before.at_s, after.at_s) == (AT_S, AT_S + 2)
        assert before.text.count(TITLE) == after.text.count(TITLE) == 1


# When: a time before each line --------------------------------------------------------------------

STAMPS = [
    ("Nov 22 16:34:14", AT_S),  # ts
    ("Nov  2 16:34:14", AT_S - 20 * 86400),
    ("2026-11-22 16:34:14", AT_S),  # ts '%F %T'
    ("2026-11-22T16:34:14.250000", AT_S + 0.25),
    ("[2026-11-22 16:34:14]", AT_S),
    ("16:34:14", CLOCK_S),
    ("16:34:14.250000", CLOCK_S + 0.25),  # ts %.T
    ("00:00:07", 7),  # ts -s
    ("00:00:07.500000", 7.5),
    ("7.500000", 7.5),  # ts -s %.s
    ("1795365254", AT_S),
    ("1795365254.250000", AT_S + 0.25),  # ts %.s
]


@pytest.mark.parametrize(("stamp", "at_s"), STAMPS)
def test_ts_dates_a_poll_by_its_first_line(stamp: str, at_s: float) -> None:
    poll = one_poll("".join(f"{stamp} {line}\n" for line in PRINTED.splitlines()))
    assert poll.at_s == pytest.approx(at_s, abs=1e-6)
    assert poll.text.split("\n") == PRINTED.splitlines()


def test_a_poll_that_takes_a_second_to_print_is_one_poll() -> None:
    lines = [f"00:00:{7 + n:02} {line}" for n, line in enumerate(PRINTED.splitlines())]
    lines += [f"00:00:{27 + n:02} {line}" for n, line in enumerate(PRINTED.splitlines())]
    assert times("\n".join(lines) + "\n") == [7, 27]


def test_services_and_entries_in_one_poll() -> None:
    poll = one_poll(f"1795365254\n{PRINTED}{ENTRIES}")
    assert "InActConn" in poll.text
    assert "destination" in poll.text


def test_under_ts_services_and_entries_are_polls_of_their_own() -> None:
    lines = [f"00:00:07 {line}" for line in (PRINTED + ENTRIES).splitlines()]
    services, entries = polls_in(lines, YEAR)
    assert TITLE in services.text
    assert entries.text.startswith("IPVS connection entries")
    assert services.at_s == entries.at_s == 7


def test_what_stands_before_the_first_time_and_empty_polls_are_none() -> None:
    assert times(f"{PRINTED}\n1795365254\n\n1795365255\n{PRINTED}") == [AT_S + 1]


def test_without_any_time_there_is_no_poll() -> None:
    assert times(PRINTED * 3 + ENTRIES) == []


# Time goes on -------------------------------------------------------------------------------------


def in_turn(stamps: Iterable[str]) -> list[float]:
    return times("".join(f"{stamp}\n{PRINTED}" for stamp in stamps))


def test_past_midnight_a_clock_time_counts_on() -> None:
    day_s = 86400
    assert in_turn(["23:59:58", "23:59:59", "00:00:00", "12:00:00", "00:00:01"]) == [
        day_s - 2,
        day_s - 1,
        day_s,
        1.5 * day_s,
        2 * day_s + 1,
    ]


def test_a_clock_that_is_put_right_by_a_second_does_not_begin_a_day() -> None:
    assert in_turn(["10:00:05", "10:00:04", "10:00:05"]) == [36005, 36004, 36005]


def test_past_new_year_a_date_without_year_counts_on() -> None:
    first, second, third = in_turn(["Dec 31 23:59:59", "Jan  1 00:00:00", "Jan  1 00:00:01"])
    assert (second - first, third - second) == (1, 1)


# What was cut off ---------------------------------------------------------------------------------


def test_a_poll_that_was_cut_off_within_a_line_is_left_out() -> None:
    """Else the entries that it did not come to would seem to have gone."""
    log = f"1795365254\n{PRINTED}1795365255\n{PRINTED}"
    for cut in range(1, len(PRINTED)):
        lines = log[:-cut].splitlines(keepends=True)
        at_end_of_line = log[:-cut].endswith("\n")
        found = [poll.at_s for poll in polls_in(lines, YEAR)]
        empty = log[:-cut].endswith("1795365255\n")
        assert found == ([AT_S, AT_S + 1] if at_end_of_line and not empty else [AT_S])


def test_a_single_poll_pasted_without_its_last_newline_is_one() -> None:
    assert times(f"1795365254\n{PRINTED}".rstrip("\n")) == [AT_S]


def test_lines_without_ends_were_not_cut_off() -> None:
    log = f"1795365254\n{PRINTED}1795365255\n{PRINTED}"
    assert [poll.at_s for poll in polls_in(log.splitlines(), YEAR)] == [AT_S, AT_S + 1]


# Any text -----------------------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from([heading for heading, _ in HEADINGS + STAMPS] + PRINTED.splitlines()),
    st.from_regex(r"[\[ -]{0,2}\d{1,20}([.,:]\d{1,9})?", fullmatch=True),
    st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d ?([+-]\d\d:?\d\d)?", fullmatch=True),
    st.from_regex(r"(Feb|Nov) \d\d \d\d:\d\d:\d\d( [AP]M)?( [A-Z]{3,5})?( \d{4})?", fullmatch=True),
    st.from_regex(r"\d{1,2} Nov( \d{4})? \d{1,2}:\d\d:\d\d( [+-]\d{4})?( \d{4})?", fullmatch=True),
    st.text(max_size=40),
)
LINES = st.builds(
    lambda parts, end: " ".join(parts) + end,
    st.lists(PIECES, max_size=3),
    st.sampled_from(["\n", "\r\n", ""]),
)


@examples(150)
@given(lines=st.lists(LINES, max_size=12), year=st.integers(1970, 2100))
def test_any_text_gives_polls_at_times_that_can_be_recorded(lines: list[str], year: int) -> None:
    for poll in polls_in(lines, year):
        assert 0 <= poll.at_s < 2**33
        assert poll.text.strip()


@examples(15)
@given(lines=st.lists(LINES, max_size=8))
def test_any_text_is_imported_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "any.log").write_bytes("".join(lines).encode(errors="replace"))
    code, err = called([folder / "any.log"], folder / "run")
    assert code in (0, 2), err
    assert "fault of ours" not in err
    if code == 0:
        analyse(Recording.open(folder / "run"))


def called(paths: Sequence[Path], run: Path) -> tuple[int, str]:
    """``analyzer import`` by its own words: exit code and what it said of it."""
    err = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(err),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        patch.setattr(sys, "argv", ["analyzer", "import", *map(str, paths), "-o", str(run)])
        return exit_code_of(group), err.getvalue()


# End to end: a decay, as such a log has it --------------------------------------------------------

TCPFIN_S, HZ = 30.0, 250
COUNT, OVER_S, FROM_S = 60, 6.0, 1000.0


def lives() -> list[tuple[int, float, float]]:
    """Each connection's port, the instant of its FIN, and of its entry's end."""
    fins = [FROM_S + OVER_S * n / COUNT for n in range(COUNT)]
    return [
        (40000 + n, at_s, float(expiry_uptime_s(at_s, TCPFIN_S, hz=HZ, phase_s=0.1)))
        for n, at_s in enumerate(fins)
    ]


def counted(at_s: float) -> str:
    """``ipvsadm -Ln``."""
    states = [State.FIN_WAIT for _, fin_s, gone_s in lives() if fin_s <= at_s < gone_s]
    states += [State.ESTABLISHED for _, fin_s, _ in lives() if fin_s - 0.5 <= at_s < fin_s]
    active = sum(state in ACTIVE_STATES for state in states)
    return SERVICES.format(active=active, inactive=len(states) - active)


def listed(at_s: float) -> str:
    """``ipvsadm -Lnc``: minutes and seconds, rounded down."""
    rows = []
    for port, fin_s, gone_s in lives():
        if fin_s <= at_s < gone_s:
            left_s = max(int(fin_s + TCPFIN_S - at_s), 0)
            left = f"{left_s // 60:02}:{left_s % 60:02}"
            rows.append(
                f"TCP {left}  FIN_WAIT    192.168.10.250:{port}  192.168.10.2:80"
                "    192.168.10.21:80\n"
            )
    return ENTRIES + "".join(rows)


def both(at_s: float) -> str:
    return counted(at_s) + listed(at_s)


def by_date(at_s: float, text: str) -> str:
    at = datetime.fromtimestamp(AT_S + at_s, UTC)
    return f"{at:%a %b %d %H:%M:%S UTC %Y}\n{text}"


def by_watch(at_s: float, text: str) -> str:
    at = datetime.fromtimestamp(AT_S + at_s, UTC)
    return f"Every 1.0s: ipvsadm -Ln      bal01: {at:%a %b %d %H:%M:%S %Y}\n\n{text}\n"


def by_ts(at_s: float, text: str) -> str:
    at = datetime.fromtimestamp(AT_S + at_s, UTC)
    return "".join(f"{at:%b %d %H:%M:%S} {line}\n" for line in text.splitlines())


def by_ts_s(at_s: float, text: str) -> str:
    since_s = int(at_s - FROM_S + 10)
    stamp = f"{since_s // 3600:02}:{since_s // 60 % 60:02}:{since_s % 60:02}"
    return "".join(f"{stamp} {line}\n" for line in text.splitlines())


def by_epoch(at_s: float, text: str) -> str:
    return f"{AT_S + at_s:.3f}\n{text}"


def imported(path: Path, content: bytes, name: str = "polls.log") -> Analysis:
    (path / name).write_bytes(content)
    import_folder([path / name], path / "run")
    return analyse(Recording.open(path / "run"))


def log(how: Callable[[float, str], str], what: Callable[[float], str]) -> bytes:
    looked = [FROM_S - 3 + n for n in range(50)]
    return "".join(how(at_s, what(at_s)) for at_s in looked).encode()


HOW = [by_date, by_watch, by_ts, by_ts_s, by_epoch]


@pytest.mark.parametrize("how", HOW)
def test_a_decay_of_counters_gives_tcpfin_within_a_granule_and_a_poll_if_it_was_a_burst(
    tmp_path: Path, how: Callable[[float, str], str]
) -> None:
    """The counter alone leaves open that a load went on: the reading is given, and not claimed."""
    found = imported(tmp_path, log(how, counted))
    assert found.peaks[0].inactive == COUNT
    assert found.lifetimes == ()
    reading = burst_reading(found)
    assert (reading.state, reading.timeout_names) == ("FIN_WAIT", ("tcpfin",))
    assert reading.timeout_s.value == pytest.approx(TCPFIN_S, abs=2.048 + 1)
    assert abs(reading.timeout_s.value - TCPFIN_S) <= reading.timeout_s.uncertainty


def burst_reading(found: Analysis) -> CountedReading:
    (service,) = found.counted
    assert not service.settled
    (reading,) = [one for one in service.readings if one.load == "burst"]
    return reading


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("what", [listed, both])
def test_a_decay_of_entries_gives_tcpfin_within_a_granule_and_a_poll(
    tmp_path: Path, how: Callable[[float, str], str], what: Callable[[float], str]
) -> None:
    found = imported(tmp_path, log(how, what))
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.n, row.n_expired) == ("FIN_WAIT", "tcpfin", 60, 60)
    assert row.lifetime_s is not None
    assert TCPFIN_S - 1 < row.lifetime_s.mean < TCPFIN_S + 2.048 + 1


def test_a_packed_log_is_read_as_a_plain_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    plain = imported(tmp_path / "a", log(by_epoch, both))
    (tmp_path / "b").mkdir()
    packed = imported(tmp_path / "b", gzip.compress(log(by_epoch, both)), "polls.txt.gz")
    assert plain.lifetimes == packed.lifetimes
    assert plain.peaks == packed.peaks


@pytest.mark.parametrize("cut", [0, 1, 20, 200])
def test_a_log_that_stops_midway_has_no_entry_go_with_it(tmp_path: Path, cut: int) -> None:
    """Ctrl-C in the middle of a table: what it did not come to print is still there."""
    whole = log(by_epoch, listed)
    end = whole.index(f"{AT_S + 1020:.3f}".encode())
    found = imported(tmp_path, whole[: end - cut])
    (row,) = found.lifetimes
    assert (row.n, row.n_expired) == (COUNT, 0)


def test_one_poll_in_which_ipvsadm_failed_is_no_poll_at_entries(tmp_path: Path) -> None:
    """Else a log of counters alone would be one of entries, of which there were none."""
    whole = log(by_epoch, counted).decode()
    failed = f"{AT_S + 1020:.3f}\n"
    whole = whole.replace(failed, f"{AT_S + 1019.5:.3f}\nCan't initialize ipvs: busy\n{failed}")
    found = imported(tmp_path, whole.encode())
    assert set(Recording.open(tmp_path / "run").table("polls")["what"]) == {"services"}
    assert burst_reading(found).timeout_s.value == pytest.approx(TCPFIN_S, abs=2.048 + 1)


def test_a_clean_log_raises_no_doubts(tmp_path: Path) -> None:
    (tmp_path / "polls.log").write_bytes(log(by_ts, both))
    assert called([tmp_path / "polls.log"], tmp_path / "run") == (0, "")


@pytest.mark.parametrize("content", [PRINTED.encode() * 5, b"nothing\n"])
def test_a_log_without_any_time_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "polls.log").write_bytes(content)
    code, err = called([tmp_path / "polls.log"], tmp_path / "run")
    assert code == 2
    (line,) = err.splitlines()
    begin = f"analyzer: {tmp_path / 'polls.log'}: no output with a time found in it: line 1: "
    assert line.startswith(begin)
    assert not (tmp_path / "run").exists()
