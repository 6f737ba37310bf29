"""The result of a sweep, as ``loadgen sweep --json`` prints it."""

from dataclasses import dataclass, field

from analyzer.documents import JsonDocument
from analyzer.forecast.model import PortBudget, TableMemory
from analyzer.pictures.fin_waits import FinWaits
from analyzer.results import Estimate, NotMeasured, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A measured value and the model's.

    Attributes:
        measured: None where the run does not have it.
        model: for the same load.
        uncertainty: the largest difference at which the two agree.
        why: there is no measured value.
        agrees: whether the two do; None without a measured value.
    """

    measured: float | None
    model: float
    uncertainty: float
    why: str | None = None
    agrees: bool | None = field(init=False)

    def __post_init__(self) -> None:
        """Judge it."""
        value = self.measured
        agrees = None if value is None else abs(value - self.model) <= self.uncertainty
        object.__setattr__(self, "agrees", agrees)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The run under one value of tcpfin.

    Attributes:
        run: its directory.
        director: with the most entries.
        state: of most of its inactive entries; ``timeout_name`` governed them.
        peak_inactive: InActConn at its highest.
        steady_inactive: InActConn on average, once entries went as fast as they came.
        timeout: the governing timeout, measured by the entries' expiries.
        lifetime_s: from an entry's last packet to its removal.
        ports: the connection rate at which ports return too soon, for these lifetimes.
        collisions: entries that ended because their port came back.
        memory: of the table at its peak.
        waits: silences of closing connections; None without a capture.
        timeout_agrees: whether entries lived as long as tcpfin; None if another timeout governed.
    """

    tcpfin_s: float
    run: str
    director: str | None
    forwarding: str | None
    state: str | None
    timeout_name: str | None
    sent: int
    failed: int
    rate_per_s: float | None
    duration_s: float | None
    peak_inactive: Beside | None
    steady_inactive: Beside | None
    timeout: Estimate | None
    lifetime_s: Spread | None
    granule_s: float | None
    ports: PortBudget | None
    collisions: int | None
    memory: TableMemory | None
    waits: FinWaits | None
    path_jitter_s: float | None
    timeout_agrees: bool | None = field(init=False)

    def __post_init__(self) -> None:
        """Judge its timeout."""
        timeout = self.timeout if self.timeout_name == "tcpfin" else None
        agrees = timeout and abs(timeout.value - self.tcpfin_s) <= timeout.uncertainty
        object.__setattr__(self, "timeout_agrees", agrees)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """The smallest tcpfin that these clients allow.

    Attributes:
        tcpfin_s: the smallest value of the sweep that suffices; None if none does.
        least_s: the smallest whole number of seconds that would suffice; None where not known.
        longest_wait_s: the longest silence of a closing connection, within ± ``uncertainty_s``.
        limited_by: what ended that silence.
        connections: number of connections in which it was the longest.
        why: the reason in words.
        not_measured: influences that these runs did not show.
    """

    tcpfin_s: float | None
    least_s: int | None
    longest_wait_s: float | None
    uncertainty_s: float | None
    limited_by: str | None
    connections: int
    why: str
    not_measured: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep(JsonDocument):
    """The points, by way of forwarding, smallest tcpfin first, and the verdict.

    Fewer points than ``runs_planned``, or none: the sweep, or a run of it, was interrupted.
    """

    folder: str
    verdict: str
    points: tuple[Point, ...]
    knee: Knee
    not_measured: tuple[NotMeasured, ...]
    runs_planned: int | None = None  # null where nobody wrote it down

    @property
    def ways(self) -> tuple[str | None, ...]:
        """The ways of forwarding, in the order of the points; usually one."""
        return tuple(dict.fromkeys(point.forwarding for point in self.points))
