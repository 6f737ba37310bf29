"""One director from end to end, on runs staged by hand: what ended its entries, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Flag, State
from tests.unit.analyzer.builders_packets import CLIENT6, DIRECTOR_MAC, SERVER_MAC, VIP6, Seg
from tests.unit.analyzer.builders_run import (
    FIRST,
    SECOND,
    Held,
    Life,
    Stage,
    closed,
    expires_at_s,
    half_open,
    opened,
    removed_at,
)

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import Agreement


def early(found: Analysis) -> dict[tuple[str, str], int]:
    """How many ended early, by state and cause."""
    assert {row.director for row in found.ended_early} <= {"bal01"}
    return {(row.state, row.cause): row.n for row in found.ended_early}


def groups(found: Analysis) -> list[tuple[str, float | None, int, int]]:
    return [(row.state, row.timeout_s, row.n, row.n_expired) for row in found.lifetimes]


def agreed(found: Analysis) -> Agreement:
    """All that was predicted is what was seen."""
    (row,) = found.agreement
    assert row.state_matches == row.state_samples > 0
    assert (row.active_max_error, row.inactive_max_error) == (0, 0)
    assert row.worst_expiry_error_s is None or row.worst_expiry_error_s < 0.1
    return row


def burst(count: int = 20, began_s: float = 1000.0, **more: Any) -> list[Life]:
    return [closed(40000 + n, began_s + 0.05 * n, **more) for n in range(count)]


def test_a_burst_is_predicted_to_the_poll(tmp_path: Path) -> None:
    found = Stage(lives=burst()).played(tmp_path)
    agreed(found)
    assert groups(found) == [("FIN_WAIT", 20, 20, 20)]
    assert early(found) == {}


# Ended early --------------------------------------------------------------------------------------


def reused(port: int, began_s: float, again_s: float) -> list[Life]:
    """A connection that was reset, and a new one from its port while the entry was in CLOSE."""
    old = Life(
        (
            Seg(began_s, port, Flag.SYN),
            Seg(began_s + 0.1, port, Flag.ACK),
            Seg(began_s + 0.3, port, Flag.RST),
        ),
        Held(
            port,
            (
                (began_s, State.SYN_RECV),
                (began_s + 0.1, State.ESTABLISHED),
                (began_s + 0.3, State.CLOSE),
            ),
            again_s,
        ),
    )
    return [old, closed(port, again_s, server=SECOND)]


def test_a_port_used_again_ends_the_old_entry(tmp_path: Path) -> None:
    lives = [life for n in range(5) for life in reused(40000 + n, 1000.0 + n, 1003.0 + n)]
    found = Stage(lives=lives).played(tmp_path)
    assert early(found) == {("CLOSE", "port-reuse"): 5}
    assert groups(found) == [("FIN_WAIT", 20, 5, 5)]
    assert agreed(found).entries_predicted == 10


def test_a_port_used_again_without_rescheduling_ends_nothing(tmp_path: Path) -> None:
    """conn_reuse_mode 0: the entry goes on, FIN_WAIT to SYN_RECV, and is active again."""
    first, second = closed(40000, 1000.0), closed(40000, 1005.0)
    revived = Life(
        first.sent + second.sent,
        Held(40000, first.held.states + second.held.states, second.held.gone_s),
    )
    found = Stage(lives=[revived], facts={"sysctl": {"conn_reuse_mode": "0"}}).played(tmp_path)
    assert early(found) == {}
    assert groups(found) == [("FIN_WAIT", 20, 1, 1)]
    assert agreed(found).entries_predicted == 1


def test_an_old_conntrack_entry_drops_the_syn_and_the_delay_is_reported(tmp_path: Path) -> None:
    """Conntrack 1 in dr: the reusing SYN is dropped, its repetition 1 s later makes the entry."""
    lives = []
    for n in range(5):
        old, new = reused(40000 + n, 1000.0 + n, 1003.0 + n)
        syn = replace(new.sent[0], sequence=7)
        late = closed(40000 + n, 1004.0 + n, server=SECOND)
        lives += [old, Life((syn, replace(late.sent[0], sequence=7), *late.sent[1:]), late.held)]
    facts = {"sysctl": {"conntrack": "1", "conn_reuse_mode": "1"}}
    found = Stage(lives=lives, facts=facts).played(tmp_path)
    assert early(found) == {("CLOSE", "port-reuse"): 5}
    assert agreed(found).entries_predicted == 10
    assert "port-reuse-delay" in {one.id for one in found.findings}


def test_expire_nodest_conn_ends_the_entries_of_a_removed_server(tmp_path: Path) -> None:
    stays = [closed(40000 + n, 1000.0 + n * 0.1) for n in range(4)]
    removed = [
        *[closed(41000 + n, 1000.0 + n * 0.1, server=SECOND) for n in range(3)],
        *[opened(42000 + n, 1000.0 + n * 0.1, server=SECOND) for n in range(2)],
    ]
    found = Stage(
        lives=stays + [removed_at(life, 1005.0) for life in removed],
        facts={"sysctl": {"expire_nodest_conn": "1"}},
        events=[(1005.0, "server-removed", f"{SECOND}:80")],
        absent=[(SECOND, 1005.0, 2000.0)],
    ).played(tmp_path)
    assert early(found) == {
        ("FIN_WAIT", "expire-nodest-conn"): 3,
        ("ESTABLISHED", "expire-nodest-conn"): 2,
    }
    assert groups(found) == [("FIN_WAIT", 20, 4, 4)]
    agreed(found)


def test_packets_after_their_entry_was_deleted_reach_no_entry(tmp_path: Path) -> None:
    """The client's FIN at 1010 finds nothing: the entry ended open, at the removal."""
    left_open = removed_at(opened(41000, 1000.0, server=SECOND), 1005.0)
    late = Life((*left_open.sent, Seg(1010.0, 41000, Flag.FIN)), left_open.held)
    found = Stage(
        lives=[closed(40000, 1000.0), late],
        facts={"sysctl": {"expire_nodest_conn": "1"}},
        events=[(1005.0, "server-removed", f"{SECOND}:80")],
        absent=[(SECOND, 1005.0, 2000.0)],
    ).played(tmp_path)
    assert early(found) == {("ESTABLISHED", "expire-nodest-conn"): 1}
    agreed(found)


