"""What is to be sent, as data: immutable, checked once, recorded in the manifest."""

from __future__ import annotations

import base64
from bisect import bisect
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address
from itertools import accumulate
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Literal

from loadgen.errors import UsageProblem
from loadgen.load.division import Division
from loadgen.load.hold import Hold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.forecast.closings import Close
    from analyzer.forecast.lifetimes import Arrivals
    from loadgen.target import Target

EngineName = Literal["http", "sockets", "packets"]

GOLDEN = 0.6180339887498949
"""Its multiples, modulo 1, fill [0, 1) evenly, and never in step with anything."""

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, the same each time.

    Attributes:
        path: of the URL, beginning with a slash.
        headers: in order; one of these names replaces the one that an engine would send itself.
        authority: what stands in ``Host``; None for the target's own address and port.
        tls: HTTPS; ``server_name`` is its SNI, and ``verify`` whether the certificate must hold.
        redirects: how many to follow, each on a connection of its own, at the same target only.
    """

    method: str = "HEAD"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    authority: str | None = None
    tls: bool = False
    server_name: str | None = None
    verify: bool = True
    redirects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """What a UDP burst sends: one datagram for each entry it makes.

    Attributes:
        answered: whether a response is expected, so that its absence is a failure.
    """

    payload: bytes = b"loadgen"
    answered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A time with one rate; a rate of 0 is a pause."""

    duration_s: float
    rate_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedModel:
    """So many at a time: a request begins when one before it has ended.

    Attributes:
        requests: in all; None for as many as ``duration_s`` allows.
        think_s: the pause of a sender between two requests.
    """

    requests: int | None = None
    concurrency: int = 1
    think_s: float = 0
    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenModel:
    """On schedule, whatever became of the requests before.

    Attributes:
        stages: one after another; the schedule ends with the last.
        requests: the schedule ends with this many, if that is earlier.
        at_once: connections that may be open; None for as many as it takes. What is due while all
            are taken waits, and is recorded as late.
    """

    stages: tuple[Stage, ...]
    arrivals: Arrivals = "uniform"
    seed: int = 0
    requests: int | None = None
    at_once: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How connections end, and when.

    Attributes:
        shares: of each kind; they need not add up to 1.
        hold: between the response and the close.
    """

    shares: tuple[tuple[Close, float], ...] = (("client", 1.0),)
    hold: Hold = field(default_factory=Hold)

    @property
    def kinds(self) -> tuple[Close, ...]:
        """Those that a connection of this plan may end with."""
        return tuple(kind for kind, share in self.shares if share > 0)

    @property
    def bounds(self) -> tuple[float, ...]:
        """Where each kind's part of [0, 1) ends; the last is 1."""
        return _bounds(tuple(share for _, share in self.shares))

    def of(self, number: int) -> Close:
        """How the connection of this number ends.

        A number's place is ``number * GOLDEN % 1``, and the kind is the one whose part of [0, 1)
        holds it. So any row of numbers has the kinds in their shares, to a few, whoever sends
        which; and they are never in step with a scheduler that deals connections out in turn.
        """
        if len(self.shares) == 1:
            return self.shares[0][0]
        return self.shares[bisect(self.bounds, number * GOLDEN % 1.0)][0]


