"""How the kernel counts an entry of any protocol: active, inactive, or not at all."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from analyzer.ipvs import sctp
from analyzer.ipvs.states import active_states

if TYPE_CHECKING:
    from analyzer.ipvs.proc.formats import Entry

_HALF_OPEN = {
    "TCP": frozenset({"SYN_RECV", "SYNACK"}),
    "SCTP": sctp.HALF_OPEN_STATES,
}
_LISTEN = "LISTEN"
"""An FTP data connection whose client's port is not known yet; it has client port 0 too."""


def is_template(entry: Entry) -> bool:
    """Whether it is a persistence template, which neither counter counts (ip_vs_bind_dest)."""
    return entry.client_port == 0 and entry.state != _LISTEN


def counts_as_active(protocol: str, state: str, kernel: str | None) -> bool:
    """Whether an entry counts in ActiveConn; else it counts in InActConn.

    UDP, AH, ESP and whatever else has no states stay inactive all their life.
    """
    return state in _active_names(protocol, kernel)


@lru_cache(maxsize=64)
def _active_names(protocol: str, kernel: str | None) -> frozenset[str]:
    if protocol == "TCP":
        return frozenset(state.name for state in active_states(kernel))
    return sctp.ACTIVE_STATES if protocol == "SCTP" else frozenset()


def is_half_open(protocol: str, state: str) -> bool:
    """Whether the handshake is not complete, as far as the director saw."""
    return state in _HALF_OPEN.get(protocol, ())
