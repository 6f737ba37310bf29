"""Directors of another kernel: Debian's newest User-Mode Linux, fetched, booted, and measured.

``make test-kernels`` runs this, and the other lab tests that hold the law, on every kernel that the
lab knows (``LG_KERNEL``); by itself this takes the newest, whose table of entries resizes itself.
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
from analyzer.ipvs.versions import law_of
from analyzer.recording.directory import Recording
from loadgen.lab.kernels import images
from loadgen.lab.lab import Lab
from loadgen.lab.report import inspect
from loadgen.lab.topology.layout import lay_out, with_kernel_image
from tests.lab.delays import Delays, measured_delays
from tests.lab.expiries import assert_expiries_predicted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology.model import Topology

BIN = Path(sys.executable).parent
KERNEL = os.environ.get("LG_KERNEL", "7.2")
END_STATE = {"dr": "FIN_WAIT", "nat": "CLOSE", "tun": "FIN_WAIT"}
CLOSING = {"dr": "client", "nat": "reset", "tun": "client"}
"""How the burst closes: in nat by a reset, whose entry waits 10 s, not two minutes."""
REQUESTS = 60
OWN_ADDRESS = "192.168.10.200"
"""An address that no host of the lab has, for the engine that sends from such."""
MANY = 600
"""Entries: a table of 256 buckets grows four times on its way to them (Linux 7.1 and later)."""
WORST_S = 0.5
"""Between an expiry predicted and seen, where other tests share the machine; else 0.15 s."""
FALSE_FINDINGS = {"prediction-differs", "foreign-entries", "ended-early", "table-memory"}
REUSED = ("-q", "11", "-z", "6s", "--port-reuse", "1s", "--local-ips", OWN_ADDRESS)
"""A dozen ports: fewer entries than make a table of 256 buckets grow. While it grows, 7.2.7 was
seen to lose hold of an entry: its packets do not reach it, and it stays until its timer fires."""


def wanted(kernel: str, forwarding: str) -> Topology:
    timeouts = Timeouts(tcp_s=900, tcpfin_s=8, udp_s=300)
    made = lay_out(forwarding=forwarding, vip_by="static", timeouts=timeouts)
    return with_kernel_image(made, kernel)


@pytest.fixture(scope="module")
def labs(lab_prefix: str) -> Iterator[dict[str, Lab]]:
    """A lab in dr and one in nat, their directors of that kernel."""
    names = {forwarding: f"{lab_prefix}-k{forwarding}" for forwarding in ("dr", "nat")}
    made = {way: Lab(wanted(KERNEL, way), name=name) for way, name in names.items()}
    try:
        for lab in made.values():
            lab.up()
        yield made
    finally:
        for lab in made.values():
            lab.down()


def burst(lab: Lab, directory: Path, *flags: str) -> tuple[Any, Delays]:
    """What is printed of it, and how long its director took to answer meanwhile."""
    with measured_delays(lab, "bal01") as delays:
        return printed(lab, directory, *flags), delays


def printed(lab: Lab, directory: Path, *flags: str) -> Any:
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


def test_the_status_names_the_kernel_that_each_director_runs(labs: dict[str, Lab]) -> None:
    for lab in labs.values():
        releases = {host.name: host.kernel_release for host in inspect(lab.name).hosts}
        for director in lab.director_names:
            assert images.is_of_version(releases[director] or "", KERNEL)


def held_by_bal01(directory: Path, found: Any, delays: Delays) -> Any:
    """How well the director with the VIP was predicted; it is, in every entry and state."""
    (row,) = [row for row in found["agreement"] if row["director"] == "bal01"]
    assert row["entries_observed"] == row["entries_predicted"]
    assert row["state_matches"] == row["state_samples"] > 0
    n = sum(row["n_expired"] for row in found["lifetimes"] if row["director"] == "bal01")
    assert_expiries_predicted(directory, "bal01", delays, n=n, limit_s=WORST_S)
    assert not {finding["id"] for finding in found["findings"]} & FALSE_FINDINGS
    return row


@pytest.mark.parametrize("forwarding", ["dr", "nat"])
def test_a_burst_is_predicted_entry_by_entry(
    labs: dict[str, Lab], forwarding: str, tmp_path: Path
) -> None:
    flags = ["-n", str(REQUESTS), "--close", CLOSING[forwarding]]
    found, delays = burst(labs[forwarding], tmp_path / "run", *flags)
    assert held_by_bal01(tmp_path / "run", found, delays)["entries_observed"] == REQUESTS
    (lifetimes,) = [row for row in found["lifetimes"] if row["director"] == "bal01"]
    assert (lifetimes["state"], lifetimes["n_expired"]) == (END_STATE[forwarding], REQUESTS)
    (law,) = [row for row in found["laws"] if row["director"] == "bal01"]
    assert (law["law"], law["assumed"]) == (KERNEL, False)


@pytest.mark.parametrize("forwarding", ["dr", "nat"])
def test_ports_that_come_back_are_predicted(
    labs: dict[str, Lab], forwarding: str, tmp_path: Path
) -> None:
    flags = ["--engine", "packets", *REUSED, "--close", "reset", "--director-cpu", "50%"]
    held_by_bal01(tmp_path / "run", *burst(labs[forwarding], tmp_path / "run", *flags))


def assert_the_table_is_reported(table: Any) -> None:
    """By ``/proc/net/ip_vs_status`` where the kernel has it: every entry, hardly one at the end."""
    assert 200 < table["entry_bytes"] < 400  # as its boot line says
    if not law_of(KERNEL).table_resizes:
        assert (table["before"], table["fullest"], table["at_end"]) == (None, None, None)
        return
    fullest = table["fullest"]
    assert fullest["entries"] == MANY
    assert fullest["buckets"] > table["before"]["buckets"]
    assert table["at_end"]["entries"] <= 0.02 * MANY  # see REUSED
    in_chains = sum(int(length) * buckets for length, buckets in fullest["chains"].items())
    assert in_chains >= 0.9 * MANY  # of an instant, while the table may be resized


def test_no_entry_is_taken_for_expired_while_the_table_grows(
    labs: dict[str, Lab], tmp_path: Path
) -> None:
    """The table grows under the reader, and every entry is seen to go when its timer fires."""
    flags = ["--engine", "packets", "--local-ips", OWN_ADDRESS, "-n", str(MANY), "-q", "200"]
    found, delays = burst(labs["dr"], tmp_path / "run", *flags, "--director-cpu", "50%")
    (row,) = [row for row in found["agreement"] if row["director"] == "bal01"]
    assert row["entries_observed"] == row["entries_predicted"] == MANY
    assert row["state_matches"] >= 0.98 * row["state_samples"]  # see REUSED
    (lifetimes,) = [row for row in found["lifetimes"] if row["state"] == "FIN_WAIT"]
    assert lifetimes["n_expired"] >= 0.98 * MANY
    assert lifetimes["lifetime_s"]["min"] > 8 - delays.allowed_s(
        WORST_S
    )  # none was taken for gone before
    (table,) = [row for row in found["tables"] if row["director"] == "bal01"]
    assert_the_table_is_reported(table)
    polls = Recording.open(tmp_path / "run").table("polls")
    buckets = polls.loc[polls["director"] == "bal01", "buckets"].dropna()
    if law_of(KERNEL).table_resizes:
        assert buckets.max() >= 2 * buckets.min()
    else:
        assert buckets.nunique() == 1
