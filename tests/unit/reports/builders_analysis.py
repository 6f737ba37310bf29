"""Analyses made by hand that look like real runs: what the reports room is fed in its tests."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from analyzer.charts.curves import Curve
from analyzer.charts.values import (
    LifetimeSamples,
    OtherTcpfin,
    Share,
    Shares,
    StateSeries,
)
from analyzer.client.latency import Latencies, heat, percentiles, syn_retries
from analyzer.client.results import Latency, Requests
from analyzer.pictures.pictures import Pictures
from analyzer.recording.manifest import manifest_of
from analyzer.report import Analysis, Timeline
from analyzer.results import (
    Agreement,
    EndedEarly,
    ErrorSpread,
    Estimate,
    Event,
    Finding,
    Lifetime,
    NotMeasured,
    Peak,
    RealServerRow,
    ServiceTable,
    Spread,
    WhatIf,
    WhatIfGroup,
)
from analyzer.traces.model import Basis, ConnectionTrace, End, Leg, Packet, Retention, Span
from tests.unit.analyzer.builders_packets import request_errors

SERVERS = ("192.168.10.21", "192.168.10.22")
TCPFIN_S, GRANULE_S, POLL_S, SENT = 20.0, 0.64, 0.25, 50


@dataclass(frozen=True)
class Burst:
    """Fifty requests, one after another: when each began, got its answer, and its entry expired."""

    started: np.ndarray
    connect_s: np.ndarray
    first_byte_s: np.ndarray
    total_s: np.ndarray

    @property
    def ended(self) -> np.ndarray:
        """When each was done, and its FIN sent."""
        ended: np.ndarray = self.started + self.total_s
        return ended

    @property
    def expired(self) -> np.ndarray:
        """When the kernel drops each entry: the next tick of its timer wheel."""
        whole = np.floor((self.ended + TCPFIN_S) / GRANULE_S - 0.3)
        return (whole + 1.3) * GRANULE_S


def burst(n: int = SENT) -> Burst:
    """The same fifty every time."""
    random = np.random.default_rng(2)
    total = random.uniform(0.005, 0.020, n)
    connect = random.uniform(0.0003, 0.0011, n)
    started = 0.4 + np.concatenate([[0.0], np.cumsum(total + 0.004)[:-1]])
    return Burst(started, connect, connect + 0.8 * (total - connect), total)


def _steps(up: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times = np.concatenate([up, down])
    order = np.argsort(times, kind="stable")
    change = np.concatenate([np.ones(up.size), -np.ones(down.size)])[order]
    return times[order], np.cumsum(change).astype(np.int64)


def _at(times: np.ndarray, values: np.ndarray, polls: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], values])[np.searchsorted(times, polls, side="right")]


def _curves(director: str, polls: np.ndarray) -> tuple[list[Curve], list[Curve]]:
    sent = burst()
    observed: list[Curve] = []
    predicted: list[Curve] = []
    for i, server in enumerate(SERVERS):
        mine = slice(i, None, len(SERVERS))
        t_active, active = _steps(sent.started[mine], sent.ended[mine])
        t_inactive, inactive = _steps(sent.ended[mine], sent.expired[mine])
        changes = np.union1d(t_active, t_inactive)
        for found, times in ((observed, polls), (predicted, changes)):
            found.append(
                Curve(
                    director=director,
                    real_server=f"{server}:80",
                    t_s=times,
                    active=_at(t_active, active, times),
                    inactive=_at(t_inactive, inactive, times),
                )
            )
    return observed, predicted


def _flat(director: str, times: np.ndarray) -> list[Curve]:
    zeros = np.zeros(times.size, dtype=np.int64)
    return [
        Curve(director=director, real_server=f"{s}:80", t_s=times, active=zeros, inactive=zeros)
        for s in SERVERS
    ]


def _latency(values_s: np.ndarray) -> Latency:
    p50, p90, p99, top = (float(np.percentile(values_s * 1000, p)) for p in (50, 90, 99, 100))
    return Latency(p50=p50, p90=p90, p99=p99, max=top)


def _table(director: str, at_s: float, inactive: int) -> ServiceTable:
    rows = tuple(
        RealServerRow(
            real_server=server, real_port=80, forwarding="dr", weight=1, active=0, inactive=inactive
        )
        for server in SERVERS
    )
    return ServiceTable(
        director=director,
        t_s=at_s,
        protocol="TCP",
        vip="192.168.10.2",
        port=80,
        scheduler="rr",
        rows=rows,
    )


def _timeline() -> Timeline:
    sent = burst()
    polls = np.arange(0.1, 23.3, POLL_S)
    on_master, predicted = _curves("bal01", polls)
    return Timeline(
        zero_ns=1_763_822_400_000_000_000,
        end_s=23.5,
        request_ended_s=sent.ended,
        request_failed=np.zeros(SENT, dtype=np.bool_),
        connect_ms=sent.connect_s * 1000,
        first_byte_ms=sent.first_byte_s * 1000,
        total_ms=sent.total_s * 1000,
        marks={"SYN": sent.started, "FIN": sent.ended, "RST": np.array([])},
        observed=(*on_master, *_flat("bal02", polls + 0.07)),
        predicted=tuple(predicted),
        events=(),
        peaks=(_table("bal01", 1.35, 25), _table("bal02", 0.17, 0)),
    )


def _lifetime() -> Lifetime:
    lived = burst().expired - burst().ended
    return Lifetime(
        director="bal01",
        state="FIN_WAIT",
        counted="inactive",
        timeout_name="tcpfin",
        timeout_s=TCPFIN_S,
        n=SENT,
        n_expired=SENT,
        lifetime_s=Spread(
            mean=float(lived.mean()),
            min=float(lived.min()),
            max=float(lived.max()),
            uncertainty=0.13,
        ),
        timeout_measured_s=Estimate(value=20.02, uncertainty=0.13),
        granule_s=GRANULE_S,
        prediction_error_s=ErrorSpread(mean=-0.02, max=0.11),
    )


def _pictures() -> Pictures:
    """What the same fifty gave: states, lifetimes, shares, and three values of tcpfin."""
    sent = burst()
    polls = np.arange(0.1, 23.3, POLL_S)
    t_s, waiting = _steps(sent.ended, sent.expired)
    lifetimes = LifetimeSamples(
        director="bal01",
        state="FIN_WAIT",
        timeout_name="tcpfin",
        timeout_s=TCPFIN_S,
        granule_s=GRANULE_S,
        tcpfin_s=TCPFIN_S,
        observed_s=sent.expired - sent.ended + 0.05,
        predicted_s=sent.expired - sent.ended,
        uncertainty_s=0.13,
    )
    servers = tuple(
        Share(
            real_server=f"{server}:80",
            weight=1.0,
            entries=25,
            expected=25.0,
            states={"FIN_WAIT": 24, "ESTABLISHED": 1},
        )
        for server in SERVERS
    )
    states = (
        _course("observed", polls, _at(t_s, waiting, polls)),
        _course("predicted", t_s, waiting),
    )
    return Pictures(
        states=states,
        lifetime_samples=(lifetimes,),
        shares=(
            Shares(director="bal01", scheduler="rr", servers=servers, p=1.0, why_no_test=None),
        ),
        latencies=_latencies(sent),
        tcpfin=tuple(_other(sent, tcpfin_s) for tcpfin_s in (10.0, TCPFIN_S, 60.0)),
    )


def _course(source: Any, t_s: np.ndarray, waiting: np.ndarray) -> StateSeries:
    counts = {"FIN_WAIT": waiting, "ESTABLISHED": (waiting > 0).astype(np.int64)}
    return StateSeries(director="bal01", source=source, t_s=t_s, counts=counts)


def _other(sent: Burst, tcpfin_s: float) -> OtherTcpfin:
    expired = sent.expired - TCPFIN_S + tcpfin_s
    t_s, inactive = _steps(sent.ended, expired)
    curve = Curve(
        director="bal01",
        real_server="all real servers",
        t_s=t_s,
        active=np.zeros(t_s.size, dtype=np.int64),
        inactive=inactive,
    )
    answer = WhatIf(
        director="bal01",
        assumptions=(f"tcpfin={tcpfin_s:g}",),
        peak_active=1,
        peak_inactive=int(inactive.max()),
        forgotten_after_s=float(expired.max() - sent.ended.max()),
        groups=(WhatIfGroup(state="FIN_WAIT", timeout_s=tcpfin_s, n=SENT),),
        doubt=None,
    )
    inactive_s = float((expired - sent.ended).mean())
    return OtherTcpfin(
        tcpfin_s=tcpfin_s,
        is_own=tcpfin_s == TCPFIN_S,
        answer=answer,
        curve=curve,
        inactive_s=inactive_s,
    )


def _agreement(director: str, entries: int) -> Agreement:
    return Agreement(
        director=director,
        entries_observed=entries,
        entries_predicted=entries,
        state_matches=80 * entries,
        state_samples=80 * entries,
        active_max_error=0,
        inactive_max_error=0,
        worst_expiry_error_s=0.11 if entries else None,
        disagreement_polls=0,
        residuals={"poll": 50},
    )


MANIFEST = {
    "schema_version": 1,
    "program": {"name": "loadgen", "version": "0.1.0"},
    "command_line": ["loadgen", "burst", "--vip", "192.168.10.2", "-n", "50"],
    "started": "2025-11-22T14:40:00.123456Z",
    "plan": {"method": "HEAD", "requests": 50, "concurrency": 1, "close": {"client": 1.0}},
    "directors": {
        name: {
            "kernel": "6.1.176",
            "hz": 100,
            "timeouts": {"tcp": 900, "tcpfin": 20, "udp": 300},
            "clock_uncertainty_ms": within_ms,
            "sysctl": {"conn_reuse_mode": "1", "conntrack": "0"},
        }
        for name, within_ms in (("bal01", 0.6), ("bal02", 0.7))
    },
    "capture": {"interface": "eth1", "packets": 412, "dropped": 0},
    "ended": "completed",
}


def demo() -> Analysis:
    """The walking skeleton's run: 50 requests, 25 and 25 on bal01, nothing on bal02."""
    sent = burst()
    duration = float(sent.ended[-1] - sent.started[0])
    return Analysis(
        run="runs/20251122T144000Z-burst",
        verdict=(
            "InActConn on bal01 is tcpfin: 50 closed connections stayed for 20.3 s in FIN_WAIT, "
            "as tcpfin = 20 s and the kernel's timer granule of 0.64 s say."
        ),
        timings_s={"read": 0.03, "replay": 0.01, "total": 0.07},
        requests=Requests(
            sent=SENT,
            succeeded=SENT,
            failed=0,
            late=0,
            duration_s=duration,
            rate_per_s=SENT / duration,
            connect_ms=_latency(sent.connect_s),
            first_byte_ms=_latency(sent.first_byte_s),
            total_ms=_latency(sent.total_s),
        ),
        peaks=(
            Peak(director="bal01", active=0, inactive=50),
            Peak(director="bal02", active=0, inactive=0),
            Peak(director=None, active=0, inactive=50),
        ),
        lifetimes=(_lifetime(),),
        ended_early=(),
        agreement=(_agreement("bal01", 50), _agreement("bal02", 0)),
        findings=(
            Finding(
                id="stairs",
                severity="info",
                title="InActConn falls in stairs",
                evidence="The timer wheel's granule is 0.64 s for 20 s at HZ 100; 3 steps seen.",
                advice="",
            ),
            Finding(
                id="tcpfin-governs",
                severity="info",
                title="tcpfin governs how long closed connections stay",
                evidence="50 of 50 entries ended in FIN_WAIT and lived 20.0 to 20.6 s after their "
                "last packet; tcpfin is set to 20 s.",
                advice="To forget them sooner, lower tcpfin: ipvsadm --set 0 10 0. It costs "
                "nothing as long as it is longer than a FIN's retransmissions.",
            ),
        ),
        failover=None,
        not_measured=(),
        timeline=_timeline(),
        traces=(trace(), half_open_trace()),
        pictures=_pictures(),
        manifest=manifest_of(MANIFEST),
    )


