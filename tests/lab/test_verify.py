"""Directors of a lab looked at: well with a burst's entries; what is wrong is failed by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.lab.topology.layout import HostCounts, lay_out

if TYPE_CHECKING:
    from loadgen.lab.fixture import MakeLab
    from loadgen.lab.lab import Lab

pytestmark = pytest.mark.alone

BIN = Path(sys.executable).parent
VIP = "192.168.10.2"
REQUESTS = 20


NOBODY = "192.168.10.128-192.168.10.143"
"""Addresses that no host of a lab has."""
LARGE, RATE_PER_S, LOAD_S = 20_500, 3000, 180  # which is ended once it has been looked at


def loadgen(lab: Lab, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "loadgen"), *words, "--lab", lab.name],
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )


def begin(lab: Lab, state: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / "loadgen"), *words, "--lab", lab.name],
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def held(lab: Lab) -> int:
    """Entries of the only director, by its counters."""
    lines = lab.directors["bal01"].output("ipvsadm", "-Ln").splitlines()
    return sum(int(n) for line in lines if " Route " in line for n in line.split()[-2:])


def outcomes(document: Any, what: str) -> set[str]:
    return {check["outcome"] for check in document["checks"] if check["what"] == what}


def test_a_lab_with_a_bursts_entries_is_well_and_a_timeout_not_in_force_is_failed(
    lab: Lab, tmp_path: Path
) -> None:
    burst = ("burst", "--vip", VIP, "-n", str(REQUESTS), "--observe", "0", "--no-capture")
    assert loadgen(lab, tmp_path, *burst, "-o", str(tmp_path / "run")).returncode == 0
    well = loadgen(lab, tmp_path, "verify", "--json", "--expect-timeouts", "900,120,300")
    assert well.returncode == 0, well.stdout + well.stderr
    document = json.loads(well.stdout)
    assert max(one["entries"] for one in document["directors"]) >= REQUESTS
    assert any("FIN_WAIT" in check["detail"] for check in document["checks"])
    assert outcomes(document, "services alike") == {"passed"}
    other = loadgen(lab, tmp_path, "verify", "-z", "1", "--json", "--expect-timeouts", "900,30,300")
    assert other.returncode == 99
    found = json.loads(other.stdout)
    assert outcomes(found, "timeouts in force") == {"failed"}
    assert outcomes(found, "counters and entries") == {"passed"}


def test_a_large_table_under_load_is_sampled_and_said_to_be(
    make_ipvs_lab: MakeLab, tmp_path: Path
) -> None:
    """The load goes on while it is looked at, and is the rate that is found."""
    burst = ("burst", "--vip", VIP, "--engine", "packets", "--local-ips", NOBODY)
    flags = (
        "-q",
        str(RATE_PER_S),
        "-z",
        f"{LOAD_S}s",
        "--no-capture",
        "--observe",
        "0",
        "-o",
        str(tmp_path / "run"),
    )
    counts = HostCounts(directors=1, servers=1)
    with make_ipvs_lab(lay_out(counts, vip_by="static")) as lab:
        load = begin(lab, tmp_path, *burst, *flags)
        deadline_s = time.monotonic() + LOAD_S / 2
        while held(lab) < LARGE:
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        looked = loadgen(lab, tmp_path, "verify", "-z", "3", "--json")
        assert load.poll() is None
        load.terminate()
        load.communicate(timeout=60)
    document = json.loads(looked.stdout)
    (director,) = document["directors"]
    # A read under churn gives some twice, the more the slower the machine reads.
    assert 10_000 < director["entries"] <= 20_000
    assert director["sample_of"] >= LARGE
    assert director["connections_per_s"] > 0.2 * RATE_PER_S
    details = {check["what"]: check["detail"] for check in document["checks"]}
    for what in ("entries' states", "counters and entries"):
        assert outcomes(document, what) == {"passed"}, details
        assert "a sample" in details[what]
