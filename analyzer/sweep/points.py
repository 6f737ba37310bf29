"""A sweep's points: each run under one tcpfin, compared with the model of the same load."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.long_columns import bounds
from analyzer.forecast.closings import CLOSES
from analyzer.forecast.lifetimes import (
    CONN_TAB_BITS,
    DEBIAN_HZ,
    FORWARDINGS,
    Question,
    client_ports,
)
from analyzer.forecast.model import Forecast, forecast, port_budget, table_memory
from analyzer.ipvs.states import Timeouts
from analyzer.predicted.entries import PORT_REUSE
from analyzer.recording.manifest.director import DirectorFacts
from analyzer.results import NotMeasured
from analyzer.sweep.knee import knee_of
from analyzer.sweep.results import Beside, Point, Sweep
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from analyzer.arrays import Floats
    from analyzer.forecast.closings import Close
    from analyzer.forecast.model import PortBudget
    from analyzer.report import Analysis, DirectorTable
    from analyzer.results import Lifetime

_FEWEST_POLLS = 3
_POLL_S = 0.5  # two polls a second apart or less miss so much of a rise, at the most
_SIGMAS = 3


def sweep_of(
    folder: str,
    runs: Sequence[tuple[float, Analysis]],
    planned: int | None = None,
    before: Mapping[str, str] | None = None,
) -> Sweep:
    """The result of a sweep, from the runs that completed; without points where none did.

    Args:
        folder: its name.
        runs: the tcpfin in force, and the run's analysis.
        planned: number of runs; None where not known.
        before: the timeouts of each director before the sweep, in words.
    """
    whole = [run for run in runs if _unended(run[1]) is None]
    of = max(planned or 0, len(runs))
    unended = dict.fromkeys(_unended_runs(runs))
    if not whole:
        return _of_no_run(folder, of, planned, before or {}, unended)
    unordered = [point_of(*run) for run in whole]
    ways = list(dict.fromkeys(point.forwarding for point in unordered))
    points = tuple(
        sorted(unordered, key=lambda point: (ways.index(point.forwarding), point.tcpfin_s))
    )
    knee = knee_of(points)
    missing = dict.fromkeys(row for _, analysis in whole for row in analysis.not_measured)
    missing |= unended
    partly = f"Interrupted: {len(whole)} of {of} runs came to their end. " * (len(whole) < of)
    return Sweep(
        folder=folder,
        verdict=partly + _verdict(points, knee.tcpfin_s),
        points=points,
        knee=knee,
        not_measured=tuple(missing),
        runs_planned=planned,
    )


def _of_no_run(
    folder: str,
    of: int,
    planned: int | None,
    before: Mapping[str, str],
    unended: Iterable[NotMeasured],
) -> Sweep:
    ended = f"0 of {of} runs came to their end" if of else "no run came to its end"
    had = "".join(f"; {name} had {words} before" for name, words in before.items())
    why = f"{ended}{had}. Timeouts that a kill left set are put back by the next loadgen command"
    return Sweep(
        folder=folder,
        verdict=f"No value was measured: {ended}",
        points=(),
        knee=knee_of(()),
        not_measured=(NotMeasured(what="every tcpfin", why=why), *unended),
        runs_planned=planned,
    )


def _unended_runs(runs: Sequence[tuple[float, Analysis]]) -> Iterator[NotMeasured]:
    for value_s, analysis in runs:
        if (why := _unended(analysis)) is not None:
            yield NotMeasured(what=f"tcpfin {value_s:g} s", why=f"its run was {why}")


def _unended(analysis: Analysis) -> str | None:
    """How an incomplete run ended; None if the run is complete."""
    ending = analysis.ending
    return None if ending is None or ending.is_whole else ending.text


def point_of(tcpfin_s: float, analysis: Analysis) -> Point:
    """One run as a point of the sweep."""
    director = _busiest(analysis)
    row = _main_lifetime(analysis, director)
    question = _question(tcpfin_s, analysis, director)
    model = forecast(question) if question else None
    early = [group for group in analysis.ended_early if group.director == director]
    peak = next((peak for peak in analysis.peaks if peak.director == director), None)
    waits = (waits for waits in analysis.pictures.fin_waits if waits.director == director)
    table = next((table for table in analysis.tables if table.director == director), None)
    bits = _grown_bits(table) or (question.conn_tab_bits if question else CONN_TAB_BITS)
    entry_bytes = table.entry_bytes if table else None
    return Point(
        tcpfin_s=tcpfin_s,
        run=analysis.run.rstrip("/").rpartition("/")[2],
        director=director,
        forwarding=_forwarding(analysis, director),
        state=row.state if row else None,
        timeout_name=row.timeout_name if row else None,
        sent=analysis.requests.sent,
        failed=analysis.requests.failed,
        rate_per_s=analysis.requests.rate_per_s,
        duration_s=analysis.requests.duration_s,
        peak_inactive=_peak(peak.inactive if peak else None, model),
        steady_inactive=_steady(analysis, director, model),
        timeout=row.timeout_measured_s if row else None,
        lifetime_s=row.lifetime_s if row else None,
        granule_s=row.granule_s if row else None,
        ports=_ports(row, model),
        collisions=sum(group.n for group in early if group.cause == PORT_REUSE)
        if row or early
        else None,
        memory=table_memory(peak.active + peak.inactive, bits, entry_bytes) if peak else None,
        waits=next(waits, None),
        path_jitter_s=_path_jitter_s(analysis),
    )


def _grown_bits(table: DirectorTable | None) -> int | None:
    """log2 of the most buckets of a table that grows by itself; None of a fixed one."""
    if table is None or not table.resizes or not table.most_buckets:
        return None
    return table.most_buckets.bit_length() - 1


def model_at(point: Point, analysis: Analysis, tcpfin_s: float) -> Forecast | None:
    """The model's forecast for a point's load under another tcpfin."""
    question = _question(tcpfin_s, analysis, point.director)
    return forecast(question) if question else None


# -- against the model ---------------------------------------------------------------------------


def _peak(measured: int | None, model: Forecast | None) -> Beside | None:
    """The peak beside the model's; the timer wheel's phase and the poll's are not known."""
    if model is None:
        return None
    question, lifetime = model.question, max(model.lifetimes, key=lambda lifetime: lifetime.share)
    settled_s = lifetime.last_packet_s + lifetime.last.timeout_s
    is_on_stairs = settled_s < model.duration_s < settled_s + 2 * lifetime.last.granule_s
    unknown_s = _POLL_S + (lifetime.last.granule_s if is_on_stairs else 0.0)
    if model.duration_s <= settled_s:
        unknown_s = 0.0  # nothing expires before the load ends: a poll sees the peak
    value = model.peak.inactive
    sigma = math.sqrt(value) * _SIGMAS if question.arrivals == "poisson" else 0.0
    return Beside(
        measured=measured,
        model=value,
        uncertainty=1 + question.rate_per_s * unknown_s + sigma,
        why=None if measured is not None else "no poll of a director",
    )


