"""When datagrams are due: an even stream, or one that runs high and low in turn."""

from __future__ import annotations

from analyzer.capacity.queue import BURST_S, PERIOD_S

FRAME_BYTES = 1242
"""Of a frame on the wire, from the Ethernet header on."""
HEADERS_BYTES = 14 + 20 + 8
PAYLOAD_BYTES = FRAME_BYTES - HEADERS_BYTES
FLOWS = 24
"""Source ports; every VIP gets as many, so there may be some more."""
PATIENCE_NS = 10_000_000
"""Datagrams no later than that are sent at once: a link's bucket takes so many."""
CATCH_UP = 0.13
"""The share of the time that a longer delay is made good in: the rate is 1.15 times as high then.
All at once they would be a burst that nobody asked for, and fill a queue."""


def due_s(number: int, rate_per_s: float, burst: float) -> float:
    """Seconds from the beginning to a datagram's turn.

    Args:
        number: which datagram, from 0.
        rate_per_s: the average.
        burst: half a second at so many times the rate, then half a second at as much less.
    """
    periods, place = divmod(number, rate_per_s * PERIOD_S)
    high = rate_per_s * burst * BURST_S
    if place < high:
        return periods * PERIOD_S + place / (rate_per_s * burst)
    return periods * PERIOD_S + BURST_S + (place - high) / (rate_per_s * (2 - burst))


def flows(vips: int) -> int:
    """The fewest flows, ``FLOWS`` at least, that every VIP has as many of."""
    return FLOWS if FLOWS % vips == 0 else vips * -(-FLOWS // vips)


def frames_per_s(bits_per_s: float) -> float:
    """The frames that make a bit rate."""
    return bits_per_s / (FRAME_BYTES * 8)


class Pacer:
    """When a datagram is sent: when it is due, unless the sender itself was held up."""

    def __init__(self) -> None:
        self._shift_ns = self._since_ns = 0

    def turn_ns(self, due_ns: int, now_ns: int) -> int:
        """The instant from which on a datagram may go.

        Args:
            due_ns: by the schedule, ascending from call to call.
            now_ns: the time.
        """
        shift_ns = max(0, self._shift_ns - int(CATCH_UP * (now_ns - self._since_ns)))
        if now_ns - due_ns - shift_ns > PATIENCE_NS:
            self._shift_ns, self._since_ns = now_ns - due_ns, now_ns
            return now_ns
        return due_ns + shift_ns
