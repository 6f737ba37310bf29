"""A lab that a command makes for itself, and takes down whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab import state
from loadgen.lab.lab import Lab, down
from loadgen.lab.topology.model import check_lab_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from loadgen.lab.topology.model import Topology


class TemporaryLab:
    """Alone under its name: what a killed command left of it is taken down first."""

    def __init__(self, wanted: Topology, name: str, say: Callable[[str], None]) -> None:
        self._name = check_lab_name(name)
        self._say = say
        self._lab = Lab(wanted, name=self._name, say=say)
        self._ours: AbstractContextManager[None] = state.lock(f"{self._name}.own")

    def __enter__(self) -> Lab:
        self._ours.__enter__()
        try:
            down(self._name)
            return self._lab.up()
        except BaseException:
            self._ours.__exit__(None, None, None)
            raise

    def __exit__(self, *_error: object) -> None:
        try:
            self._say(f"lab {self._name!r}: taking it down")
            self._lab.down()
        finally:
            self._ours.__exit__(None, None, None)
