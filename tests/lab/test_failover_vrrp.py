"""A pair as clouds have it: unicast advertisements twice a second, and no way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadgen.lab.topology.layout import lay_out
from tests.lab.failing_over import failed_over

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.lab.fixture import MakeLab
    from loadgen.lab.lab import Lab

pytestmark = pytest.mark.alone

MASTER_DOWN_S = 3 * 0.5 + 0.5 * 247 / 256  # version 3, priority 9


def test_a_unicast_pair_without_preemption_fails_over_as_its_own_captures_say(
    make_ipvs_lab: MakeLab, tmp_path: Path
) -> None:
    def pair() -> Lab:
        layout = lay_out(vrrp="unicast", vrrp_version=3, advert_interval_s=0.5, nopreempt=True)
        return make_ipvs_lab(layout)

    flags = ("--fault", "bal01:link-down", "--before", "2s", "--after", "5s", "--tail", "5s")
    run = failed_over(pair, tmp_path, *flags, "--no-in-flight")
    figures = run.document["failover"]
    assert (figures["how"], figures["seen_by"]) == ("silence", "bal02")
    assert figures["master_down_interval_s"] == pytest.approx(MASTER_DOWN_S)
    assert figures["outage_s"] == pytest.approx(
        figures["predicted_outage_s"], abs=run.delays.allowed_s(0.1)
    )
    back = figures["failback"]
    assert (back["never_due"], back["master_again_s"]) == (True, None)
    assert "bal01 did not take the VIP back (nopreempt)" in run.said.replace("\n", " ")
