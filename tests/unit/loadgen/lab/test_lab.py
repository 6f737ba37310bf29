"""Which labs are up, by what they left on the disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadgen.lab import state
from loadgen.lab.lab import running_labs
from loadgen.lab.state import LabState
from loadgen.lab.topology.model import exercise

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_lab_of_a_topology_that_only_another_version_knows_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "ROOT", tmp_path)
    unknown = replace(exercise(), sysctls=(("net.netfilter.nf_conntrack_max", "8"),))
    state.create_directory("x")
    state.write(
        LabState(
            name="x",
            topology=unknown,
            kernel="uml",
            kernel_release="6.1.176",
            started="2026-01-02T03:04:05+00:00",
            processes={},
            crashed=(),
        )
    )
    assert state.read("x") is not None
    assert running_labs() == []
