"""A fail-over made by hand, and a run with it."""

from __future__ import annotations

from dataclasses import replace

from analyzer.failover.results import Failback, Failover, Holding, InFlight, Mastership, Parts
from tests.unit.reports import builders_analysis as build


def mastership(director: str, from_s: float, to_s: float, claims: int) -> Mastership:
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
FAILOVER = Failover(
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
    reigns=(mastership("bal01", 0.6, 4.6, 0), mastership("bal02", 8.6, 19.0, 10)),
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
RUN = replace(build.demo(), failover=FAILOVER)