def test_without_it_they_live_on_and_their_packets_are_dropped(tmp_path: Path) -> None:
    """The client's FIN at 1010 reached nobody: the entry is open until its 30 s are over."""
    left_open = opened(41000, 1000.0, tcp_s=30.0, server=SECOND)
    silent = Life((*left_open.sent, Seg(1010.0, 41000, Flag.FIN)), left_open.held)
    found = Stage(
        lives=[closed(40000, 1000.0), silent],
        facts={"timeouts": {"tcp": 30, "tcpfin": 20, "udp": 300}},
        events=[(1005.0, "server-removed", f"{SECOND}:80")],
        absent=[(SECOND, 1005.0, 2000.0)],
    ).played(tmp_path)
    assert sorted(groups(found)) == [("ESTABLISHED", 30, 1, 1), ("FIN_WAIT", 20, 1, 1)]
    assert early(found) == {}
    agreed(found)


def test_a_server_that_came_back_takes_packets_again(tmp_path: Path) -> None:
    life = opened(41000, 1000.0, server=SECOND)
    closes_later = Life(
        (*life.sent, Seg(1005.0, 41000, Flag.RST), Seg(1010.0, 41000, Flag.FIN)),
        Held(
            41000,
            (*life.held.states, (1010.0, State.FIN_WAIT)),
            expires_at_s(1010.0, 20),
            SECOND,
        ),
    )
    found = Stage(lives=[closes_later], absent=[(SECOND, 1003.0, 1008.0)]).played(tmp_path)
    assert groups(found) == [("FIN_WAIT", 20, 1, 1)]
    agreed(found)


