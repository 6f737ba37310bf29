"""What may run out, each in its line."""

from __future__ import annotations

from dataclasses import replace

from loadgen.load.plan import Closing
from loadgen.load.preflight import as_text, preflight
from tests.unit.loadgen.load.preflight.asked import HOST, TABLE, at_rate, lines, plan


def test_fifty_requests_raise_no_doubt_and_take_six_lines() -> None:
    shown = preflight(plan(), HOST, [TABLE])
    assert [line.doubt for line in shown] == [None] * 6
    assert len(as_text(shown)) == 6


def test_what_stays_open_needs_a_descriptor_each() -> None:
    many = plan(5000, closing=Closing(shares=(("never", 1.0),)))
    assert "5,064 are needed" in str(lines(many)["file descriptors"][1])
    shared = replace(many, processes=10)
    assert lines(shared)["file descriptors"][1] is None


def test_a_conntrack_that_would_overflow_is_a_doubt() -> None:
    host = replace(HOST, conntrack=(200, 1000))
    assert lines(plan(900), host)["conntrack"] == (
        "200 of 1,000 entries",
        "900 more may fill it (nf_conntrack_max)",
    )
    assert lines(plan(700), host)["conntrack"][1] is None


def test_a_table_with_long_chains_is_a_doubt_and_its_memory_is_stated() -> None:
    here, doubt = lines(plan(100_000))["table of bal01"]
    assert here == "4,096 buckets, up to 100,000 entries of this burst (34.1 MB)"
    assert doubt is not None
    assert "conn_tab_bits" in doubt
    by_rate = lines(plan(**at_rate(100)))["table of bal01"][0]
    assert "up to 12,250 entries" in by_rate


def test_a_table_that_grows_by_itself_raises_no_doubt_until_it_is_full() -> None:
    """Linux 7.1 and later; from 7.2 on it has a limit."""
    grows = replace(TABLE, buckets=256, resizes=True, most=200_000)
    ((here, doubt),) = [
        (line.here, line.doubt)
        for line in preflight(plan(100_000), HOST, [grows])
        if line.what == "table of bal01"
    ]
    assert here.startswith("256 buckets now, grows by itself, up to 100,000 entries")
    assert doubt is None
    (full,) = [
        line.doubt
        for line in preflight(plan(100_000), HOST, [replace(grows, most=20)])
        if line.what == "table of bal01"
    ]
    assert full == "at most 20 (conn_max): SYNs beyond get no answer"
