"""Which addresses and ports a burst came from: a bit for each port, however many connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.proc.entry_rows import is_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.ipvs.proc.entry_rows import Rows
    from loadgen.load.engines.rows import Block

_BYTES = 65536 // 8


class SourcePorts:
    """A set of (address, port); 8 KiB for each address."""

    def __init__(self) -> None:
        self._ports: dict[str, bytearray] = {}

    def add(self, names: Block, ports: Block, texts: Sequence[str]) -> None:
        """Take those of a block of rows.

        Args:
            names: numbers of the addresses' texts, below 0 where there is none; shape (n,).
            ports: of the same length.
            texts: by number.
        """
        for number in np.unique(names[names >= 0]):
            used = ports[(names == number) & (ports >= 0)]
            bits = np.frombuffer(self._ports.setdefault(texts[number], bytearray(_BYTES)), np.uint8)
            np.bitwise_or.at(bits, used >> 3, np.left_shift(1, used & 7).astype(np.uint8))

    def merge(self, other: SourcePorts) -> None:
        """Take those of another set."""
        for address, bits in other._ports.items():
            ours = self._ports.setdefault(address, bytearray(_BYTES))
            np.bitwise_or(
                np.frombuffer(ours, np.uint8),
                np.frombuffer(bits, np.uint8),
                out=np.frombuffer(ours, np.uint8),
            )

    def count(self, entries: Rows) -> int:
        """How many entries, ``ENTRY`` rows, are of these sources' connections."""
        total = 0
        for address, bits in self._ports.items():
            port = entries["client_port"][is_address(entries, "client_ip", address)]
            total += int((np.frombuffer(bits, np.uint8)[port >> 3] >> (port & 7) & 1).sum())
        return total

    def __contains__(self, source: tuple[str, int]) -> bool:
        bits = self._ports.get(source[0])
        return bits is not None and bool(bits[source[1] >> 3] >> (source[1] & 7) & 1)

    def __len__(self) -> int:
        return sum(int.from_bytes(bits).bit_count() for bits in self._ports.values())
