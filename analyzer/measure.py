"""One director: what its packets predict, what it was seen to hold, and how the two meet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer import curves
from analyzer.agreement import Doubt, agreement
from analyzer.clock import DirectorClock, clock_from_polls
from analyzer.counters import counted_lifetimes
from analyzer.decay import lifetimes, predicted_lifetimes, sightings_of
from analyzer.ipvs.replay import Rules
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.timers import KNOWN_HZ, TimerPhase, granule_s
from analyzer.join import (
    REQUEST_END_UNCERTAINTY_S,
    with_packets,
    with_polls,
    with_requests,
)
from analyzer.observed import absences, entry_lives, entry_polls_ns, ns, state_samples
from analyzer.phase import infer_phase
from analyzer.predict import (
    DROP_ENTRY,
    EXPIRE_NODEST,
    FLUSH,
    TIMER,
    Prediction,
    ended_at,
    predict,
    state_name,
)
from analyzer.results import Agreement, Curve, EndedEarly, Lifetime, NotMeasured
from analyzer.wire.connections import connections
from analyzer.wire.segments import Segments, passed, without_copies

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.director import Director
    from analyzer.evidence import Evidence
    from analyzer.phase import InferredPhase

    Bools = npt.NDArray[np.bool_]

EARLY_S = 0.5
"""An entry that went this much before its time did not go by its timer."""

_DROPPABLE = {"SYN_RECV", "SYNACK", "ESTABLISHED"}
_NS = 1_000_000_000
SECURE_TCP_ALWAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of one director.

    Attributes:
        lives: its observed lives, joined with what is known of their packets.
        prediction: None without a capture.
        foreign_entries: entries seen that no packet or request of this run belongs to.
        inferred: the phase of its timers, where it had to be inferred.
    """

    director: Director
    lives: pd.DataFrame
    prediction: Prediction | None
    lifetimes: list[Lifetime]
    predicted: list[Curve]
    agreement: Agreement | None
    ended_early: list[EndedEarly]
    foreign_entries: int
    inferred: InferredPhase | None
    not_measured: list[NotMeasured]


def measure(director: Director, evidence: Evidence, observed: list[Curve]) -> Measured:
    """Everything that a recording tells of one director.

    Args:
        director: its facts.
        evidence: the recording.
        observed: the polled curves, of all directors.
    """
    clock = director_clock(director, evidence)
    lives = entry_lives(evidence.entries, evidence.polls)
    lives = lives[lives["director"] == director.name].reset_index(drop=True)
    own = [curve for curve in observed if curve.director == director.name]
    if evidence.segments is None:
        return _without_packets(director, evidence, clock, lives, own)
    mine = evidence.segments.only(segments_passed(director, evidence, evidence.segments))
    rules = rules_of(director, evidence, clock)
    rules, inferred = _learn_phase(mine, clock, rules, director, lives)
    prediction = predict(mine, clock, rules, director.name)
    prediction = _with_removals(prediction, mine, clock, rules, director, evidence, lives)
    joined = with_packets(lives, prediction)
    prediction, joined = _with_early_ends(prediction, joined, director, clock)
    phase = _phase(rules, director, inferred)
    director = replace(director, hz=rules.hz)
    rows = lifetimes(joined, director, clock, phase, last_packet_uncertainty_s=0)
    servers = _real_servers(prediction, joined, evidence, own)
    predicted = curves.predicted_curves(prediction, servers, evidence.zero_ns, director.kernel)
    samples = state_samples(evidence.entries, evidence.polls, director.name)
    return Measured(
        director=director,
        lives=joined,
        prediction=prediction,
        lifetimes=rows or predicted_lifetimes(prediction.entries, director),
        predicted=predicted,
        agreement=agreement(
            prediction, joined, samples, own, predicted, _doubt(director, evidence, clock, phase)
        )
        if own
        else None,
        ended_early=_ended_early(prediction),
        foreign_entries=int(joined["last_ns"].isna().sum()),
        inferred=inferred,
        not_measured=_phase_unknown(director, phase),
    )


_CLOCK_SLACK_S = 0.02
"""What passes between a director's clock reading and its table, and in its softirq."""


