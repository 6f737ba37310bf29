"""ARP (RFC 826), as ``neighbours`` speaks it."""

from __future__ import annotations

import struct

from loadgen.load.engines.packets.wire.language import NeighbourMessage

_ARP = struct.Struct("!6s6sH HHBBH 6s4s6s4s")
_ETHERNET, _IPV4 = 1, 0x0800
_REQUEST, _REPLY = 1, 2
_EVERYBODY = b"\xff" * 6
_LEAST_BYTES = 60


class Arp:
    """Frames from one MAC."""

    ethertype = 0x0806
    program = b""

    def __init__(self, mac: bytes) -> None:
        self._mac = mac

    def question(self, sender: bytes | None, target: bytes) -> bytes:
        """Who has an address; from nobody, to find out whether it is taken (RFC 5227)."""
        return self._frame(_EVERYBODY, _REQUEST, sender or bytes(4), bytes(6), target)

    def answer(self, query: NeighbourMessage) -> bytes:
        """It is ours."""
        return self._frame(query.mac, _REPLY, query.target, query.mac, query.sender)

    def heard(self, frame: bytes) -> NeighbourMessage | None:
        """What a frame says; None if nothing."""
        if len(frame) < _ARP.size:
            return None
        fields = _ARP.unpack_from(frame)
        _, _, _, _, kind_of_address, size, _, kind, mac, sender, _, target = fields
        if (kind_of_address, size) != (_IPV4, 6):
            return None
        return NeighbourMessage(asks=kind == _REQUEST, sender=sender, mac=mac, target=target)

    def _frame(self, to: bytes, kind: int, sender: bytes, mac: bytes, target: bytes) -> bytes:
        ends = (self._mac, sender, mac, target)
        head = (to, self._mac, self.ethertype, _ETHERNET, _IPV4, 6, 4, kind)
        return _ARP.pack(*head, *ends).ljust(_LEAST_BYTES, b"\0")
