"""IPVS in one run, conntrack in the other: what changed, in one sentence for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.across_runs.compare import compare
from analyzer.across_runs.keepers import _kept_by, keepers_sentence
from tests.unit.analyzer import builders_run
from tests.unit.analyzer.builders_conntrack import Node, closed
from tests.unit.analyzer.builders_run import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis


def by_ipvs(path: Path, **facts: object) -> Analysis:
    lives = [builders_run.closed(40000 + each, 1000.0 + each) for each in range(5)]
    return Stage(lives=lives, facts=facts, until_s=1030.0).played(path / "ipvs")


def by_conntrack(path: Path) -> Analysis:
    flows = [closed(40000 + each, 1000.0 + each) for each in range(5)]
    return Node(flows=flows, until_s=1040.0).played(path / "nft")


def test_the_verdict_says_what_keeps_entries_how_long_and_what_a_reused_port_meets(
    tmp_path: Path,
) -> None:
    verdict = compare([by_ipvs(tmp_path), by_conntrack(tmp_path)]).verdict
    assert (
        "In ipvs IPVS keeps connections: ended ones wait in FIN_WAIT for tcpfin, 20.3 s; idle ones "
        "for tcp, 900 s; a SYN from the port of an entry in FIN_WAIT goes on with it, to the same "
        "real server (conn_reuse_mode 1)."
    ) in verdict
    assert (
        "In nft conntrack keeps connections: ended ones wait in TIME_WAIT for "
        "nf_conntrack_tcp_timeout_time_wait, 30.0 s; idle ones for "
        "nf_conntrack_tcp_timeout_established, 86400 s; a SYN from the port of an entry in "
        "TIME_WAIT ends it and is translated anew; after a server's reset it goes on with it, to "
        "the same real server."
    ) in verdict


def test_conn_reuse_mode_2_ends_an_entry_in_fin_wait_too(tmp_path: Path) -> None:
    run = by_ipvs(tmp_path, sysctl={"conn_reuse_mode": 2})
    found = keepers_sentence([("a", run), ("b", by_conntrack(tmp_path))])
    assert found is not None
    assert "an entry in FIN_WAIT ends it and is scheduled anew (conn_reuse_mode 2)" in found


def after_a_syn(run: Analysis, path: Path) -> str:
    """What is said of a port whose old entry still waits in the run by IPVS."""
    found = keepers_sentence([("a", run), ("b", by_conntrack(path))])
    assert found is not None
    return found.partition(". In b ")[0].rpartition("a SYN from the port of an entry in ")[2]


@pytest.mark.parametrize("mode", [1, 2])
def test_a_syn_that_is_dropped_for_an_old_conntrack_entry_ends_it_all_the_same(
    tmp_path: Path, mode: int
) -> None:
    run = by_ipvs(tmp_path, sysctl={"conn_reuse_mode": mode, "conntrack": 1})
    assert after_a_syn(run, tmp_path) == (
        "FIN_WAIT ends it and is dropped, its retransmission is scheduled anew "
        "(conn_reuse_mode 2, conntrack 1)"
        if mode == 2
        else "FIN_WAIT goes on with it, to the same real server (conn_reuse_mode 1)"
    )


@pytest.mark.parametrize(
    ("state", "mode", "what"),
    [
        ("FIN_WAIT", 2, "goes on with it, to the same real server (conn_reuse_mode 2)"),
        ("TIME_WAIT", 1, "ends it and is scheduled anew (conn_reuse_mode 1)"),
        ("TIME_WAIT", 0, "goes on with it, to the same real server (conn_reuse_mode 0)"),
    ],
)
def test_in_nat_replies_are_seen_so_fin_wait_goes_on_and_no_syn_is_dropped(
    tmp_path: Path, state: str, mode: int, what: str
) -> None:
    run = by_ipvs(tmp_path, sysctl={"conn_reuse_mode": mode, "conntrack": 1})
    assert run.forwarding is not None
    nat = replace(
        run,
        forwarding=replace(run.forwarding, method="nat"),
        lifetimes=tuple(replace(row, state=state) for row in run.lifetimes),
    )
    assert after_a_syn(nat, tmp_path) == f"{state} {what}"


def test_runs_that_are_kept_alike_need_no_sentence(tmp_path: Path) -> None:
    run = by_conntrack(tmp_path)
    assert _kept_by(run) == "netfilter"
    assert keepers_sentence([("a", run), ("b", run)]) is None
    assert "keeps connections" not in compare([run, run]).verdict
