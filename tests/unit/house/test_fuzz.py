"""A few inputs of each fuzz target; ``make fuzz`` reads many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz import loop
from tests.fuzz.loop import Target, fuzz
from tests.fuzz.targets import TARGETS
from tests.memory import memory_bytes

if TYPE_CHECKING:
    import random
    from pathlib import Path

LITTLE_BYTES, MUCH_BYTES = 8 << 20, 64 << 20
"""Nine of the little together are above the limit that is set; each by itself is not."""
COUNTS = {
    "texts": 300,
    "captures": 8,
    "imports": 12,
    "runs": 2,
    "exports": 2,
    "comparisons": 2,
    "copies": 4,
    "parts": 2,
    "policies": 200,
    "topologies": 100,
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_mutated_inputs_are_read_or_refused(target: Target, tmp_path: Path) -> None:
    tally = fuzz(target, tmp_path, 15_000, count=COUNTS[target.name])
    assert tally.inputs == COUNTS[target.name]
    assert not any(tmp_path.iterdir())


def test_a_failure_names_the_input_that_brings_it_back(tmp_path: Path) -> None:
    def attempt(chance: random.Random, _folder: Path) -> None:
        if chance.random() < 0.2:
            raise KeyError("oh")

    with pytest.raises(AssertionError) as raised:
        fuzz(Target("broken", attempt), tmp_path, 0, count=1000)
    number = str(raised.value).split("--seed ")[1].split()[0]
    with pytest.raises(AssertionError, match=f"input {number}: KeyError"):
        fuzz(Target("broken", attempt), tmp_path / "again", int(number), count=1)


def test_an_input_that_takes_too_much_memory_is_named_whatever_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def attempt(_chance: random.Random, folder: Path) -> None:
        held.append(b"1" * LITTLE_BYTES)
        if folder.name == "9":
            held.append(b"1" * MUCH_BYTES)

    monkeypatch.setattr(loop, "MOST_BYTES", memory_bytes("VmRSS") + MUCH_BYTES)
    with pytest.raises(AssertionError, match=r"greedy: input 9: took \d+ MiB"):
        fuzz(Target("greedy", attempt), tmp_path, 0, count=20)
