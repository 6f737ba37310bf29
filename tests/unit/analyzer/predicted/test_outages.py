"""A director that is down, cut off or rebooting takes no packets; one merely not polled does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.evidence.gather import gather
from analyzer.ipvs.states import Flag, State
from analyzer.measure import measure
from analyzer.predicted.outage_candidates import ENDS_WITH
from analyzer.recording.directory import Recording
from tests.unit.analyzer.builders_packets import DIRECTOR_MAC, SERVER_MAC, Seg
from tests.unit.analyzer.builders_run import (
    FOR_EVER,
    Held,
    Life,
    Stage,
    closed,
    expires_at_s,
    opened,
    removed_at,
)

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from analyzer.results import Agreement

DATA = Path(__file__).resolve().parents[3] / "data"
FAILS_S, BACK_S = 1005.0, 1011.0
"""When the director fails, and when it is there again; the polls fail with it."""

BOOTED_S = 1008.64
"""A whole number of granules, so that its new jiffies fall where the old ones would have."""

ANSWERED_S = 0.001
OTHER_MAC = DIRECTOR_MAC + 1


def answered(life: Life, by: int = SERVER_MAC) -> Life:
    """The same, its SYN answered."""
    syn = life.sent[0]
    reply = Seg(syn.at_s + ANSWERED_S, syn.port, Flag.SYN, reply=True, mac=by)
    return Life((syn, reply, *life.sent[1:]), life.held)


def silent(port: int, *at_s: float) -> Life:
    """SYNs that nobody answers, and of which the director never held anything."""
    return Life(tuple(Seg(each_s, port, Flag.SYN) for each_s in at_s), Held(port, (), 0.0))


def before_and_after() -> list[Life]:
    """Ten connections on either side of the outage."""
    began_s = [base_s + 0.3 * n for base_s in (1001.0, BACK_S + 1) for n in range(10)]
    return [answered(closed(40000 + n, at_s)) for n, at_s in enumerate(began_s)]


def in_vain() -> list[Life]:
    """Thirty in the midst of it, each SYN sent twice."""
    return [
        silent(50000 + n, FAILS_S + 0.1 + 0.15 * n, FAILS_S + 1.1 + 0.15 * n) for n in range(30)
    ]


def stage(*, until_s: float = 1045.0, **more: Any) -> Stage:
    """Watched until its entries have gone."""
    return Stage(until_s=until_s, **more)


def agreed(found: Analysis) -> Agreement:
    (row,) = found.agreement
    assert row.state_matches == row.state_samples > 0
    assert (row.active_max_error, row.inactive_max_error) == (0, 0)
    assert row.disagreement_polls == 0
    assert set(row.residuals) <= {"poll", "outage"}
    assert "prediction-differs" not in {one.id for one in found.findings}
    return row


def early(found: Analysis) -> dict[tuple[str, str], int]:
    return {(row.state, row.cause): row.n for row in found.ended_early}


UNPOLLED = [(FAILS_S, BACK_S)]
LOST = [(FAILS_S + 3, "link-lost", "no answer in 3 s"), (BACK_S, "link-back", "polling again")]


@pytest.mark.parametrize("begins", ["link-down", "unplug"])
@pytest.mark.parametrize("ordered", [True, False], ids=["by events", "by polls and packets"])
def test_what_is_sent_to_a_director_that_is_cut_off_makes_no_entries(
    tmp_path: Path, begins: str, ordered: bool
) -> None:
    orders = [
        (FAILS_S, begins, "done in 40 ms"),
        (BACK_S - 0.5, ENDS_WITH[begins], "done in 40 ms"),
    ]
    found = stage(
        lives=before_and_after() + in_vain(),
        events=sorted((orders if ordered else []) + LOST),
        unpolled=UNPOLLED,
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 20
    assert early(found) == {}


def test_a_link_that_was_never_mended_takes_nothing_more(tmp_path: Path) -> None:
    found = stage(
        lives=before_and_after()[:10] + in_vain(),
        events=[(FAILS_S, "unplug", "done in 40 ms"), LOST[0]],
        unpolled=[(FAILS_S, FOR_EVER)],
    ).played(tmp_path)
    assert agreed(found).entries_predicted == 10


def test_an_entry_lives_on_through_it_and_what_was_sent_meanwhile_is_lost(tmp_path: Path) -> None:
    """Its client's FIN, sent four times, never came; the one that came after it did."""
    open_still = answered(opened(41000, 1002.0))
    fins = [Seg(FAILS_S + after_s, 41000, Flag.FIN) for after_s in (0.5, 0.7, 1.1, 1.9)]
    closes_later = answered(opened(41001, 1002.0))
    late = Seg(BACK_S + 2, 41001, Flag.FIN)
    held = closes_later.held
    lives = [
        Life((*open_still.sent, *fins), open_still.held),
        Life(
            (*closes_later.sent, replace(late, at_s=FAILS_S + 2), late),
            replace(
                held,
                states=(*held.states, (late.at_s, State.FIN_WAIT)),
                gone_s=closed(1, late.at_s - 0.4).held.gone_s,
            ),
        ),
    ]
    found = stage(
        lives=before_and_after() + lives + in_vain(), events=LOST, unpolled=UNPOLLED
    ).played(tmp_path)
    assert agreed(found).entries_predicted == 22


