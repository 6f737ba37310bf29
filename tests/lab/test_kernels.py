"""Directors of another kernel: Debian's newest User-Mode Linux, fetched, booted, and measured.

``make test-kernels`` runs this for every kernel that the lab knows (``LG_KERNELS``); by itself it
takes the newest, whose table of entries resizes itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.lab.kernels import images
from loadgen.lab.lab import Lab
from loadgen.lab.layout import lay_out, with_kernel_image
from loadgen.lab.report import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology import Topology

BIN = Path(sys.executable).parent
KERNELS = os.environ.get("LG_KERNELS", "7.2").split(",")
END_STATE = {"dr": "FIN_WAIT", "nat": "CLOSE", "tun": "FIN_WAIT"}
CLOSING = {"dr": "client", "nat": "reset", "tun": "client"}
"""How the burst closes: in nat by a reset, whose entry waits 10 s, not two minutes."""
REQUESTS = 60


def wanted(kernel: str, forwarding: str) -> Topology:
    timeouts = Timeouts(tcp_s=900, tcpfin_s=8, udp_s=300)
    made = lay_out(forwarding=forwarding, vip_by="static", timeouts=timeouts)
    return with_kernel_image(made, kernel)


@pytest.fixture(scope="module", params=KERNELS)
def labs(request: pytest.FixtureRequest, lab_prefix: str) -> Iterator[tuple[str, dict[str, Lab]]]:
    """A lab in dr and one in nat, their directors of that kernel."""
    names = {forwarding: f"{lab_prefix}-k{forwarding}" for forwarding in ("dr", "nat")}
    made = {way: Lab(wanted(request.param, way), name=name) for way, name in names.items()}
    try:
        for lab in made.values():
            lab.up()
        yield request.param, made
    finally:
        for lab in made.values():
            lab.down()


def burst(lab: Lab, directory: Path, *flags: str) -> Any:
    argv = [BIN / "loadgen", "burst", "--vip", lab.topology.vip, "--lab", lab.name, "--json"]
    done = subprocess.run(
        [*map(str, argv), "-o", str(directory), *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_status_names_the_kernel_that_each_director_runs(
    labs: tuple[str, dict[str, Lab]],
) -> None:
    kernel, made = labs
    for lab in made.values():
        releases = {host.name: host.kernel_release for host in inspect(lab.name).hosts}
        for director in lab.director_names:
            assert images.is_of_version(releases[director] or "", kernel)


@pytest.mark.parametrize("forwarding", ["dr", "nat"])
def test_a_burst_is_predicted_entry_by_entry(
    labs: tuple[str, dict[str, Lab]], forwarding: str, tmp_path: Path
) -> None:
    _, made = labs
    flags = ["-n", str(REQUESTS), "--close", CLOSING[forwarding]]
    found = burst(made[forwarding], tmp_path / "run", *flags)
    rows = {row["director"]: row for row in found["agreement"]}
    held = rows["bal01"]
    assert held["entries_observed"] == held["entries_predicted"] == REQUESTS
    assert held["state_matches"] == held["state_samples"] > REQUESTS
    assert held["worst_expiry_error_s"] < 0.5
    (lifetimes,) = [row for row in found["lifetimes"] if row["director"] == "bal01"]
    assert (lifetimes["state"], lifetimes["n_expired"]) == (END_STATE[forwarding], REQUESTS)
    ids = {finding["id"] for finding in found["findings"]}
    assert not ids & {"prediction-differs", "foreign-entries"}
