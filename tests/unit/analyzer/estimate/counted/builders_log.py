"""Series as a loop of ``date +%s; ipvsadm -Ln`` prints them, and a report of such a log."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from tests.importing import import_folder

if TYPE_CHECKING:
    from analyzer.estimate.counted.series import CounterSeries
    from analyzer.report import Analysis

FIELD = Path(__file__).resolve().parents[4] / "data" / "field" / "counters"
BEGUN_S = 1_795_838_380
FORWARD = {"dr": "Route", "nat": "Masq", "tun": "Tunnel", "local": "Local"}
HEAD = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
)
RATE_HEAD = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n"
    "  -> RemoteAddress:Port\n"
)
STATS_HEAD = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
    "  -> RemoteAddress:Port\n"
)


def log_of(*servers: CounterSeries, timeouts: str = "") -> str:
    """A log of services that were polled at the same instants, a real server for each series."""
    looks = []
    for index, at_s in enumerate(servers[0].t_s):
        look = f"{BEGUN_S + int(at_s)}\n{timeouts}{HEAD}"
        listed = ""
        for number, one in enumerate(servers, start=21):
            if one.service != listed:
                look += f"{one.service} wlc\n"
                listed = one.service
            look += (
                f"  -> 192.0.2.{number}:80               {FORWARD[one.forwarding]}   1      "
                f"{one.active[index]}          {one.inactive[index]}\n"
            )
        if one.conns is not None:
            counts = f"{one.conns[index]} {one.conns[index] * 6} 0 {one.conns[index] * 400} 0\n"
            look += f"{STATS_HEAD}{one.service} {counts}  -> 192.0.2.21:80 {counts}"
        if one.rates is not None:
            rate = f"{one.rates.cps[index]} {one.rates.cps[index] * 6} 0 400 0\n"
            look += f"{RATE_HEAD}{one.service} {rate}  -> 192.0.2.21:80 {rate}"
        looks.append(look)
    return "".join(looks)


def reported(text: str) -> Analysis:
    """What a report says of a log."""
    with TemporaryDirectory() as directory:
        log = Path(directory) / "ipvsadm.log"
        log.write_text(text)
        return _reported(log, Path(directory) / "run")


@cache
def of_field(name: str) -> Analysis:
    """What a report says of a recorded log."""
    with TemporaryDirectory() as directory:
        return _reported(FIELD / f"{name}.log.gz", Path(directory) / "run")


def _reported(log: Path, run: Path) -> Analysis:
    import_folder([log], run)
    return analyse(Recording.open(run))
