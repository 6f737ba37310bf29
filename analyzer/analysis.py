"""The list of measurements: a recording in, an Analysis out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer import curves, findings, requests
from analyzer.agreement import agreement
from analyzer.clock import DirectorClock, clock_from_polls
from analyzer.decay import lifetimes, predicted_lifetimes
from analyzer.director import Director, directors_of
from analyzer.errors import ParseError, RecordingError
from analyzer.ipvs.states import Flag
from analyzer.join import REQUEST_END_UNCERTAINTY_S, with_packets, with_requests
from analyzer.observed import entry_lives, ns, of_service, state_samples
from analyzer.predict import Prediction, predict, state_name
from analyzer.results import (
    Agreement,
    Analysis,
    Curve,
    EndedEarly,
    Event,
    Lifetime,
    NotMeasured,
    Timeline,
)
from analyzer.wire.connections import Segments, connections, service_segments
from analyzer.wire.pcap import PacketTable, address_number, read_pcap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.recording import Recording

_MARKED = {"SYN": Flag.SYN, "FIN": Flag.FIN, "RST": Flag.RST}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """A recording's parts, cut down to the one service that the run was about."""

    manifest: Mapping[str, Any]
    zero_ns: int
    requests: pd.DataFrame
    services: pd.DataFrame
    entries: pd.DataFrame
    polls: pd.DataFrame
    events: pd.DataFrame
    packets: PacketTable | None
    segments: Segments | None
    not_measured: tuple[NotMeasured, ...]

    @property
    def forwarding(self) -> str | None:
        """How the service forwards; None where it was never polled."""
        known = self.services["forwarding"].dropna()
        return str(known.mode().iloc[0]) if len(known) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfDirector:
    """What was measured of one director."""

    lifetimes: list[Lifetime]
    predicted: list[Curve]
    agreement: Agreement | None
    ended_early: list[EndedEarly]
    foreign_entries: int


def analyse(recording: Recording) -> Analysis:
    """Everything that a recording can tell.

    Raises:
        RecordingError: the manifest is not one.
    """
    began = time.perf_counter()
    evidence = _gather(recording)
    read_s = time.perf_counter() - began
    observed = curves.observed_curves(evidence.services, evidence.zero_ns)
    measured = [
        _measure(director, evidence, observed) for director in directors_of(evidence.manifest)
    ]
    replay_s = time.perf_counter() - began - read_s
    figures = findings.Figures(
        requests=requests.summarise(evidence.requests),
        peaks=curves.peaks(evidence.services),
        lifetimes=[row for one in measured for row in one.lifetimes],
        agreement=[one.agreement for one in measured if one.agreement],
        events=_events(evidence),
        forwarding=evidence.forwarding,
        capture_dropped=(evidence.manifest.get("capture") or {}).get("dropped"),
        foreign_entries={
            director.name: one.foreign_entries
            for director, one in zip(directors_of(evidence.manifest), measured, strict=True)
        },
    )
    total_s = time.perf_counter() - began
    return Analysis(
        run=str(recording.path),
        verdict=findings.verdict(figures),
        timings_s={"read": read_s, "replay": replay_s, "total": total_s},
        requests=figures.requests,
        peaks=tuple(figures.peaks),
        lifetimes=tuple(figures.lifetimes),
        ended_early=tuple(row for one in measured for row in one.ended_early),
        agreement=tuple(figures.agreement),
        findings=findings.findings(figures),
        failover=None,
        not_measured=evidence.not_measured,
        timeline=_timeline(evidence, observed, measured, figures.events),
        manifest=evidence.manifest,
    )


def _gather(recording: Recording) -> _Evidence:
    manifest = recording.manifest
    vip, port = _service(manifest)
    packets, packet_problem = _packets(recording)
    tables = {name: recording.table(name) for name in ("requests", "polls", "events")}
    services = of_service(recording.table("services"), vip, port)
    entries = of_service(recording.table("entries"), vip, port)
    evidence = _Evidence(
        manifest=manifest,
        zero_ns=int(manifest.get("started_at_ns") or 0),
        requests=tables["requests"].sort_values("id"),
        services=services,
        entries=entries,
        polls=tables["polls"],
        events=tables["events"],
        packets=packets,
        segments=service_segments(packets, vip, port, _macs(manifest)) if packets else None,
        not_measured=(),
    )
    gaps = [*_not_measured(evidence, packet_problem), *_lost_parts(recording)]
    return replace(evidence, not_measured=tuple(gaps))