def _latencies(sent: Burst) -> Latencies:
    connect_ms, total_ms = sent.connect_s * 1000, sent.total_s * 1000
    measured = [
        percentiles("connect", "send", connect_ms),
        percentiles("first_byte", "send", sent.first_byte_s * 1000),
        percentiles("total", "send", total_ms),
        percentiles("total", "due", total_ms + 2),
    ]
    return Latencies(
        percentiles=tuple(one for one in measured if one),
        syn=syn_retries(np.append(connect_ms, [1003.0, 3010.0]), 2),
        heat=heat(sent.started, total_ms),
        sent_late_ms=2.0,
    )


def trace() -> ConnectionTrace:
    """A connection in dr, closed by the client; half of its hops are inferred."""
    forth = (
        Leg(source="client", target="director", seen=True),
        Leg(source="director", target="server", seen=False),
    )
    back = (Leg(source="server", target="client", seen=True),)
    sent = [("SYN", 0.0), ("SYN", 0.0002), ("ACK", 0.0003), ("FIN", 0.01), ("FIN", 0.011)]
    packets = [
        Packet(t_s=0.4 + at_s, flag=flag, to_vip=number != 1, legs=back if number == 1 else forth)
        for number, (flag, at_s) in enumerate(sent)
    ]
    packets.append(
        replace(packets[-1], t_s=0.42, legs=forth[:1], dead_end="no entry there", left_out=7)
    )
    states = (("SYN_RECV", 0.4, 0.4003), ("ESTABLISHED", 0.4003, 0.41), ("FIN_WAIT", 0.41, 20.8))
    return ConnectionTrace(
        reasons=("slow", "usual"),
        client="192.168.10.250:40001",
        vip="192.168.10.2:80",
        real_server="192.168.10.21:80",
        directors=("bal01",),
        first_s=0.4,
        last_s=0.42,
        closer="client",
        packets=tuple(packets),
        packets_in_all=13,
        predicted=tuple(Span(state=name, from_s=a, until_s=b) for name, a, b in states),
        observed=(Span(state="FIN_WAIT", from_s=0.6, until_s=None),),
        retentions=(
            _retention("client", "TIME_WAIT", 60.42, "inferred"),
            _retention("director", "FIN_WAIT", 20.8, "predicted"),
            _retention("director", "FIN_WAIT", None, "seen"),
        ),
        connect_ms=0.3,
        total_ms=11.0,
        error=None,
    )


