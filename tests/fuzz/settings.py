"""Policies of ``check`` and topologies of labs, TOML both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.checks.judge import known
from analyzer.checks.policy import parse_policy
from loadgen.lab.topology.contradictions import check
from loadgen.lab.topology.file import from_toml, to_toml
from loadgen.lab.topology.model import exercise
from tests.fuzz.mutate import OF_TEXT, damaged

if TYPE_CHECKING:
    import random
    from pathlib import Path

POLICY = b"""\
tolerance = "10%"
[[expect]]
name = "timeout"
that = "tcpfin=30\xc2\xb11s"
note = "as configured"
[[expect]]
that = "state(FIN_WAIT)>=99%"
[[expect]]
that = "inactive_peak<=1200"
"""
TOPOLOGY = to_toml(exercise()).encode()


def attempt_policy(chance: random.Random, _folder: Path) -> None:
    """One policy."""
    text = damaged(POLICY, chance, OF_TEXT).decode(errors="replace")
    for expectation in parse_policy(text, "policy.toml").expectations:
        known(expectation)


def attempt_topology(chance: random.Random, _folder: Path) -> None:
    """One topology."""
    topology = from_toml(damaged(TOPOLOGY, chance, OF_TEXT).decode(errors="replace"))
    check(topology)
    to_toml(topology)
