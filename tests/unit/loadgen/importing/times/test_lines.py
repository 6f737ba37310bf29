"""Lines as tools write them to their stamps, and whole logs of such lines to polls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageProblem
from loadgen.importing.log import polls_before_times, polls_in, times_stand_after
from loadgen.importing.times.lines import stamp_of, unnumbered, without_times
from loadgen.importing.times.stamps import StampReader

if TYPE_CHECKING:
    from collections.abc import Callable

AT_S = 1_795_838_380  # 2026-11-28 03:59:40 UTC
TABLE = (
    "IP Virtual Server version 1.2.1 (size=4096)",
    "Prot LocalAddress:Port Scheduler Flags",
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
    "TCP  192.0.2.80:80 wlc",
    "  -> 192.0.2.21:80                Route   1      0          7",
)
ISO = "2026-11-28T03:59:{s}"
DOCKER = ISO + ".123456789Z"


def json_line(text: str, key: str, time_key: str, time: object) -> str:
    return json.dumps({key: text, time_key: time})


BEFORE_EACH: dict[str, str] = {
    "ts": "Nov 28 03:59:{s} {line}",
    "ts, French": "nov. 28 03:59:{s} {line}",
    "ts, Chinese": "11月 28 03:59:{s} {line}",
    "ts, Canadian French": "nov 28 03:59:{s} {line}",
    "date %y/%m/%d": "26/11/28 03:59:{s} {line}",
    "ts %F %T": "[2026-11-28 03:59:{s}] {line}",
    "ts, American": "11/28/2026 03:59:{s} AM {line}",
    "syslog": "Nov 28 03:59:{s} lb1 ipvsmon[812]: {line}",
    "syslog with priority": "<13>Nov 28 03:59:{s} lb1 ipvsmon[812]: {line}",
    "rsyslog": ISO + ".123456+00:00 lb1 ipvsmon: {line}",
    "RFC 5424": "<134>1 " + ISO + "Z lb1 ipvsmon 812 - - {line}",
    "RFC 5424, data": "<134>1 " + ISO + 'Z lb1 ipvsmon 812 ID47 [ex@3 a="3"] {line}',
    "journal": "Nov 28 03:59:{s} lb1 ipvsmon[812]: {line}",
    "journal, precise": "Nov 28 03:59:{s}.123456 lb1 ipvsmon[812]: {line}",
    "journal, iso": ISO + "+0000 lb1 ipvsmon[812]: {line}",
    "journal, full": "Sat 2026-11-28 03:59:{s} UTC lb1 ipvsmon[812]: {line}",
    "docker logs -t": DOCKER + " {line}",
    "CRI": DOCKER + " stdout F {line}",
    "compose -t": "director-1  | " + DOCKER + " {line}",
    "syslog of busybox": "Nov 28 03:59:{s} lb1 user.notice root: {line}",
    "docker service logs -t": DOCKER + " lb_mon.1.x7y8z9@node1    | {line}",
    "docker logs -t --details": DOCKER + " tag=x,env=prod {line}",
    "podman logs -t -n": "lb1 " + DOCKER + " {line}",
    "stern -t": "kube-proxy-x7 kube-proxy " + DOCKER + " {line}",
    "kail": "kube-system/kube-proxy-x7[kube-proxy]: " + DOCKER + " {line}",
    "logcli": ISO + 'Z {{app="lb"}} {line}',
    "logging": "2026-11-28 03:59:{s},123 INFO {line}",
    "kubectl --prefix --timestamps": "[pod/kube-proxy-x7/kube-proxy] " + DOCKER + " {line}",
}


@pytest.mark.parametrize("tool", BEFORE_EACH)
def test_a_tools_lines_are_the_lines_that_were_printed(tool: str) -> None:
    lines = [
        BEFORE_EACH[tool].format(s=40 + 2 * number, line=line)
        for number in range(3)
        for line in TABLE
    ]
    polls = list(polls_in(lines, 2026, written_s=AT_S + 4))
    assert [poll.text for poll in polls] == ["\n".join(TABLE)] * 3
    assert [int(poll.at_s) for poll in polls] == [AT_S, AT_S + 2, AT_S + 4]
    assert without_times("\n".join(lines)) == "\n".join(TABLE * 3)


@pytest.mark.parametrize(
    ("key", "time_key", "time"),
    [
        ("log", "time", lambda s: f"2026-11-28T03:59:{s}.1Z"),
        ("MESSAGE", "__REALTIME_TIMESTAMP", lambda s: str((AT_S + s - 40) * 10**6)),
        ("message", "@timestamp", lambda s: f"2026-11-28T03:59:{s}.123Z"),
        ("msg", "ts", lambda s: AT_S + s - 39.5),
    ],
)
def test_json_lines_of_docker_and_the_journal_are_lines(
    key: str, time_key: str, time: Callable[[int], str]
) -> None:
    lines = [
        json_line(f"{line}\n", key, time_key, time(40 + 2 * number))
        for number in range(2)
        for line in (f"Sat Nov 28 03:59:{40 + 2 * number} UTC 2026", *TABLE)
    ]
    polls = list(polls_in(lines, 2026))
    assert [poll.text.strip() for poll in polls] == ["\n".join(TABLE)] * 2
    assert [int(poll.at_s) for poll in polls] == [AT_S, AT_S + 2]


@pytest.mark.parametrize("before", ["\x1e", "data: "])
def test_the_journals_json_may_be_a_sequence_with_bytes(before: str) -> None:
    """It writes what is not printable as an array of bytes."""
    message = list(b"\x1b[1mTCP  192.0.2.80:80 wlc")
    line = json.dumps({"__REALTIME_TIMESTAMP": "1795838380000000", "MESSAGE": message})
    assert stamp_of(before + line) == ("1795838380000000", "\x1b[1mTCP  192.0.2.80:80 wlc")
    assert without_times(before + line) == "\x1b[1mTCP  192.0.2.80:80 wlc"
    assert stamp_of(line.replace("[27", "[270")) == (None, line.replace("[27", "[270"))


TWO_SOURCES = {
    "syslog": "Nov 28 03:59:{s} lb{n} mon[8]: {line}",
    "RFC 5424": "<13>1 " + ISO + "Z lb{n} mon 8 - - {line}",
    "compose": "mon-{n}  | " + DOCKER + " {line}",
    "kubectl": "[pod/mon-{n}/c] " + DOCKER + " {line}",
    "swarm": DOCKER + " mon.{n}.x7y8z9@node1    | {line}",
    "stern": "mon-{n} c " + DOCKER + " {line}",
}


@pytest.mark.parametrize("tool", TWO_SOURCES)
def test_tables_of_two_directors_in_one_log_are_refused(tool: str) -> None:
    lines = [
        TWO_SOURCES[tool].format(s=40 + second, n=1 + second % 2, line=line)
        for second in range(4)
        for line in TABLE
    ]
    assert len(list(polls_in(lines[: len(TABLE)], 2026))) == 1
    with pytest.raises(UsageProblem, match="several hosts or containers"):
        list(polls_in(lines, 2026))


def test_times_may_stand_after_what_was_printed() -> None:
    lines = [
        line for second in range(3) for line in (*TABLE, "", f"Sat Nov 28 03:59:4{second} UTC 2026")
    ]
    assert times_stand_after(lines)
    assert times_stand_after(["# a loop", *lines, "", ""])
    polls = list(polls_before_times(lines, 2026))
    assert [int(poll.at_s) for poll in polls] == [AT_S, AT_S + 1, AT_S + 2]
    assert {poll.text for poll in polls} == {"\n".join([*TABLE, ""])}
    assert not times_stand_after(lines[-1:] + lines)
    assert not times_stand_after(lines[:-1])
    assert not times_stand_after(["1795838380"])


@pytest.mark.parametrize(
    "heading",
    [
        "Every 2.0s: ipvsadm -Ln     lb1: Sat Nov 28 03:59:40 2026",
        "Alle 2,0s: ipvsadm -Ln     lb1: Sa Nov 28 03:59:40 2026",
        "Toutes les 2,0s: ipvsadm -Ln     lb1: sam. 28 nov. 2026 03:59:40",
        "Cada 2,0s: ipvsadm -Ln   lb1: sáb 28 nov 2026 03:59:40",
        "每 2.0 秒: ipvsadm -Ln     lb1: 2026年11月28日 星期六 03时59分40秒",
        "Every 2.0s: ipvsadm -Ln    lb1: 2026年11月28日 土曜日 03:59:40",
        "Elke 2,0s: ipvsadm -Ln   lb1: za 28 nov 2026  3:59:40",
        "Co 2,0s: ipvsadm -Ln   lb1: sob, 28 lis 2026, 03:59:40",
        "Every 2.0s: ipvsadm -Ln     lb-01: Saturday, 28 November 2026 03:59:40",
        "Toutes les 2,0s: ipvsadm -Ln    lb1: sam 28 nov 2026 03:59:40",
        "Her 2,0s: ipvsadm -Ln    lb1: Cts 28 Kas 2026 03:59:40",
    ],
)
def test_the_heading_of_a_watch_in_any_language_is_a_stamp(heading: str) -> None:
    stamp, rest = stamp_of(heading)
    assert stamp is not None
    read = StampReader(2026).read(stamp)
    assert (rest, read.at_s if read else None) == (None, AT_S)


@pytest.mark.parametrize(
    ("line", "stamp"),
    [
        ("20261128T035940Z", "2026-11-28 03:59:40 UTC"),
        ("20261128T035940+0100", "2026-11-28 03:59:40 +0100"),
        ("20261128-035940", "2026-11-28 03:59:40"),
        ("2026-11-28_03-59-40", "2026-11-28 03:59:40"),
    ],
)
def test_compact_dates_are_read(line: str, stamp: str) -> None:
    assert stamp_of(line) == (stamp, None)
    assert stamp_of(f"{line} IP Virtual Server") == (stamp, "IP Virtual Server")


@pytest.mark.parametrize("line", ["Rab 28 Jan 2026 03:59:07  UTC", "Sen 05 Jan 2026 12:59:07 "])
def test_hours_that_lack_their_half_of_the_day_are_no_stamp(line: str) -> None:
    """Glibc's Indonesian and Malay: 03:59 may be 15:59."""
    assert stamp_of(line) == (None, line)
    assert stamp_of(f"[{line}] IP Virtual Server")[0] is None
    assert stamp_of(line.replace(":59:07", ":59:07 PM"))[0] is not None


