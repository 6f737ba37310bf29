"""What neighbours on a wire tell each other, whatever they speak: ARP, or neighbour discovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourMessage:
    """What a neighbour has said.

    Attributes:
        asks: who has ``target``; else it says that it has ``sender`` itself.
        sender: its address.
        mac: and what belongs to that.
    """

    asks: bool
    sender: bytes
    mac: bytes
    target: bytes


class Language(Protocol):
    """What neighbours speak: ARP, or neighbour discovery."""

    @property
    def ethertype(self) -> int:
        """Of its frames."""

    @property
    def program(self) -> bytes:
        """That keeps its frames alone (bpf(4)); empty where the EtherType does."""

    def question(self, sender: bytes | None, target: bytes) -> bytes:
        """Who has an address; from nobody, to find out whether it is taken."""

    def answer(self, query: NeighbourMessage) -> bytes:
        """It is ours."""

    def heard(self, frame: bytes) -> NeighbourMessage | None:
        """What a frame says; None if nothing."""
