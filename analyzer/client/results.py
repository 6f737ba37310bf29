"""What the client sent and got, as printed."""

from dataclasses import dataclass

from analyzer.client.failures import FailureKind, Stage
from analyzer.results import Peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles of one latency, milliseconds; over the requests that got that far."""

    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestErrors:
    """Requests that failed for the same reason; see ``analyzer.client.failures`` for the kinds.

    ``first_s`` and ``last_s`` are when the first and the last of them were begun, seconds since
    the run's start.
    """

    kind: FailureKind
    stage: Stage  # how far they came: connect, tls, answer, close
    status: int | None  # HTTP's, where that is the reason
    n: int
    what: str  # the kind in words
    first_s: float | None
    last_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What the client sent and got.

    A request is one of the plan's: the redirects that it was led through are connections of its
    own in ``requests/``, but no requests here. Connect and first byte are those of its last
    connection; the total is from the first send to the last answer. Of a connection that carried
    several requests, connect counts once, and so does the lateness of its begin.
    """

    sent: int
    succeeded: int
    failed: int
    late: int  # answered more than 0.5 s after it was due
    duration_s: float | None
    rate_per_s: float | None
    connect_ms: Latency | None
    first_byte_ms: Latency | None
    total_ms: Latency | None
    total_from_due_ms: Latency | None = None  # from when it was due: what waited is not left out
    lateness_ms: Latency | None = None  # begun after it was due
    errors: tuple[RequestErrors, ...] = ()  # why requests failed, the commonest reason first
    connections: int | None = None  # begun for them, those of redirects among them

    @property
    def reused(self) -> int:
        """Requests that went on on a connection that stood, and so made none."""
        return 0 if self.connections is None else max(self.sent - self.connections, 0)

    @property
    def connections_per_s(self) -> float | None:
        """Connections begun a second, while requests were sent; None where their rate is."""
        if self.rate_per_s is None or not self.sent or self.connections is None:
            return self.rate_per_s
        return self.rate_per_s * self.connections / self.sent


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFigures:
    """What the client sent to one of several targets and got, and what its service came to.

    Attributes:
        sent, succeeded, failed, connections, total_ms: as in ``Requests``.
        peaks: the highest ActiveConn and InActConn polled of the service, per director and over
            all; empty where no poll had it.
    """

    protocol: str
    vip: str
    port: int
    sent: int
    succeeded: int
    failed: int
    connections: int
    total_ms: Latency | None
    peaks: tuple[Peak, ...] = ()
