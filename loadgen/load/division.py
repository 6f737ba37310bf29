"""Which connection of a burst carries which requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Division:
    """Requests, numbered from 0, dealt out to connections, numbered from 0, in their order.

    Attributes:
        per_connection: requests that each connection carries, one after another; the last may
            carry fewer.
        requests: in all; None where time or chance decides.
    """

    per_connection: int = 1
    requests: int | None = None

    @property
    def connections(self) -> int | None:
        """In all; None where time or chance decides."""
        return None if self.requests is None else -(-self.requests // self.per_connection)

    def numbers(self, connection: int) -> range:
        """The requests that a connection carries; none if it is beyond the last."""
        first = connection * self.per_connection
        end = first + self.per_connection
        return range(first, end if self.requests is None else min(end, self.requests))
