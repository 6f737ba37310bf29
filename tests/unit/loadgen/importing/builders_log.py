"""Logs of ``ipvsadm -Lnc`` as a director would have printed them, whose truth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.analysis import analyse
from analyzer.ipvs.timers import expiry_uptime_s
from analyzer.recording.directory import Recording
from tests.importing import import_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from analyzer.report import Analysis

ZERO_T = 1_795_838_380  # Unix time at which the director's uptime was UPTIME_S
UPTIME_S = 5000.0
VIP, SERVER = "10.96.0.10", "10.244.1.9"
HEAD = (
    "IPVS connection entries\n"
    "pro expire state       source             virtual            destination\n"
)


@dataclass(frozen=True)
class Packet:
    """What led an entry to a state, whose timeout then held; ``timeout_s`` restarts its timer."""

    at_s: float
    state: str
    timeout_s: float


@dataclass(frozen=True)
class Logged:
    """An entry, by its packets; ``ends_s`` where something else than its timer ended it."""

    port: int
    packets: tuple[Packet, ...]
    protocol: str = "TCP"
    ends_s: float = math.inf
    client: str = "10.244.0.9"
    server: str = SERVER
    virtual_port: int = 53

    def line_at(self, at_s: float, *, hz: int, phase_s: float) -> str | None:
        """Its line of ``-Lnc``; None while it is not there."""
        last = next((one for one in reversed(self.packets) if one.at_s <= at_s), None)
        if last is None or at_s >= min(self.goes_s(last, hz, phase_s), self.ends_s):
            return None
        left_s = max(math.floor(last.at_s + last.timeout_s - at_s), 0)
        expire = f"{left_s // 60:02d}:{left_s % 60:02d}"
        ends = (f"{self.client}:{self.port}", f"{VIP}:{self.virtual_port}", f"{self.server}:53")
        return (
            f"{self.protocol:<3} {expire}  {last.state:<11} {ends[0]:<18} {ends[1]:<18} {ends[2]}"
        )

    @staticmethod
    def goes_s(last: Packet, hz: int, phase_s: float) -> float:
        """When its timer fires."""
        fires = expiry_uptime_s(last.at_s + UPTIME_S, last.timeout_s, hz=hz, phase_s=phase_s)
        return float(fires) - UPTIME_S


def log_text(
    entries: Sequence[Logged],
    polls_s: Iterable[float],
    *,
    hz: int = 250,
    phase_s: float = 0.1,
    whole: bool = True,
    before: str = "",
    services: Callable[[float], str] = lambda _: "",
) -> str:
    """A loop of ``date +%s; ipvsadm -Lnc``, or of ``date +%s.%N`` where not ``whole``.

    Args:
        entries: what the director held.
        polls_s: when it was looked at.
        hz: the director's.
        phase_s: of its timers.
        whole: stamps are of whole seconds, rounded down.
        before: what the log says before its first stamp.
        services: what ``ipvsadm -Ln`` printed at an instant.
    """
    parts = [before]
    for at_s in polls_s:
        stamp = f"{math.floor(ZERO_T + at_s)}" if whole else f"{ZERO_T + at_s:.6f}"
        found = (entry.line_at(at_s, hz=hz, phase_s=phase_s) for entry in entries)
        parts.append(
            f"{stamp}\n{services(at_s)}{HEAD}" + "".join(f"{line}\n" for line in found if line)
        )
    return "".join(parts)


def analysed(path: Path, text: str) -> Analysis:
    """The log imported and analysed."""
    log = path / "director.log"
    log.write_text(text)
    import_folder([log], path / "run")
    return analyse(Recording.open(path / "run"))


def every(poll_s: float, until_s: float, first_s: float = 0.0) -> list[float]:
    """The instants of polls."""
    return [first_s + number * poll_s for number in range(round((until_s - first_s) / poll_s) + 1)]
