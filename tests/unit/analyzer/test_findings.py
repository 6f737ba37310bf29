"""Each rule with and without what it looks for, and the sentence that heads the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analyzer.client.results import Latency, Requests
from analyzer.findings import findings, verdict
from analyzer.findings.decay.timeouts import governing
from analyzer.findings.figures import Figures, agrees, lifetime_sentence, measured
from analyzer.recording.log_clock import LogClock
from analyzer.results import Agreement, Estimate, Event, Finding, Lifetime, Peak, Spread

LATENCY = Latency(p50=1, p90=2, p99=3, max=4)
REQUESTS = Requests(
    sent=50,
    succeeded=50,
    failed=0,
    late=0,
    duration_s=0.5,
    rate_per_s=100.0,
    connect_ms=LATENCY,
    first_byte_ms=LATENCY,
    total_ms=LATENCY,
)
FIN_WAIT = Lifetime(
    director="bal01",
    state="FIN_WAIT",
    counted="inactive",
    timeout_name="tcpfin",
    timeout_s=20,
    n=50,
    n_expired=50,
    lifetime_s=Spread(mean=20.32, min=20.01, max=20.63, uncertainty=0.13),
    timeout_measured_s=Estimate(value=20.01, uncertainty=0.1),
    granule_s=0.64,
    prediction_error_s=None,
)
TIME_WAIT = replace(
    FIN_WAIT,
    state="TIME_WAIT",
    timeout_name="fixed",
    timeout_s=120,
    lifetime_s=Spread(mean=122.7, min=120.1, max=125.0, uncertainty=0.13),
    timeout_measured_s=Estimate(value=120.1, uncertainty=0.3),
    granule_s=5.12,
)
AGREEMENT = Agreement(
    director="bal01",
    entries_observed=50,
    entries_predicted=50,
    state_matches=4000,
    state_samples=4000,
    active_max_error=0,
    inactive_max_error=0,
    worst_expiry_error_s=0.1,
    disagreement_polls=0,
    residuals={"poll": 50},
)
FIGURES = Figures(
    requests=REQUESTS,
    peaks=[
        Peak(director="bal01", active=1, inactive=50),
        Peak(director="bal02", active=0, inactive=0),
        Peak(director=None, active=1, inactive=50),
    ],
    lifetimes=[FIN_WAIT],
    agreement=[AGREEMENT],
    events=[Event(t_s=0.1, host="client", kind="burst-start", detail="50 requests")],
    forwarding="dr",
    capture_dropped=0,
    foreign_entries={"bal01": 0, "bal02": 0},
)


def found(**changes: Any) -> dict[str, Finding]:
    return {one.id: one for one in findings(replace(FIGURES, **changes))}


def test_a_run_where_all_is_well_says_what_governs_and_how_late() -> None:
    assert set(found()) == {"tcpfin-governs", "expires-late"}
    assert {one.severity for one in found().values()} == {"info"}


def test_every_finding_has_numbers_and_advice() -> None:
    for one in found().values():
        assert one.title
        assert one.evidence
        assert one.advice
    assert "20.32" in found()["tcpfin-governs"].evidence
    assert "0.64" in found()["expires-late"].title


def test_tcpfin_that_measures_otherwise_is_a_warning() -> None:
    row = replace(FIN_WAIT, timeout_s=30)
    one = found(lifetimes=[row])["tcpfin-governs"]
    assert one.severity == "warning"
    assert "30 s" in one.evidence


@pytest.mark.parametrize(
    "row",
    [
        replace(FIN_WAIT, timeout_s=None),  # could not be read
        replace(FIN_WAIT, timeout_measured_s=None),  # HZ not known
        replace(FIN_WAIT, n_expired=0, lifetime_s=None, timeout_measured_s=None),  # none seen to go
    ],
)
def test_tcpfin_governs_also_where_nothing_can_be_compared(row: Lifetime) -> None:
    assert found(lifetimes=[row])["tcpfin-governs"].severity == "info"


def test_a_fixed_timeout_says_that_tcpfin_has_no_effect() -> None:
    ids = found(lifetimes=[TIME_WAIT], forwarding="nat")
    assert "tcpfin-has-no-effect" in ids
    assert "tcpfin-governs" not in ids
    assert "TIME_WAIT" in ids["tcpfin-has-no-effect"].title
    assert "120 s" in ids["tcpfin-has-no-effect"].evidence


def test_without_entries_nothing_governs() -> None:
    assert set(found(lifetimes=[])) == set()


def test_active_entries_govern_only_where_none_became_inactive() -> None:
    open_ones = replace(FIN_WAIT, state="ESTABLISHED", counted="active", timeout_name="tcp", n=90)
    assert governing([open_ones]) is open_ones
    assert "tcpfin-governs" not in found(lifetimes=[open_ones])
    assert governing([open_ones, FIN_WAIT]) is FIN_WAIT
    assert "tcpfin-governs" in found(lifetimes=[open_ones, FIN_WAIT])


def test_the_largest_group_governs() -> None:
    few = replace(TIME_WAIT, n=3)
    assert governing([few, FIN_WAIT]) is FIN_WAIT
    assert governing([few]) is few
    assert governing([]) is None


@pytest.mark.parametrize(
    ("mean_s", "late"),
    [
        (20.32, True),  # half a granule
        (20.02, False),  # below notice
        (20.75, True),  # a granule and what a poll may add
        (23.0, False),  # later than the wheel explains: that is no lateness
        (19.0, False),  # early
    ],
)
def test_lateness_is_reported_where_the_wheel_explains_it(mean_s: float, late: bool) -> None:
    row = replace(FIN_WAIT, lifetime_s=Spread(mean=mean_s, min=19, max=24, uncertainty=0.13))
    assert ("expires-late" in found(lifetimes=[row])) is late


def test_lateness_without_hz_is_not_reported() -> None:
    assert "expires-late" not in found(lifetimes=[replace(FIN_WAIT, granule_s=None)])


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"unexplained_polls": 2}, False),  # for two polls it may
        ({"unexplained_polls": 3}, True),
        ({"disagreement_polls": 9}, False),  # explained by what clocks and polls leave open
        ({"residuals": {"poll": 40, "clock": 3, "timer": 2, "poll_width": 5}}, False),
        ({"residuals": {"poll": 49, "unexplained": 1}, "unexplained_s": 2.5}, True),
        ({"state_matches": 3999}, True),
        ({"state_matches": 0, "state_samples": 0}, False),
        ({"active_max_error": None, "inactive_max_error": None}, False),
    ],
)
def test_a_prediction_that_differs_is_a_warning(changes: dict[str, Any], differs: bool) -> None:
    ids = found(agreement=[replace(AGREEMENT, **changes)])
    assert ("prediction-differs" in ids) is differs
    if differs:
        assert ids["prediction-differs"].severity == "warning"


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        (
            {"unexplained_polls": 7, "inactive_max_error": 12},
            "bal01: InActConn is off by more than 2 entries for 7 polls in a row (up to 12).",
        ),
        ({"state_matches": 3999}, "bal01: 1 of 4,000 states differ."),
        (
            {"residuals": {"unexplained": 3}, "unexplained_s": 2.5},
            "bal01: 3 expiries are off by more than polls and clocks explain (up to 2.50 s).",
        ),
    ],
)
def test_a_prediction_that_differs_names_what_differs_and_nothing_else(
    changes: dict[str, Any], evidence: str
) -> None:
    ids = found(agreement=[replace(AGREEMENT, **changes), replace(AGREEMENT, director="bal02")])
    assert ids["prediction-differs"].evidence == evidence


BY_STAMPS = LogClock(
    zone="UTC",
    utc_offset_s=0.0,
    dated=True,
    resolution_s=1.0,
    joined=True,
    confirmed=False,
    shift_s=0.0,
    uncertainty_s=0.5,
    why="3 shifts fit alike",
)


def test_where_the_clocks_are_not_confirmed_they_are_doubted_before_the_director() -> None:
    row = replace(AGREEMENT, unexplained_polls=7, inactive_max_error=12)
    one = found(agreement=[row], log_clock=BY_STAMPS)["prediction-differs"]
    assert one.severity == "info"
    assert "another offset of the log's clock may explain all of it" in one.evidence
    sure = found(agreement=[row], log_clock=replace(BY_STAMPS, confirmed=True))
    assert sure["prediction-differs"].severity == "warning"


@pytest.mark.parametrize(("foreign", "differs"), [(0, True), (2, True), (3, False)])
def test_counters_that_also_count_foreign_entries_are_no_evidence(
    foreign: int, differs: bool
) -> None:
    row = replace(AGREEMENT, unexplained_polls=9)
    others = {AGREEMENT.director: foreign}
    assert ("prediction-differs" in found(agreement=[row], foreign_entries=others)) is differs
    stated = replace(row, state_matches=3999)
    assert "prediction-differs" in found(agreement=[stated], foreign_entries=others)


def test_failed_requests_are_a_problem_and_come_first() -> None:
    some = replace(REQUESTS, succeeded=48, failed=2)
    (first, *_) = findings(replace(FIGURES, requests=some))
    assert (first.id, first.severity) == ("requests-failed", "problem")
    assert "2 of 50" in first.title


@pytest.mark.parametrize(("dropped", "reported"), [(None, False), (0, False), (3, True)])
def test_packets_that_the_kernel_dropped_are_reported(dropped: int | None, reported: bool) -> None:
    ids = found(capture_dropped=dropped)
    assert ("capture-incomplete" in ids) is reported
    if reported:
        assert "3 packets" in ids["capture-incomplete"].evidence


def test_packets_that_were_dropped_are_reported_with_their_time_ranges() -> None:
    losses = [(3.0, 12), (4.0, 30), (9.25, 1)]
    drops = [
        Event(t_s=t_s, host="client", kind="capture-drop", detail=f"{n} packets within 1.00 s")
        for t_s, n in losses
    ]
    one = found(events=drops, capture_dropped=43)["capture-incomplete"]
    assert one.evidence == (
        "The kernel dropped 43 packets before the capture: 2.0 to 4.0 s (42), 8.2 to 9.2 s (1)."
    )


def test_only_the_first_time_ranges_of_many_are_listed() -> None:
    drops = [
        Event(t_s=t_s, host="client", kind="capture-drop", detail="1 packets within 1.00 s")
        for t_s in range(2, 40, 2)
    ]
    one = found(events=drops, capture_dropped=None)["capture-incomplete"]
    assert one.evidence.startswith("The kernel dropped 19 packets before the capture: 1.0 to 2.0 s")
    assert one.evidence.endswith(" and 14 more.")


def test_a_capture_that_stopped_is_reported_with_the_moment() -> None:
    end = Event(t_s=7.3, host="client", kind="capture-stopped", detail="No space left on device")
    one = found(events=[end])["capture-incomplete"]
    assert "At 7.3 s the capture on client stopped: No space left on device" in one.evidence


def test_a_lost_link_is_reported_with_the_moment() -> None:
    lost = Event(t_s=7.3, host="bal02", kind="link-lost", detail="no answer in 30 s")
    one = found(events=[*FIGURES.events, lost])["director-lost"]
    assert "bal02" in one.title
    assert "7.3 s" in one.evidence


def test_of_a_link_that_came_and_went_the_first_losses_are_told() -> None:
    lost = [Event(t_s=t_s, host="bal02", kind="link-lost", detail="") for t_s in range(40)]
    evidence = found(events=lost)["director-lost"].evidence
    assert evidence.count("bal02") == 5
    assert evidence.endswith("4.0 s: bal02; and 35 more")


def test_entries_of_other_clients_are_reported() -> None:
    one = found(foreign_entries={"bal01": 17, "bal02": 0})["foreign-entries"]
    assert "17 on bal01" in one.evidence
    assert "bal02" not in one.evidence


def test_the_worst_come_first() -> None:
    order = {"problem": 0, "warning": 1, "info": 2}
    all_of_them = findings(
        replace(
            FIGURES,
            requests=replace(REQUESTS, succeeded=49, failed=1),
            capture_dropped=1,
            foreign_entries={"bal01": 1},
        )
    )
    ranks = [order[one.severity] for one in all_of_them]
    assert ranks == sorted(ranks)
    assert len({one.id for one in all_of_them}) == len(all_of_them) == 5


@pytest.mark.parametrize(
    ("measured_s", "configured_s", "judged"),
    [
        (Estimate(value=20.1, uncertainty=0.1), 20, True),  # at the very edge
        (Estimate(value=20.11, uncertainty=0.1), 20, False),
        (Estimate(value=19.9, uncertainty=0.32), 20, True),
        (None, 20, None),
        (Estimate(value=20.0, uncertainty=0.1), None, None),
    ],
)
def test_measured_and_configured_agree_within_the_uncertainty(
    measured_s: Estimate | None, configured_s: float | None, judged: bool | None
) -> None:
    row = replace(FIN_WAIT, timeout_measured_s=measured_s, timeout_s=configured_s)
    if measured_s is not None and judged:
        row = replace(row, timeout_measured_s=replace(measured_s, value=measured_s.value - 1e-9))
    assert agrees(row) is judged


def test_words_for_what_was_measured() -> None:
    assert measured(FIN_WAIT) == "measured 20.01 ± 0.10 s"
    assert measured(replace(FIN_WAIT, timeout_measured_s=None)) == "not measured"
    unseen = replace(FIN_WAIT, lifetime_s=None, n_expired=0)
    assert lifetime_sentence(unseen) == "none of 50 entries was seen to expire"
    assert "50 of 50 entries expired" in lifetime_sentence(replace(FIN_WAIT, lifetime_s=None))
    assert "50 of 50" in lifetime_sentence(FIN_WAIT)


VERDICTS = [
    # figures, words that the sentence must hold, words that it must not
    (
        FIGURES,
        ["50 of 50", "tcpfin governs", "FIN_WAIT", "in agreement", "peaked at 50"],
        ["not in"],
    ),
    (
        replace(FIGURES, lifetimes=[replace(FIN_WAIT, timeout_s=30)]),
        ["not in agreement", "30 s"],
        [],
    ),
    (
        replace(FIGURES, lifetimes=[TIME_WAIT]),
        ["tcpfin does not matter here", "TIME_WAIT", "120 s fixed"],
        ["tcpfin governs"],
    ),
    (
        replace(FIGURES, lifetimes=[replace(FIN_WAIT, timeout_s=None)]),
        ["configured not known"],
        ["in agreement"],
    ),
    (
        replace(FIGURES, lifetimes=[replace(FIN_WAIT, lifetime_s=None, n_expired=0)]),
        ["no entry was seen to expire"],
        ["in agreement"],
    ),
    (replace(FIGURES, lifetimes=[], peaks=[]), ["50 of 50", "no timeout could be measured"], []),
    (
        replace(
            FIGURES,
            requests=replace(REQUESTS, sent=0, succeeded=0, rate_per_s=None),
            lifetimes=[],
            peaks=[],
        ),
        ["No entry was seen"],
        ["requests succeeded"],
    ),
]


@pytest.mark.parametrize(("figures", "holds", "lacks"), VERDICTS)
def test_the_verdict_is_one_sentence_with_the_numbers(
    figures: Figures, holds: list[str], lacks: list[str]
) -> None:
    said = verdict(figures)
    assert said.endswith(".")
    assert "\n" not in said
    for words in holds:
        assert words.casefold() in said.casefold()
    for words in lacks:
        assert words.casefold() not in said.casefold()


def test_a_rate_that_nobody_sustained_is_not_forecast() -> None:
    """Fifty requests within 45 ms are no 1,100 a second, nor ten times that."""
    burst = replace(REQUESTS, sent=50, duration_s=0.045, rate_per_s=50 / 0.045)
    (one,) = (each for each in findings(replace(FIGURES, requests=burst)) if each.id == GOVERNS)
    assert "Sustained" not in one.advice
    load = replace(REQUESTS, sent=500, duration_s=5.0, rate_per_s=100.0)
    (one,) = (each for each in findings(replace(FIGURES, requests=load)) if each.id == GOVERNS)
    assert (
        "At a sustained 1,000 requests/s (10 times the rate of this run's 500 requests"
        in one.advice
    )


GOVERNS = "tcpfin-governs"