def _steady(analysis: Analysis, director: str | None, model: Forecast | None) -> Beside | None:
    """Average InActConn beside the model's, from the steady state to the end of the load."""
    if model is None or director is None:
        return None
    question, value = model.question, model.steady.inactive.mean
    widest_s = max(life.last.granule_s for life in model.lifetimes)
    t_s, inactive = _inactive(analysis, director)
    began_s, ended_s = _load_span_s(analysis)
    from_s = began_s + model.steady_after_s
    chosen = (t_s >= from_s) & (t_s <= ended_s)
    if np.count_nonzero(chosen) < _FEWEST_POLLS:
        why = (
            f"the load lasted {ended_s - began_s:.0f} s; steady after {model.steady_after_s:.0f} s"
        )
        return Beside(measured=None, model=value, uncertainty=0, why=why)
    at_s, counts = t_s[chosen], inactive[chosen]
    length_s = float(np.ptp(at_s))
    # what a part of a stair at either end can do to the average of a sawtooth of this period
    stairs = widest_s**2 / (8 * length_s) if length_s >= widest_s else widest_s / 2
    sigma = math.sqrt(value) * _SIGMAS if question.arrivals == "poisson" else 0.0
    return Beside(
        measured=float(np.trapezoid(counts, at_s) / length_s),
        model=value,
        uncertainty=1 + question.rate_per_s * (stairs + _poll_s(at_s)) + sigma,
    )


def _poll_s(at_s: Floats) -> float:
    """Half the interval of the polls: the average is not known more precisely."""
    return float(np.median(np.diff(at_s))) / 2


def _load_span_s(analysis: Analysis) -> tuple[float, float]:
    return bounds(analysis.timeline.request_ended_s) or (0.0, 0.0)


