"""A burst through a lab, as a test asks for it and sets it beside what should be.

``Measured`` is what such a test compares: a number that knows how well it is known.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from analyzer.analysis import analyse
from analyzer.checks.grammar import parse_expectation
from analyzer.checks.judge import judge_all
from analyzer.recording.directory import ANALYSIS, Recording
from loadgen.errors import RunFailed
from loadgen.lab.system.programs import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.report import Analysis
    from analyzer.results import Estimate, Lifetime
    from loadgen.lab.hosts.hosts import Director, LabHost, Server
    from loadgen.lab.lab import Lab

LIMIT_S = 1800.0
_START = "from loadgen.commands.loadgen import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredTime:
    """A time in seconds that is known to within ± ``uncertainty_s``.

    ``==`` holds for every number that cannot be told from it: within its uncertainty and one
    granule of the kernel's timer wheel, as ``tcpfin=30`` does in ``analyzer check``. An inequality
    is false only where no value within the uncertainty makes it true.

    Attributes:
        what: it is of.
        predicted: what the packets, the tables and the timers' rule say, in words.
    """

    value_s: float
    uncertainty_s: float
    granule_s: float
    what: str
    predicted: str

    @property
    def allowed_s(self) -> float:
        """How far a number may be from it and still be equal."""
        return self.uncertainty_s + self.granule_s

    def __float__(self) -> float:
        return self.value_s

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (int, float)):
            return NotImplemented
        return abs(self.value_s - other) <= self.allowed_s + 1e-9

    __hash__ = None  # type: ignore[assignment] # equal to many numbers that are not equal

    def __lt__(self, other: float) -> bool:
        return self.value_s - self.uncertainty_s < other

    def __le__(self, other: float) -> bool:
        return self.value_s - self.uncertainty_s <= other

    def __gt__(self, other: float) -> bool:
        return self.value_s + self.uncertainty_s > other

    def __ge__(self, other: float) -> bool:
        return self.value_s + self.uncertainty_s >= other

    def __repr__(self) -> str:
        return f"{self.value_s:.2f} s ± {self.uncertainty_s:.2f} s"

    def explain(self, relation: str, expected: float) -> list[str]:
        """Why it is not so, for the message of a failed assertion."""
        slack = f"the uncertainty and a granule ({self.allowed_s:.2f} s)"
        allowed = (
            slack if relation in ("==", "!=") else f"the uncertainty ({self.uncertainty_s:.2f} s)"
        )
        return [
            f"{self!r} {relation} {expected:g} s",
            self.what,
            f"  observed   {self!r}",
            f"  predicted  {self.predicted}",
            f"  expected   {relation} {expected:g} s; it is off by "
            f"{abs(self.value_s - expected):.2f} s, and {allowed} is allowed",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """Entries of one director that ended in one state.

    Attributes:
        n: how many, expired or not.
        timeout_s: what they waited, the timer's lateness taken out.
        lifetime_s: from the last packet to the disappearance, on average.
    """

    director: str
    state: str
    n: int
    timeout_s: MeasuredTime
    lifetime_s: MeasuredTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A burst that is over.

    Attributes:
        analysis: all of it.
    """

    directory: Path
    analysis: Analysis

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return self.analysis.requests.failed

    @property
    def inactive_peak(self) -> int:
        """The highest InActConn, all directors together."""
        return max((row.inactive for row in self.analysis.peaks if row.director is None), default=0)

    def lifetime(self, state: str, director: str | None = None) -> Waited:
        """The entries that ended in a state; on the director that had most, unless one is named.

        Raises:
            AssertionError: there are none, or none was seen to go; the line says what there is.
        """
        rows = [
            row
            for row in self.analysis.lifetimes
            if row.state == state and director in (None, row.director)
        ]
        row = max(rows, key=lambda lifetime: lifetime.n_expired, default=None)
        if row is None or row.lifetime_s is None or row.timeout_measured_s is None:
            raise AssertionError(f"{self._there_is(state, director)} ({self.directory})")
        return _waited(row, row.timeout_measured_s)

    def check(self, *expectations: str) -> None:
        """Hold the run to expectations such as ``tcpfin=30±1s``.

        Raises:
            AssertionError: one does not hold, or its quantity was not measured.
            ExpectationError: one is not understood.
        """
        judged = judge_all(map(parse_expectation, expectations), self.analysis)
        broken = [
            f"{judgement.text}: {judgement.why}"
            for judgement in judged
            if judgement.outcome != "passed"
        ]
        if broken:
            raise AssertionError("\n".join([*broken, f"({self.directory})"]))

    def _there_is(self, state: str, director: str | None) -> str:
        where = f" on {director}" if director else ""
        seen = "; ".join(
            f"{row.n} in {row.state} on {row.director}, {row.n_expired} seen to expire"
            for row in self.analysis.lifetimes
        )
        missing = "; ".join(f"{row.what}: {row.why}" for row in self.analysis.not_measured)
        there_is = f"there are {seen or 'no entries'}"
        return f"no entry in {state}{where} was timed; {there_is}" + (missing and f" ({missing})")


