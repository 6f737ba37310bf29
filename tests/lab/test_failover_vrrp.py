"""A pair as clouds have it: unicast advertisements twice a second, and no way back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.lab.topology.layout import lay_out
from tests.lab.delays import measured_delays

if TYPE_CHECKING:
    from loadgen.lab.fixture import MakeLab

pytestmark = pytest.mark.alone

LOADGEN = Path(sys.executable).parent / "loadgen"
VIP = "192.168.10.2"
LIMIT_S = 60.0
MASTER_DOWN_S = 3 * 0.5 + 0.5 * 247 / 256  # version 3, priority 9


def test_a_unicast_pair_without_preemption_fails_over_as_its_own_captures_say(
    make_ipvs_lab: MakeLab, tmp_path: Path
) -> None:
    lab = make_ipvs_lab(
        lay_out(vrrp="unicast", vrrp_version=3, advert_interval_s=0.5, nopreempt=True)
    )
    flags = ("--fault", "bal01:link-down", "--before", "2s", "--after", "5s", "--tail", "5s")
    options = ("--lab", lab.name, "--no-in-flight", "-o", str(tmp_path / "run"), "--json")
    with measured_delays(lab, "bal02") as delays:
        done = subprocess.run(
            [str(LOADGEN), "failover", "--vip", VIP, *flags, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["failover"]
    assert figures["valid"], figures["why_invalid"]
    assert (figures["how"], figures["seen_by"]) == ("silence", "bal02")
    assert figures["master_down_interval_s"] == pytest.approx(MASTER_DOWN_S)
    assert figures["outage_s"] == pytest.approx(
        figures["predicted_outage_s"], abs=delays.allowed_s(0.1)
    )
    back = figures["failback"]
    assert (back["never_due"], back["master_again_s"]) == (True, None)
    assert "bal01 did not take the VIP back (nopreempt)" in done.stderr.replace("\n", " ")
