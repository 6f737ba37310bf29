"""Segments on their way between the wire and the machine: columns, a row a segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadgen.load.engines.packets.tcp.connections import Bools, Ints, UInt32s

    Int32s = npt.NDArray[np.int32]


class Payloads(Protocol):
    """What segments carry, by their places."""

    def of(self, place: int) -> bytes:
        """The bytes of a segment, as many as are at hand."""

    def equal(self, places: Ints, content: bytes) -> Bools:
        """Which of these segments carry just that."""


@dataclass(slots=True)
class ReceivedSegments:
    """Segments from the VIP's port to ours, as they came; every array has shape (n,).

    Attributes:
        pair: ours, that each is for.
        flags: of TCP.
        size: of the payload, bytes.
        at_ns: when it came.
    """

    pair: Ints
    seq: UInt32s
    ack: UInt32s
    flags: Ints
    size: Int32s
    at_ns: Ints
    payloads: Payloads


@dataclass(slots=True)
class Out:
    """Segments to be sent: kind, pair, and numbers; every array has shape (n,)."""

    kind: Ints
    pair: Ints
    seq: UInt32s
    ack: UInt32s

    def behind(self, count: int) -> Out:
        """All but the first of them."""
        return Out(self.kind[count:], self.pair[count:], self.seq[count:], self.ack[count:])


def joined(parts: list[Out]) -> Out | None:
    """All of them, in their order; None if there are none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return Out(
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.pair for part in parts]),
        np.concatenate([part.seq for part in parts]),
        np.concatenate([part.ack for part in parts]),
    )
