"""SYNs that a router sends on under another address, in any number of parts."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import Flag
from analyzer.parts import InMemory
from analyzer.wire.masquerade import masqueraded
from analyzer.wire.packets import NO_MAC
from analyzer.wire.segments import SENT_ON_NS, Segments
from tests.unit.analyzer.builders_packets import NS, PORT, VIP, Seg, segments
from tests.unit.properties import examples

ROUTER, OTHER = 0xAA, 0xBB


class Syn(NamedTuple):
    """A SYN of a flow between two hosts, in units of a quarter of the longest way through one."""

    at: int
    flow: int
    sequence: int
    source: int
    destination: int


SYNS = st.lists(
    st.builds(
        Syn,
        at=st.integers(0, 30),
        flow=st.integers(0, 3),
        sequence=st.integers(0, 1),
        source=st.sampled_from([ROUTER, OTHER, NO_MAC]),
        destination=st.sampled_from([ROUTER, OTHER, NO_MAC]),
    ),
    max_size=14,
    unique_by=lambda syn: syn.at,
)


def captured(syns: list[Syn], part_rows: int) -> Segments:
    rows = sorted(syns, key=lambda syn: (syn.flow, syn.at))
    found = segments(Seg(syn.at, syn.flow + 1, Flag.SYN, sequence=syn.sequence) for syn in rows)
    clients = [f"10.0.0.{number}" for number in range(4)]
    return replace(
        found,
        flow=np.array([syn.flow for syn in rows], dtype=np.int64),
        at_ns=np.array([syn.at * SENT_ON_NS // 4 + NS for syn in rows], dtype=np.int64),
        source_mac=np.array([syn.source for syn in rows], dtype=np.int64),
        destination_mac=np.array([syn.destination for syn in rows], dtype=np.int64),
        flows=pd.DataFrame(
            {"client_ip": clients, "client_port": 5000, "vip": VIP, "port": PORT, "protocol": "TCP"}
        ),
        store=InMemory(part_rows),
    )


def slowly(syns: list[Syn]) -> list[int]:
    """The flows of which a SYN is the latest to arrive before one that leaves."""
    arriving = {(syn.flow, syn.destination) for syn in syns}
    leaving = {(syn.flow, syn.source) for syn in syns}
    came = [syn for syn in syns if (syn.flow, syn.destination) not in leaving]
    left = [syn for syn in syns if (syn.flow, syn.source) not in arriving]
    found = set[int]()
    for out in left:
        before = [
            syn
            for syn in came
            if (syn.destination, syn.sequence) == (out.source, out.sequence)
            and out.source != NO_MAC
            and 0 <= out.at - syn.at <= 4
        ]
        latest = max(before, key=lambda syn: syn.at, default=out)
        found |= {latest.flow} - {out.flow}
    return sorted(found)


@examples(30)
@given(syns=SYNS, part_rows=st.integers(1, 8))
def test_flows_before_their_router_are_what_loops_over_all_syns_find(
    syns: list[Syn], part_rows: int
) -> None:
    assert masqueraded(captured(syns, part_rows)).tolist() == slowly(syns)


def test_a_syn_that_leaves_a_router_from_another_address_shows_it() -> None:
    came, left = Syn(0, 0, 1, OTHER, ROUTER), Syn(1, 1, 1, ROUTER, OTHER)
    assert masqueraded(captured([came, left], 1)).tolist() == [0]
    assert not len(masqueraded(captured([came, left._replace(at=5)], 1)))
    assert not len(masqueraded(captured([came, left._replace(sequence=0)], 1)))
