"""A log beside a capture: lifetimes by the falls of its counters, on whatever clock it is."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.ipvs.timers import expiry_uptime_s, granule_s
from analyzer.recording.directory import Recording
from analyzer.recording.log_clock import LogClock
from analyzer.report import Analysis, to_json
from analyzer.units import KNOWN_HZ
from loadgen.importing.folder import NOT_JOINED
from tests.importing import import_folder
from tests.unit.analyzer.builders_packets import (
    ACK,
    CLIENT_MAC,
    DIRECTOR_MAC,
    FIN,
    NS,
    PORT,
    RST,
    SERVER_MAC,
    SYN,
    VIP,
    ethernet,
    ipv4,
    pcap,
    reply,
    request,
    tcp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FIELD = Path(__file__).resolve().parents[3] / "data" / "field"
ZERO = datetime(2026, 11, 28, 4, 0, 0, tzinfo=UTC)
ZERO_S = ZERO.timestamp()
SERVERS = ("192.168.10.21", "192.168.10.22")
TITLE = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
"""


def utc(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def local(hours: float, name: str = "") -> Callable[[datetime], str]:
    """Local time so many hours east of UTC, with a zone's name or without."""

    def printed(at: datetime) -> str:
        there = at + timedelta(hours=hours)
        return f"{there:%a %b %d %H:%M:%S} {name} {there:%Y}" if name else f"{there:%F %T}"

    return printed


def time_alone(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def log_of(
    began_s: Floats,
    gone_s: Floats,
    polled_s: Floats,
    stamp: Callable[[datetime], str] = utc,
    *,
    ahead_s: float = 0.0,
    others: int = 0,
    forward: str = "Route",
    active_until_s: Floats | None = None,
) -> str:
    """``date; ipvsadm -Ln`` in a loop: entries shared by two real servers in turn.

    Args:
        began_s: when they came, seconds after ``ZERO``.
        gone_s: when they went.
        polled_s: when the loop asked.
        stamp: what it printed before.
        ahead_s: by how much its clock is ahead.
        others: entries of somebody else that are there at all times from the middle on.
        forward: as ipvsadm prints it.
        active_until_s: until when they were active; never if None.
    """
    active_until_s = began_s if active_until_s is None else active_until_s
    parts = []
    for number, at_s in enumerate(polled_s):
        there = (began_s <= at_s) & (at_s < gone_s)
        is_active = there & (at_s < active_until_s)
        rows = [f"TCP  {VIP}:{PORT} rr"]
        for index, server in enumerate(SERVERS):
            more = others if index == 0 and number > len(polled_s) // 2 else 0
            active = int(is_active[index::2].sum())
            inactive = int((there & ~is_active)[index::2].sum()) + more
            rows.append(f"  -> {server}:{PORT}  {forward}  1  {active}  {inactive}")
        printed = stamp(ZERO + timedelta(seconds=float(at_s) + ahead_s))
        parts.append(f"{printed}\n{TITLE}" + "\n".join(rows) + "\n")
    return "".join(parts)


def closed(port: int, began_s: float, how: int = FIN) -> list[tuple[int, bytes]]:
    """A connection of 5 ms, on the client's link in dr."""
    at_ns = round((ZERO_S + began_s) * NS)
    frames = [
        request(SYN, port=port),
        reply(SYN | ACK, port=port),
        request(ACK, port=port),
        request(how | ACK, port=port),
    ]
    if how == FIN:
        frames += [reply(FIN | ACK, port=port), request(ACK, port=port)]
    return [(at_ns + step * 1_000_000, frame) for step, frame in enumerate(frames)]


def capture_of(began_s: Floats, how: int = FIN, first_port: int = 20000) -> bytes:
    packets = [
        packet for n, at_s in enumerate(began_s) for packet in closed(first_port + n, at_s, how)
    ]
    return pcap(sorted(packets, key=lambda packet: packet[0]))


def wheel(began_s: Floats, timeout_s: float, hz: int = 1000, after_s: float = 0.005) -> Floats:
    """When entries go that last heard of their connections so long after they came."""
    return expiry_uptime_s(began_s + after_s + 5000, timeout_s, hz=hz, phase_s=0.2) - 5000


def analysed(path: Path, log: str, capture: bytes | None) -> Analysis:
    (path / "director.log").write_text(log)
    files = [path / "director.log"]
    if capture is not None:
        (path / "wire.pcap").write_bytes(capture)
        files.append(path / "wire.pcap")
    import_folder(files, path / "run")
    return analyse(Recording.open(path / "run"))


def ids(found: Analysis) -> set[str]:
    return {finding.id for finding in found.findings}


def clock_of(found: Analysis) -> LogClock:
    assert found.log_clock is not None
    return found.log_clock


def assert_measures(found: Analysis, timeout_s: float, n: int, *, within_s: float = 5.0) -> None:
    row = found.lifetimes[0]
    assert (row.n, row.n_expired) == (n, n)
    measured = row.timeout_measured_s
    assert measured is not None
    assert abs(measured.value - timeout_s) <= measured.uncertainty <= within_s
    assert row.lifetime_s is not None
    assert row.lifetime_s.mean + row.lifetime_s.uncertainty >= timeout_s
    assert "prediction-differs" not in ids(found)


BURST_S = 10 + np.linspace(0, 0.49, 50)
POLLED_S = np.arange(0.3, 160, 2.0)


# The recording of fifty connections: a client's capture, and the director's counters --------------


def field_log(change: Callable[[datetime], str]) -> str:
    """The log with each of its stamps (``2026-11-28 03:59:40``, UTC) put otherwise."""
    lines = gzip.decompress((FIELD / "dr50.log.gz").read_bytes()).decode().splitlines()
    return "".join(
        (change(datetime.fromisoformat(line)) if line.startswith("2026-") else line) + "\n"
        for line in lines
    )


@cache
def stamped(kind: str) -> Analysis:
    """The recording of fifty connections under stamps of a kind."""
    with TemporaryDirectory() as directory:
        capture = (FIELD / "dr50.pcap").read_bytes()
        return analysed(Path(directory), field_log(STAMPS[kind]), capture)


STAMPS = {
    "UTC, not named": local(0),
    "UTC": utc,
    "epoch": lambda at: str(round(at.replace(tzinfo=UTC).timestamp())),
    "CET": local(1, "CET"),
    "CET without a name": local(1),
    "CST in China": local(8, "CST"),
    "CST in America": local(-6, "CST"),
    "IST": local(5.5, "IST"),
    "no day": time_alone,
    "no day, in Chatham": lambda at: time_alone(at + timedelta(hours=13.75)),
    "no year": lambda at: f"{at:%b %d %H:%M:%S}",
    "a clock 97 s behind": lambda at: utc(at - timedelta(seconds=97)),
}


@pytest.mark.parametrize("kind", STAMPS)
def test_fifty_connections_lived_for_tcpfin_by_whatever_stamps(kind: str) -> None:
    """All 50 came with one poll; 30 went between two polls 120 and 122 s later, 20 after 124."""
    found = stamped(kind)
    assert_measures(found, 120, 50, within_s=3)
    row = found.lifetimes[0]
    assert (row.state, row.timeout_name, row.timeout_s) == ("FIN_WAIT", "tcpfin", None)
    assert row.lifetime_s is not None
    assert row.lifetime_s.mean == pytest.approx(123.5, abs=1.0)
    assert clock_of(found).joined
    assert clock_of(found).confirmed
    assert found.agreement[0].unexplained_polls == 0


@pytest.mark.parametrize(
    ("kind", "shift_s"),
    [
        ("UTC", 0.0),
        ("epoch", 0.0),
        ("CET", 0.0),  # the one zone of that name, so read as it
        ("CET without a name", 3600.0),
        ("CST in China", 28_800.0),
        ("CST in America", -21_600.0),
        ("IST", 19_800.0),
        ("a clock 97 s behind", -97.0),
    ],
)
def test_the_shift_that_was_found_is_said(kind: str, shift_s: float) -> None:
    found = stamped(kind)
    clock = clock_of(found)
    assert clock.shift_s is not None
    assert clock.uncertainty_s is not None
    assert abs(clock.shift_s - shift_s) <= clock.uncertainty_s <= 2
    assert to_json(found)["log_clock"]["shift_s"] == clock.shift_s
    assert ("log-clock" in ids(found)) == (shift_s != 0 or kind == "CET")
    assert ("the log's clock is" in found.verdict) == (shift_s != 0)


def test_a_log_without_days_has_its_midnight_said() -> None:
    found = stamped("no day")
    assert "its midnight is 2026-11-28T00:00:0" in found.verdict
    assert not clock_of(found).dated


def test_without_its_capture_the_log_answers_less_closely(tmp_path: Path) -> None:
    alone = analysed(tmp_path, field_log(utc), None).lifetimes[0].timeout_measured_s
    beside = stamped("UTC").lifetimes[0].timeout_measured_s
    assert beside is not None
    if alone is not None:
        assert beside.uncertainty < alone.uncertainty


# Other loads, timeouts and ways of forwarding -----------------------------------------------------


@pytest.mark.parametrize("timeout_s", [15, 60, 120, 300])
@pytest.mark.parametrize("hz", [100, 250, 1000])
def test_tcpfin_is_measured_and_predictions_go_by_it(
    tmp_path: Path, timeout_s: int, hz: int
) -> None:
    polled_s = np.arange(0.3, timeout_s + 60, 1.0)
    log = log_of(BURST_S, wheel(BURST_S, timeout_s, hz), polled_s)
    found = analysed(tmp_path, log, capture_of(BURST_S))
    longest_s = max(granule_s(timeout_s + 6.0, known) for known in KNOWN_HZ)  # HZ is not known
    assert_measures(found, timeout_s, 50, within_s=longest_s / 2 + 2)
    assert found.agreement[0].unexplained_polls == 0
    taken = [gap for gap in found.not_measured if gap.what == "tcpfin as configured on director"]
    assert len(taken) == (timeout_s != 120)


def test_a_steady_load_is_measured_though_its_plateau_hides_who_came(tmp_path: Path) -> None:
    began_s = 30 + np.arange(0, 200, 0.5)
    log = log_of(began_s, wheel(began_s, 45, 250), np.arange(0.3, 320, 2.0))
    found = analysed(tmp_path, log, capture_of(began_s))
    assert_measures(found, 45, 400, within_s=3)


def test_connections_that_were_reset_wait_ten_seconds(tmp_path: Path) -> None:
    log = log_of(BURST_S, wheel(BURST_S, 10, after_s=0.003), np.arange(0.3, 60, 1.0))
    found = analysed(tmp_path, log, capture_of(BURST_S, RST))
    (row,) = found.lifetimes
    assert (row.state, row.timeout_s) == ("CLOSE", 10)
    assert_measures(found, 10, 50, within_s=3)


def test_two_timeouts_in_one_counter_are_distinguished(tmp_path: Path) -> None:
    """Resets wait 10 s, whatever tcpfin is; what is left then waits for tcpfin."""
    resets_s = BURST_S[:20] + 0.6
    began_s = np.concatenate([BURST_S, resets_s])
    gone_s = np.concatenate([wheel(BURST_S, 60), wheel(resets_s, 10, after_s=0.003)])
    log = log_of(began_s, gone_s, np.arange(0.3, 100, 1.0))
    both = capture_of(BURST_S)[:24] + capture_of(BURST_S)[24:]
    both += capture_of(resets_s, RST, first_port=30000)[24:]
    found = analysed(tmp_path, log, both)
    by_state = {row.state: row for row in found.lifetimes}
    for state, timeout_s, n in (("FIN_WAIT", 60, 50), ("CLOSE", 10, 20)):
        measured = by_state[state].timeout_measured_s
        assert measured is not None
        assert by_state[state].n_expired == n
        assert abs(measured.value - timeout_s) <= measured.uncertainty <= 8


def test_idle_connections_show_in_activeconn(tmp_path: Path) -> None:
    frames = []
    for n, at_s in enumerate(BURST_S):
        frames += closed(20000 + n, at_s)[:3]
    gone_s = wheel(BURST_S, 30, after_s=0.002)
    log = log_of(BURST_S, gone_s, np.arange(0.3, 80, 1.0), active_until_s=gone_s)
    found = analysed(tmp_path, log, pcap(frames))
    row = found.lifetimes[0]
    assert (row.state, row.counted, row.timeout_name) == ("ESTABLISHED", "active", "tcp")
    assert_measures(found, 30, 50, within_s=3)


def nat_closed(port: int, began_s: float) -> list[tuple[int, bytes]]:
    """A connection on a nat director's link: each packet as it arrives, and as it is sent on."""
    at_ns = round((ZERO_S + began_s) * NS)
    server, client = SERVERS[port % 2], "192.168.10.250"
    steps = [(SYN, True), (SYN | ACK, False), (ACK, True), (FIN | ACK, True)]
    steps += [(FIN | ACK, False), (ACK, True)]
    found = []
    for step, (flags, is_request) in enumerate(steps):
        when_ns = at_ns + step * 1_000_000
        if is_request:
            onward = ethernet(
                ipv4(tcp(flags, source_port=port), source=client, destination=server),
                source=DIRECTOR_MAC,
                destination=SERVER_MAC,
            )
            found += [(when_ns, request(flags, port=port)), (when_ns + 50_000, onward)]
        else:
            back = tcp(flags, source_port=PORT, destination_port=port)
            answer = ethernet(
                ipv4(back, source=server, destination=client),
                source=SERVER_MAC,
                destination=DIRECTOR_MAC,
            )
            to_client = ethernet(
                ipv4(back, source=VIP, destination=client),
                source=DIRECTOR_MAC,
                destination=CLIENT_MAC,
            )
            found += [(when_ns, answer), (when_ns + 50_000, to_client)]
    return found


def test_nat_waits_in_time_wait_by_the_falls_too(tmp_path: Path) -> None:
    frames = [packet for n, at_s in enumerate(BURST_S) for packet in nat_closed(20000 + n, at_s)]
    log = log_of(BURST_S, wheel(BURST_S, 120), POLLED_S, local(8, "CST"), forward="Masq")
    found = analysed(tmp_path, log, pcap(sorted(frames, key=lambda one: one[0])))
    row = found.lifetimes[0]
    assert (row.state, row.timeout_name, row.timeout_s) == ("TIME_WAIT", "fixed", 120)
    assert_measures(found, 120, 50, within_s=9)


# What does not fit, and is not made to ------------------------------------------------------------


def test_counters_that_hold_others_entries_are_not_fitted(tmp_path: Path) -> None:
    log = log_of(BURST_S, wheel(BURST_S, 60), POLLED_S, others=300)
    found = analysed(tmp_path, log, capture_of(BURST_S))
    assert all(row.n_expired == 0 for row in found.lifetimes)
    (why,) = [gap.why for gap in found.not_measured if "by counters" in gap.what]
    assert "entries of connections that the capture does not show" in why
    assert "no entry was seen to expire" not in found.verdict
    assert found.counted or why in found.verdict  # by the log alone, or why it cannot be inferred


def test_a_log_that_ends_before_they_go_says_so(tmp_path: Path) -> None:
    log = log_of(BURST_S, wheel(BURST_S, 120), np.arange(0.3, 60, 2.0))
    found = analysed(tmp_path, log, capture_of(BURST_S))
    assert [(row.n, row.n_expired) for row in found.lifetimes] == [(50, 0)]
    assert "no entry was seen to expire" in found.verdict


def test_a_gap_in_the_polls_widens_what_is_claimed(tmp_path: Path) -> None:
    polled_s = np.concatenate([np.arange(0.3, 40, 2.0), np.arange(90.3, 160, 2.0)])
    log = log_of(BURST_S, wheel(BURST_S, 60), polled_s)
    found = analysed(tmp_path, log, capture_of(BURST_S))
    measured = found.lifetimes[0].timeout_measured_s
    assert measured is not None
    assert abs(measured.value - 60) <= measured.uncertainty
    assert measured.uncertainty > 20


REPEATED_S = np.concatenate([BURST_S + 60 * number for number in range(4)])


@pytest.mark.parametrize("stamp", [local(8), local(8, "CST"), time_alone])
def test_repeated_bursts_on_an_unknown_clock_are_not_joined(
    tmp_path: Path, stamp: Callable[[datetime], str]
) -> None:
    log = log_of(REPEATED_S, wheel(REPEATED_S, 20), np.arange(0.3, 225, 1.0), stamp)
    found = analysed(tmp_path, log, capture_of(REPEATED_S))
    clock = clock_of(found)
    assert (clock.joined, clock.shift_s) == (False, None)
    assert "repeats itself" in clock.why
    assert "the capture was left out" in found.verdict
    assert "log-clock" in ids(found)
    assert not found.agreement
    assert any("the capture beside the log" in gap.what for gap in found.not_measured)
    assert (tmp_path / "run" / NOT_JOINED).exists()
    assert not (tmp_path / "run" / "capture.pcap").exists()


def test_repeated_bursts_are_joined_by_stamps_that_say_utc_and_it_is_said(tmp_path: Path) -> None:
    log = log_of(REPEATED_S, wheel(REPEATED_S, 20), np.arange(0.3, 225, 1.0))
    found = analysed(tmp_path, log, capture_of(REPEATED_S))
    clock = clock_of(found)
    assert (clock.joined, clock.confirmed, clock.shift_s) == (True, False, 0.0)
    assert "which no events confirm" in found.verdict
    assert_measures(found, 20, 200, within_s=3)


def test_stamps_that_say_utc_and_events_that_contradict_them_are_not_joined(
    tmp_path: Path,
) -> None:
    log = log_of(REPEATED_S, wheel(REPEATED_S, 20), np.arange(0.3, 225, 1.0), ahead_s=25)
    found = analysed(tmp_path, log, capture_of(REPEATED_S))
    assert clock_of(found).joined is False
    assert "contradict the stamps" in clock_of(found).why


def test_a_capture_of_another_day_is_not_joined(tmp_path: Path) -> None:
    idle_s = np.array([-1e6])
    log = log_of(idle_s, idle_s, POLLED_S)
    found = analysed(tmp_path, log, capture_of(BURST_S + 86_400))
    assert clock_of(found).joined is False
    assert "do not overlap" in clock_of(found).why


def test_a_log_that_shows_nothing_on_a_clock_not_known_is_not_joined(tmp_path: Path) -> None:
    idle_s = np.array([-1e6])
    found = analysed(tmp_path, log_of(idle_s, idle_s, POLLED_S, local(1)), capture_of(BURST_S))
    assert clock_of(found).joined is False
    assert "name no time zone" in clock_of(found).why


def test_a_capture_that_is_shorter_or_longer_than_the_log_is_joined(tmp_path: Path) -> None:
    bursts_s = np.concatenate([BURST_S + at_s for at_s in (0, 31, 95, 117)])
    gone_s = wheel(bursts_s, 20)
    for number, (polled_s, kept) in enumerate(
        [
            (np.arange(0.3, 170, 1.0), bursts_s > 20),
            (np.arange(30.3, 170, 1.0), bursts_s > 0),
        ]
    ):
        path = tmp_path / str(number)
        path.mkdir()
        log = log_of(bursts_s, gone_s, polled_s, local(-5))
        found = analysed(path, log, capture_of(bursts_s[kept]))
        clock = clock_of(found)
        assert clock.joined
        assert clock.shift_s == pytest.approx(-18_000, abs=2)


# Entries, where the log has them ------------------------------------------------------------------


def test_entries_tell_the_shift_by_their_ports(tmp_path: Path) -> None:
    """Repeated bursts again, but every entry names its client's port."""
    gone_s = wheel(REPEATED_S, 20)
    parts = []
    for at_s in np.arange(0.3, 240, 1.0):
        there = np.flatnonzero((at_s >= REPEATED_S) & (at_s < gone_s))
        rows = [
            f"TCP 00:10 FIN_WAIT 192.168.10.250:{20000 + n} {VIP}:{PORT} {SERVERS[n % 2]}:{PORT}"
            for n in there
        ]
        printed = local(5.5)(ZERO + timedelta(seconds=float(at_s)))
        head = "IPVS connection entries\npro expire state       source  virtual  destination\n"
        parts.append(f"{printed}\n{head}" + "".join(f"{row}\n" for row in rows))
    found = analysed(tmp_path, "".join(parts), capture_of(REPEATED_S))
    clock = clock_of(found)
    assert (clock.joined, clock.confirmed) == (True, True)
    assert clock.shift_s == pytest.approx(19_800, abs=1.5)


# A drain's instants -------------------------------------------------------------------------------


def draining(stamp: Callable[[datetime], str], polls: Sequence[int] = (0, 5, 10, 15)) -> str:
    entry = "TCP {:02}:{:02}  TIME_WAIT   10.0.0.9:40002     192.168.10.2:80    192.168.10.21:80\n"
    table = (
        f"{TITLE}TCP  {VIP}:{PORT} rr\n  -> {SERVERS[0]}:{PORT}  Masq  0  0  1\n"
        "IPVS connection entries\npro expire state       source  virtual  destination\n"
    )
    return "".join(
        f"{stamp(ZERO + timedelta(seconds=at_s))}\n{table}" + entry.format(*divmod(118 - at_s, 60))
        for at_s in polls
    )


@pytest.mark.parametrize(
    ("stamp", "zone", "begins", "ends", "words"),
    [
        (utc, "UTC", "2026-11-28T04:02", "Z", " UTC "),
        (local(1, "CET"), "UTC", "2026-11-28T04:02", "Z", " UTC "),
        (local(8, "CST"), "CST", "2026-11-28T12:02", "", " CST by the log's own clock"),
        (local(5.5, "IST"), "IST", "2026-11-28T09:32", "", " IST by the log's own clock"),
        (local(-3), None, "2026-11-28T01:02", "", " by the log's own clock"),
        (time_alone, None, "04:02", "", " by the log's own clock"),
    ],
)
def test_a_drains_instants_are_utc_only_where_the_log_says_so(
    tmp_path: Path,
    stamp: Callable[[datetime], str],
    zone: str | None,
    begins: str,
    ends: str,
    words: str,
) -> None:
    found = analysed(tmp_path, draining(stamp), None)
    (row,) = found.drains
    assert row.zone == zone
    instants = [row.gone_by, row.weight_zero_since, row.states[0].gone_by]
    assert all(text is not None and text.endswith("Z") == (ends == "Z") for text in instants)
    assert row.gone_by is not None
    assert row.gone_by.startswith(begins)
    (said,) = [finding.evidence for finding in found.findings if finding.id == "draining"]
    assert words in said
    assert (" UTC" in said) == (ends == "Z")
    assert ("log-clock" in ids(found)) == (zone != "UTC")


def test_a_drain_beside_a_capture_is_reported_in_utc(tmp_path: Path) -> None:
    """The capture's clock says what the log's does not."""
    whole = log_of(BURST_S, wheel(BURST_S, 120), POLLED_S, local(8))
    zero = whole.replace(f"{SERVERS[0]}:{PORT}  Route  1", f"{SERVERS[0]}:{PORT}  Route  0")
    (row,) = analysed(tmp_path, zero, capture_of(BURST_S)).drains
    assert row.zone == "UTC"
    assert row.weight_zero_since.startswith("2026-11-28T04:00:0")


def test_a_clock_of_no_import_is_none() -> None:
    assert replace(_KNOWN, joined=None, utc_offset_s=None).is_utc is False
    assert _KNOWN.is_utc


_KNOWN = LogClock(
    zone="UTC",
    utc_offset_s=0.0,
    dated=True,
    resolution_s=1.0,
    joined=None,
    confirmed=False,
    shift_s=None,
    uncertainty_s=None,
    why="",
)
