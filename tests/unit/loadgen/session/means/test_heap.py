"""Memory that arrays give back stays with the process, where the C library can keep it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from loadgen.session.means.heap import keep_freed_memory

if TYPE_CHECKING:
    import pytest

PROGRAM = """
import ctypes, resource, sys
import numpy as np
from loadgen.session.means.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(1 << 17) for _ in range(8)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def test_arrays_take_the_memory_of_those_before_them() -> None:
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", PROGRAM, how]))
        for how in ("kept", "as it is")
    }
    assert faults["kept"] < faults["as it is"] / 10


def test_a_c_library_without_mallopt_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    keep_freed_memory()
