"""How fast a capture becomes connections, beside tcptrace, tshark and scapy in the same run."""

from __future__ import annotations

import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader, RawPcapReader

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from analyzer.wire.segments import VirtualEnd
from loadgen.importing.folder import import_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CONNECTIONS, PACKETS_EACH = 100_000, 10
PACKETS = CONNECTIONS * PACKETS_EACH
SCAPY_PACKETS = 20_000
RUNS = 3
ANALYZER = Path(sys.executable).parent / "analyzer"
PACKETS_PER_S, TSHARK_TIMES, SCAPY_TIMES, WHOLE_TCPTRACES = 1_000_000, 10, 20, 4

CLIENT_MAC, DIRECTOR_MAC, SERVER_MAC = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
VIP = VirtualEnd("TCP", "10.9.9.9", 80)
SYN, SYN_ACK, ACK, PSH_ACK, FIN_ACK = 0x02, 0x12, 0x10, 0x18, 0x11
LIFE = (  # as a client in dr sees it: the flags, and whether it sent them
    (SYN, True),
    (SYN_ACK, False),
    (ACK, True),
    (PSH_ACK, True),
    (ACK, False),
    (PSH_ACK, False),
    (ACK, True),
    (FIN_ACK, True),
    (FIN_ACK, False),
    (ACK, True),
)
RECORD = np.dtype([("head", "<u4", (4,)), ("frame", "u1", (66,))])


def frames_of(step: int) -> np.ndarray:
    """The same packet of every connection: Ethernet, IPv4, TCP with a timestamp's room."""
    flags, forth = LIFE[step]
    number = np.arange(CONNECTIONS)
    frame = np.zeros((CONNECTIONS, 66), dtype=np.uint8)
    ends = (DIRECTOR_MAC, CLIENT_MAC) if forth else (CLIENT_MAC, SERVER_MAC)
    frame[:, :12] = np.frombuffer(b"".join(ends), np.uint8)
    frame[:, 12:24] = [8, 0, 0x45, 0, 0, 52, 0, 0, 0, 0, 64, 6]
    client, vip = np.tile([10, 1, 0, 0], (CONNECTIONS, 1)), [10, 9, 9, 9]
    client[:, 3] = 1 + number // 60_000
    frame[:, 26:30], frame[:, 30:34] = (client, vip) if forth else (vip, client)
    port, service = big_endian(1024 + number % 60_000, 2), [0, 80]
    frame[:, 34:36], frame[:, 36:38] = (port, service) if forth else (service, port)
    frame[:, 38:42] = big_endian(number * 7919 + (step > 0), 4)
    frame[:, 46:48] = [0x80, flags]
    return frame


def big_endian(numbers: np.ndarray, width: int) -> np.ndarray:
    return numbers.astype(f">u{width}").view(np.uint8).reshape(-1, width)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million packets, 10,000 connections a second, their packets a millisecond apart."""
    records = np.zeros((CONNECTIONS, PACKETS_EACH), dtype=RECORD)
    at_ns = np.arange(CONNECTIONS)[:, None] * 100_000 + np.arange(PACKETS_EACH) * 1_000_000
    for step in range(PACKETS_EACH):
        records["frame"][:, step] = frames_of(step)
    records["head"][..., 0] = 1_700_000_000 + at_ns // 10**9
    records["head"][..., 1] = at_ns % 10**9
    records["head"][..., 2:] = 66
    path = tmp_path_factory.mktemp("packets") / "million.pcap"
    in_time = records.ravel()[np.argsort(at_ns.ravel(), kind="stable")]
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
    path.write_bytes(head + in_time.tobytes())
    return path


def took_s(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def command_s(argv: Sequence[str | Path]) -> float:
    return took_s(lambda: subprocess.run(argv, check=True, capture_output=True))


def ours_s(capture: Path, run: Path) -> float:
    """From the file's bytes to connections, by the analysis' own stopwatch; imported before."""
    if not run.exists():
        import_folder([capture], run)
    found = analyse(Recording.open(run))
    assert sum(row.n for row in found.lifetimes) == CONNECTIONS
    packets_s = found.timings_s["packets"]
    assert packets_s is not None
    return packets_s


def whole_s(capture: Path, run: Path) -> float:
    """``analyzer import`` and ``analyzer report``, two processes from start to end."""
    imports_s = command_s([ANALYZER, "import", capture, "-o", run])
    return imports_s + command_s([ANALYZER, "report", run])


def scapy_s(capture: Path) -> tuple[float, float]:
    """A packet read and asked for its ends by scapy; and read only, not looked into."""

    def dissected() -> Iterator[object]:
        with PcapReader(str(capture)) as reader:
            for packet, _ in zip(reader, range(SCAPY_PACKETS), strict=False):
                assert isinstance(packet, Ether)
                yield packet[IP].src, packet[TCP].sport, packet[TCP].flags

    def raw() -> Iterator[object]:
        with RawPcapReader(str(capture)) as reader:
            yield from zip(reader, range(SCAPY_PACKETS), strict=False)

    dissected_s, raw_s = took_s(lambda: list(dissected())), took_s(lambda: list(raw()))
    return dissected_s / SCAPY_PACKETS, raw_s / SCAPY_PACKETS


def test_a_million_packets_become_connections_before_others_have_read_them(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tcptrace, tshark, ours, whole, scapy, raw = ([] for _ in range(6))
    for number in range(RUNS):
        tcptrace.append(command_s(["tcptrace", "-n", capture]))
        ours.append(ours_s(capture, tmp_path / "run"))
        tshark.append(command_s(["tshark", "-q", "-z", "conv,tcp", "-r", capture]))
        whole.append(whole_s(capture, tmp_path / f"run{number}"))
        dissected_s, raw_s = scapy_s(capture)
        scapy.append(dissected_s * PACKETS)
        raw.append(raw_s * PACKETS)
    rows = {
        "analyzer, file to connections": ours,
        "tcptrace -n": tcptrace,
        "tshark -q -z conv,tcp": tshark,
        "scapy PcapReader (from fewer packets)": scapy,
        "scapy RawPcapReader (likewise)": raw,
        "analyzer import + report, whole": whole,
    }
    median_s = {name: statistics.median(runs) for name, runs in rows.items()}
    mine_s = median_s["analyzer, file to connections"]
    with capsys.disabled():
        print(f"\n{PACKETS:,} packets, {CONNECTIONS:,} connections, the median of {RUNS}:")
        for name, seconds in median_s.items():
            print(
                f"{name:38} {seconds:7.2f} s {PACKETS / seconds:12,.0f} packets/s"
                f" {seconds / mine_s:7.1f}x"
            )
    assert PACKETS / mine_s >= PACKETS_PER_S
    assert mine_s < median_s["tcptrace -n"]
    assert mine_s * TSHARK_TIMES <= median_s["tshark -q -z conv,tcp"]
    assert mine_s * SCAPY_TIMES <= median_s["scapy PcapReader (from fewer packets)"]
    whole_now_s = median_s["analyzer import + report, whole"]
    assert whole_now_s <= WHOLE_TCPTRACES * median_s["tcptrace -n"]