def _service(manifest: Mapping[str, Any]) -> tuple[str, int]:
    try:
        vip, port = manifest["service"]["vip"], int(manifest["service"]["port"])
        address_number(vip)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"run.json: service: {type(error).__name__}: {error}") from error
    return vip, port


def _macs(manifest: Mapping[str, Any]) -> frozenset[int]:
    return frozenset().union(*(director.macs for director in directors_of(manifest)))


def _packets(recording: Recording) -> tuple[PacketTable | None, str | None]:
    content = recording.capture()
    if content is None:
        return None, None
    try:
        return read_pcap(content), None
    except ParseError as error:
        return None, str(error)


def _not_measured(evidence: _Evidence, packet_problem: str | None) -> list[NotMeasured]:
    """What this run cannot know: said by the run itself, and found here."""
    said = evidence.manifest.get("not_measured") or []
    rows = [NotMeasured(what=str(row["what"]), why=str(row["why"])) for row in said]
    rows += _how_it_ended(evidence.manifest)
    if packet_problem:
        rows.append(NotMeasured(what="predictions", why=packet_problem))
    for director in directors_of(evidence.manifest):
        if director.timeouts is None:
            why = "its timeouts could not be read; predictions assume the kernel's defaults"
            rows.append(NotMeasured(what=f"configured timeouts of {director.name}", why=why))
        if director.hz is None or director.phase_s is None:
            why = "HZ or the phase of its timers could not be read; expiry is predicted without"
            rows.append(NotMeasured(what=f"timer lateness on {director.name}", why=why))
    return rows


def _how_it_ended(manifest: Mapping[str, Any]) -> list[NotMeasured]:
    """What is missing because the run did not come to its own end."""
    ended = manifest.get("ended")
    if ended == "completed":
        return []
    why = "the recording was cut off (its program was killed)" if ended is None else str(ended)
    return [NotMeasured(what="what came after the recording's end", why=why)]


def _lost_parts(recording: Recording) -> list[NotMeasured]:
    return [NotMeasured(what="part of the recording", why=line) for line in recording.problems]


def _measure(director: Director, evidence: _Evidence, observed: list[Curve]) -> _OfDirector:
    clock = _clock(director, evidence)
    if clock is None:
        return _OfDirector(
            lifetimes=[], predicted=[], agreement=None, ended_early=[], foreign_entries=0
        )
    lives = entry_lives(evidence.entries, evidence.polls)
    lives = lives[lives["director"] == director.name]
    if evidence.segments is None:
        joined = with_requests(lives, evidence.requests)
        rows = lifetimes(
            joined, director, clock, last_packet_uncertainty_s=REQUEST_END_UNCERTAINTY_S
        )
        foreign = int(joined["last_ns"].isna().sum())
        return _OfDirector(
            lifetimes=rows, predicted=[], agreement=None, ended_early=[], foreign_entries=foreign
        )
    alone = len(directors_of(evidence.manifest)) == 1
    prediction = predict(
        evidence.segments, director, clock, evidence.forwarding or "dr", alone=alone
    )
    return _compare(
        director, evidence, observed, prediction, with_packets(lives, prediction), clock
    )


def _compare(
    director: Director,
    evidence: _Evidence,
    observed: list[Curve],
    prediction: Prediction,
    joined: pd.DataFrame,
    clock: DirectorClock,
) -> _OfDirector:
    predicted = curves.predicted_curves(
        prediction, _real_servers(prediction, joined, evidence), evidence.zero_ns
    )
    rows = lifetimes(joined, director, clock, last_packet_uncertainty_s=0)
    mine = [curve for curve in observed if curve.director == director.name]
    samples = state_samples(evidence.entries, evidence.polls)
    return _OfDirector(
        lifetimes=rows or predicted_lifetimes(prediction.entries, director),
        predicted=predicted,
        agreement=agreement(prediction, joined, samples, mine, predicted) if mine else None,
        ended_early=_ended_early(prediction),
        foreign_entries=int(joined["last_ns"].isna().sum()),
    )