def _retention(holder: End, state: str, until_s: float | None, basis: Basis) -> Retention:
    return Retention(
        holder=holder,
        state=state,
        from_s=0.42,
        until_s=until_s,
        margin_s=0.0,
        basis=basis,
        why="so it is",
        name="bal01" if holder == "director" else None,
    )


def half_open_trace() -> ConnectionTrace:
    """A SYN that was repeated, and no answer to it."""
    one = trace()
    again = replace(one.packets[0], t_s=1.4, again=True)
    return replace(
        one,
        reasons=("syn-repeated",),
        client="192.168.10.250:40002",
        real_server=None,
        closer="none",
        packets=(one.packets[0], again),
        packets_in_all=2,
        predicted=(Span(state="SYN_RECV", from_s=0.4, until_s=62.0),),
        observed=(Span(state="CLOSE", from_s=0.6, until_s=62.1),),
        retentions=(_retention("director", "SYN_RECV", 62.0, "predicted"),),
        total_ms=None,
        error="timed out",
    )


def without_directors() -> Analysis:
    """A plain load test: nobody polled a director."""
    run = demo()
    return replace(
        run,
        verdict="50 of 50 requests succeeded; no director was polled.",
        peaks=(),
        lifetimes=(),
        agreement=(),
        findings=(),
        not_measured=(NotMeasured(what="InActConn", why="no --director was given"),),
        timeline=replace(run.timeline, observed=(), predicted=(), peaks=()),
        pictures=Pictures(latencies=run.pictures.latencies),
    )


