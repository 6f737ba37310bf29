"""Directors of a lab looked at: well with a burst's entries; what is wrong is failed by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadgen.lab.lab import Lab

BIN = Path(sys.executable).parent
VIP = "192.168.10.2"
REQUESTS = 20


def loadgen(lab: Lab, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "loadgen"), *words, "--lab", lab.name],
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )


def outcomes(document: Any, what: str) -> set[str]:
    return {check["outcome"] for check in document["checks"] if check["what"] == what}


def test_a_lab_with_a_bursts_entries_is_well_and_a_timeout_not_in_force_is_failed(
    lab: Lab, tmp_path: Path
) -> None:
    burst = ("burst", "--vip", VIP, "-n", str(REQUESTS), "--observe", "0", "--no-capture")
    assert loadgen(lab, tmp_path, *burst, "-o", str(tmp_path / "run")).returncode == 0
    began_s = time.monotonic()
    well = loadgen(lab, tmp_path, "verify", "--json", "--expect-timeouts", "900,120,300")
    took_s = time.monotonic() - began_s
    assert well.returncode == 0, well.stdout + well.stderr
    document = json.loads(well.stdout)
    assert max(one["entries"] for one in document["directors"]) >= REQUESTS
    assert any("FIN_WAIT" in check["detail"] for check in document["checks"])
    assert outcomes(document, "services alike") == {"passed"}
    assert took_s < 30
    other = loadgen(lab, tmp_path, "verify", "-z", "1", "--json", "--expect-timeouts", "900,30,300")
    assert other.returncode == 99
    found = json.loads(other.stdout)
    assert outcomes(found, "timeouts in force") == {"failed"}
    assert outcomes(found, "counters and entries") == {"passed"}
