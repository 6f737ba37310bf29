"""A proof of capacity from the rows of a recording."""

from __future__ import annotations

import pandas as pd
import pytest

from analyzer.capacity.proof.document import to_json
from analyzer.capacity.proof.model import Loss
from analyzer.capacity.proof.prove import prove
from analyzer.capacity.proof.wording import verdict
from analyzer.recording.ending import ending_of
from analyzer.recording.manifest import manifest_of
from tests.unit.analyzer.capacity.builders_experiment import (
    BEFORE,
    EVEN,
    LEFT,
    as_computed,
    datagrams,
    experiment,
    links,
)


def test_measured_shares_stand_beside_computed_ones_in_the_size_that_was_asked_for() -> None:
    (loss,) = as_computed().losses
    assert loss.before is not None
    assert loss.after is not None
    assert [each.computed_bps for each in loss.before.carried] == [5e8] * 3
    assert [each.director for each in loss.after.carried] == ["bal02", "bal03"]
    for each in (*loss.before.carried, *loss.after.carried):
        assert each.measured_bps == pytest.approx(each.computed_bps, rel=1e-6)
        assert each.agrees


def test_a_proof_holds_when_all_was_measured_and_is_as_computed() -> None:
    proof = as_computed()
    assert proof.complete
    assert proof.holds
    assert proof.not_measured == ()
    assert verdict(proof).startswith("As computed: with 6 VIPs over 3 directors the busiest link")
    assert verdict(proof).endswith("Nothing was lost of 9,600 datagrams.")


def test_a_share_more_than_three_percent_off_fails() -> None:
    proof = prove("r", experiment(), links(EVEN, {"bal02": 7.8, "bal03": 7.2}), datagrams())
    assert not proof.holds
    assert proof.worst_difference == pytest.approx(0.04, abs=1e-4)
    assert "one share was +4.0% from the computed one (3% allowed)" in verdict(proof)


def test_losses_that_were_not_computed_fail_though_shares_agree() -> None:
    proof = prove("r", experiment(), links(EVEN, LEFT), datagrams(lost_after=300))
    (loss,) = proof.losses
    assert loss.after is not None
    assert (loss.after.lost, loss.after.sent) == (300, 4800)
    assert all(each.agrees for each in loss.after.carried)
    assert not proof.holds
    assert "At worst 6.2% of the traffic was lost" in verdict(proof)


def test_a_machine_that_was_too_busy_says_so() -> None:
    held_up = datagrams(lost_after=300)
    held_up["due"] -= pd.Timedelta(milliseconds=250)
    assert verdict(prove("r", experiment(), links(EVEN, LEFT), held_up)).endswith(
        "The sender was held up for 250 ms: this machine was too busy."
    )


def test_the_dead_ones_vips_are_away_and_the_others_are_not() -> None:
    (loss,) = prove("r", experiment(), links(EVEN, LEFT), datagrams(away_s=2.5)).losses
    assert len(loss.away_s) == 2
    assert list(loss.away_s.values()) == pytest.approx([2.5, 2.5], abs=0.02)
    assert loss.disturbed_s == pytest.approx(0.01, abs=0.001)


def test_delay_is_from_sent_to_received() -> None:
    (loss,) = as_computed().losses
    assert loss.after is not None
    assert (loss.after.delay_p50_ms, loss.after.delay_p99_ms) == pytest.approx((0.2, 0.2))
    assert loss.after.worst_late_ms == 0


def test_bursts_are_computed_with_what_the_queue_holds() -> None:
    proof = prove("r", experiment(burst="2"), links(EVEN, LEFT), datagrams())
    (loss,) = proof.losses
    assert loss.after is not None
    assert loss.after.carried[0].offered_bps == 7.5e8
    assert loss.after.carried[0].computed_bps == pytest.approx(7.5e8 - (250e6 - 74e6))


def test_a_link_without_counters_is_not_measured_and_the_proof_does_not_hold() -> None:
    proof = prove(
        "r", experiment(), links({"bal01": 5.0, "bal02": 5.0}, {"bal02": 7.5}), datagrams()
    )
    (loss,) = proof.losses
    assert loss.after is not None
    assert loss.after.carried[1].measured_bps is None
    assert not proof.holds
    assert ("bal03, after the loss of bal01", "its link's counters are missing") in (
        proof.not_measured
    )


def test_a_run_that_ended_before_says_what_is_missing() -> None:
    cut = Loss(down=(0,), before=BEFORE)
    proof = prove("r", experiment(losses=(cut,)), links(EVEN, LEFT), datagrams())
    assert not proof.complete
    assert proof.losses[0].after is None
    assert proof.losses[0].away_s == {}
    assert proof.not_measured == (("after the loss of bal01", "the run ended before"),)
    none = prove("r", experiment(losses=()), links(EVEN, LEFT), datagrams())
    assert verdict(none) == "Nothing was measured of 6 VIPs over 3 directors."
    assert none.not_measured == (("1 of 1 losses", "the run ended before"),)


def test_a_proof_that_was_interrupted_does_not_hold_and_says_so() -> None:
    tables = links(EVEN, {"bal02": 7.5, "bal03": 7.5}), datagrams()
    whole = prove("r", experiment(), *tables, ending_of(manifest_of({"ended": "completed"})))
    part = prove("r", experiment(), *tables, ending_of(manifest_of({"ended": "interrupted"})))
    none = prove("r", experiment(losses=()), *tables, ending_of(manifest_of({"ended": None})))
    assert whole.holds
    assert not part.holds
    assert verdict(part).startswith("Interrupted after 1 of 1 loss. As computed, as far as")
    assert verdict(none).startswith("Cut off after 0 of 1 loss (its program was killed")
    assert (to_json(part)["ended"], to_json(whole)["ended"]) == ("interrupted", "completed")