def without_capture() -> Analysis:
    """No privilege to capture: no marks and no prediction."""
    run = demo()
    group = replace(
        run.lifetimes[0], lifetime_s=None, timeout_measured_s=None, prediction_error_s=None
    )
    agreement = tuple(
        replace(row, state_matches=0, state_samples=0, inactive_max_error=None)
        for row in run.agreement
    )
    return replace(
        run,
        lifetimes=(group,),
        agreement=agreement,
        traces=(),
        not_measured=(NotMeasured(what="packets", why="CAP_NET_RAW is missing"),),
        timeline=replace(run.timeline, marks={}, predicted=()),
        pictures=replace(run.pictures, states=run.pictures.states[:1], tcpfin=()),
    )


def collected() -> Analysis:
    """`loadgen collect`: polls, and not one request."""
    run, none = demo(), np.array([])
    nothing = Requests(
        sent=0,
        succeeded=0,
        failed=0,
        late=0,
        duration_s=None,
        rate_per_s=None,
        connect_ms=None,
        first_byte_ms=None,
        total_ms=None,
    )
    return replace(
        run,
        requests=nothing,
        pictures=replace(run.pictures, latencies=None),
        timeline=replace(
            run.timeline,
            request_ended_s=none,
            request_failed=np.array([], dtype=np.bool_),
            connect_ms=none,
            first_byte_ms=none,
            total_ms=none,
        ),
    )


