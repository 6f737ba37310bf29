"""A director's entries beside the packets, or the requests, behind them."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from analyzer.compared.join import SeenServers, with_packets
from analyzer.ipvs.states import Flag, State, Timeouts
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import Prediction, predict
from analyzer.recording.clock import REACTION_S
from tests.unit.analyzer.builders_packets import (
    Seg,
    clock,
    rules,
    segments,
)
from tests.unit.analyzer.builders_tracked import at, life, tracked


def prediction(*began: tuple[int, float]) -> Prediction:
    """Of connections (port, start), each closed after 0.2 s; flows count from the lowest port."""
    rows = [
        Seg(began_s + after, port, flag)
        for port, began_s in began
        for flag, after in ((Flag.SYN, 0.0), (Flag.ACK, 0.1), (Flag.FIN, 0.2))
    ]
    by = rules(timeouts=Timeouts(tcpfin_s=20))
    return predict(segments(rows), clock(), by, "bal01")


def joined(
    lives: pd.DataFrame, predicted: Prediction, margin_s: float = REACTION_S
) -> pd.DataFrame:
    """Lives with their packets: the same together as flow by flow."""
    lives = lives.sort_values("flow", kind="stable", ignore_index=True)
    found = with_packets(Parted.of(lives), predicted, margin_s).whole()
    each = [rows for _, rows in lives.groupby("flow")] or [lives]
    apart = with_packets(Parted(lambda: iter(each)), predicted, margin_s).whole()
    assert_frame_equal(apart.reset_index(drop=True), found)
    return found


def test_a_life_finds_the_packets_of_its_own_port() -> None:
    found = joined(
        tracked(life(1, 1001.1, 1021.0, 1021.25), life(0, 1000.1, 1020.0, 1020.25)),
        prediction((1, 1000.0), (2, 1001.0)),
    )
    last_s = {row["flow"]: row["last_ns"] for row in found.to_dict("records")}
    assert last_s == {0: at(1000.2), 1: at(1001.2)}
    assert set(found["predicted_state"]) == {State.FIN_WAIT}
    assert set(found["timeout_s"]) == {20}


def test_an_entry_of_somebody_else_has_no_packets() -> None:
    found = joined(tracked(life(7, 1000.1, 1020.0, 1020.25)), prediction((1, 1000.0)))
    assert found["last_ns"].isna().all()
    assert found["entry"].isna().all()


def test_an_entry_that_went_before_our_packets_is_not_ours() -> None:
    """The same port, used by an earlier run."""
    found = joined(tracked(life(0, 900.0, 950.0, 950.25)), prediction((1, 1000.0)))
    assert found["last_ns"].isna().all()


def test_two_lives_of_a_port_have_each_their_own_packets() -> None:
    found = joined(
        tracked(life(0, 1000.1, 1020.25, 1020.5), life(0, 1100.1, 1120.25, 1120.5)),
        prediction((1, 1000.0), (1, 1100.0)),
    )
    assert sorted(found["last_ns"]) == [at(1000.2), at(1100.2)]


def reset(port: int, began_s: float) -> list[Seg]:
    """A connection of 0.1 s that was reset: its entry is in CLOSE."""
    flags = ((Flag.SYN, 0.0), (Flag.ACK, 0.05), (Flag.RST, 0.1))
    return [Seg(began_s + after, port, flag) for flag, after in flags]


def reused(*began_s: float) -> Prediction:
    """One port, used again each time while the old entry is in CLOSE."""
    rows = [seg for at_s in began_s for seg in reset(1, at_s)]
    return predict(segments(rows), clock(), rules(), "bal01")


@pytest.mark.parametrize("off_s", [-0.015, -0.001, 0.0, 0.001, 0.015])
def test_a_life_last_seen_just_as_its_port_was_used_again_is_the_old_one(off_s: float) -> None:
    """The clocks of polls and packets do not agree to the millisecond: neither order is sure."""
    found = joined(
        tracked(life(0, 1000.1, 1005.0 + off_s, 1005.1), life(0, 1005.1, 1015.0, 1015.2)),
        reused(1000.0, 1005.0),
        margin_s=0.02,
    )
    assert found["entry"].tolist() == [0, 1]
    assert found["cause"].tolist() == ["port-reuse", "timer"]


def test_a_life_last_seen_long_after_its_port_was_used_again_is_the_new_one() -> None:
    """The successor went to the same server, so the polls show one entry that goes on."""
    predicted = reused(1000.0, 1005.0)
    found = joined(tracked(life(0, 1000.1, 1015.0, 1015.2)), predicted)
    assert found["entry"].tolist() == [1]
    assert SeenServers.of(found).of_entries(predicted.entries).tolist() == ["192.168.10.21:80"] * 2


def test_an_entry_between_two_polls_was_not_seen() -> None:
    predicted = reused(1000.0, 1000.2)
    found = joined(tracked(life(0, 1000.3, 1010.3, 1010.5)), predicted)
    seen = SeenServers.of(found).of_entries(predicted.entries)
    assert seen.tolist() == [pd.NA, "192.168.10.21:80"]


def test_a_life_that_our_first_packet_ended_is_somebody_elses() -> None:
    """It was there before, and was last seen a millisecond after our SYN made a new entry."""
    found = joined(
        tracked(life(0, 990.0, 1000.001, 1000.1), life(0, 1000.1, 1010.0, 1010.2)), reused(1000.0)
    )
    assert found["entry"].tolist() == [pd.NA, 0]


def test_a_life_seen_once_as_it_began_is_that_of_its_packets() -> None:
    """Whichever of the SYN and the poll that saw its entry the clocks put first."""
    for seen_s in (999.99, 1000.0, 1000.01):
        found = joined(tracked(life(0, seen_s, seen_s, 1011.0)), reused(1000.0))
        assert found["entry"].tolist() == [0]


@given(st.lists(st.integers(3, 60), min_size=1, max_size=6), st.integers(-19, 19), st.data())
def test_lives_and_entries_of_a_flow_come_in_the_same_order(
    gaps: list[int], off_ms: int, data: st.DataObject
) -> None:
    """A port used again and again, every poll's clock off by less than the margin."""
    began_s = [1000.0 + sum(gaps[:n]) * 0.1 for n in range(len(gaps) + 1)]
    servers = data.draw(st.permutations(range(len(began_s))))
    seen, poll_s = [], 0.1
    for number, at_s in enumerate(began_s):
        later = began_s[number + 1 : number + 2]
        ends_s = later[0] if later else at_s + 10.1
        first_s = (math.floor(at_s / poll_s) + 1) * poll_s
        last_s = (math.ceil(ends_s / poll_s) - 1) * poll_s
        shown_s, last_shown_s = (round(each_s + off_ms / 1000, 3) for each_s in (first_s, last_s))
        row = life(0, shown_s, last_shown_s, None)
        row[-2:] = [at(last_s + poll_s + off_ms / 1000)] * 2
        row[2] = f"192.168.10.{servers[number]}:80"
        seen.append(row)
    found = joined(tracked(*seen), reused(*began_s), margin_s=0.02)
    assert found["entry"].tolist() == list(range(len(began_s)))


def test_what_is_still_there_has_its_latest_packets() -> None:
    found = joined(tracked(life(0, 1100.1, None, None)), prediction((1, 1000.0), (1, 1100.0)))
    assert found["last_ns"].tolist() == [at(1100.2)]


def test_no_lives_and_no_packets_join_to_nothing() -> None:
    assert len(joined(tracked(), prediction((1, 1000.0)))) == 0
    found = joined(tracked(life(0, 1000.1, None, None)), prediction())
    assert found["last_ns"].isna().all()


def test_an_entry_finds_why_and_when_it_was_to_go() -> None:
    (row,) = joined(tracked(life(0, 1000.1, 1020.0, 1020.25)), prediction((1, 1000.0))).to_dict(
        "records"
    )
    assert (row["entry"], row["cause"], row["ends_ns"]) == (0, "timer", at(1020.2))