def _doubt(
    director: Director, evidence: Evidence, clock: DirectorClock, phase: TimerPhase | None
) -> Doubt:
    dropped = (evidence.manifest.get("capture") or {}).get("dropped")
    truncated = evidence.packets.skipped["truncated"] if evidence.packets else 0
    longest_s = (director.timeouts or Timeouts()).tcp_s
    coarsest_s = max(
        granule_s(longest_s, hz) for hz in ((director.hz,) if director.hz else KNOWN_HZ)
    )
    return Doubt(
        clock_s=clock.uncertainty_s + (phase.uncertainty_s if phase else 0.0) + _CLOCK_SLACK_S,
        timer_s=0.0 if phase else coarsest_s,
        unseen_packets=bool(dropped) or truncated > 0,
    )


def director_clock(director: Director, evidence: Evidence) -> DirectorClock:
    """The director's clock from its polls; without any, the run's start stands for its boot."""
    polls = evidence.polls[evidence.polls["director"] == director.name].sort_values("asked")
    polls = polls[polls["director_uptime_s"].notna()]
    if polls.empty:
        zero = np.array([evidence.zero_ns], dtype=np.int64)
        return DirectorClock(at_ns=zero, boot_ns=zero, uncertainty_s=0.0)
    asked_ns = ns(polls["asked"])
    took_ns = np.rint(polls["took_ms"].to_numpy(dtype=np.float64) * 1e6).astype(np.int64)
    uptime_s = polls["director_uptime_s"].to_numpy(dtype=np.float64)
    return clock_from_polls(asked_ns, asked_ns + took_ns, uptime_s, director.uptime_step_s)


def rules_of(director: Director, evidence: Evidence, clock: DirectorClock) -> Rules:
    """What the director's replay depends on, as it was told and as it changed meanwhile."""
    forwarding = evidence.forwarding or "dr"
    return Rules(
        sees_replies=forwarding == "nat",
        timeouts=director.timeouts or Timeouts(),
        changes=_changes(director, evidence, clock),
        hz=director.hz,
        phase_s=director.phase_s,
        conn_reuse_mode=director.conn_reuse_mode,
        old_conntrack=director.conntrack and forwarding != "nat",
        secure_tcp=director.secure_tcp >= SECURE_TCP_ALWAYS,
    )


def _changes(
    director: Director, evidence: Evidence, clock: DirectorClock
) -> tuple[tuple[float, Timeouts], ...]:
    """``timeouts-changed`` events: three numbers, of which 0 leaves a timeout as it is."""
    events = evidence.events
    rows = events[(events["host"] == director.name) & (events["kind"] == "timeouts-changed")]
    timeouts = director.timeouts or Timeouts()
    found = []
    for uptime_s, detail in zip(clock.uptime_s(ns(rows["at"])), rows["detail"], strict=True):
        numbers = [float(word) for word in re.findall(r"\d{1,9}", str(detail))[:3]]
        if len(numbers) == 3:
            timeouts = Timeouts(
                tcp_s=numbers[0] or timeouts.tcp_s,
                tcpfin_s=numbers[1] or timeouts.tcpfin_s,
                udp_s=numbers[2] or timeouts.udp_s,
            )
            found.append((float(uptime_s), timeouts))
    return tuple(found)


def segments_passed(director: Director, evidence: Evidence, segments: Segments) -> Bools:
    """Which segments passed this director; all to the VIP where nothing tells, and it is alone."""
    macs = director.macs
    if len(evidence.directors) == 1:
        macs = macs or evidence.forwarder_macs
    found = passed(segments, macs)
    if found.any() or len(evidence.directors) > 1 or macs:
        return found
    return segments.to_vip | (evidence.forwarding == "nat")


def _without_packets(
    director: Director,
    evidence: Evidence,
    clock: DirectorClock,
    lives: pd.DataFrame,
    own: list[Curve],
) -> Measured:
    """Lifetimes by the ends of the requests; else by the polls of entries; else by counters."""
    mine = evidence.entries[evidence.entries["director"] == director.name]
    polled_ns = entry_polls_ns(evidence.polls, director.name)
    joined = with_requests(lives, mine, evidence.requests)
    uncertainty_s = REQUEST_END_UNCERTAINTY_S
    foreign = int(joined["last_ns"].isna().sum())
    if evidence.requests.empty:
        uncertainty_s = float(np.median(np.diff(polled_ns))) / _NS if len(polled_ns) > 1 else 0.0
        joined, foreign = with_polls(lives, uncertainty_s), 0
    phase = _phase_read(director)
    rows = lifetimes(joined, director, clock, phase, last_packet_uncertainty_s=uncertainty_s)
    doubts = _phase_unknown(director, phase)
    if len(polled_ns) == 0 and own:
        rows, doubts = counted_lifetimes(director, evidence.forwarding or "dr", own)
    return Measured(
        director=director,
        lives=joined,
        prediction=None,
        lifetimes=rows,
        predicted=[],
        agreement=None,
        ended_early=[],
        foreign_entries=foreign,
        inferred=None,
        not_measured=doubts,
    )


