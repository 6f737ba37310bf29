"""An experiment's way through run.json and back."""

from __future__ import annotations

import json

import pytest

from analyzer.capacity.proof.manifest import KEY, from_manifest, to_manifest
from analyzer.capacity.proof.model import Loss
from analyzer.errors import RecordingError
from analyzer.recording.manifest import manifest_of
from tests.unit.analyzer.capacity.builders_experiment import AFTER, experiment


def test_an_experiment_comes_back_whole() -> None:
    for written in (
        experiment(),
        experiment(burst="1.3", losses=(Loss(down=(0, 2), before=AFTER),)),
    ):
        facts = manifest_of(json.loads(json.dumps({KEY: to_manifest(written)}))).proof
        assert facts is not None
        assert from_manifest(facts) == written


@pytest.mark.parametrize(
    "change",
    [
        *({"hosts": "many"}, {"hosts": 0}, {"lists": 3}, {"lists": [[0]]}, {"burst": "1/0"}),
        *({"burst": "1" * 50}, {"lab_link": {}}, {"losses": [{}]}, {"losses": [{"down": [3]}]}),
    ],
    ids=str,
)
def test_a_manifest_that_is_none_is_one_error_of_ours(change: dict[str, object]) -> None:
    given = to_manifest(experiment()) | change
    with pytest.raises(RecordingError, match=r"^run\.json: proof"):
        manifest_of({KEY: given})
