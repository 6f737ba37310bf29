"""The same results to the last digit, in however many parts a capture is replayed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from analyzer.analysis import analyse
from analyzer.compared.population import predicted_states
from analyzer.documents import as_text
from analyzer.ipvs.states import Flag, is_active
from analyzer.parts import PART_ROWS, InMemory
from analyzer.pictures.fin_waits import fin_waits
from analyzer.predicted.curves import predicted_curve
from analyzer.predicted.entries import Prediction, predict
from analyzer.recording.directory import Recording
from analyzer.recording.spill import spilled
from analyzer.report import to_json
from analyzer.wire.answers import answers
from analyzer.wire.connections import connections
from analyzer.wire.copies import each_once
from analyzer.wire.segments import sides
from tests.importing import import_folder
from tests.unit.analyzer.builders_packets import DIRECTOR_MAC, Seg, clock, rules, segments
from tests.unit.properties import examples

if TYPE_CHECKING:
    from analyzer.wire.segments import Segments

DATA = Path(__file__).resolve().parents[2] / "data"
SPILLED = 7
"""The number of parts of which those of a recording lie in files."""

RECORDINGS = (
    "dr-burst-50",
    "dr-failover",
    "conntrack-mix",
    "conntrack-masquerade-full",
    "conntrack-open-port",
    "conntrack-node-port",
    "ground-truth/nat-port-reuse",
    "ground-truth/dr-server-removed-and-back",
    "ground-truth/k72-dr-tcpfin-changed-midrun",
)

PACKETS = st.lists(
    st.builds(
        Seg,
        at_s=st.integers(0, 200_000).map(lambda ms: 500 + ms / 1000),
        port=st.integers(1, 9),
        flag=st.sampled_from([Flag.SYN, Flag.FIN, Flag.ACK, Flag.RST, Flag.DATAGRAM]),
        reply=st.booleans(),
        sequence=st.integers(0, 1),
        mac=st.sampled_from([DIRECTOR_MAC, DIRECTOR_MAC + 1]),
    ),
    max_size=60,
    unique_by=lambda row: row.at_s,
)


def in_parts(whole: Segments, parts: int) -> Segments:
    return replace(whole, store=InMemory(part_rows=max(-(-len(whole.flow) // parts), 1)))


def predicted(of: Segments) -> Prediction:
    return predict(of, clock(), rules(mode=2), "bal01")


def assert_same_predictions(whole: Prediction, parts: Prediction) -> None:
    assert_frame_equal(whole.entries, parts.entries)
    assert_frame_equal(whole.steps, parts.steps)
    assert whole.dropped_syns == parts.dropped_syns
    for one, other in zip(
        predicted_curve(whole, None, is_active(None)),
        predicted_curve(parts, None, is_active(None)),
        strict=True,
    ):
        assert one.tolist() == other.tolist()
    states, states_of_parts = predicted_states(whole, 0), predicted_states(parts, 0)
    assert (states is None) == (states_of_parts is None)
    if states and states_of_parts:
        assert states.t_s.tolist() == states_of_parts.t_s.tolist()
        assert {name: count.tolist() for name, count in states.counts.items()} == {
            name: count.tolist() for name, count in states_of_parts.counts.items()
        }


@examples(30)
@given(rows=PACKETS, parts=st.sampled_from([2, 7]))
def test_packets_in_parts_are_what_they_are_together(rows: list[Seg], parts: int) -> None:
    whole = each_once(segments(rows))
    cut = each_once(in_parts(segments(rows), parts))
    assert_frame_equal(connections(whole), connections(cut))
    assert sides(whole) == sides(cut)
    passed = whole.destination_mac != DIRECTOR_MAC + 1
    fates = (answers(each, passed, [DIRECTOR_MAC]) for each in (whole, cut))
    for one, other in zip(*(_arrays(fate) for fate in fates), strict=True):
        assert one.tolist() == other.tolist()
    assert fin_waits("bal01", whole.only(passed), whole, sees_replies=False) == fin_waits(
        "bal01", cut.only(passed), cut, sees_replies=False
    )
    assert_same_predictions(predicted(whole.only(passed)), predicted(cut.only(passed)))


def _arrays(fate: Any) -> list[Any]:
    return [getattr(fate, field.name) for field in fields(fate)]


@lru_cache(maxsize=len(RECORDINGS))
def document(name: str, parts: int) -> str:
    """What ``--json`` prints of a recording, but for the time that it took."""
    path = DATA / name
    with TemporaryDirectory() as made:
        if not (path / "run.json").exists():
            import_folder([path], Path(made) / "run")
            path = Path(made) / "run"
        recording = Recording.open(path)
        packets = recording.capture_bytes() // 100  # about
        assert packets
        part_rows = PART_ROWS if parts == 1 else max(packets // parts, 1)
        whole = nullcontext(InMemory(part_rows))
        with spilled(Path(made), part_rows) if parts == SPILLED else whole as store:
            found = analyse(recording, store=store)
        return as_text(to_json(replace(found, run=name, timings_s={})))


@pytest.mark.parametrize("parts", [2, 7])
@pytest.mark.parametrize("name", RECORDINGS)
def test_the_document_of_a_recording_is_the_same_to_the_last_digit(name: str, parts: int) -> None:
    assert document(name, parts) == document(name, 1)