def all_failed() -> Analysis:
    """Every request refused or without any answer."""
    run = demo()
    unknown = np.full(SENT, np.nan)
    ended = np.where(np.arange(SENT) % 2, run.timeline.request_ended_s, np.nan)
    requests = replace(
        run.requests,
        succeeded=0,
        failed=SENT,
        connect_ms=None,
        first_byte_ms=None,
        total_ms=None,
        errors=(request_errors("refused", 30), request_errors("timeout", 20)),
    )
    return replace(
        run,
        verdict="0 of 50 requests succeeded: 30 refused at connect, 20 timed out at connect.",
        requests=requests,
        pictures=replace(run.pictures, latencies=None),
        timeline=replace(
            run.timeline,
            request_ended_s=ended,
            request_failed=np.ones(SENT, dtype=np.bool_),
            connect_ms=unknown,
            first_byte_ms=unknown,
            total_ms=unknown,
        ),
    )


def nothing() -> Analysis:
    """A run that was killed before anything was recorded."""
    run = replace(
        collected(), peaks=(), lifetimes=(), agreement=(), findings=(), manifest=manifest_of({})
    )
    run = replace(run, traces=())
    empty = replace(run.timeline, end_s=0.0, marks={}, observed=(), predicted=(), peaks=())
    return replace(run, verdict="Nothing was recorded.", timeline=empty, pictures=Pictures())


def troubled() -> Analysis:
    """Failures, events close together, a gap in polling, and both directors in use."""
    run = demo()
    before, after = run.timeline.observed[:2], run.timeline.observed[2:]
    broken = tuple(_without(curve, 6.0, 9.5) for curve in before)
    shifted = tuple(
        replace(mine, t_s=curve.t_s, active=curve.active, inactive=(curve.inactive + 1) // 2)
        for mine, curve in zip(after, before, strict=True)
    )
    kinds = ("link-down", "vrrp", "vrrp", "polling-lost", "polling-back")
    events = tuple(
        Event(t_s=t, host=f"bal0{1 + i % 2}", kind=kind, detail=f"the {i + 1}. thing")
        for i, (t, kind) in enumerate(zip((5.5, 5.6, 5.75, 6.0, 9.5), kinds, strict=True))
    )
    failed = np.arange(SENT) % 7 == 3
    problem = Finding(
        id="requests-failed",
        severity="problem",
        title="Requests failed while the director changed",
        evidence="7 of 50 requests failed, all of them between 5.5 s and 6.0 s.",
        advice="See the events below the timeline.",
    )
    warning = replace(problem, id="gap", severity="warning", title="Polling of bal01 stopped")
    early = EndedEarly(director="bal01", state="FIN_WAIT", cause="port-reuse", n=3)
    return replace(
        run,
        requests=replace(
            run.requests,
            succeeded=43,
            failed=7,
            late=2,
            errors=(
                request_errors("reset", 4, "answer"),
                request_errors("http-5xx", 3, "answer", 503),
            ),
        ),
        findings=(*run.findings, warning, problem),
        ended_early=(early,),
        not_measured=(
            NotMeasured(what="sysctls of bal02", why="permission denied, and no sudo"),
            NotMeasured(what="clock offset", why="the director has no /proc/uptime"),
        ),
        timeline=replace(
            run.timeline,
            request_failed=failed,
            marks=dict(run.timeline.marks) | {"RST": run.timeline.request_ended_s[failed]},
            observed=(*broken, *shifted),
            events=events,
        ),
    )


def _without(curve: Curve, start_s: float, end_s: float) -> Curve:
    kept = (curve.t_s < start_s) | (curve.t_s > end_s)
    return replace(
        curve, t_s=curve.t_s[kept], active=curve.active[kept], inactive=curve.inactive[kept]
    )


def hostile(text: str) -> Analysis:
    """The troubled run with one text in every place that a text of a recording can reach."""
    run = troubled()
    marked: Analysis = _marked(run, text)
    return replace(
        marked,
        not_measured=(NotMeasured(what=text, why=text),),
        timeline=replace(marked.timeline, marks={text: np.array([1.0, 2.0])}),
        manifest=manifest_of({text: [text, {text: {text: text}}], "plan": {"x": (text, 1, None)}}),
    )


# texts that are ours, of a fixed set
CHOSEN = (
    *("severity", "counted", "timeout_name", "reasons", "closer", "legs", "holder", "basis"),
    *("name", "since", "rule", "source"),
)


def _marked(value: Any, text: str) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name not in CHOSEN]
        return replace(value, **{name: _marked(getattr(value, name), text) for name in names})
    if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
        return {f"{key}{text}": _marked(item, text) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_marked(item, text) for item in value)
    return f"{value}{text}" if isinstance(value, str) else value


RUNS = {
    "demo": demo,
    "without-directors": without_directors,
    "without-capture": without_capture,
    "collected": collected,
    "all-failed": all_failed,
    "nothing": nothing,
    "troubled": troubled,
}
