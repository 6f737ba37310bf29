"""The end of the terminal output."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.recording.manifest import manifest_of
from analyzer.results import RealServerRow, ServiceTable
from reports import layout
from reports.charts import wording
from reports.run import text
from tests.unit.reports import builders_analysis as build

IPVSADM = """\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.168.10.2:80 rr
  -> 192.168.10.21:80             Route   1      0          25
  -> 192.168.10.22:80             Route   1      0          25"""


def test_the_table_is_laid_out_as_ipvsadm_lays_it_out() -> None:
    master, _ = build.demo().timeline.peaks
    assert "\n".join(text.ipvsadm_lines(master)) == IPVSADM
    assert IPVSADM in "\n".join(text.summary_lines(build.demo()))


@pytest.mark.parametrize(
    ("forwarding", "printed"),
    [("dr", "Route  "), ("nat", "Masq   "), ("tun", "Tunnel "), ("local", "Local  ")],
)
def test_forwarding_is_printed_in_words_of_ipvsadm(forwarding: str, printed: str) -> None:
    row = RealServerRow(
        real_server="fd00::21",
        real_port=80,
        forwarding=forwarding,
        weight=100,
        active=3,
        inactive=1234567,
    )
    table = ServiceTable(
        director="d", t_s=0, protocol="UDP", vip="fd00::2", port=53, scheduler="wlc", rows=(row,)
    )
    assert text.ipvsadm_lines(table)[2:] == [
        "UDP  [fd00::2]:53 wlc",
        f"  -> [fd00::21]:80                {printed} 100    3          1234567",
    ]


def test_the_latency_table_has_its_three_rows() -> None:
    head, *rows = text.latency_lines(build.demo())
    assert head.split() == ["latency,", "ms", "p50", "p90", "p99", "max"]
    assert [row[:12].strip() for row in rows] == ["connect", "first byte", "total"]
    assert {len(row) for row in rows} == {len(head)}
    assert all("too few" in row for row in rows)  # of fifty requests, for a p99


def test_why_requests_failed_is_a_table_with_a_line_for_each_reason() -> None:
    assert text.error_lines(build.troubled()) == [
        "why requests failed           requests",
        "connection reset (connected)         4",
        "HTTP 503 (connected)                 3",
    ]
    assert text.error_lines(build.demo()) == []
    assert "connection reset (connected)" in "\n".join(text.summary_lines(build.troubled()))


def test_the_summary_ends_with_the_verdict() -> None:
    run = build.demo()
    *_, last = "\n".join(text.summary_lines(run)).split("\n\n")
    assert last.replace("\n", " ") == run.verdict


@pytest.mark.parametrize("name", build.RUNS)
def test_every_kind_of_run_fits_the_terminal(name: str) -> None:
    lines = text.summary_lines(build.RUNS[name](), 80)
    assert max(map(len, lines)) <= 80
    lines = text.summary_lines(build.RUNS[name]())
    assert max(map(len, lines)) <= layout.MOST
    assert lines == [line.rstrip() for line in lines]


def test_what_was_not_measured_is_said() -> None:
    lines = text.summary_lines(build.without_directors())
    assert "ActiveConn and InActConn: not measured, no --director was given" in lines
    assert text.latency_lines(build.collected()) == []
    assert "total         not measured" in text.latency_lines(build.all_failed())


def test_no_text_of_a_recording_can_steer_the_terminal() -> None:
    lines = text.summary_lines(build.hostile("\x1b[2J\r\x07\u202e"))
    assert all(line.isprintable() for line in lines)


def test_page_and_terminal_say_the_same_of_what_was_sent() -> None:
    run = replace(build.demo())
    assert text.summary_lines(run)[0] == wording.sent(run)
    assert wording.sent(run) in wording.timeline_caption(run)


@pytest.mark.parametrize(
    ("manifest", "lines"),
    [
        ({}, []),
        ({"directors": {}}, []),
        (
            {"directors": {"lb1": {"link": "ssh://root@lb1"}, "lb2": {}}},
            ["directors: ssh://root@lb1, lb2"],
        ),
        (
            {"directors": {"bal01": {"link": "ssh://root@10.0.0.1"}}, "lab": "lab"},
            ["directors: bal01 (lab 'lab')"],
        ),
        (
            {
                "directors": {
                    "lb1": {"link": "ssh://root@10.0.0.1"},
                    "a": {"link": "ssh://root@bastion"},
                    "kubectl exec -i x --": {"link": "exec:kubectl exec -i x --"},
                }
            },
            [
                "directors: lb1 (ssh://root@10.0.0.1), a (ssh://root@bastion), "
                "exec:kubectl exec -i x --"
            ],
        ),
        ({"directors": {"lb\x1b[2J": {}}}, [r"directors: lb\x1b[2J"]),
    ],
)
def test_the_directors_that_answered_are_named(
    manifest: dict[str, object], lines: list[str]
) -> None:
    assert text.directors_line(manifest_of(manifest)) == lines
