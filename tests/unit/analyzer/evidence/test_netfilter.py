"""Recordings of netfilter directors, brought together: how they forward, and whom they hide.

They translate addresses, whatever states their entries have.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from analyzer.evidence.gather import gather
from analyzer.parts import InMemory
from analyzer.recording.directory import Recording
from tests.unit.analyzer.builders_conntrack import Node, half_closed

DATA = Path(__file__).parents[3] / "data"


def test_entries_in_fin_wait_do_not_make_it_dr(tmp_path: Path) -> None:
    """In IPVS they would: replies, which conntrack sees, move such entries on."""
    whole = half_closed(41000, 1001.0)
    found = gather(Node(flows=[whole], until_s=1001.33, poll_s=0.05).recorded(tmp_path / "run"))
    assert found.entries.whole()["state"].iloc[-1] == "FIN_WAIT"
    assert found.forwarding == "nat"
    assert found.forwarded is not None
    assert found.forwarded.contradiction is None


def test_beside_a_director_by_ipvs_the_rest_decides(tmp_path: Path) -> None:
    node = Node(flows=[half_closed(41000, 1001.0)], facts={"kind": "ipvs"}, until_s=1003.0)
    found = gather(node.recorded(tmp_path / "run"))
    assert found.forwarded is not None
    assert found.forwarded.basis != "configured"


@pytest.mark.parametrize("part_rows", [5, 1000])
def test_masquerades_are_read_as_far_as_they_can_be(tmp_path: Path, part_rows: int) -> None:
    run = tmp_path / "run"
    shutil.copytree(DATA / "conntrack-masquerade", run)
    expected = Recording.open(run).table("masquerades")
    (run / "masquerades" / "part-99999.parquet").write_bytes(b"no parquet")
    found = gather(Recording.open(run), InMemory(part_rows))
    assert_frame_equal(found.masquerades.whole(), expected)
    assert [gap.why.count("masquerades/part-99999") for gap in found.not_measured].count(1) == 1
