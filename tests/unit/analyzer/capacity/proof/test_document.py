"""The document of ``loadgen capacity-proof --json``."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from analyzer.capacity.proof.document import to_json
from analyzer.capacity.proof.model import Loss
from analyzer.capacity.proof.prove import prove
from tests.unit.analyzer.capacity.builders_experiment import (
    BEFORE,
    EVEN,
    LEFT,
    as_computed,
    datagrams,
    experiment,
    links,
)
from tests.unit.analyzer.test_schema import holds


@pytest.mark.parametrize("losses", [None, (Loss(down=(1,), before=BEFORE),), ()])
def test_the_document_is_as_published(losses: tuple[Loss, ...] | None) -> None:
    proof = prove("r", experiment(losses=losses), links(EVEN, LEFT), datagrams())
    holds(json.loads(json.dumps(to_json(proof))), "capacity-proof")


def test_the_document_has_the_sizes_that_were_asked_for() -> None:
    document = json.loads(json.dumps(to_json(as_computed()), allow_nan=False))
    assert (document["holds"], document["vips"], document["link_gbps"]) == (True, 6, 1.0)
    after = document["losses"][0]["after"]
    assert [each["computed_gbps"] for each in after["directors"]] == [0.75, 0.75]
    assert after["directors"][0]["measured_gbps"] == pytest.approx(0.75)
    assert Fraction(document["lab_scale"]).limit_denominator(1000) == Fraction(1, 100)