def _learn_phase(
    segments: Segments, clock: DirectorClock, rules: Rules, director: Director, lives: pd.DataFrame
) -> tuple[Rules, InferredPhase | None]:
    """Rules with HZ and phase: as they were read, else inferred from the expiries seen."""
    if rules.hz is not None and rules.phase_s is not None:
        return rules, None
    nominal = predict(segments, clock, rules, director.name)
    joined = with_packets(lives, nominal)
    timed = joined[(joined["cause"] == TIMER).fillna(value=False)]
    gone = timed[timed["gone_ns"].notna() & timed["seen_ns"].notna()]
    inferred = infer_phase(sightings_of(gone, clock), rules.hz, clock.uncertainty_s)
    if inferred is None:
        return rules, None
    phase = inferred.phase
    return replace(rules, hz=phase.hz, phase_s=phase.phase_s), inferred


def _phase(rules: Rules, director: Director, inferred: InferredPhase | None) -> TimerPhase | None:
    if inferred is not None:
        return inferred.phase
    return _phase_read(director) if rules.phase_s is not None else None


def _phase_read(director: Director) -> TimerPhase | None:
    if director.hz is None or director.phase_s is None:
        return None
    return TimerPhase(
        hz=director.hz, phase_s=director.phase_s, uncertainty_s=director.phase_uncertainty_s
    )


def _phase_unknown(director: Director, phase: TimerPhase | None) -> list[NotMeasured]:
    if phase is not None:
        return []
    why = "HZ or the phase of its timers could not be read, nor inferred from expiries seen"
    return [NotMeasured(what=f"timer lateness on {director.name}", why=why)]


def _with_removals(
    prediction: Prediction,
    segments: Segments,
    clock: DirectorClock,
    rules: Rules,
    director: Director,
    evidence: Evidence,
    lives: pd.DataFrame,
) -> Prediction:
    """With real servers that were removed meanwhile: their packets dropped, or entries deleted."""
    gone = absences(evidence.services, evidence.events, director.name)
    if gone.empty:
        return prediction
    server_of_flow = lives.drop_duplicates("flow", keep="last").set_index("flow")["real_server"]
    if director.expire_nodest_conn:
        return _deleted_with_server(prediction, gone, server_of_flow)
    dropped = np.zeros(len(segments.flow), dtype=bool)
    servers = pd.Series(segments.flow).map(server_of_flow)
    for server, from_ns, to_ns in gone.itertuples(index=False):
        at = (segments.at_ns >= from_ns) & (segments.at_ns < to_ns)
        dropped |= (servers == server).to_numpy(dtype=bool, na_value=False) & at
    if not dropped.any():
        return prediction
    return predict(segments, clock, rules, director.name, dropped=dropped)


def _deleted_with_server(
    prediction: Prediction, gone: pd.DataFrame, server_of_flow: pd.Series
) -> Prediction:
    for server, from_ns, _ in gone.itertuples(index=False):
        entries = prediction.entries
        servers = entries["flow"].map(server_of_flow)
        chosen = (servers == server).to_numpy(dtype=bool, na_value=False)
        chosen &= (entries["first_ns"] < from_ns) & (entries["ends_ns"] > from_ns)
        count = int(chosen.sum())
        if count:
            at_ns = np.full(count, from_ns, dtype=np.int64)
            prediction = ended_at(prediction, chosen, at_ns, EXPIRE_NODEST)
    return prediction


