"""Plans of VIPs tried in the lab: measured shares beside computed ones, before and after losses.

Each case is a run of ``loadgen capacity-proof``: three directors of 1 Gbit/s, 1.5 Gbit/s in, a
hundredth of both in the lab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Prove = Callable[..., dict[str, Any]]

LOADGEN = Path(sys.executable).with_name("loadgen")
LIMIT_S = 200
THREE = ("--hosts", "3", "--link", "1G", "--ingress", "1.5G", "--failures", "1")


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """Run the command with some words; its document."""

    def run(*words: str) -> dict[str, Any]:
        name = f"b{os.getpid()}"
        argv = [str(LOADGEN), "capacity-proof", *THREE, *words, "--name", name, "--json"]
        done = subprocess.run(
            [*argv, "-o", str(tmp_path / "run")],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode in (0, 99), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        show(document)
        assert (document["holds"], done.returncode) in ((True, 0), (False, 99))
        return document

    return run


def show(document: dict[str, Any]) -> None:
    """The figures, a line for each window."""
    print(f"\n{document['verdict']}")
    for loss in document["losses"]:
        away = [f"{value:.2f}" for value in loss["away_s"].values()]
        print(f"loss of {' '.join(loss['down'])}: VIPs away {' '.join(away)} s")
        for name in ("before", "after"):
            state = loss[name]
            rows = [
                f"{each['director']} {each['computed_gbps']:.3f} computed "
                f"{each['measured_gbps']:.3f} ({each['difference']:+.1%})"
                for each in state["directors"]
            ]
            print(
                f"  {name}: {'; '.join(rows)}; lost {state['lost']} of {state['sent']} "
                f"({state['lost_share']:.2%}, computed {state['computed_lost_share']:.2%}); "
                f"p99 {state['delay_ms']['p99']:.1f} ms"
            )


def shares(loss: dict[str, Any], when: str) -> list[float]:
    """Computed shares, each known to be near the measured one."""
    assert all(abs(each["difference"]) <= 0.03 for each in loss[when]["directors"])
    return [each["computed_gbps"] for each in loss[when]["directors"]]


def test_six_vips_survive_any_of_three_directors(prove: Prove) -> None:
    document = prove()
    assert document["vips"] == 6
    assert [loss["down"] for loss in document["losses"]] == [["bal01"], ["bal02"], ["bal03"]]
    for loss in document["losses"]:
        assert shares(loss, "before") == [0.5, 0.5, 0.5]
        assert shares(loss, "after") == [0.75, 0.75]
    assert document["holds"]


def test_three_vips_fill_a_link_and_lose_every_burst(prove: Prove) -> None:
    document = prove("--vips", "3", "--burst", "1.3", "--kill", "bal01")
    (loss,) = document["losses"]
    assert shares(loss, "before") == [0.5, 0.5, 0.5]
    offered = sorted(each["offered_gbps"] for each in loss["after"]["directors"])
    assert offered == [0.5, 1.0]
    shares(loss, "after")
    assert loss["after"]["lost_share"] > 0.03
    assert abs(loss["after"]["lost_share"] - loss["after"]["computed_lost_share"]) < 0.01
    assert loss["before"]["lost_share"] < 0.01


def test_six_vips_lose_no_burst(prove: Prove) -> None:
    (loss,) = prove("--vips", "6", "--burst", "1.3", "--kill", "bal01")["losses"]
    assert shares(loss, "after") == [0.75, 0.75]
    assert loss["after"]["lost_share"] < 0.01


def test_four_vips_are_uneven_before_and_even_after(prove: Prove) -> None:
    (loss,) = prove("--vips", "4", "--kill", "bal01")["losses"]
    assert sorted(shares(loss, "before")) == [0.375, 0.375, 0.75]
    assert shares(loss, "after") == [0.75, 0.75]
    assert loss["after"]["lost_share"] < 0.01