def test_numbers_of_lines_are_taken_off() -> None:
    for form in ("{n:6}\t{line}", "{n}:{line}"):
        numbered = [form.format(n=n, line=line) for n, line in enumerate(TABLE, 1)]
        assert list(unnumbered(numbered)) == list(TABLE)
        assert without_times("\n".join(numbered)) == "\n".join(TABLE)


@pytest.mark.parametrize(
    "form",
    [
        "\x1b[36mmon_1    |\x1b[0m 2026-11-28T03:59:40.1Z {line}",
        "[ 8380.123456] lb1 mon[8]: {line}",
    ],
)
def test_parse_reads_what_an_import_does(form: str) -> None:
    assert without_times("\n".join(form.format(line=line) for line in TABLE)) == "\n".join(TABLE)


def test_a_counter_is_no_number_of_a_line() -> None:
    lines = ["   2:x", "1795838380", "1:x"]
    assert list(unnumbered(lines)) == lines


@pytest.mark.parametrize("line", [*TABLE, "FWM  1 rr", "123456789 1 2 3", "  1795838380  10 0 0"])
def test_what_is_printed_without_times_stays_as_it_is(line: str) -> None:
    assert without_times(line) == line


@given(st.text())
def test_any_text_keeps_its_number_of_lines(text: str) -> None:
    assert without_times(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("written_s", "month"), [(1_781_000_000, 6), (1_779_000_000, 5), (1_785_000_000, 6)]
)
def test_of_two_readings_of_a_date_the_later_before_the_log_was_written_counts(
    written_s: float, month: int
) -> None:
    """05/06 and 06/05: the log was written on 9 June, 17 May and 25 July 2026."""
    reader = StampReader(2026, before_s=written_s)
    first = reader.read("dmy=2026-06-05|mdy=2026-05-06 00:00:00")
    named = StampReader(2026).read(f"2026-{month:02}-{11 - month:02} 00:00:00")
    assert first is not None
    assert named is not None
    assert first.at_s == named.at_s
