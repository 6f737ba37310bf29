"""A sweep that is killed at any moment, and one of four values against the model's curve.

The first kills a sweep with SIGKILL at 20 random moments, from before anything was asked of the
directors to after the timeouts came back, and looks at the timeouts after the next command. The
second sweeps four values with loads that last into the steady state.
"""

from __future__ import annotations

import json
import random
import signal
import time
from typing import TYPE_CHECKING

from loadgen.lab.lab import Lab
from tests.lab.sweeping import present, start

if TYPE_CHECKING:
    from pathlib import Path

KILLS, SEED = 20, 8
VALUES_S, LOAD_S, RATE_PER_S = (5, 10, 15, 20), 30, 50
LIMIT_S = 360.0
BURST = ("burst", "-n", "1", "--observe", "0", "--no-capture")


def test_after_kill_9_at_any_moment_the_next_command_has_the_old_timeouts_back(
    tmp_path: Path,
) -> None:
    choice = random.Random(SEED)
    changed = back = 0
    with Lab(name="benchkill").up() as lab:
        old = present(lab)
        flags = ("--tcpfin", "1,2", "-n", "3", "--no-capture")
        began_s = time.monotonic()
        whole = start(lab, tmp_path, "sweep", *flags, "-o", str(tmp_path / "whole"))
        _, err = whole.communicate()
        assert whole.returncode == 0, err
        length_s = time.monotonic() - began_s
        for number in range(KILLS):
            at_s = choice.uniform(0, length_s)
            sweep = start(lab, tmp_path, "sweep", *flags, "-o", str(tmp_path / f"s{number}"))
            time.sleep(at_s)
            sweep.send_signal(signal.SIGKILL)
            sweep.communicate()
            left = present(lab) != old
            following = start(lab, tmp_path, *BURST, "-o", str(tmp_path / f"b{number}"))
            _, err = following.communicate()
            changed += left
            back += following.returncode == 0 and present(lab) == old
            assert ("as they were" in err) == left
    print(f"\nkill -9 of a sweep of {length_s:.1f} s at {KILLS} random moments (seed {SEED}):")
    print(f"  timeouts changed at that moment   {changed} of {KILLS}")
    print(f"  old ones after the next command   {back} of {KILLS}")
    assert back == KILLS


def test_a_sweep_over_four_values_lies_on_the_models_curve(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    values = ",".join(map(str, VALUES_S))
    load = ("-q", str(RATE_PER_S), "-z", f"{LOAD_S}s")
    with Lab(name="benchcurve").up() as lab:
        old, began_s = present(lab), time.monotonic()
        sweep = start(
            lab, tmp_path, "sweep", "--tcpfin", values, *load, "--json", "-o", str(folder)
        )
        out, err = sweep.communicate(timeout=2 * LIMIT_S)
        took_s = time.monotonic() - began_s
        assert sweep.returncode == 0, err
        assert present(lab) == old
    found = json.loads(out)
    print(f"\ntcpfin {values} s, {RATE_PER_S}/s for {LOAD_S} s each: {took_s:.0f} s in all")
    for point in found["points"]:
        timeout, granule_s = point["timeout"], point["granule_s"]
        print(
            f"  {point['tcpfin_s']:>3g} s: timeout {timeout['value']:.3f} ± "
            f"{timeout['uncertainty']:.3f} (granule {granule_s:.2f})"
        )
        for name in ("peak_inactive", "steady_inactive"):
            one = point[name]
            print(
                f"         {name:<16} {one['measured']:.1f}, model {one['model']:.1f} "
                f"± {one['uncertainty']:.1f}"
            )
            assert one["agrees"], point
        assert point["timeout_agrees"], point
    print(f"  knee: {found['knee']['why']}")
    assert took_s < LIMIT_S
