"""The table of ways in which connections close, for sending and for predicting.

An engine plays a way of closing (``loadgen/load/engines/``), the model runs its packets through the
kernel's tables (``analyzer/forecast/lifetimes.py``), help and docs describe it. ``half`` is a FIN
and nothing more of the client; a lone SYN that never becomes a connection is ``half-open``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Close = Literal[
    "client",
    "server",
    "reset",
    "half",
    "never",
    "abandon",
    "half-open",
    "silent",
    "fin-no-ack",
    "reset-syn",
    "reset-open",
    "reset-answer",
    "reset-fin",
]
Closer = Literal["client", "server", "reset", "none"]
Port = Literal["time-wait", "kept", "freed", "own"]

CLOSES: tuple[Close, ...] = get_args(Close)

_OPEN = ">SYN <SYN >ACK"
_EMBRYO = ">SYN <SYN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """One way of closing. In packets ``>`` is from the client, ``<`` from the server.

    Attributes:
        meaning: what the client does, as a phrase that follows the name.
        opens: the packets from the first to the request.
        repeats: what the server retransmits, because it is not acknowledged.
        closes: the packets after the hold, with an HTTP server, which closes after its client.
        closer: who closes first if nothing fails.
        stays_open: the client's socket is kept until the run ends, or the server has closed.
        port: the fate of the client's source port: held by TIME_WAIT, kept by the open socket,
            freed at once, or of the engine itself instead of a kernel.
    """

    meaning: str
    opens: str = _OPEN
    repeats: str = ""
    closes: str = ""
    closer: Closer = "none"
    stays_open: bool = False
    port: Port = "own"


CLOSINGS: Mapping[Close, Closing] = {
    "client": Closing(
        meaning="the client's FIN first",
        closes=">FIN <FIN >ACK",
        closer="client",
        port="time-wait",
    ),
    "server": Closing(
        meaning="the server's FIN first, which it is asked for",
        closes="<FIN >ACK >FIN <ACK",
        closer="server",
        port="freed",
    ),
    "reset": Closing(meaning="a RST", closes=">RST", closer="reset", port="freed"),
    "half": Closing(
        meaning="the client's FIN, and then it only listens",
        closes=">FIN <FIN >ACK",
        closer="client",
        stays_open=True,
        port="time-wait",
    ),
    "never": Closing(meaning="nothing until the run ends", stays_open=True, port="kept"),
    "abandon": Closing(meaning="nothing: the client vanishes"),
    "half-open": Closing(
        meaning="a SYN, and no answer to its SYN-ACK", opens=_EMBRYO, repeats="<SYN"
    ),
    "silent": Closing(meaning="the handshake, and nothing after it"),
    "fin-no-ack": Closing(
        meaning="the client's FIN, and no answer to the server's",
        closes=">FIN <FIN",
        closer="client",
    ),
    "reset-syn": Closing(
        meaning="a RST for the SYN-ACK", opens=_EMBRYO, closes=">RST", closer="reset"
    ),
    "reset-open": Closing(meaning="a RST after the handshake", closes=">RST", closer="reset"),
    "reset-answer": Closing(
        meaning="a RST for the answer's first bytes", closes=">RST", closer="reset"
    ),
    "reset-fin": Closing(
        meaning="the client's FIN, and a RST for the server's",
        closes=">FIN <FIN >RST",
        closer="client",
    ),
}


def in_words(kinds: Iterable[Close]) -> str:
    """Names with their meanings, for help."""
    return ", ".join(f"{kind} ({CLOSINGS[kind].meaning})" for kind in kinds)