class LabUnderTest:
    """A lab that is up, and bursts through it."""

    def __init__(self, lab: Lab, directory: Path | None = None) -> None:
        self.lab = lab
        self._directory = directory
        self._bursts = 0

    @property
    def vip(self) -> str:
        """The virtual IP that bursts are sent to."""
        return self.lab.topology.vip

    @property
    def client(self) -> LabHost:
        """The host that load is sent from."""
        return self.lab.client

    @property
    def directors(self) -> Mapping[str, Director]:
        """By name."""
        return self.lab.directors

    @property
    def servers(self) -> Mapping[str, Server]:
        """By name."""
        return self.lab.servers

    def burst(self, *flags: str, n: int = 50, limit_s: float = LIMIT_S) -> Run:
        """Send requests, watch the directors forget them, and analyse it.

        Args:
            flags: others of ``loadgen burst``, such as ``"--close", "server"``.
            n: requests.
            limit_s: the longest it may take.

        Raises:
            RunFailed: the burst left no recording; the line is its own.
            subprocess.TimeoutExpired: it took longer than ``limit_s``.
        """
        directory = self._next_directory()
        words = ["--vip", self.vip, "-n", str(n), "--lab", self.lab.name, "-o", str(directory)]
        done = subprocess.run(
            [sys.executable, "-c", _START, "burst", *words, *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=environment(),
        )
        if not (directory / ANALYSIS).exists():
            raise RunFailed(f"loadgen burst: exit code {done.returncode}: {done.stderr.strip()}")
        return Run(directory=directory, analysis=analyse(Recording.open(directory)))

    def _next_directory(self) -> Path:
        if self._directory is None:
            self._directory = Path(mkdtemp(prefix="loadgen-"))
        self._bursts += 1
        return self._directory / f"burst-{self._bursts}"


def _waited(row: Lifetime, timeout: Estimate) -> Waited:
    lifetime = row.lifetime_s
    assert lifetime is not None
    where = f"of {row.n} entries in {row.state} on {row.director}, {row.n_expired} seen to expire"
    set_to = f"{row.timeout_name} " if row.timeout_name != "fixed" else "the kernel's fixed "
    configured = f"{set_to}{row.timeout_s:g} s" if row.timeout_s is not None else "not known"
    error = row.prediction_error_s
    mean = f"{lifetime.mean + error.mean:.2f} s on average" if error else "not known"
    granule_s = row.granule_s or 0.0
    return Waited(
        director=row.director,
        state=row.state,
        n=row.n,
        timeout_s=MeasuredTime(
            value_s=timeout.value,
            uncertainty_s=timeout.uncertainty,
            granule_s=granule_s,
            what=f"the timeout {where}",
            predicted=f"{configured}, as configured",
        ),
        lifetime_s=MeasuredTime(
            value_s=lifetime.mean,
            uncertainty_s=lifetime.uncertainty,
            granule_s=granule_s,
            what=f"the lifetime {where}",
            predicted=f"{mean}, from the packets and {configured}",
        ),
    )
