"""The six transition tables and the timeouts, held against the kernel's, written out anew.

The tables stand here the other way round than in the code: for each flag and each state that it
leads to, the states that it leads there from.
"""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.ipvs.states import (
    ACTIVE_STATES,
    FIXED_INACTIVE_S,
    TCP_STATES,
    TIMEOUT_NAMES,
    TRANSITIONS,
    Flag,
    State,
    Timeouts,
    TransitionTable,
    active_states,
    flag_of,
    is_active,
    timeout_by_state_s,
)

INPUT = """
    syn -> SYN_RECV:    NONE SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK
    syn -> ESTABLISHED: ESTABLISHED SYN_SENT
    fin -> CLOSE:       NONE CLOSE
    fin -> CLOSE_WAIT:  ESTABLISHED CLOSE_WAIT
    fin -> SYN_SENT:    SYN_SENT
    fin -> TIME_WAIT:   SYN_RECV FIN_WAIT TIME_WAIT SYNACK
    fin -> LAST_ACK:    LAST_ACK
    fin -> LISTEN:      LISTEN
    ack -> ESTABLISHED: NONE ESTABLISHED SYN_RECV SYNACK
    ack -> SYN_SENT:    SYN_SENT
    ack -> FIN_WAIT:    FIN_WAIT
    ack -> TIME_WAIT:   TIME_WAIT
    ack -> CLOSE:       CLOSE LAST_ACK
    ack -> CLOSE_WAIT:  CLOSE_WAIT
    ack -> LISTEN:      LISTEN
    rst -> CLOSE:       NONE ESTABLISHED SYN_SENT FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT
    rst -> SYN_RECV:    SYN_RECV SYNACK
    rst -> LAST_ACK:    LAST_ACK
    rst -> LISTEN:      LISTEN
"""

OUTPUT = """
    syn -> SYN_SENT:    NONE SYN_SENT FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK
    syn -> ESTABLISHED: ESTABLISHED
    syn -> SYN_RECV:    SYN_RECV SYNACK
    syn -> LISTEN:      LISTEN
    fin -> TIME_WAIT:   NONE SYN_RECV TIME_WAIT CLOSE_WAIT SYNACK
    fin -> FIN_WAIT:    ESTABLISHED FIN_WAIT
    fin -> SYN_SENT:    SYN_SENT
    fin -> CLOSE:       CLOSE
    fin -> LAST_ACK:    LAST_ACK
    fin -> LISTEN:      LISTEN
    ack -> ESTABLISHED: NONE ESTABLISHED SYN_RECV LISTEN SYNACK
    ack -> SYN_SENT:    SYN_SENT
    ack -> FIN_WAIT:    FIN_WAIT
    ack -> TIME_WAIT:   TIME_WAIT
    ack -> CLOSE:       CLOSE
    ack -> CLOSE_WAIT:  CLOSE_WAIT
    ack -> LAST_ACK:    LAST_ACK
    rst -> CLOSE:       NONE ESTABLISHED SYN_RECV FIN_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK
    rst -> SYN_SENT:    SYN_SENT
    rst -> TIME_WAIT:   TIME_WAIT
"""

INPUT_ONLY = """
    syn -> SYN_RECV:    NONE SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK
    syn -> ESTABLISHED: ESTABLISHED SYN_SENT
    fin -> CLOSE:       NONE CLOSE
    fin -> FIN_WAIT:    ESTABLISHED FIN_WAIT
    fin -> CLOSE_WAIT:  CLOSE_WAIT
    fin -> SYN_SENT:    SYN_SENT
    fin -> TIME_WAIT:   SYN_RECV TIME_WAIT SYNACK
    fin -> LAST_ACK:    LAST_ACK
    fin -> LISTEN:      LISTEN
    ack -> ESTABLISHED: NONE ESTABLISHED SYN_RECV SYNACK
    ack -> SYN_SENT:    SYN_SENT
    ack -> FIN_WAIT:    FIN_WAIT
    ack -> TIME_WAIT:   TIME_WAIT
    ack -> CLOSE:       CLOSE LAST_ACK
    ack -> CLOSE_WAIT:  CLOSE_WAIT
    ack -> LISTEN:      LISTEN
    rst -> CLOSE:       NONE ESTABLISHED SYN_SENT FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT SYNACK
    rst -> SYN_RECV:    SYN_RECV
    rst -> LAST_ACK:    LAST_ACK
    rst -> LISTEN:      LISTEN
"""