def _inactive(analysis: Analysis, director: str) -> tuple[Floats, Floats]:
    """A director's InActConn at each of its polls."""
    curves = [curve for curve in analysis.timeline.observed if curve.director == director]
    if not curves:
        return np.zeros(0), np.zeros(0)
    t_s = np.unique(np.concatenate([curve.t_s for curve in curves]))
    total = np.zeros(len(t_s))
    for curve in curves:
        total[np.searchsorted(t_s, curve.t_s)] += curve.inactive
    return t_s, total


def _ports(row: Lifetime | None, model: Forecast | None) -> PortBudget | None:
    """The port budget by the longest measured lifetime, or else by the model's."""
    if model is None:
        return None
    if row is None or row.lifetime_s is None:
        return model.ports
    question = model.question
    return port_budget(
        question.rate_per_s,
        question.sources,
        question.ports,
        row.lifetime_s.max,
        client_held_s=model.ports.client_held_s,
    )


def _path_jitter_s(analysis: Analysis) -> float | None:
    """How much the path to the server varied: the 99th percentile of connects less the fastest.

    The gap between two packets may be this much shorter at the director than in the capture.
    """
    connects = analysis.timeline.latency("connect_ms")
    if not len(connects):
        return None
    return (connects.quantile(0.99) - connects.least) / 1e3


# -- from a run's analysis -----------------------------------------------------------------------


def _busiest(analysis: Analysis) -> str | None:
    peaks = [row for row in analysis.peaks if row.director is not None]
    return max(peaks, key=lambda row: row.inactive).director if peaks else None


def _main_lifetime(analysis: Analysis, director: str | None) -> Lifetime | None:
    rows = [
        row for row in analysis.lifetimes if row.director == director and row.counted == "inactive"
    ]
    return max(rows, key=lambda row: row.n, default=None)


def _forwarding(analysis: Analysis, director: str | None) -> str | None:
    methods = [
        row.forwarding
        for table in analysis.timeline.peaks
        if table.director == director
        for row in table.rows
        if row.weight
    ]
    return max(methods, key=methods.count) if methods else None


def _question(tcpfin_s: float, analysis: Analysis, director: str | None) -> Question | None:
    """The run's load as a question to the model; None where the run does not have enough."""
    plan = analysis.manifest.plan
    known = analysis.manifest.directors.get(director or "", DirectorFacts())
    rate_per_s, duration_s = analysis.requests.connections_per_s, analysis.requests.duration_s
    forwarding = _forwarding(analysis, director)
    close = _close(plan.close)
    if not rate_per_s or not duration_s or forwarding not in FORWARDINGS or not close:
        return None
    hz, size = known.hz, known.conn_tab_size
    ports, held_s = client_ports(plan.engine)
    return Question(
        rate_per_s=rate_per_s,
        duration_s=duration_s,
        close=close,
        hold_s=plan.hold_s,
        forwarding=forwarding,
        timeouts=replace(Timeouts(), tcpfin_s=tcpfin_s),
        hz=hz if hz in KNOWN_HZ else DEBIAN_HZ,
        arrivals="poisson" if plan.arrivals.arrivals == "poisson" else "uniform",
        sources=max(len(plan.sources), 1),
        ports=ports,
        client_time_wait_s=held_s,
        conn_tab_bits=int(math.log2(size)) if size else CONN_TAB_BITS,
    )


def _close(shares: Mapping[str, float]) -> dict[Close, float]:
    return {kind: shares[kind] for kind in CLOSES if kind in shares}


def _verdict(points: Sequence[Point], knee_s: float | None) -> str:
    governed = [point for point in points if point.timeout_name == "tcpfin"]
    if not governed:
        state = next((point.state for point in points if point.state), None)
        waited = f": its entries waited in {state}" if state else ""
        return f"Tcpfin governed nothing here{waited}"
    values = ", ".join(dict.fromkeys(f"{point.tcpfin_s:g}" for point in governed))
    off = [f"{point.tcpfin_s:g}" for point in points if point.timeout_agrees is False]
    agreement = f"differ at {', '.join(off)} s" if off else "match each"
    enough = "None of these" if knee_s is None else f"{knee_s:g} s"
    text = f"{enough} is enough for these clients: of tcpfin {values} s"
    return f"{text}, entry lifetimes {agreement}" + _ungoverned(
        [p for p in points if p.forwarding != governed[0].forwarding]
    )


def _ungoverned(points: Sequence[Point]) -> str:
    """The other ways of forwarding in which another timeout governed, in words."""
    others = {
        point.forwarding: point.state
        for point in points
        if point.timeout_name not in (None, "tcpfin")
    }
    return "".join(
        f"; in {way} tcpfin governed nothing: entries waited in {state}"
        for way, state in others.items()
    )