@pytest.mark.parametrize("ordered", [True, False], ids=["by events", "by its uptime"])
def test_a_director_that_crashes_loses_its_entries_then_and_not_as_it_boots(
    tmp_path: Path, ordered: bool
) -> None:
    lives = before_and_after()
    lost = [removed_at(life, FAILS_S) for life in lives[:10]]
    orders = [
        (FAILS_S, "crash", "done in 60 ms"),
        (BOOTED_S - 1, "boot", "done in 2500 ms"),
    ]
    found = stage(
        lives=lost + lives[10:] + in_vain(),
        events=sorted((orders if ordered else []) + LOST),
        unpolled=UNPOLLED,
        booted_s=BOOTED_S,
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 20
    assert early(found) == {("FIN_WAIT", "flush"): 10}
    (curve,) = [one for one in found.timeline.predicted if one.inactive.max()]
    assert curve.active.max() <= 2
    assert curve.inactive[curve.t_s > FAILS_S - 999 + 0.2].min() == 0


def test_a_syn_that_the_directors_own_tcp_resets_made_no_entry(tmp_path: Path) -> None:
    """It has booted, and its services are not there yet."""
    reset = [
        Life(
            (
                Seg(BACK_S - 0.5, 51000 + n, Flag.SYN),
                Seg(BACK_S - 0.499, 51000 + n, Flag.RST, reply=True, mac=DIRECTOR_MAC),
            ),
            Held(51000 + n, (), 0.0),
        )
        for n in range(5)
    ]
    lives = before_and_after()
    found = stage(
        lives=[removed_at(life, FAILS_S) for life in lives[:10]] + lives[10:] + in_vain() + reset,
        events=LOST,
        unpolled=UNPOLLED,
        booted_s=BOOTED_S,
    ).played(tmp_path)
    assert agreed(found).entries_predicted == 20


def test_a_director_that_was_merely_not_polled_took_what_was_answered(tmp_path: Path) -> None:
    during = [answered(closed(60000 + n, FAILS_S + 0.1 + 0.2 * n)) for n in range(25)]
    found = stage(lives=before_and_after() + during, events=LOST, unpolled=UNPOLLED).played(
        tmp_path
    )
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 45


def test_a_dead_server_behind_a_director_that_was_not_polled_is_no_outage(tmp_path: Path) -> None:
    """Half of the SYNs stay without an answer; their entries are there when it is polled again."""
    syns = [(60000 + n, FAILS_S + 0.1 + 0.2 * n) for n in range(25)]
    during = [
        answered(closed(port, at_s))
        if port % 5
        else Life(
            (Seg(at_s, port, Flag.SYN),),
            Held(port, ((at_s, State.SYN_RECV),), at_s + 60.0 + 5.12),
        )
        for port, at_s in syns
    ]
    found = stage(
        lives=before_and_after() + during, events=LOST, unpolled=UNPOLLED, until_s=1060.0
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 45


def test_where_every_server_is_dead_the_entries_seen_later_say_that_it_took_them(
    tmp_path: Path,
) -> None:
    syns = [(60000 + n, FAILS_S + 0.1 + 0.2 * n) for n in range(25)]
    half_open = [
        Life((Seg(at_s, port, Flag.SYN),), Held(port, ((at_s, State.SYN_RECV),), at_s + 65.0))
        for port, at_s in syns
    ]
    found = stage(
        lives=before_and_after() + half_open, events=LOST, unpolled=UNPOLLED, until_s=1060.0
    ).played(tmp_path)
    assert agreed(found).entries_predicted == 45


def test_a_capture_in_which_nobody_ever_answers_says_nothing_of_a_director(tmp_path: Path) -> None:
    """On a director's side in dr the replies are not seen: no answer does not mean no director."""
    lives = [closed(40000 + n, 1001.0 + 0.5 * n) for n in range(30)]
    found = stage(lives=lives, events=LOST, unpolled=UNPOLLED).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 30


@pytest.mark.parametrize(
    ("lost", "gained"),
    [
        ((FAILS_S, "keepalived-stop", "done in 40 ms"), (BACK_S, "vip-gained", "192.168.10.2")),
        ((FAILS_S, "keepalived", "(VI_1) Entering BACKUP STATE"), None),
        ((FAILS_S + 9, "vip-lost", "192.168.10.2"), (BACK_S + 9, "vip-gained", "192.168.10.2")),
    ],
    ids=["stopped", "relieved", "seen later"],
)
def test_what_is_sent_to_a_director_that_gave_up_the_vip_makes_no_entries(
    tmp_path: Path, lost: tuple[float, str, str], gained: tuple[float, str, str] | None
) -> None:
    """It is polled all the while; its kernel has no such address, and IPVS never sees the SYN."""
    found = stage(
        lives=before_and_after() + in_vain(), events=[lost, *([gained] if gained else [])]
    ).played(tmp_path)
    row = agreed(found)
    assert row.entries_predicted == row.entries_observed == 20


def test_servers_that_do_not_answer_a_director_with_the_vip_are_no_outage(tmp_path: Path) -> None:
    syns = [(50000 + n, FAILS_S + 0.1 + 0.15 * n) for n in range(20)]
    half_open = [
        Life((Seg(at_s, port, Flag.SYN),), Held(port, ((at_s, State.SYN_RECV),), at_s + 65.0))
        for port, at_s in syns
    ]
    events = [(FAILS_S, "keepalived", "(VI_1) Entering BACKUP STATE")]
    found = stage(lives=before_and_after() + half_open, events=events, until_s=1060.0).played(
        tmp_path
    )
    assert agreed(found).entries_predicted == 40


def test_a_packet_at_the_edge_is_not_known_and_said_to_be(tmp_path: Path) -> None:
    """A FIN between the last SYN that was answered and the first that was not."""
    left = answered(opened(41000, FAILS_S - 1))
    at_edge = Life((*left.sent, Seg(FAILS_S - 0.02, 41000, Flag.FIN)), left.held)
    found = stage(
        lives=[*before_and_after(), at_edge, *in_vain()], events=LOST, unpolled=UNPOLLED
    ).played(tmp_path)
    assert agreed(found).entries_predicted == 21
    assert "whether bal01 took 1 packet(s)" in {gap.what for gap in found.not_measured}


def test_a_reply_that_was_on_its_way_does_not_show_that_the_director_still_took_packets(
    tmp_path: Path,
) -> None:
    """A FIN was lost; then another connection's segment, and after it the server's next data."""
    open_still, busy = answered(opened(41000, FAILS_S - 2)), answered(opened(41001, FAILS_S - 2))
    fins = [Seg(FAILS_S + after_s, 41000, Flag.FIN) for after_s in (0.005, 0.205)]
    dialogue = [
        Seg(FAILS_S + 0.010, 41001, Flag.ACK),
        Seg(FAILS_S + 0.011, 41001, Flag.ACK, reply=True, sequence=500, mac=SERVER_MAC),
    ]
    found = stage(
        lives=[
            *before_and_after(),
            Life((*open_still.sent, *fins), open_still.held),
            Life((*busy.sent, *dialogue), busy.held),
            *in_vain(),
        ],
        events=sorted(
            [
                (FAILS_S, "link-down", "done in 40 ms"),
                (BACK_S - 0.5, ENDS_WITH["link-down"], "done in 40 ms"),
                *LOST,
            ]
        ),
        unpolled=UNPOLLED,
    ).played(tmp_path)
    assert agreed(found).entries_predicted == 22


def test_a_handshake_that_ends_elsewhere_as_the_vip_goes_is_not_known_to_have_come(
    tmp_path: Path,
) -> None:
    """Its SYN was the last that this director answered; its ACK was sent here once, then there."""
    syn, reply, _ = answered(opened(41000, FAILS_S)).sent
    acks = (
        Seg(FAILS_S + 0.002, 41000, Flag.ACK),
        Seg(FAILS_S + 0.202, 41000, Flag.ACK, mac=OTHER_MAC),
    )
    held = Held(41000, ((FAILS_S, State.SYN_RECV),), expires_at_s(FAILS_S, 60.0))
    found = stage(
        lives=[*before_and_after()[:10], Life((syn, reply, *acks), held)],
        events=[(FAILS_S + 0.1, "keepalived", "(VI_1) Entering BACKUP STATE")],
        until_s=1080.0,
    ).played(tmp_path)
    assert agreed(found).entries_predicted == 11
    assert "whether bal01 took 1 packet(s)" in {gap.what for gap in found.not_measured}


@pytest.mark.parametrize("events", ["as they were", "without those of the fault"])
def test_a_recorded_fail_over(events: str) -> None:
    """39 SYNs were sent to bal01 while its link was down; it held 60 entries before and after."""
    evidence = gather(Recording.open(DATA / "dr-failover"))
    if events != "as they were":
        kinds = [*ENDS_WITH, *ENDS_WITH.values()]
        evidence = replace(evidence, events=evidence.events[~evidence.events["kind"].isin(kinds)])
    (first, second) = (measure(director, evidence, []) for director in evidence.directors)
    assert first.prediction is not None
    assert len(first.prediction.entries) == 60
    assert second.prediction is not None
    assert len(second.prediction.entries) == 120
