"""What ``analyzer capacity --emit`` writes, before keepalived's own test of a configuration."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from analyzer.capacity.lattice import balanced_lists
from loadgen.lab.topology.emit import emit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMESPACE = "lg-emit-test"


@pytest.fixture
def namespace() -> Iterator[str]:
    """One with the interface that the configuration names: keepalived looks."""
    subprocess.run(["ip", "netns", "delete", NAMESPACE], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    add = ["ip", "-n", NAMESPACE, "link", "add", "eth1", "type", "veth"]
    try:
        subprocess.run(add, check=True)
        yield NAMESPACE
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False)


@pytest.mark.parametrize(("hosts", "failures"), [(3, 1), (8, 1)])
def test_keepalived_accepts_the_configuration(
    namespace: str, tmp_path: Path, hosts: int, failures: int
) -> None:
    written = list(emit(balanced_lists(hosts, failures), hosts, tmp_path, sync=True))
    for path in [path for path in written if path.name == "keepalived.conf"]:
        test = ["ip", "netns", "exec", namespace, "keepalived", "-t", "-f", str(path)]
        done = subprocess.run(test, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