def test_packets_that_came_about_when_their_server_was_removed_say_nothing(tmp_path: Path) -> None:
    """Of two FINs between the same two polls one came before the removal, at 1004.6, one after."""
    taken, dropped = (opened(port, 1000.0, tcp_s=30.0, server=SECOND) for port in (41000, 41001))
    in_time = Life(
        (*taken.sent, Seg(1004.3, 41000, Flag.FIN)),
        Held(
            41000, (*taken.held.states, (1004.3, State.FIN_WAIT)), expires_at_s(1004.3, 20), SECOND
        ),
    )
    late = Life((*dropped.sent, Seg(1004.8, 41001, Flag.FIN)), dropped.held)
    found = Stage(
        lives=[closed(40000, 1000.0), in_time, late],
        facts={"timeouts": {"tcp": 30, "tcpfin": 20, "udp": 300}},
        absent=[(SECOND, 1004.6, 2000.0)],
        poll_s=1.0,
        until_s=1040.0,
    ).played(tmp_path)
    (shown,) = found.agreement
    assert shown.state_matches == shown.state_samples > 0
    assert "prediction-differs" not in {one.id for one in found.findings}
    assert [one.what for one in found.not_measured] == ["whether bal01 took 2 packet(s)"]


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (
            "6.1.176",
            "On bal01 (Linux 6.1.176) drop_entry looks at 1/32 of the table each second "
            "(buckets drawn one by one, some of them twice)",
        ),
        (
            "7.2.7",
            "On bal01 (Linux 7.2.7) drop_entry looks at 1/32 of the table each second "
            "(buckets in a row, from one that is drawn)",
        ),
    ],
)
def test_drop_entry_takes_half_open_entries_at_random(
    tmp_path: Path, kernel: str, words: str
) -> None:
    lives = [half_open(40000 + n, 1000.0 + 0.05 * n) for n in range(30)]
    dropped = [removed_at(life, 1003.0 + 1.7 * n) for n, life in enumerate(lives[:20])]
    facts = {"sysctl": {"drop_entry": "3"}, "kernel": kernel}
    found = Stage(lives=dropped + lives[20:], facts=facts).played(tmp_path)
    assert early(found) == {("SYN_RECV", "drop-entry"): 20}
    (evidence,) = [one.evidence for one in found.findings if one.id == "ended-early"]
    assert words in evidence
    assert groups(found) == [("SYN_RECV", 60, 10, 10)]
    agreed(found)


def test_without_drop_entry_nothing_is_put_down_to_it(tmp_path: Path) -> None:
    lives = [half_open(40000 + n, 1000.0 + 0.05 * n) for n in range(30)]
    dropped = [removed_at(life, 1003.0 + 1.7 * n) for n, life in enumerate(lives[:20])]
    found = Stage(lives=dropped + lives[20:]).played(tmp_path)
    assert early(found) == {}
    assert not any("drop_entry looks" in one.evidence for one in found.findings)
    assert "prediction-differs" in {one.id for one in found.findings}


def test_drop_entry_takes_no_closed_ones(tmp_path: Path) -> None:
    lives = [removed_at(life, 1005.0 + 0.3 * n) for n, life in enumerate(burst(10))]
    found = Stage(lives=lives, facts={"sysctl": {"drop_entry": "3"}}).played(tmp_path)
    assert early(found) == {}


def test_a_flush_takes_entries_of_every_age_at_once(tmp_path: Path) -> None:
    lives = [closed(40000 + n, 1000.0 + 0.5 * n) for n in range(12)]
    lives += [opened(41000 + n, 1000.0 + 0.5 * n) for n in range(3)]
    flushed = [removed_at(life, 1009.0) for life in lives]
    found = Stage(lives=flushed).played(tmp_path)
    assert early(found) == {("FIN_WAIT", "flush"): 12, ("ESTABLISHED", "flush"): 3}
    assert groups(found) == []
    agreed(found)


def test_a_flush_is_not_blamed_for_what_expired_before_it(tmp_path: Path) -> None:
    before = [closed(40000 + n, 1000.0 + 0.1 * n) for n in range(5)]
    lives = [closed(41000 + n, 1015.0 + 0.5 * n) for n in range(12)]
    found = Stage(lives=before + [removed_at(life, 1025.0) for life in lives]).played(tmp_path)
    assert early(found) == {("FIN_WAIT", "flush"): 12}
    assert groups(found) == [("FIN_WAIT", 20, 5, 5)]


@pytest.mark.parametrize("over_s", [0.3, 8.0])
def test_a_timeout_shorter_than_was_given_is_no_flush(tmp_path: Path, over_s: float) -> None:
    """Tcpfin is 20 and was given as 120: a short burst also leaves nothing behind at once."""
    lives = [closed(40000 + n, 1000.0 + over_s * n / 20) for n in range(20)]
    timeouts = {"tcp": 900, "tcpfin": 120, "udp": 300}
    found = Stage(lives=lives, facts={"timeouts": timeouts}).played(tmp_path)
    assert early(found) == {}
    (row,) = found.lifetimes
    assert row.timeout_measured_s is not None
    assert row.timeout_measured_s.value == pytest.approx(20, abs=0.05)
    assert "not in agreement" in found.verdict


# What was changed meanwhile -----------------------------------------------------------------------


