"""The same packets under other timeouts, forwarding and sysctls."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.compared.curves import observed_curves
from analyzer.errors import AnalyzerError
from analyzer.evidence.gather import gather
from analyzer.ipvs.states import Flag, State
from analyzer.measure import measure
from analyzer.other_settings.what_if import Assumption, answer, parse_assumption
from analyzer.recording.directory import MANIFEST, Recording
from tests.unit.analyzer.builders_packets import SERVER_MAC, Seg
from tests.unit.analyzer.builders_run import (
    Held,
    Life,
    Stage,
    closed,
    expires_at_s,
    half_open,
    opened,
)
from tests.unit.properties import examples

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import WhatIf

# What may be assumed ------------------------------------------------------------------------------

ASSUMPTIONS: list[tuple[str, Assumption, str]] = [
    ("tcp=30", Assumption(name="tcp", value=30.0), "tcp=30"),
    ("tcpfin=15", Assumption(name="tcpfin", value=15.0), "tcpfin=15"),
    ("tcpfin=15s", Assumption(name="tcpfin", value=15.0), "tcpfin=15"),
    ("tcpfin=1", Assumption(name="tcpfin", value=1.0), "tcpfin=1"),
    ("udp=2.5", Assumption(name="udp", value=2.5), "udp=2.5"),
    ("forwarding=nat", Assumption(name="forwarding", value="nat"), "forwarding=nat"),
    ("forwarding=dr", Assumption(name="forwarding", value="dr"), "forwarding=dr"),
    ("forwarding=tun", Assumption(name="forwarding", value="tun"), "forwarding=tun"),
    ("conn_reuse_mode=0", Assumption(name="conn_reuse_mode", value=0.0), "conn_reuse_mode=0"),
    ("conn_reuse_mode=3", Assumption(name="conn_reuse_mode", value=3.0), "conn_reuse_mode=3"),
    ("secure_tcp=3", Assumption(name="secure_tcp", value=3.0), "secure_tcp=3"),
]


@pytest.mark.parametrize(("text", "meant", "shown"), ASSUMPTIONS)
def test_an_assumption_is_read_and_shown(text: str, meant: Assumption, shown: str) -> None:
    found = parse_assumption(text)
    assert found == meant
    assert str(found) == shown
    assert parse_assumption(shown) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "tcpfin",
        "tcpfin=",
        "tcpfin=soon",
        "tcpfin=0",  # --set's 0 leaves it as it is
        "tcpfin=-5",
        "tcpfin=0.5",
        "tcpfin=nan",
        "tcpfin=inf",
        "tcpfin=1e3",
        "tcpfin=²",
        "tcpfin=٣٠",
        "tcpfin=1.2.3",
        "tcpfin=30 40",
        "tcpfin=30m",
        "tcpfin=99999999999",
        "tcpfin=30=40",
        " tcpfin=30",
        "TCPFIN=30",
        "forwarding=",
        "forwarding=local",
        "forwarding=1",
        "conn_reuse_mode=4",
        "conn_reuse_mode=1.5",
        "conn_reuse_mode=1s",
        "conn_reuse_mode=-1",
        "secure_tcp=always",
        "secure_tcp=2.5",
        "conntrack=0",
    ],
)
def test_what_may_not_be_assumed_is_refused_with_what_may(text: str) -> None:
    with pytest.raises(AnalyzerError) as caught:
        parse_assumption(text)
    said = str(caught.value)
    assert said.startswith(f"--what-if {text}: expected NAME=VALUE")
    assert all(name in said for name in ("tcpfin", "forwarding", "conn_reuse_mode", "secure_tcp"))
    assert caught.value.exit_code == 2


@given(st.text(max_size=30) | st.builds("tcpfin={}".format, st.text(max_size=12)))
def test_any_text_is_an_assumption_or_refused(text: str) -> None:
    try:
        found = parse_assumption(text)
    except AnalyzerError:
        return
    assert parse_assumption(str(found)) == found


# What would have been -----------------------------------------------------------------------------


def asked(stage: Stage, path: Path, *texts: str, **facts: Any) -> WhatIf:
    """The answer for the one director; ``facts`` replace those of the manifest."""
    return analysed(stage, path, *texts, **facts).what_if[0]


def analysed(stage: Stage, path: Path, *texts: str, **facts: Any) -> Analysis:
    stage.recorded(path)
    return again(path, *texts, **facts)


def again(path: Path, *texts: str, **facts: Any) -> Analysis:
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["directors"]["bal01"] |= facts
    (path / MANIFEST).write_text(json.dumps(manifest))
    return analyse(Recording.open(path), [parse_assumption(text) for text in texts])


def groups(answer: WhatIf) -> list[tuple[str, float, int]]:
    return [(group.state, group.timeout_s, group.n) for group in answer.groups]


def quick(lives: list[Life], **more: Any) -> Stage:
    """A stage with few polls: what would have been rests on packets."""
    return Stage(lives=lives, until_s=1005.0, poll_s=0.5, **more)


def burst(count: int = 10) -> list[Life]:
    return [closed(40000 + n, 1000.0 + 0.05 * n) for n in range(count)]


@pytest.mark.parametrize("unknown", [0, 3, 10])
def test_an_entry_whose_wait_is_not_known_counts_in_no_group(tmp_path: Path, unknown: int) -> None:
    stage = quick(burst())
    stage.recorded(tmp_path)
    evidence = gather(Recording.open(tmp_path))
    curves = observed_curves(evidence.services, evidence.zero_ns)
    measured = measure(evidence.directors[0], evidence, curves)
    assert measured.prediction is not None
    waits_s = measured.prediction.entries["timeout_s"].to_numpy(copy=True)
    waits_s[:unknown] = np.nan
    entries = measured.prediction.entries.assign(timeout_s=waits_s)
    prediction = replace(measured.prediction, entries=entries)
    found, _ = answer(measured.director, evidence.zero_ns, prediction, [], caveat=None)
    assert groups(found) == [("FIN_WAIT", 20, 10 - unknown)][: unknown != 10]
    assert found.peak_inactive == 10


@pytest.mark.parametrize("tcpfin_s", [5, 60, 120])
def test_another_tcpfin(tmp_path: Path, tcpfin_s: int) -> None:
    found = analysed(quick(burst()), tmp_path, f"tcpfin={tcpfin_s}")
    (answer,), (curve,) = found.what_if, found.pictures.what_if
    assert answer.assumptions == (f"tcpfin={tcpfin_s}",)
    assert groups(answer) == [("FIN_WAIT", tcpfin_s, 10)]
    assert answer.peak_inactive == 10
    last_s = 1000.45 + 0.4
    gone_s = [expires_at_s(1000.0 + 0.05 * n + 0.4, tcpfin_s) for n in range(10)]
    assert answer.forgotten_after_s == pytest.approx(max(gone_s) - last_s, abs=1e-6)
    assert curve.t_s[-1] == pytest.approx(max(gone_s) - 999, abs=1e-6)
    assert (curve.active[-1], curve.inactive[-1]) == (0, 0)
    assert answer.doubt is None


def test_another_tcp(tmp_path: Path) -> None:
    lives = [opened(50000 + n, 1000.0) for n in range(4)] + burst(2)
    answer = asked(quick(lives), tmp_path, "tcp=45")
    assert groups(answer) == [("ESTABLISHED", 45, 4), ("FIN_WAIT", 20, 2)]
    assert (answer.peak_active, answer.peak_inactive) == (6, 2)
    gone_s = expires_at_s(1000.1, 45)
    assert answer.forgotten_after_s == pytest.approx(gone_s - 1000.45, abs=1e-6)


def test_another_udp(tmp_path: Path) -> None:
    lives = [
        Life(
            (Seg(1000.0 + n, 5000 + n, Flag.DATAGRAM),),
            Held(5000 + n, ((1000.0 + n, State.UDP),), expires_at_s(1000.0 + n, 300)),
        )
        for n in range(3)
    ]
    answer = asked(quick(lives, protocol="UDP"), tmp_path, "udp=10", "tcpfin=7")
    assert groups(answer) == [("UDP", 10, 3)]
    assert answer.assumptions == ("udp=10", "tcpfin=7")


def test_an_assumed_timeout_holds_through_what_was_changed_meanwhile(tmp_path: Path) -> None:
    lives = [*burst(3), *(closed(41000 + n, 1002.0, tcpfin_s=10) for n in range(2))]
    lives.append(opened(42000, 1002.0, tcp_s=33))
    stage = quick(lives, events=[(1001.5, "timeouts-changed", "33 10 0")])
    answer = asked(stage, tmp_path, "tcpfin=40")
    assert groups(answer) == [("FIN_WAIT", 40, 5), ("ESTABLISHED", 33, 1)]


def both_sides(port: int, began_s: float) -> Life:
    """At a client, in dr: it closes, the server follows; replies bypass the director."""
    life = closed(port, began_s)
    syn, ack, fin = life.sent
    sent = (
        syn,
        Seg(began_s + 0.05, port, Flag.SYN, reply=True, mac=SERVER_MAC),
        ack,
        fin,
        Seg(began_s + 0.45, port, Flag.FIN, reply=True, mac=SERVER_MAC),
        replace(fin, at_s=began_s + 0.5, flag=Flag.ACK),
    )
    return Life(sent, replace(life.held, gone_s=expires_at_s(began_s + 0.5, 20)))


def test_nat_instead_of_dr_from_a_clients_capture(tmp_path: Path) -> None:
    lives = [both_sides(40000 + n, 1000.0 + 0.1 * n) for n in range(6)]
    answer = asked(quick(lives), tmp_path, "forwarding=nat")
    assert groups(answer) == [("TIME_WAIT", 120, 6)]
    assert answer.doubt is None
    gone_s = max(expires_at_s(1000.5 + 0.1 * n, 120) for n in range(6))
    assert answer.forgotten_after_s == pytest.approx(gone_s - 1001.0, abs=1e-6)


def test_nat_instead_of_dr_where_nobody_saw_a_reply(tmp_path: Path) -> None:
    answer = asked(quick(burst()), tmp_path, "forwarding=nat")
    assert answer.doubt == "the capture has no replies, which nat would see"


@pytest.mark.parametrize("forwarding", ["dr", "tun"])
def test_dr_instead_of_nat(tmp_path: Path, forwarding: str) -> None:
    lives = []
    for n in range(4):
        life = both_sides(40000 + n, 1000.0 + n)
        sent = tuple(replace(seg, mac=Seg.mac) if seg.reply else seg for seg in life.sent)
        lives.append(Life(sent, life.held))
    stage = quick(lives, forwarding="nat")
    stage.recorded(tmp_path)
    was = again(tmp_path, "forwarding=nat")
    assert groups(was.what_if[0]) == [("TIME_WAIT", 120, 4)]
    would = again(tmp_path, f"forwarding={forwarding}", "tcpfin=30").what_if[0]
    assert groups(would) == [("FIN_WAIT", 30, 4)]
    assert would.doubt is None


def reused(port: int, end: Flag) -> list[Life]:
    """A connection that ended so, and 3 s later its port again; its SYN comes twice."""
    first, second = closed(port, 1000.0), closed(port, 1003.0)
    old = (*first.sent[:2], replace(first.sent[2], flag=end))
    syn = replace(second.sent[0], sequence=9)
    fresh = (syn, replace(syn, at_s=1004.0), replace(second.sent[1], at_s=1004.1))
    return [Life(old, replace(first.held, gone_s=1003.0)), Life(fresh, second.held)]


def active_again_s(analysis: Analysis) -> float:
    """When the entry of the second connection became active."""
    (curve,) = analysis.pictures.what_if
    return float(curve.t_s[(curve.t_s > 2) & (curve.active == 1)].min()) + 999


@pytest.mark.parametrize(
    ("end", "mode", "conntrack", "at_s"),
    [
        # dr: as measured on Linux 6.1
        (Flag.RST, 0, "1", 1003),  # the entry revives
        (Flag.RST, 1, "1", 1004),  # the SYN is dropped
        (Flag.FIN, 0, "1", 1003),
        (Flag.FIN, 1, "1", 1003),
        (Flag.FIN, 2, "1", 1004),
        (Flag.RST, 1, "0", 1003),  # the entry ends, and a new one begins
        (Flag.FIN, 2, "0", 1003),
    ],
)
def test_conn_reuse_mode_decides_whether_a_syn_that_hits_an_old_entry_is_dropped(
    tmp_path: Path, end: Flag, mode: int, conntrack: str, at_s: float
) -> None:
    facts = {"sysctl": {"conntrack": conntrack, "conn_reuse_mode": "1"}}
    found = analysed(quick(reused(40000, end), facts=facts), tmp_path, f"conn_reuse_mode={mode}")
    assert active_again_s(found) == pytest.approx(at_s)
    assert groups(found.what_if[0]) == [("ESTABLISHED", 900, 1)]


def test_secure_tcp_keeps_half_open_entries_for_120_s(tmp_path: Path) -> None:
    quick([half_open(40000 + n, 1000.0 + n) for n in range(3)]).recorded(tmp_path)
    for level, expected in [(0, "SYN_RECV"), (1, "SYN_RECV"), (2, "SYN_RECV"), (3, "SYNACK")]:
        answer = again(tmp_path, f"secure_tcp={level}").what_if[0]
        assert groups(answer) == [(expected, 120 if expected == "SYNACK" else 60, 3)]
        assert answer.peak_active == 3


def test_in_nat_an_old_conntrack_entry_drops_no_syn(tmp_path: Path) -> None:
    """Dr under conntrack drops the first SYN; in nat it makes the entry; and back again."""
    facts = {"sysctl": {"conntrack": "1"}}
    for was in ("dr", "nat"):
        path = tmp_path / was
        quick(reused(40000, Flag.RST), facts=facts, forwarding=was).recorded(path)
        for assumed, at_s in (("dr", 1004), ("nat", 1003)):
            found = again(path, f"forwarding={assumed}")
            assert active_again_s(found) == pytest.approx(at_s)


def test_a_phase_that_was_inferred_holds_for_what_would_have_been(tmp_path: Path) -> None:
    lives = [closed(40000 + n, 1000.0 + 0.2 * n) for n in range(50)]
    stage = Stage(lives=lives, facts={"hz": None, "timer_phase_s": None}, until_s=1040.0)
    found = analysed(stage, tmp_path, "tcpfin=30")
    (answer,), (curve,) = found.what_if, found.pictures.what_if
    last_s = max(life.sent[-1].at_s for life in lives)
    gone_s = max(expires_at_s(life.sent[-1].at_s, 30) for life in lives)
    assert answer.forgotten_after_s == pytest.approx(gone_s - last_s, abs=0.15)
    assert len(np.unique(curve.t_s[curve.t_s > 25])) < 20  # in steps


def test_without_a_capture_there_is_no_answer(tmp_path: Path) -> None:
    quick(burst()).recorded(tmp_path)
    (tmp_path / "capture.pcap").unlink()
    assert again(tmp_path, "tcpfin=30").what_if == ()


def test_without_assumptions_there_is_none_either(tmp_path: Path) -> None:
    assert quick(burst()).played(tmp_path).what_if == ()


# What was, assumed --------------------------------------------------------------------------------

ENDS = st.sampled_from([Flag.FIN, Flag.RST, Flag.ACK, None])
CONNECTIONS = st.lists(
    st.tuples(st.integers(40000, 40005), st.integers(0, 3000), ENDS), min_size=1, max_size=8
)


def packets(rows: list[tuple[int, int, Flag | None]]) -> list[Life]:
    """Connections at any instants, so that ports are used again, too soon or not."""
    lives = []
    for number, (port, began_ms, end) in enumerate(rows):
        began_s = 1000.0 + began_ms / 1000
        sent = [Seg(began_s, port, Flag.SYN, sequence=number), Seg(began_s + 0.1, port, Flag.ACK)]
        if end is not None:
            sent.append(Seg(began_s + 0.4, port, end))
        lives.append(Life(tuple(sent), Held(port, (), 0.0)))
    return lives


@examples(10)
@given(
    rows=CONNECTIONS,
    mode=st.sampled_from([0, 1, 2]),
    secure=st.sampled_from([0, 3]),
    tcpfin_s=st.sampled_from([5, 20, 120]),
    forwarding=st.sampled_from(["dr", "nat"]),
)
def test_what_was_configured_assumed_gives_what_was_predicted(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, Flag | None]],
    mode: int,
    secure: int,
    tcpfin_s: int,
    forwarding: str,
) -> None:
    path = tmp_path_factory.mktemp("same")
    facts = {
        "sysctl": {"conn_reuse_mode": str(mode), "secure_tcp": str(secure)},
        "timeouts": {"tcp": 900, "tcpfin": tcpfin_s, "udp": 300},
    }
    stage = Stage(
        lives=packets(rows), facts=facts, forwarding=forwarding, until_s=1000.0, poll_s=0.4
    )
    stage.recorded(path)
    same = (f"conn_reuse_mode={mode}", f"secure_tcp={secure}", f"tcpfin={tcpfin_s}", "tcp=900")
    found = again(path, *same, f"forwarding={forwarding}")
    (answer,), (would_be,) = found.what_if, found.pictures.what_if
    predicted = found.timeline.predicted
    for name in ("active", "inactive"):
        total = sum(
            (
                held(curve.t_s, getattr(curve, name), would_be.t_s)
                for curve in predicted
                if curve.director == "bal01"
            ),
            start=np.zeros(len(would_be.t_s), dtype=np.int64),
        )
        np.testing.assert_array_equal(total, getattr(would_be, name))
    assert {(row.state, row.timeout_s, row.n) for row in found.lifetimes} == set(groups(answer))


def held(t_s: Any, values: Any, at_s: Any) -> Any:
    """A curve's value at instants: that of its last change."""
    index = np.searchsorted(t_s, at_s + 1e-9, side="right") - 1
    return np.where(index >= 0, values[np.maximum(index, 0)], 0) if len(t_s) else 0 * index
