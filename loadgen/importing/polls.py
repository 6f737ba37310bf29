"""The polls of a log, one at a time: a log may be larger than memory, so it is read again instead.

A log is JSON lines or what a loop of ``ipvsadm`` printed (``loadgen.importing.log``).
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.proc.formats import parse_entries, parse_services
from analyzer.recording.manifest import without_surrogates
from loadgen.errors import UsageProblem
from loadgen.importing.log import (
    before_polls,
    polls_before_times,
    polls_in,
    times_stand_after,
)
from loadgen.importing.printed import (
    MOST_KNOWN,
    SHORT,
    Printed,
    from_printed,
    heading_of,
)
from loadgen.importing.sources.find import PollLog
from loadgen.importing.sources.kinds import first_ipvs_line
from loadgen.importing.sources.lines import head_lines, is_redrawn, lines_of, text_lines
from loadgen.importing.sources.overview import LoggedPoll, Overview
from loadgen.importing.sources.packed import refuse_bomb
from loadgen.importing.sources.refusals import LOOP, ROWS, foreign_line, refusal
from loadgen.importing.times.lines import stamp_of, unnumbered
from loadgen.importing.times.stamps import LATEST_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from analyzer.ipvs.proc.formats import EntryTable, ServiceTable

JSON_LINE = '{"t": 1795838380.25, "services": "…", "connections": "…"}'

_TITLES = re.compile(r"IP Virtual Server|Prot +Local|RemoteAddress|connection entries|pro +expire")
_HEADER_CHARACTERS = 200
"""The first line of /proc/net/ip_vs, and more."""


def in_order(log: PollLog) -> PollLog:
    """A log with its files in the order of their first polls, and where its times stand.

    Raises:
        UsageProblem: one is not readable, unpacks to more than a log would, or covers the same time
            as another.
    """
    for path in log.files:
        refuse_bomb(path, "a log of polls")
    if not log.is_json:
        log = replace(log, times_after=times_stand_after(_texts(log)))
    if len(log.files) == 1:
        return log
    spans = sorted((*_span_t(path, log.is_json), path) for path in log.files)
    for (_, before_t, before), (after_t, _, after) in pairwise(spans):
        if after_t < before_t:
            raise UsageProblem(
                f"{after}: covers the same time as {before}; expected the parts of one director's "
                "log (import each director's on its own)"
            )
    return replace(log, files=tuple(path for _, _, path in spans))


def _span_t(path: Path, is_json: bool) -> tuple[float, float]:
    """The times of a file's first and last poll."""
    part = PollLog(files=(path,), is_json=is_json)
    part = part if is_json else replace(part, times_after=times_stand_after(_texts(part)))
    times = [poll.t for poll in polls_of(part)]
    if not times:
        raise _no_poll(path, is_json)
    return times[0], times[-1]


def _no_poll(path: Path, is_json: bool) -> UsageProblem:
    """Nothing in a log has a time: where one was expected, and how it may look."""
    if is_json:
        return UsageProblem(f"{path}: line 1: expected {JSON_LINE}")
    lines = head_lines(path)
    number = first_ipvs_line(lines)
    if is_redrawn(path):
        what = f"a screen that was redrawn in place, as script keeps of watch; expected {LOOP}"
    elif foreign_line(lines):
        what = refusal(lines, "")
    elif number is None:
        what = f"line 1: expected a time, then what ipvsadm prints, again and again: {LOOP}"
    else:
        what = (
            f"line {number}: no time before what was printed; expected one before each print, "
            f"such as '2026-11-28 03:59:40': {LOOP}"
        )
    return UsageProblem(f"{path}: no output with a time found in it: {what}")