def test_timeouts_changed_midway_give_two_rows_for_one_state(tmp_path: Path) -> None:
    lives = burst(20, 1000.0, tcpfin_s=60.0)
    lives += [closed(41000 + n, 1010.0 + 0.05 * n, tcpfin_s=10.0) for n in range(15)]
    lives += [closed(42000 + n, 1030.0 + 0.05 * n, tcpfin_s=30.0) for n in range(10)]
    found = Stage(
        lives=lives,
        facts={"timeouts": {"tcp": 900, "tcpfin": 60, "udp": 300}},
        events=[(1005.0, "timeouts-changed", "0 10 0"), (1025.0, "timeouts-changed", "0 30 0")],
    ).played(tmp_path)
    assert groups(found) == [
        ("FIN_WAIT", 60, 20, 20),
        ("FIN_WAIT", 10, 15, 15),
        ("FIN_WAIT", 30, 10, 10),
    ]
    agreed(found)
    for row in found.lifetimes:
        assert row.timeout_measured_s is not None
        assert row.timeout_s is not None
        off_s = abs(row.timeout_measured_s.value - row.timeout_s)
        assert off_s <= row.timeout_measured_s.uncertainty + 1e-6
    assert "timeout-changed-midway" in {one.id for one in found.findings}


def test_a_zero_leaves_a_timeout_as_it_is(tmp_path: Path) -> None:
    lives = [opened(40000, 1001.0, tcp_s=15.0), closed(40001, 1001.0, tcpfin_s=20.0)]
    events = [(1000.5, "timeouts-changed", "15 0 0")]
    found = Stage(lives=lives, events=events).played(tmp_path)
    assert sorted(groups(found)) == [("ESTABLISHED", 15, 1, 1), ("FIN_WAIT", 20, 1, 1)]
    agreed(found)


def test_a_change_on_another_director_is_not_this_ones(tmp_path: Path) -> None:
    stage = Stage(lives=burst(5), events=[(999.5, "timeouts-changed", "0 7 0")])
    found = _hosted_elsewhere(stage).played(tmp_path)
    assert groups(found) == [("FIN_WAIT", 20, 5, 5)]
    agreed(found)


def _hosted_elsewhere(stage: Stage) -> Stage:
    class Elsewhere(Stage):
        def event(self, at_s: float, kind: str, detail: str) -> dict[str, Any]:
            return super().event(at_s, kind, detail) | {"host": "bal02"}

    return Elsewhere(lives=stage.lives, events=stage.events)


# Other kinds of entries ---------------------------------------------------------------------------


def test_udp_entries_are_governed_by_the_third_number(tmp_path: Path) -> None:
    lives = [
        Life(
            (Seg(1000.0 + n, 5000 + n, Flag.DATAGRAM), Seg(1004.0 + n, 5000 + n, Flag.DATAGRAM)),
            Held(5000 + n, ((1000.0 + n, State.UDP),), expires_at_s(1004.0 + n, 10)),
        )
        for n in range(10)
    ]
    found = Stage(
        lives=lives, protocol="UDP", facts={"timeouts": {"tcp": 900, "tcpfin": 20, "udp": 10}}
    ).played(tmp_path)
    assert groups(found) == [("UDP", 10, 10, 10)]
    (row,) = found.lifetimes
    assert (row.timeout_name, row.counted) == ("udp", "inactive")
    agreed(found)


def test_ipv6_entries_are_as_ipv4_ones(tmp_path: Path) -> None:
    found = Stage(lives=burst(), vip=VIP6, client=CLIENT6).played(tmp_path)
    assert groups(found) == [("FIN_WAIT", 20, 20, 20)]
    assert agreed(found).entries_observed == 20


def test_under_secure_tcp_half_open_entries_wait_120_s(tmp_path: Path) -> None:
    lives = [
        Life(
            (Seg(1000.0 + n, 40000 + n, Flag.SYN),),
            Held(40000 + n, ((1000.0 + n, State.SYNACK),), expires_at_s(1000.0 + n, 120)),
        )
        for n in range(5)
    ]
    facts = {"sysctl": {"secure_tcp": "3"}}
    found = Stage(lives=lives, facts=facts, until_s=1140.0).played(tmp_path)
    assert groups(found) == [("SYNACK", 120, 5, 5)]
    agreed(found)


