"""How fast a capture becomes connections, beside tcptrace, tshark and scapy in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader, RawPcapReader

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from tests.bench.captures import PACKETS_EACH, write_capture
from tests.importing import import_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CONNECTIONS = 100_000
PACKETS = CONNECTIONS * PACKETS_EACH
SCAPY_PACKETS = 20_000
RUNS = 3
ANALYZER = Path(sys.executable).parent / "analyzer"
PACKETS_PER_S, TSHARK_TIMES, SCAPY_TIMES, WHOLE_TCPTRACES = 1_000_000, 10, 20, 4


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million packets, 10,000 connections a second, their packets a millisecond apart."""
    return write_capture(tmp_path_factory.mktemp("packets") / "million.pcap", CONNECTIONS)


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
