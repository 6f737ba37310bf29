"""How netfilter directors forward: they translate addresses, whatever states their entries have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.evidence.gather import gather
from tests.unit.analyzer.builders_conntrack import Node, half_closed

if TYPE_CHECKING:
    from pathlib import Path


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