LAW = {
    TransitionTable.INPUT: INPUT,
    TransitionTable.OUTPUT: OUTPUT,
    TransitionTable.INPUT_ONLY: INPUT_ONLY,
}

# What secure_tcp changes, and nothing else: the table, then flag, present state, next state.
SECURE_CELLS = """
    INPUT      syn SYNACK     SYNACK
    INPUT      fin SYNACK     SYNACK
    INPUT      ack SYN_RECV   SYN_RECV
    INPUT      ack SYNACK     SYNACK
    INPUT      rst SYNACK     CLOSE
    OUTPUT     syn SYN_RECV   SYNACK
    OUTPUT     syn SYNACK     SYNACK
    INPUT_ONLY syn NONE       SYNACK
    INPUT_ONLY syn FIN_WAIT   SYNACK
    INPUT_ONLY syn TIME_WAIT  SYNACK
    INPUT_ONLY syn CLOSE      SYNACK
    INPUT_ONLY syn CLOSE_WAIT SYNACK
    INPUT_ONLY syn LAST_ACK   SYNACK
    INPUT_ONLY syn LISTEN     SYNACK
    INPUT_ONLY syn SYNACK     SYNACK
"""


def cells(text: str) -> dict[tuple[str, str], str]:
    """Flag and present state to the next state."""
    found = {}
    for line in text.strip().splitlines():
        rule, _, sources = line.partition(":")
        flag, _, target = rule.strip().partition(" -> ")
        for source in sources.split():
            assert (flag, source) not in found, f"this test says {flag} in {source} twice"
            found[flag, source] = target
    return found


CELLS = [
    pytest.param(table, flag, source, target, id=f"{table.name} {flag} in {source}")
    for table, text in LAW.items()
    for (flag, source), target in cells(text).items()
]


SECURE = {
    (TransitionTable[table], flag, source): target
    for table, flag, source, target in map(str.split, SECURE_CELLS.strip().splitlines())
}
SECURE_LAW = [
    pytest.param(
        table,
        flag,
        source,
        SECURE.get((table, flag, source), target),
        id=f"{table.name} {flag} in {source}",
    )
    for table, text in LAW.items()
    for (flag, source), target in cells(text).items()
]


@pytest.mark.parametrize("table", TransitionTable)
def test_the_law_of_this_test_is_whole(table: TransitionTable) -> None:
    assert len(cells(LAW[table])) == 4 * len(TCP_STATES) == 44


@pytest.mark.parametrize(("table", "flag", "source", "target"), SECURE_LAW)
def test_under_secure_tcp_a_packet_leads_where_the_kernel_says(
    table: TransitionTable, flag: str, source: str, target: str
) -> None:
    found = TRANSITIONS[len(TransitionTable) + table, Flag[flag.upper()], State[source]]
    assert State(found).name == target


def test_every_cell_that_secure_tcp_names_is_one_of_the_law() -> None:
    assert len(SECURE) == 15
    assert all((flag, source) in cells(LAW[table]) for table, flag, source in SECURE)


@pytest.mark.parametrize(("table", "flag", "source", "target"), CELLS)
def test_a_packet_leads_where_the_kernel_says(
    table: TransitionTable, flag: str, source: str, target: str
) -> None:
    found = TRANSITIONS[table, Flag[flag.upper()], State[source]]
    assert State(found).name == target


@pytest.mark.parametrize("table", range(2 * len(TransitionTable)))
def test_a_packet_with_none_of_the_flags_closes_from_any_state(table: int) -> None:
    assert set(TRANSITIONS[table, Flag.BARE, list(TCP_STATES)]) == {State.CLOSE}


@pytest.mark.parametrize("table", range(2 * len(TransitionTable)))
def test_udp_has_one_state_and_nothing_else_leads_there(table: int) -> None:
    assert set(TRANSITIONS[table, Flag.DATAGRAM]) == {State.UDP}
    tcp_flags = [flag for flag in Flag if flag is not Flag.DATAGRAM]
    assert State.UDP not in TRANSITIONS[table][np.ix_(tcp_flags, list(TCP_STATES))]


def test_input_only_differs_from_input_in_three_cells() -> None:
    differs = np.argwhere(
        TRANSITIONS[TransitionTable.INPUT] != TRANSITIONS[TransitionTable.INPUT_ONLY]
    )
    names = {(Flag(flag).name, State(state).name) for flag, state in differs}
    assert names == {("FIN", "ESTABLISHED"), ("FIN", "FIN_WAIT"), ("RST", "SYNACK")}


