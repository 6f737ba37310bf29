"""conntrack's table: every cell as the kernel's source has it, and what holds of all of it."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.conntrack.states import (
    COLUMNS,
    IGNORED,
    INVALID,
    STATES,
    TRANSITIONS,
    UDP_STATES,
    CtState,
    Kind,
    kind_of,
)
from analyzer.ipvs.states import State

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))

# fmt: off
KERNEL = {  # tcp_conntracks of Linux 6.1, columns sNO sSS sSR sES sFW sCW sLA sTW sCL sS2
    (0, Kind.SYN):    "SS SS IG IG IG IG IG SS SS S2",
    (0, Kind.SYNACK): "IV IV SR IV IV IV IV IV IV SR",
    (0, Kind.FIN):    "IV IV FW FW LA LA LA TW CL IV",
    (0, Kind.ACK):    "ES IV ES ES CW CW TW TW CL IV",
    (0, Kind.RST):    "IV CL CL CL CL CL CL CL CL CL",
    (0, Kind.NONE):   "IV IV IV IV IV IV IV IV IV IV",
    (1, Kind.SYN):    "IV S2 IV IV IV IV IV SS IV S2",
    (1, Kind.SYNACK): "IV SR IG IG IG IG IG IG IG SR",
    (1, Kind.FIN):    "IV IV FW FW LA LA LA TW CL IV",
    (1, Kind.ACK):    "IV IG SR ES CW CW TW TW CL IG",
    (1, Kind.RST):    "IV CL CL CL CL CL CL CL CL CL",
    (1, Kind.NONE):   "IV IV IV IV IV IV IV IV IV IV",
}
# fmt: on
SHORT = {
    "SS": CtState.SYN_SENT,
    "SR": CtState.SYN_RECV,
    "ES": CtState.ESTABLISHED,
    "FW": CtState.FIN_WAIT,
    "CW": CtState.CLOSE_WAIT,
    "LA": CtState.LAST_ACK,
    "TW": CtState.TIME_WAIT,
    "CL": CtState.CLOSE,
    "S2": CtState.SYN_SENT2,
    "IG": IGNORED,
    "IV": INVALID,
}


@pytest.mark.parametrize(("direction", "kind"), KERNEL)
def test_every_cell_is_the_kernels(direction: int, kind: Kind) -> None:
    row = [int(TRANSITIONS[direction, kind, present]) for present in COLUMNS]
    assert row == [int(SHORT[cell]) for cell in KERNEL[direction, kind].split()]


def test_the_table_leads_to_states_of_tcp_or_to_none() -> None:
    assert TRANSITIONS.shape == (2, 6, STATES)
    allowed = {int(state) for state in COLUMNS} | {IGNORED, INVALID}
    assert set(np.unique(TRANSITIONS).tolist()) <= allowed
    assert (TRANSITIONS != CtState.NONE).all()  # no packet makes an entry forget everything


def test_a_state_that_ipvs_has_too_has_its_number() -> None:
    for state in CtState:
        if state.name in State.__members__:
            assert int(state) == int(State[state.name])
        else:
            assert int(state) not in list(State)


def test_only_a_reset_leads_to_close_and_only_a_fin_begins_a_close() -> None:
    for present in COLUMNS:
        for kind in (Kind.SYN, Kind.SYNACK, Kind.FIN, Kind.ACK):
            after = TRANSITIONS[:, kind, present]
            assert ((after != CtState.CLOSE) | (present is CtState.CLOSE)).all()
            if kind is not Kind.FIN:
                assert (after != CtState.FIN_WAIT).all()


def test_udp_has_no_row() -> None:
    assert (TRANSITIONS[:, :, list(UDP_STATES)] == INVALID).all()


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (SYN, Kind.SYN),
        (SYN | ECE | CWR, Kind.SYN),
        (SYN | ACK, Kind.SYNACK),
        (FIN | PSH | ACK, Kind.FIN),
        (PSH | ACK, Kind.ACK),
        (ACK | URG, Kind.ACK),
        (RST, Kind.RST),
        (RST | ACK, Kind.RST),
        (0, Kind.NONE),
        (FIN, Kind.NONE),
        (SYN | FIN, Kind.NONE),
        (SYN | RST, Kind.NONE),
        (FIN | PSH | URG, Kind.NONE),
    ],
)
def test_flags_count_as_the_kernel_takes_them(flags: int, kind: Kind) -> None:
    assert kind_of(np.array([flags], dtype=np.uint8)).tolist() == [kind]
