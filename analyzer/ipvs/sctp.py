"""SCTP's entry states: names, timeouts, and which count as active or half-open.

Source: net/netfilter/ipvs/ip_vs_proto_sctp.c (``sctp_state_name_table``, ``sctp_timeouts``,
``set_sctp_state``), the same from Linux 3.11 to 7.x. No number of ``ipvsadm --set`` changes any of
these timeouts (``timeout_change`` is not implemented for SCTP).
"""

from __future__ import annotations

_LONGEST_RTO_S = 61.0

TIMEOUTS_S: dict[str, float] = {
    "NONE": 2,
    "INIT1": 4,
    "INIT": _LONGEST_RTO_S,
    "C-SENT": _LONGEST_RTO_S,
    "C-REPLIED": _LONGEST_RTO_S,
    "C-WAIT": _LONGEST_RTO_S,
    "COOKIE": _LONGEST_RTO_S,
    "C-ECHOED": _LONGEST_RTO_S,
    "ESTABLISHED": 900,
    "S-SENT": _LONGEST_RTO_S,
    "S-RECEIVED": _LONGEST_RTO_S,
    "S-ACK-SENT": _LONGEST_RTO_S,
    "REJECTED": 4,
    "CLOSED": _LONGEST_RTO_S,
}
"""What an entry waits after its last packet, seconds, by the state's name in ``ip_vs_conn``."""

ACTIVE_STATES = frozenset({"ESTABLISHED"})
"""Counted in ActiveConn; every other state is counted in InActConn."""

HALF_OPEN_STATES = frozenset(
    {"INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE", "C-ECHOED"}
)
"""The association is being set up, by either side."""

CLOSED_S = TIMEOUTS_S["CLOSED"]