def _clock(director: Director, evidence: _Evidence) -> DirectorClock | None:
    polls = evidence.polls[evidence.polls["director"] == director.name].sort_values("asked")
    if polls.empty:
        return None
    asked_ns = ns(polls["asked"])
    took_ns = np.rint(polls["took_ms"].to_numpy(dtype=np.float64) * 1e6).astype(np.int64)
    uptime_s = polls["director_uptime_s"].to_numpy(dtype=np.float64)
    return clock_from_polls(asked_ns, asked_ns + took_ns, uptime_s)


def _real_servers(prediction: Prediction, joined: pd.DataFrame, evidence: _Evidence) -> pd.Series:
    """Each predicted entry's real server: as polled, else by the MAC that answered (dr)."""
    polled = joined.dropna(subset=["entry"]).drop_duplicates("entry").set_index("entry")
    servers = polled["real_server"].reindex(prediction.entries.index)
    if servers.isna().any():
        servers = servers.fillna(_servers_by_mac(prediction, evidence))
    return servers.fillna(curves.UNKNOWN_SERVER)


def _servers_by_mac(prediction: Prediction, evidence: _Evidence) -> pd.Series:
    if evidence.segments is None or evidence.packets is None or evidence.forwarding != "dr":
        return pd.Series(pd.NA, index=prediction.entries.index, dtype="string")
    port = (evidence.manifest.get("service") or {}).get("port")
    names = {mac: f"{ip}:{port}" for mac, ip in evidence.packets.neighbours.items()}
    answered = connections(evidence.segments).drop_duplicates("client").set_index("client")
    return prediction.entries["client"].map(answered["replied_by"]).map(names).astype("string")


def _ended_early(prediction: Prediction) -> list[EndedEarly]:
    reused = prediction.entries[prediction.entries["reused"]]
    return [
        EndedEarly(
            director=prediction.director,
            state=state_name(int(str(state))),
            cause="port-reuse",
            n=int(n),
        )
        for state, n in reused["state"].value_counts().items()
    ]


def _events(evidence: _Evidence) -> tuple[Event, ...]:
    rows = evidence.events.sort_values("at")
    t_s = curves.seconds(ns(rows["at"]), evidence.zero_ns)
    return tuple(
        Event(t_s=float(at), host=str(host), kind=str(kind), detail=str(detail))
        for at, host, kind, detail in zip(
            t_s, rows["host"], rows["kind"], rows["detail"], strict=True
        )
    )


def _timeline(
    evidence: _Evidence,
    observed: list[Curve],
    measured: list[_OfDirector],
    events: Sequence[Event],
) -> Timeline:
    sent = evidence.requests
    ended_s = np.full(len(sent), np.nan)
    known = sent["ended"].notna().to_numpy()
    ended_s[known] = curves.seconds(ns(sent.loc[known, "ended"]), evidence.zero_ns)
    last = [curve.t_s[-1] for curve in observed if len(curve.t_s)]
    return Timeline(
        zero_ns=evidence.zero_ns,
        end_s=float(max([*last, *ended_s[known]], default=0.0)),
        request_ended_s=ended_s,
        request_failed=sent["error"].notna().to_numpy(dtype=bool),
        connect_ms=requests.span_ms(sent, "started", "connected"),
        first_byte_ms=requests.span_ms(sent, "started", "first_byte"),
        total_ms=requests.span_ms(sent, "started", "ended"),
        marks=_marks(evidence),
        observed=tuple(observed),
        predicted=tuple(curve for one in measured for curve in one.predicted),
        events=tuple(events),
        peaks=curves.peak_tables(evidence.services, evidence.zero_ns),
    )


def _marks(evidence: _Evidence) -> dict[str, curves.Floats]:
    segments = evidence.segments
    if segments is None:
        return {}
    return {
        name: np.sort(
            curves.seconds(
                segments.at_ns[segments.to_vip & (segments.flag == flag)], evidence.zero_ns
            )
        )
        for name, flag in _MARKED.items()
    }