def test_states_are_numbered_as_in_the_kernel() -> None:
    kernel = (
        "NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN "
        "SYNACK"
    )
    assert [state.name for state in TCP_STATES] == kernel.split()
    assert [state.value for state in TCP_STATES] == list(range(11))


DEFAULTS_S = {
    "NONE": 2,
    "ESTABLISHED": 900,
    "SYN_SENT": 120,
    "SYN_RECV": 60,
    "FIN_WAIT": 120,
    "TIME_WAIT": 120,
    "CLOSE": 10,
    "CLOSE_WAIT": 60,
    "LAST_ACK": 30,
    "LISTEN": 120,
    "SYNACK": 120,
    "UDP": 300,
}


@pytest.mark.parametrize("name", DEFAULTS_S)
def test_the_default_timeouts_are_the_kernels(name: str) -> None:
    assert timeout_by_state_s(Timeouts())[State[name]] == DEFAULTS_S[name]


def test_the_defaults_of_set_are_900_120_300() -> None:
    assert Timeouts() == Timeouts(tcp_s=900, tcpfin_s=120, udp_s=300)


def test_set_changes_established_fin_wait_and_udp_and_nothing_else() -> None:
    found = timeout_by_state_s(Timeouts(tcp_s=7, tcpfin_s=8, udp_s=9))
    expected = DEFAULTS_S | {"ESTABLISHED": 7, "FIN_WAIT": 8, "UDP": 9}
    assert {state.name: found[state] for state in State} == expected


@pytest.mark.parametrize("state", State)
def test_a_states_timeout_bears_the_name_of_the_number_that_sets_it(state: State) -> None:
    settable = {State.ESTABLISHED: "tcp", State.FIN_WAIT: "tcpfin", State.UDP: "udp"}
    assert TIMEOUT_NAMES[state] == settable.get(state, "fixed")


def test_inactive_entries_end_in_these_fixed_timeouts() -> None:
    """CLOSE, CLOSE_WAIT and TIME_WAIT: the others are not left by a timer of their own."""
    assert set(FIXED_INACTIVE_S) == {
        DEFAULTS_S[name] for name in ("CLOSE", "CLOSE_WAIT", "TIME_WAIT")
    }


@pytest.mark.parametrize("state", State)
def test_active_is_more_than_established(state: State) -> None:
    active = state.name in ("ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK")
    assert (state in ACTIVE_STATES) is active
    assert bool(is_active("6.1.176")[state]) is active


@pytest.mark.parametrize(
    ("kernel", "counted"),
    [
        ("3.10.0-1160.el7.x86_64", {"ESTABLISHED"}),  # before the change
        ("4.7.10", {"ESTABLISHED"}),
        ("4.8.0", {"ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"}),
        ("Linux 6.1.176 (User-Mode Linux)", {"ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"}),
        (None, {"ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"}),  # today's, where not known
    ],
)
def test_older_kernels_count_only_established_as_active(
    kernel: str | None, counted: set[str]
) -> None:
    assert {state.name for state in active_states(kernel)} == counted
    assert {state.name for state in State if is_active(kernel)[state]} == counted


FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))


@pytest.mark.parametrize(
    ("bits", "flag"),
    [
        (SYN, Flag.SYN),  # a client opens
        (SYN | ACK, Flag.SYN),  # a SYN-ACK is a syn
        (SYN | ECE | CWR, Flag.SYN),  # one that asks for ECN is one too
        (FIN | ACK, Flag.FIN),  # a FIN-ACK is a fin
        (FIN | PSH | ACK, Flag.FIN),  # a FIN with the last data
        (ACK, Flag.ACK),
        (PSH | ACK, Flag.ACK),  # data
        (RST, Flag.RST),
        (RST | ACK, Flag.RST),  # a reset goes before all others
        (RST | SYN | FIN | ACK, Flag.RST),
        (SYN | FIN, Flag.SYN),  # syn goes before fin
        (0, Flag.BARE),  # none of the four
        (PSH | URG, Flag.BARE),  # these two do not count
    ],
)
def test_a_packet_counts_as_its_first_of_rst_syn_fin_ack(bits: int, flag: Flag) -> None:
    assert flag_of(np.array([bits], dtype=np.uint8))[0] == flag


def test_every_flag_byte_follows_the_order_of_precedence() -> None:
    for bits, found in enumerate(flag_of(np.arange(256, dtype=np.uint8))):
        order = ((RST, Flag.RST), (SYN, Flag.SYN), (FIN, Flag.FIN), (ACK, Flag.ACK))
        assert found == next((flag for bit, flag in order if bits & bit), Flag.BARE)