def no_row(log: PollLog, *, is_error: bool, is_other: bool) -> UsageProblem:
    """Nothing that a log printed was understood: the first line that may have been a row.

    Args:
        log: of texts, or JSON lines.
        is_error: every poll printed a tool's error.
        is_other: all was understood, but is no table (``ipvsadm -S``, ``ip_vs_stats``).
    """
    lines = [] if log.is_json else unnumbered(head_lines(log.files[0]))
    rests = ((number, stamp_of(line)[1] or "") for number, line in enumerate(lines, 1))
    rows = (number for number, rest in rests if rest.strip() and not _TITLES.search(rest))
    what = "no row of it was understood"
    if is_error or is_other:
        what = "an error instead of a table" if is_error else "neither real servers nor entries"
    return UsageProblem(
        f"{log.files[0]}: line {next(rows, 1)}: {what}; expected rows such as {ROWS}"
    )


def overview_of(log: PollLog) -> Overview:
    """Read a log once.

    Raises:
        UsageProblem: it is not readable, or no log of polls.
    """
    overview = Overview()
    before = None if log.is_json else from_printed(before_polls(_texts(log))).timeouts
    for poll in polls_of(log):
        if before is not None and not overview.polls:
            overview.add_timeouts(poll.t, before)
        overview.add(poll)
    if not overview.polls:
        raise _no_poll(log.files[0], log.is_json)
    return overview


def polls_of(log: PollLog) -> Iterator[LoggedPoll]:
    """A log's polls.

    Raises:
        UsageProblem: it is not readable, or no log of polls.
    """
    return chain.from_iterable(map(_of_json, log.files)) if log.is_json else _of_texts(log)


def _of_texts(log: PollLog) -> Iterator[LoggedPoll]:
    written_s = log.files[-1].stat().st_mtime
    cut = polls_before_times if log.times_after else polls_in
    for poll in cut(_texts(log), time.gmtime(written_s).tm_year, written_s):
        printed = partial(from_printed, poll.text)
        heading = partial(heading_of, poll.text)
        yield LoggedPoll(
            t=poll.at_s, stamp=poll.stamp, printed=printed, services=printed, heading=heading
        )


def _texts(log: PollLog) -> Iterator[str]:
    return unnumbered(chain.from_iterable(map(text_lines, log.files)))


def _of_json(path: Path) -> Iterator[LoggedPoll]:
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip():
            continue
        try:
            poll = json.loads(line)
            t = _checked(float(poll["t"]))
        except (ValueError, KeyError, OverflowError, TypeError, RecursionError):
            if not line.endswith(b"\n"):
                return  # cut off while it was written
            raise UsageProblem(f"{path}: line {number}: expected {JSON_LINE}") from None
        yield LoggedPoll(
            t=t,
            stamp=None,
            printed=partial(_printed, poll),
            services=partial(_services, poll),
            heading=partial(_heading, poll),
        )


def _checked(t: float) -> float:
    """A time that a recording can hold."""
    if not 0 <= t < LATEST_S:
        raise ValueError(f"time {t}: expected seconds since 1970")
    return t


def _text(poll: Mapping[str, Any], key: str) -> str:
    return str(without_surrogates(str(poll.get(key) or "")))


def _services_of(text: str) -> ServiceTable:
    return _known_services(text) if len(text) <= SHORT else parse_services(text)


def _entries_of(text: str) -> EntryTable:
    return _known_entries(text) if len(text) <= SHORT else parse_entries(text)


_known_services = lru_cache(maxsize=MOST_KNOWN)(parse_services)
_known_entries = lru_cache(maxsize=MOST_KNOWN)(parse_entries)


def _printed(poll: Mapping[str, Any]) -> Printed:
    services = _services_of(_text(poll, "services"))
    if poll.get("connections") is None:
        return Printed(
            services=services.services, size=services.conn_tab_size, warnings=services.warnings
        )
    table = _entries_of(_text(poll, "connections"))
    warnings = services.warnings + table.warnings
    return Printed(
        services=services.services, table=table, size=services.conn_tab_size, warnings=warnings
    )


def _services(poll: Mapping[str, Any]) -> Printed:
    return Printed(services=_services_of(_text(poll, "services")).services)


def _heading(poll: Mapping[str, Any]) -> Printed:
    head = _text(poll, "services")[:_HEADER_CHARACTERS]
    return Printed(size=_services_of(head).conn_tab_size)
