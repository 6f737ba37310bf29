"""What a SYN from a port meets whose old entry is still there.

Source: ``is_new_conn_expected`` and ``ip_vs_conn_uses_old_conntrack`` in
net/netfilter/ipvs/ip_vs_core.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import State

if TYPE_CHECKING:
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]

_FIN_WAIT_TOO = 2


def is_new_conn_expected(
    state: npt.ArrayLike, no_output: npt.ArrayLike, conn_reuse_mode: int
) -> Bools:
    """Whether a SYN ends entries at once; otherwise they go on with it.

    Args:
        state: of the entries, each a State.
        no_output: which have the flag NOOUTPUT: no reply of theirs was seen; same shape.
        conn_reuse_mode: ``net.ipv4.vs.conn_reuse_mode``.
    """
    state = np.asarray(state)
    if conn_reuse_mode == 0:
        return np.zeros(state.shape, dtype=bool)
    expected = (state == State.TIME_WAIT) | (state == State.CLOSE)
    if conn_reuse_mode & _FIN_WAIT_TOO:
        expected |= (state == State.FIN_WAIT) & np.asarray(no_output)
    return np.asarray(expected)


def uses_old_conntrack(*, conntrack: bool, sees_replies: bool) -> bool:
    """Whether a SYN that ends an entry is dropped, and only its retransmission makes the next one.

    Args:
        conntrack: ``net.ipv4.vs.conntrack`` is 1.
        sees_replies: they pass the director (nat), so its conntrack entry saw them too.
    """
    return conntrack and not sees_replies
