"""The fail-over's part of the page says what was measured, and what was not."""

from __future__ import annotations

from dataclasses import replace

from analyzer.failover.results import Failback, Failover, Holding, InFlight, Mastership, Parts
from reports.run.page import render_page
from reports.run.sections import failover
from tests.unit.reports import builders_analysis as build


def reign(director: str, from_s: float, to_s: float, claims: int) -> Mastership:
    return Mastership(
        director=director,
        vrid=41,
        priority=10,
        interval_s=1.0,
        from_s=from_s,
        to_s=to_s,
        gave_up_s=None,
        claims=claims,
        first_claim_s=from_s if claims else None,
    )


FATE = InFlight(survived=9, reset=1, other=0, longest_stall_s=6.5)
TOLD = Failover(
    valid=True,
    why_invalid=None,
    fault="bal01: link-down",
    how="silence",
    old_master="bal01",
    new_master="bal02",
    outage_s=3.62,
    outage_over=True,
    resolution_s=0.02,
    client_late_s=0.004,
    predicted_outage_s=3.60,
    predicted_range_s=(2.965, 3.965),
    prediction_uncertainty_s=0.01,
    advert_age_s=0.365,
    master_down_interval_s=3.965,
    skew_s=0.965,
    fault_s=5.0,
    takeover_s=8.6,
    undone_s=15.0,
    sent=500,
    late=181,
    failed=0,
    parts_s=Parts(
        until_fault=0.01, detection=3.6, takeover=0.002, gratuitous_arp=0.001, first_success=0.007
    ),
    syn_retries={"1": 50},
    in_flight={"download": FATE},
    would_survive=9,
    failback=Failback(
        gap_s=0.13, reset=2, late=0, failed=0, in_flight={"download": FATE}, master_again_s=4.1
    ),
    reigns=(reign("bal01", 0.6, 4.6, 0), reign("bal02", 8.6, 19.0, 10)),
    master_changes=1,
    two_masters_s=0.0,
    black_hole=None,
    entries=(
        Holding(
            director="bal01",
            phase="at the take-over",
            t_s=8.6,
            active=None,
            inactive=None,
            entries=None,
            synced=None,
        ),
    ),
)
RUN = replace(build.demo(), failover=TOLD)


def test_a_run_that_was_no_failover_has_no_such_part() -> None:
    assert failover.section(build.demo()) is None


def test_predicted_stands_beside_observed_and_what_was_not_asked_is_not_measured() -> None:
    html = render_page(RUN)
    assert 'id="failover"' in html
    for text in ("3.600", "3.620", "+0.020", "2.965 to 3.965", "during the failback"):
        assert text in html
    rows = html[html.index("Entries on the directors") :]
    assert "not measured" in rows[: rows.index("</table>")]


def test_the_bands_end_when_nobody_had_to_believe_in_them_any_more() -> None:
    made = failover.section(RUN)
    assert made is not None
    figure = made.charts[0].figure
    assert figure is not None
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [(bar.name, bar.base[0], round(bar.base[0] + bar.x[0], 3)) for bar in bars] == [
        ("bal01", 0.6, 5.6),
        ("bal02", 8.6, 20.0),
    ]


def test_an_invalid_run_says_so_before_any_figure() -> None:
    made = failover.section(
        replace(RUN, failover=replace(TOLD, valid=False, why_invalid="two holders"))
    )
    assert made is not None
    assert made.summary.startswith("This run is invalid: two holders")


def test_a_name_from_the_wire_cannot_become_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    html = render_page(
        replace(RUN, failover=replace(TOLD, old_master=evil, reigns=(reign(evil, 1.0, 5.0, 0),)))
    )
    assert "<img" not in html
