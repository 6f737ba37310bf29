"""The shift between a log's clock and a capture's, from the events that both of them show.

A log of counters shows rises, a capture the first packets of connections; both are of the same
entries. For a shift (the log's clock less the capture's) to be true,

==========  ====================================================================================
rises       no more may have come between two polls than connections began (else: unbacked)
births      what began must make a counter rise, unless as many ended (else: unseen)
Conns       where a log has them, as many came as began: no birth hides behind another entry's end
==========  ====================================================================================

Every shift that contradicts neither, and lets the two overlap, is possible; the shift is known only
where all possible ones lie close together. Repeated bursts that are alike, or a load that neither
begins nor ends within the log, allow many. An entry whose client port is known dates itself
(``Appeared``): then a shift is one that most of them agree on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.log_clock.model import ClockMatch, is_zone, unmatched
from analyzer.log_clock.score import Score, ShiftSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.log_clock.model import Track

FEWEST = 5
"""Entries in both that a shift needs which is no time zone's."""

CONTRADICTED = 0.1
"""Share of the entries that may contradict a shift: missed packets, others' connections."""

RIVAL = 0.45
"""Share of the best shift's entries from which on another shift is possible too.

Of bursts at one interval the next shift explains all but one; of two, half. That the intervals of
three unequal ones agree by chance is not considered."""

_SLACK = 2.0
_SLACK_SHARE = 0.02
_BISECTIONS = 12
_MOST_STEPS = 40
"""Of the search, a quarter of a poll each: a range so wide is no answer anyway."""


def match_counters(
    tracks: Sequence[Track], covered_s: tuple[float, float], resolution_s: float
) -> ClockMatch:
    """The shift of the clocks by a log of counters.

    Args:
        tracks: of each virtual service that both know.
        covered_s: the capture's first and last packet, on its clock.
        resolution_s: of the stamps, which are rounded down to it.
    """
    usable = [
        track for track in tracks if len(track.began_s) and track.polled_s[-1] > track.polled_s[0]
    ]
    if not usable:
        return unmatched("the capture has no connection to a service of the log")
    if not any((track.held[1:] > track.held[:-1]).any() for track in usable):
        return unmatched("the log's counters never rise")
    search = ShiftSearch(usable, covered_s, resolution_s)
    scored = search.search()
    best = max((score for _, score in scored), key=lambda score: score.value)
    if best.explained < 1:
        return unmatched("no entry came in both the log and the capture")
    if best.contradicted > CONTRADICTED * (best.explained + best.contradicted):
        return unmatched(
            "no shift brings the rises of the log's counters and the connections of the capture "
            "together: the counters hold others' load, or packets were missed"
        )
    return _match_of(search, scored, best)


def _match_of(search: ShiftSearch, scored: list[tuple[float, Score]], best: Score) -> ClockMatch:
    """All shifts that are possible beside the best, and whether they are one answer."""
    limit = best.contradicted + max(_SLACK, _SLACK_SHARE * best.explained)

    def possible(shift_s: float) -> bool:
        score = search.score(shift_s)
        enough = score.explained >= max(RIVAL * best.explained, 1)
        return enough and score.contradicted <= limit

    shifts = sorted(
        shift_s
        for shift_s, score in scored
        if score.explained >= RIVAL * best.explained and score.contradicted <= limit
    )
    groups = _groups(shifts, search.step_s)
    edges = _disjoint([_edges(group, possible, search.step_s) for group in groups])
    low_s, high_s = min(low for low, _ in edges), max(high for _, high in edges)
    narrow = high_s - low_s <= search.narrow_s
    clear = narrow and (best.explained >= FEWEST or is_zone(low_s, high_s))
    return ClockMatch(
        low_s=low_s,
        high_s=high_s,
        explained=round(best.explained),
        contradicted=round(best.contradicted),
        possible_s=tuple(edges),
        clear=clear,
        why="" if clear else _why_open(len(edges), low_s, high_s, best if narrow else None),
    )


def _why_open(groups: int, low_s: float, high_s: float, few: Score | None) -> str:
    if few is not None:
        return f"only {few.explained:.0f} entries came in both the log and the capture, too few"
    if groups > 1:
        return (
            f"{groups} shifts between {low_s:+.0f} and {high_s:+.0f} s fit alike: what the log "
            "and the capture show repeats itself"
        )
    return (
        f"every shift between {low_s:+.0f} and {high_s:+.0f} s fits: the load neither begins nor "
        "changes sharply enough"
    )


def _groups(shifts: list[float], step_s: float) -> list[list[float]]:
    """Ascending shifts, cut where two are more than a step and a half apart."""
    groups: list[list[float]] = []
    for shift_s in shifts:
        if groups and shift_s - groups[-1][-1] <= 1.5 * step_s:
            groups[-1].append(shift_s)
        else:
            groups.append([shift_s])
    return groups


def _edges(
    group: list[float], possible: Callable[[float], bool], step_s: float
) -> tuple[float, float]:
    """A group's edges, each between the last possible shift and the first that is not.

    The search may have tried none beyond the group: steps go on from there, as far as matters.
    """
    edges = []
    for inside_s, direction in ((group[0], -1), (group[-1], 1)):
        outside_s = inside_s + direction * step_s
        for _ in range(_MOST_STEPS):
            if not possible(outside_s):
                break
            inside_s, outside_s = outside_s, outside_s + direction * step_s
        for _ in range(_BISECTIONS):
            middle_s = (inside_s + outside_s) / 2
            inside_s, outside_s = (
                (middle_s, outside_s) if possible(middle_s) else (inside_s, middle_s)
            )
        edges.append(outside_s)
    return edges[0], edges[1]


def _disjoint(ranges: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Ascending ranges, those that meet as one."""
    joined: list[tuple[float, float]] = []
    for low_s, high_s in ranges:
        if joined and low_s <= joined[-1][1]:
            low_s, high_s = joined[-1][0], max(joined.pop()[1], high_s)
        joined.append((low_s, high_s))
    return joined
