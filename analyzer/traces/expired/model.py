"""A packet of a connection that came after its entry had expired, and what answered it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Answer = Literal[
    "reset",
    "reset-to-server",
    "untranslated",
    "none",
    "unseen",
    "sent-on",
    "reply",
    "server-reset",
    "new-entry",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePacket:
    """The first packet after an entry's end, and those that followed it without a new one.

    Attributes:
        flow: as in Segments.
        at_ns: when it came.
        by: who sent it.
        state: the entry's last.
        timeout_s: what the entry waited after its last packet.
        assumed: that timeout was not read: it is the kernel's default.
        pause_s: between that packet and this one.
        late_s: how long ago the entry had expired: at least, at most. They differ by what is not
            known of the clocks and the timer; where the first is negative, timers alone do not
            show whether it had expired.
        packets: how many came.
        answer: ``reset`` (by whom: ``analyzer.traces.resets``), ``reset-to-server``,
        ``untranslated`` (a
            real server's packet, sent on with the server's address), ``none``, ``unseen`` (the
            capture ends, or has no answers), ``new-entry`` (a datagram); ``sent-on``, ``reply`` or
            ``server-reset`` (by a real server): as if the entry had been there.
        moved: by a new entry to another real server; None where that is not known.
        sooner: the entry had ended before its time: ``timeout_s`` is not what it waited, or
            something else ended it; it had been missing for any part of the pause.
    """

    director: str
    flow: int
    at_ns: int
    by: Literal["client", "server"]
    state: str
    timeout_s: float
    assumed: bool
    pause_s: float
    late_s: tuple[float, float]
    packets: int
    answer: Answer
    moved: bool | None = None
    sooner: bool = False

    @property
    def at_the_edge(self) -> bool:
        """Neither the timers nor the answer show whether the entry had expired."""
        return self.late_s[0] <= 0 and self.answer not in SURELY_ENDED

    @property
    def lost(self) -> bool:
        """The packet did not reach its destination."""
        return self.answer in (*SURELY_ENDED, "none") and not self.at_the_edge

    @property
    def is_certain(self) -> bool:
        """Whether it was certainly lost because the entry had ended.

        Silence alone has other causes too, where it was not read how long the entry waits.
        """
        return self.lost and (self.answer in SURELY_ENDED or not self.assumed)


SURELY_ENDED = ("reset", "reset-to-server", "untranslated")