def _with_early_ends(
    prediction: Prediction, joined: pd.DataFrame, director: Director, clock: DirectorClock
) -> tuple[Prediction, pd.DataFrame]:
    """Entries that went long before their timers would have fired, where the cause can be told.

    Their instant is taken from the polls: chance, or an operator, chose it.
    """
    timed = (joined["cause"] == TIMER).fillna(value=False) & joined["gone_ns"].notna()
    margin_ns = round((EARLY_S + clock.uncertainty_s) * _NS)
    sooner = (joined["gone_ns"] + margin_ns < joined["ends_ns"]).fillna(value=False)
    early = np.asarray(timed & sooner, dtype=np.bool_)
    if not early.any():
        return prediction, joined
    by_chance = early & joined["state"].isin(_DROPPABLE).to_numpy(dtype=bool)
    flushed = _flushed(joined, early, director.hz)
    causes = ((DROP_ENTRY, by_chance & (director.drop_entry > 0)), (FLUSH, flushed))
    joined = joined.copy()
    for cause, chosen in causes:
        rows = joined[chosen & (joined["cause"] == TIMER).to_numpy(dtype=bool, na_value=False)]
        if rows.empty:
            continue
        middle = rows["seen_ns"].astype("int64") // 2 + rows["gone_ns"].astype("int64") // 2
        at_ns = pd.Series(middle.to_numpy(), index=rows["entry"].astype("int64")).sort_index()
        mask = prediction.entries.index.isin(at_ns.index)
        prediction = ended_at(prediction, mask, at_ns.to_numpy(), cause)
        joined.loc[rows.index, "cause"] = cause
    return prediction, joined


_LEAST_FLUSHED = 3


def _flushed(joined: pd.DataFrame, early: Bools, hz: int | None) -> Bools:
    """Early ends in a look after which no entry at all was left, of entries of many ages.

    A timeout that is shorter than was told also ends many at once, but all at one age.
    """
    gone_ns = joined["gone_ns"].fillna(np.iinfo(np.int64).max).astype("int64").to_numpy()
    chosen = np.zeros(len(joined), dtype=bool)
    for instant in np.unique(gone_ns[early]):
        together = early & (gone_ns == instant)
        left = (joined["appeared_ns"].to_numpy() < instant) & (gone_ns > instant)
        if together.sum() >= _LEAST_FLUSHED and not left.any():
            chosen |= together & _of_many_ages(joined[together], hz)
    return chosen


def _of_many_ages(together: pd.DataFrame, hz: int | None) -> bool:
    """Whether no single timeout, late by up to its granule, would end these in one look."""
    age_s = (together["gone_ns"] - together["last_ns"]).to_numpy(dtype=np.float64) / _NS
    late_s = max(granule_s(age_s.max(), one) for one in ([hz] if hz else KNOWN_HZ))
    return bool(np.ptp(age_s) > late_s)


def _ended_early(prediction: Prediction) -> list[EndedEarly]:
    early = prediction.entries[prediction.entries["cause"] != TIMER]
    groups = early.groupby(["state", "cause"], sort=True).size()
    return [
        EndedEarly(director=prediction.director, state=state_name(state), cause=cause, n=n)
        for state, cause, n in groups.reset_index().itertuples(index=False)
    ]


def _real_servers(
    prediction: Prediction, joined: pd.DataFrame, evidence: Evidence, observed: list[Curve]
) -> pd.Series:
    """Each predicted entry's real server: as polled, else by the MAC that answered (dr)."""
    polled = joined.dropna(subset=["entry"]).drop_duplicates("entry").set_index("entry")
    servers = polled["real_server"].reindex(prediction.entries.index)
    if servers.isna().any():
        servers = servers.fillna(_servers_by_mac(prediction, evidence))
    servers = servers.fillna(curves.UNKNOWN_SERVER)
    return _as_listed(servers, {curve.real_server for curve in observed})


def _as_listed(servers: pd.Series, listed: set[str]) -> pd.Series:
    """A firewall-mark service lists its servers with port 0, the entries have real ports."""
    portless = {name.rpartition(":")[0]: name for name in listed if name.endswith(":0")}
    if not portless:
        return servers
    renamed = servers.str.rpartition(":")[0].map(portless)
    return servers.where(servers.isin(list(listed)) | renamed.isna(), renamed)


def _servers_by_mac(prediction: Prediction, evidence: Evidence) -> pd.Series:
    nothing = pd.Series(pd.NA, index=prediction.entries.index, dtype="string")
    segments, packets = evidence.segments, evidence.packets
    if segments is None or packets is None or evidence.forwarding != "dr":
        return nothing
    port = evidence.service.port if evidence.service else 0
    names = {mac: f"{ip}:{port}" for mac, ip in packets.neighbours.items()}
    once = segments.only(without_copies(segments, evidence.forwarder_macs))
    answered = connections(once).drop_duplicates("flow").set_index("flow")
    return prediction.entries["flow"].map(answered["replied_by"]).map(names).astype("string")
