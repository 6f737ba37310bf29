"""What a director does with packets to real servers that were removed, or have weight 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.compared.beside import beside
from analyzer.compared.servers import Answerers, last_syn_ns, servers_by_segment
from analyzer.ipvs.states import Flag
from analyzer.predicted.replay import Handling, handling
from analyzer.predicted.weightless import Weightless
from analyzer.predicted.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from analyzer.arrays import Bools, Ints
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.recording.director import Director
    from analyzer.wire.answers import Answers
    from analyzer.wire.segments import Segments

_UNDECIDED = "undecided"


def handled_by_servers(
    segments: Segments,
    director: Director,
    evidence: Evidence,
    tracked: Parted,
    answered: Answers,
    margin_ns: int,
) -> tuple[Handling, Bools] | None:
    """How a director handled segments for the sake of their real servers; part by part.

    Args:
        segments: that passed it.
        director: its facts.
        evidence: the recording.
        tracked: what was seen of its entries.
        answered: what became of each of the segments.
        margin_ns: how well the instants of polls and packets can be compared.

    Returns:
        That, and which segments a removal or return leaves open; None where no real server was
        ever removed or had weight 0.
    """
    record = evidence.by_director[director.name]
    absences = record.absences
    weights = weights_of(record.services, evidence.events, margin_ns)
    if not len(absences) and not weights:
        return None
    answerers = Answerers.of(evidence, tracked)
    weightless = Weightless.of(weights, segments, director, evidence)
    writer = segments.store.columns()
    for lives, rows in beside(tracked, segments.flow, segments.store):
        part, fates = segments.only(rows), answered.only(rows)
        servers = servers_by_segment(part, lives, answerers, margin_ns)
        removed, undecided = _removed(
            part, absences, servers, fates, margin_ns, nodest=director.expire_nodest_conn
        )
        masks = weightless.masks(part, lives, servers, margin_ns)
        for name, mask in removed.items():
            masks[name] = masks.get(name, False) | mask
        writer.append(handling(len(part.flow), **masks).columns() | {_UNDECIDED: undecided})
    columns = writer.finish()
    return Handling(**{name: columns[name] for name in columns if name != _UNDECIDED}), columns[
        _UNDECIDED
    ]


def _removed(
    segments: Segments,
    absences: pd.DataFrame,
    servers: pd.Series,
    answered: Answers,
    margin_ns: int,
    *,
    nodest: bool,
) -> tuple[dict[str, Bools], Bools]:
    """Segments to entries of real servers that were removed, and those for which that is not known.

    Without expire_nodest_conn the director drops them until the server is back. With it the entries
    are deleted at once: the segments find none, until a SYN makes a new one. What a server sends
    passes all the same.
    """
    is_syn = (segments.flag == Flag.SYN) & segments.to_vip
    names = ("expire_nodest", "dropped", "unavailable")
    masks = {name: np.zeros(len(segments.flow), dtype=bool) for name in names}
    undecided = np.zeros(len(segments.flow), dtype=bool)
    began_ns = last_syn_ns(segments)
    lost, got = answered.refused | answered.unanswered, answered.taken | answered.answered
    for absence in absences.to_dict("records"):
        of_server = (servers == absence["server"]).to_numpy(dtype=bool, na_value=False)
        away, near = _after(segments.at_ns, absence, _GONE, margin_ns, after=lost, before=got)
        if nodest:
            away &= of_server & (began_ns < absence["from_ns"])
            masks["expire_nodest"] |= away & is_syn
            masks["dropped"] |= away & ~is_syn
        else:
            back, also = _after(segments.at_ns, absence, _BACK, margin_ns, after=got, before=lost)
            masks["unavailable"] |= of_server & away & ~back
            near |= also
        undecided |= of_server & near & segments.to_vip
    return masks, undecided


_GONE = ("from_ns", "removed_since_ns", "removed_by_ns")
_BACK = ("to_ns", "back_since_ns", "back_by_ns")


def _after(
    at_ns: Ints,
    absence: Mapping[Hashable, Any],
    names: tuple[str, str, str],
    margin_ns: int,
    *,
    after: Bools,
    before: Bools,
) -> tuple[Bools, Bools]:
    """Which segments came after a removal or return, and which lie so near it that this is open.

    Near it, what became of a segment says so: ``after`` those as it is treated afterwards,
    ``before`` those as it was until then.
    """
    instant_ns, since_ns, by_ns = (int(absence[name]) for name in names)
    near = (at_ns >= since_ns - margin_ns) & (at_ns - margin_ns <= by_ns)
    came_after = np.where(near & after, True, np.where(near & before, False, at_ns >= instant_ns))
    return came_after, near & ~after & ~before
