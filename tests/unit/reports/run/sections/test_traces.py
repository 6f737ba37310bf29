"""The traces on the page: each in words, as a diagram and as a table that say the same."""

from __future__ import annotations

from dataclasses import replace

from reports.run.sections.traces import section, sentence, table
from tests.unit.reports import builders_analysis as build


def test_a_sentence_tells_all_of_a_connection() -> None:
    text = sentence(build.trace())
    assert text.startswith(
        "192.168.10.250:40001 to 192.168.10.2:80 through bal01 and 192.168.10.21:80: "
        "13 packets in 20.0 ms; the client closed first."
    )
    assert "the client keeps TIME_WAIT for 60.00 s" in text
    assert "the entry on bal01 in FIN_WAIT is predicted to expire after 20.38 s" in text
    assert text.endswith("Chosen because: among the slowest requests and as most are.")


def test_a_failure_is_stated() -> None:
    assert "It failed: timed out." in sentence(build.half_open_trace())


def test_the_table_has_a_row_for_each_packet_and_each_end_in_the_order_of_time() -> None:
    rows = table(build.trace()).rows
    assert [row[1] for row in rows] == [
        "SYN",
        "SYN+ACK",
        "ACK",
        "FIN",
        "FIN",
        "FIN",
        "entry expires",
        "TIME_WAIT ends",
    ]
    assert [row[4] for row in rows[:4]] == ["SYN_RECV", "SYN_RECV", "ESTABLISHED", "FIN_WAIT"]
    assert rows[0][3] == "captured, to real server inferred"
    assert rows[5][2] == "client → director (no entry there)"


def test_traces_are_grouped_by_what_they_are_offered_for() -> None:
    groups = section(build.demo()).facts["groups"]
    assert list(groups) == ["among the slowest requests", "its SYN was repeated"]
    assert [item.id for items in groups.values() for item in items] == ["trace-0", "trace-1"]


def test_without_packets_the_section_says_why_there_is_none() -> None:
    facts = section(build.without_capture()).facts
    assert facts["groups"] == {}
    assert facts["why"] == "CAP_NET_RAW is missing"


def test_ids_are_free_of_names() -> None:
    named = replace(build.trace(), client="<script>")
    groups = section(replace(build.demo(), traces=(named,))).facts["groups"]
    assert [item.id for items in groups.values() for item in items] == ["trace-0"]