def nat(port: int, began_s: float) -> Life:
    """The client closes, the server follows; the director sends both."""
    states = [
        (Flag.SYN, False, State.SYN_RECV),
        (Flag.SYN, True, State.SYN_RECV),
        (Flag.ACK, False, State.ESTABLISHED),
        (Flag.FIN, False, State.CLOSE_WAIT),
        (Flag.FIN, True, State.TIME_WAIT),
        (Flag.ACK, False, State.TIME_WAIT),
    ]
    at_s = [began_s + 0.2 * step for step in range(len(states))]
    sent = tuple(
        Seg(when, port, flag, reply) for when, (flag, reply, _) in zip(at_s, states, strict=True)
    )
    held = tuple((when, state) for when, (_, _, state) in zip(at_s, states, strict=True))
    return Life(sent, Held(port, held, expires_at_s(at_s[-1], 120)))


def test_in_nat_entries_wait_120_s_whatever_tcpfin_is(tmp_path: Path) -> None:
    lives = [nat(40000 + n, 1000.0 + 0.3 * n) for n in range(10)]
    found = Stage(lives=lives, forwarding="nat", until_s=1140.0).played(tmp_path)
    assert groups(found) == [("TIME_WAIT", 120, 10, 10)]
    agreed(found)
    assert "tcpfin-has-no-effect" in {one.id for one in found.findings}


# Which packets are this director's ----------------------------------------------------------------


def moved(life: Life, mac: int) -> Life:
    return Life(tuple(replace(seg, mac=mac) for seg in life.sent), life.held)


def test_what_went_to_another_mac_did_not_pass_the_director(tmp_path: Path) -> None:
    elsewhere = [moved(life, SERVER_MAC) for life in burst(5, 1002.0)]
    elsewhere = [
        Life(tuple(replace(seg, port=seg.port + 500) for seg in life.sent), life.held)
        for life in elsewhere
    ]
    unseen = [Life(life.sent, replace(life.held, gone_s=0.0)) for life in elsewhere]
    found = Stage(lives=burst(10) + unseen).played(tmp_path)
    assert agreed(found).entries_predicted == 10


def test_the_only_director_took_every_request_even_if_its_macs_are_not_known(
    tmp_path: Path,
) -> None:
    """No replies and no MACs that tell: all that went to the VIP is taken to have passed it."""
    found = Stage(lives=burst(10), facts={"macs": []}).played(tmp_path)
    assert agreed(found).entries_predicted == 10
    assert "which packets passed the director" in {gap.what for gap in found.not_measured}


def test_the_only_director_in_nat_saw_the_replies_too(tmp_path: Path) -> None:
    lives = [nat(40000 + n, 1000.0 + 0.3 * n) for n in range(3)]
    found = Stage(lives=lives, forwarding="nat", facts={"macs": []}, until_s=1140.0).played(
        tmp_path
    )
    assert groups(found) == [("TIME_WAIT", 120, 3, 3)]
    agreed(found)


def test_without_polls_of_entries_the_counters_show_when_they_expired(tmp_path: Path) -> None:
    class Unpolled(Stage):
        def entry(self, held: Held, kind: str, state: State | None) -> dict[str, Any]:
            return super().entry(held, kind, state) | {"director": "nobody"}

    found = Unpolled(lives=burst(10)).played(tmp_path)
    assert groups(found) == [("FIN_WAIT", 20, 10, 10)]
    measured = found.lifetimes[0].timeout_measured_s
    assert measured is not None
    assert abs(measured.value - 20) <= measured.uncertainty <= 0.6


def test_a_phase_that_was_not_read_is_inferred(tmp_path: Path) -> None:
    lives = [closed(40000 + n, 1000.0 + 0.2 * n) for n in range(50)]
    for facts in ({"timer_phase_s": None}, {"timer_phase_s": None, "hz": None}):
        found = Stage(lives=lives, facts=facts).played(tmp_path / str(len(facts)))
        agreed(found)
        (row,) = found.lifetimes
        assert row.granule_s == 0.64
        assert row.timeout_measured_s is not None
        off_s = abs(row.timeout_measured_s.value - 20)
        assert off_s - 1e-6 <= row.timeout_measured_s.uncertainty < 0.2


def test_the_client_side_mac_is_the_directors() -> None:
    """What this module stages: the frames go from the client to the director."""
    assert {seg.mac for life in burst(2) for seg in life.sent} == {DIRECTOR_MAC}
    assert closed(1, 0.0).held.server == FIRST