@lru_cache
def _bounds(shares: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(shares)
    return (*(bound / total for bound in accumulate(shares[:-1])), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTarget:
    """One of several targets, and what is asked of it: its path, TLS and names are its own."""

    target: Target
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """All that an engine needs to know.

    Attributes:
        target: the first, or only one; ``request`` is what is asked of it.
        others: further targets. Connections go to all of them in turn, by their numbers.
        engine: that carries it out.
        sources: local addresses to send from, in turn; empty for the kernel's choice.
        datagram: of a UDP burst; None for HTTP.
        timeout_s: for a request as a whole.
        connect_timeout_s: for its connection.
        requests_per_connection: that each connection carries, one after another.
        tcp_info: ask the kernel about each connection before it is closed.
        port_reuse_s: a source port goes out again when it has rested so long, and before those that
            never went; None for whatever the engine does.

    Raises:
        UsageProblem: the parts do not go together.
    """

    target: Target
    arrivals: ClosedModel | OpenModel = field(default_factory=ClosedModel)
    request: Request = field(default_factory=Request)
    others: tuple[PlannedTarget, ...] = ()
    closing: Closing = field(default_factory=Closing)
    datagram: Datagram | None = None
    engine: EngineName = "http"
    sources: tuple[str, ...] = ()
    processes: int = 1
    requests_per_connection: int = 1
    timeout_s: float = 30
    connect_timeout_s: float = 10
    tcp_info: bool = False
    port_reuse_s: float | None = None

    def __post_init__(self) -> None:
        for trouble in _troubles(self):
            raise UsageProblem(trouble)

    @property
    def planned_targets(self) -> tuple[PlannedTarget, ...]:
        """All targets, in the order in which connections take them."""
        return (PlannedTarget(target=self.target, request=self.request), *self.others)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The virtual services of the targets, each once."""
        return tuple(dict.fromkeys(each.target for each in self.planned_targets))

    @property
    def vips(self) -> tuple[str, ...]:
        """Their addresses, each once."""
        return tuple(dict.fromkeys(target.vip for target in self.targets))

    @property
    def by_target(self) -> tuple[LoadPlan, ...]:
        """The plan as it stands for each target alone, in the order of ``planned_targets``.

        Those of several have no sources: only the whole plan says whose turn it is, and a large
        pool would be checked again for each target.
        """
        if not self.others:
            return (self,)
        return tuple(
            replace(self, target=each.target, request=each.request, others=(), sources=())
            for each in self.planned_targets
        )

    @property
    def uses_tls(self) -> bool:
        """Whether any target is asked by TLS."""
        return any(each.request.tls for each in self.planned_targets)

    def source_of(self, connection: int) -> str | None:
        """The address of ours that a connection comes from; None for the kernel's choice.

        Each target is reached from all of them, whatever the two numbers have in common.
        """
        if not self.sources:
            return None
        return self.sources[connection // (1 + len(self.others)) % len(self.sources)]

    @property
    def expected_requests(self) -> int | None:
        """How many it comes to; None where time decides. Poisson arrivals: on average."""
        model = self.arrivals
        if isinstance(model, ClosedModel):
            return model.requests if model.duration_s is None else None
        scheduled = round(sum(stage.duration_s * stage.rate_per_s for stage in model.stages))
        return scheduled if model.requests is None else min(scheduled, model.requests)

    @property
    def expected_connections(self) -> int | None:
        """How many those requests take, if no server closes one early; None where time decides."""
        return Division(self.requests_per_connection, self.expected_requests).connections

    @property
    def most_connections_per_s(self) -> float | None:
        """The highest rate of the schedule; None where there is none."""
        if isinstance(self.arrivals, ClosedModel):
            return None
        most_per_s = max(stage.rate_per_s for stage in self.arrivals.stages)
        return most_per_s / self.requests_per_connection

    @property
    def division(self) -> Division:
        """Which connection carries which requests."""
        return Division(self.requests_per_connection, _exact_requests(self.arrivals))

    @property
    def connections(self) -> ClosedModel | OpenModel:
        """When connections are begun: the arrivals of every so many requests together."""
        each, model = self.requests_per_connection, self.arrivals
        if each == 1:
            return model
        count = self.division.connections
        if isinstance(model, ClosedModel):
            return replace(model, requests=count)
        stages = tuple(replace(stage, rate_per_s=stage.rate_per_s / each) for stage in model.stages)
        return replace(model, stages=stages, requests=count)

    def manifest(self) -> dict[str, Any]:
        """The plan's part of ``run.json``; bodies in base64, credentials left out.

        ``targets`` is there where they are several; ``target`` and ``request`` are the first's.
        """
        several = {"targets": self._targets_manifest()} if self.others else {}
        return {
            "engine": self.engine,
            "target": asdict(self.target),
            **several,
            "model": "closed" if isinstance(self.arrivals, ClosedModel) else "open",
            "arrivals": asdict(self.arrivals),
            "request": None if self.datagram else _request_manifest(self.request),
            "datagram": self.datagram and _with_text(asdict(self.datagram), "payload"),
            "close": dict(self.closing.shares),
            "hold_s": self.closing.hold.mean_s,
            "hold": self.closing.hold.manifest(),
            "sources": list(self.sources),
            "processes": self.processes,
            "requests_per_connection": self.requests_per_connection,
            "timeout_s": self.timeout_s,
            "connect_timeout_s": self.connect_timeout_s,
            "tcp_info": self.tcp_info,
            "port_reuse_s": self.port_reuse_s,
        }

    def _targets_manifest(self) -> list[dict[str, Any]]:
        return [
            asdict(each.target)
            | {"request": None if self.datagram else _request_manifest(each.request)}
            for each in self.planned_targets
        ]


def _exact_requests(model: ClosedModel | OpenModel) -> int | None:
    """How many requests a model comes to at most, to the last; None where nothing limits them."""
    if isinstance(model, ClosedModel) or model.arrivals == "poisson":
        return model.requests
    scheduled = ceil(end_of_schedule(model.stages))
    return scheduled if model.requests is None else min(scheduled, model.requests)


def end_of_schedule(stages: Sequence[Stage]) -> float:
    """How many arrivals stages sum up to; the last instant belongs to what would come after it."""
    each = (stage.duration_s * stage.rate_per_s for stage in stages)
    *_, called_for = accumulate(each, initial=0.0)
    return called_for * (1 - 1e-12)


def _request_manifest(request: Request) -> dict[str, Any]:
    shown = _with_text(asdict(request), "body")
    shown["headers"] = [
        [name, "(not recorded)" if name.lower() in _SECRET_HEADERS else value]
        for name, value in request.headers
    ]
    return shown


def _with_text(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {**values, name: base64.b64encode(values[name]).decode()}


def _troubles(plan: LoadPlan) -> list[str]:
    """What does not go together, a line each."""
    times = {"--timeout": plan.timeout_s, "--connect-timeout": plan.connect_timeout_s}
    udp = plan.target.protocol == "UDP"
    checks = {
        "a UDP target goes with a datagram, TCP with a request": udp == (plan.datagram is None),
        "several targets: expected one protocol for all": len({t.protocol for t in plan.targets})
        > 1,
        "--processes: expected at least 1": plan.processes < 1,
        "--requests-per-connection: expected at least 1": plan.requests_per_connection < 1,
        "--close: expected shares above 0": not _are_shares([s for _, s in plan.closing.shares]),
        f"--hold: {plan.closing.hold.trouble}": plan.closing.hold.trouble is not None,
        **{f"{name}: expected more than 0": not 0 < time < 1e9 for name, time in times.items()},
        "--port-reuse: expected 0 or more": not 0 <= (plan.port_reuse_s or 0) < 1e9,
        **_arrival_troubles(plan.arrivals),
        "--udp has no connections to close: --close and --hold do not go with it": udp
        and (plan.closing.kinds != ("client",) or plan.closing.hold.mean_s > 0),
        "--udp does not go with TLS": udp and plan.uses_tls,
        "--udp has no connections: --requests-per-connection does not go with it": udp
        and plan.requests_per_connection > 1,
        "--location opens a connection for each redirect: --requests-per-connection does not go "
        "with it": plan.request.redirects > 0 and plan.requests_per_connection > 1,
        "--local-ips: expected addresses of the VIP's family": bool(plan.sources)
        and {ip_address(source).version for source in plan.sources}
        != {ip_address(vip).version for vip in plan.vips},
    }
    return [text for text, holds in checks.items() if holds]


def _are_shares(shares: Sequence[float]) -> bool:
    return all(0 <= share < 1e12 for share in shares) and sum(shares) > 0


def _arrival_troubles(model: ClosedModel | OpenModel) -> dict[str, bool]:
    requests = {"-n: expected at least 1": model.requests is not None and model.requests < 1}
    if isinstance(model, ClosedModel):
        return requests | {
            "-c: expected at least 1": model.concurrency < 1,
            "--think: expected 0 or more": not 0 <= model.think_s < 1e9,
            "-n or -z: expected one of them": model.requests is None and model.duration_s is None,
            "-z: expected more than 0": model.duration_s is not None and model.duration_s <= 0,
        }
    rates = [stage.rate_per_s for stage in model.stages]
    times = [stage.duration_s for stage in model.stages]
    return requests | {
        "--stage: expected a duration above 0 and a rate": not times
        or min(times) <= 0
        or not all(map(isfinite, [*times, *rates]))
        or min(rates) < 0,
        "-q: expected a rate above 0": not rates or max(rates) <= 0,
        "-c: expected at least 1": model.at_once is not None and model.at_once < 1,
    }
