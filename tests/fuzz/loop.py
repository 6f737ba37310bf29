"""Mutated inputs through a reader, one after the other, each within bounds of CPU time and memory.

An input is made of a target's name and a number alone, so that the number brings it back.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError
from loadgen.errors import LoadgenError
from tests.memory import forget_peak, memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_S = 20.0
MOST_BYTES = 1 << 30
"""Of a process that reads one input: what this one had at first, and what the input adds."""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader under test.

    Attributes:
        name: of the target.
        attempt: makes one input and reads it; the folder is empty, and its own. What is wrong with
            the input it says with an error of ours, and it raises nothing else.
    """

    name: str
    attempt: Callable[[random.Random, Path], object]


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a target's inputs, and the longest that one of them took."""

    inputs: int
    refused: int
    longest_s: float


def fuzz(
    target: Target, folder: Path, seed: int, *, count: int | None = None, seconds: float = 0.0
) -> Tally:
    """Read ``count`` inputs from number ``seed`` on, or as many as fit into ``seconds``.

    Raises:
        AssertionError: an input's reader raised something else than an error of ours, or went
            beyond a bound; it names the input.
    """
    refused, longest_s, number = 0, 0.0, seed
    ends_s, at_first_bytes = time.monotonic() + seconds, memory_bytes("VmRSS")
    while number - seed < count if count is not None else time.monotonic() < ends_s:
        place = folder / str(number)
        place.mkdir(parents=True)
        forget_peak()
        before_bytes = memory_bytes("VmRSS")
        began_s = time.process_time()  # what else runs on the machine is no fault of a reader
        try:
            target.attempt(random.Random(f"{target.name} {number}"), place)
        except (AnalyzerError, LoadgenError) as error:
            refused += 1
            lines = str(error).count("\n") + 1
            if lines > 1:
                raise AssertionError(_failed(target, number, f"{lines} lines: {error}")) from error
        except Exception as error:
            raise AssertionError(_failed(target, number, repr(error))) from error
        took_s = time.process_time() - began_s
        longest_s = max(longest_s, took_s)
        assert took_s < MOST_S, _failed(target, number, f"took {took_s:.0f} s")
        took_bytes = at_first_bytes + memory_bytes("VmHWM") - before_bytes
        assert took_bytes < MOST_BYTES, _failed(target, number, f"took {took_bytes >> 20} MiB")
        number += 1
        _remove(place)
    return Tally(inputs=number - seed, refused=refused, longest_s=longest_s)


def _failed(target: Target, number: int, what: str) -> str:
    again = f"python -m tests.fuzz {target.name} --seed {number} --count 1"
    return f"{target.name}: input {number}: {what}; again with: {again}"


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)
