"""The sweep: one burst for each value of tcpfin, and the old timeouts back whatever happens."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.recording.directory import not_written, write_derived
from analyzer.sweep.folder import FOLDER_FILE, SCHEMA_VERSION
from loadgen.burst.burst import burst
from loadgen.burst.progress import RunProgress
from loadgen.director.links.clients import director_client
from loadgen.director.timeouts.change import TimeoutsChange
from loadgen.director.timeouts.present import in_words
from loadgen.errors import LoadgenError, UsageProblem
from loadgen.session.signals import Steps, on_signals
from loadgen.sites import changes_only_a_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from analyzer.ipvs.states import Timeouts
    from loadgen.burst.burst import BurstOptions
    from loadgen.load.plan import LoadPlan
    from loadgen.session.run import Ended
    from loadgen.sites import Site


@dataclass(slots=True, kw_only=True)
class Swept:
    """What became of a sweep.

    Attributes:
        runs: the value and the directory of each run that went to its end.
        before: the timeouts that each director had.
        ended: how it ended.
        error: that ended it.
        not_restored: a line for each director that could not be given its timeouts back.
    """

    runs: list[tuple[int, Path]]
    before: dict[str, Timeouts]
    ended: Ended = "completed"
    error: LoadgenError | None = None
    not_restored: Sequence[str] = ()


def check_allowed(
    site: Site, directors: Sequence[str], values_s: Sequence[int], plan: LoadPlan, *, allowed: bool
) -> None:
    """A sweep changes directors: only a lab's own, unless it was said that it may.

    Raises:
        UsageProblem: there is no director, nobody said that it may be changed, or tcpfin has no
            part in such a load.
    """
    check_closes(plan)
    if not site.directors:
        raise UsageProblem("no director to sweep: name one with --director")
    if not changes_only_a_lab(site, directors) and not allowed:
        names = ", ".join(link.name for link in site.directors)
        values = ", ".join(map(str, values_s))
        raise UsageProblem(
            f"a sweep sets tcpfin on {names} to {values} s, and back at the end: "
            "expected --allow-changes with it"
        )


def check_closes(plan: LoadPlan) -> None:
    """Only what closes is governed by tcpfin.

    Raises:
        UsageProblem: the plan sends datagrams.
    """
    if plan.datagram is not None:
        raise UsageProblem("--udp cannot be combined with a sweep of tcpfin: a datagram has no FIN")


async def sweep(
    plan: LoadPlan,
    site: Site,
    values_s: Sequence[int],
    options: BurstOptions,
    *,
    color: bool,
    say: Callable[[str], None],
    way: str | None = None,
    earlier: Sequence[tuple[int, Path]] = (),
    planned: int | None = None,
) -> Swept:
    """Set each value on all directors, send the plan, watch the decay; then put all back.

    Args:
        plan: sent under every value.
        site: where it is sent from, and the directors.
        values_s: of tcpfin.
        options: of each burst; its ``directory`` is the sweep's folder, and its ``left_timeouts``
            are what an earlier sweep left behind.
        color: of the progress bars.
        say: takes a line for the operator.
        way: of forwarding, where it is one of several; it is in the names of the runs.
        earlier: the runs of other ways, in the same folder.
        planned: how many runs all ways come to; by default as many as there are values.
    """
    clients = [director_client(link) for link in site.directors]
    change = TimeoutsChange(clients, say, left=options.left_timeouts)
    swept = Swept(runs=list(earlier), before=change.before)
    steps = Steps(between=change.give_up)
    with on_signals(steps.end):
        try:
            await steps.take(change.__aenter__())
            _begin(options.directory, swept, planned or len(values_s))
            for value_s in values_s:
                run_options = replace(options, directory=options.directory / run_name(value_s, way))
                ended = await steps.take(
                    _one(plan, site, value_s, run_options, change, color=color)
                )
                if ended != "completed":
                    break
                swept.runs.append((value_s, run_options.directory))
                _note(options.directory, swept, planned or len(values_s))
        except LoadgenError as error:
            swept.error = error
        finally:
            await change.__aexit__(None, None, None)
    swept.not_restored = change.not_restored
    done = len(swept.runs) == len(earlier) + len(values_s)
    swept.ended = "completed" if done or swept.error else "interrupted"
    return swept


async def _one(
    plan: LoadPlan,
    site: Site,
    value_s: int,
    options: BurstOptions,
    change: TimeoutsChange,
    *,
    color: bool,
) -> Ended:
    progress = RunProgress(plan.expected_requests, color=color)
    for name, before in change.before.items():
        progress.say(
            f"{name}: tcpfin {value_s} s for now (ipvsadm --set 0 {value_s} 0); "
            f"its timeouts {in_words(before)} come back at the end"
        )
    await change.set_tcpfin(value_s)
    run_options = replace(options, observe_s=None, left_timeouts="ours")
    return await burst(plan, site, run_options, progress)


def run_name(value_s: int, way: str | None = None) -> str:
    """Of a run's directory, within the sweep's."""
    return f"{way}-tcpfin-{value_s}" if way else f"tcpfin-{value_s}"


def _begin(folder: Path, swept: Swept, planned: int) -> None:
    """Before the first run, so that a sweep that is cut off by then can be read too."""
    if not (folder / FOLDER_FILE).exists():  # runs of another way, or of an older sweep
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageProblem(not_written(folder, error)) from error
        _note(folder, swept, planned)


def _note(folder: Path, swept: Swept, planned: int) -> None:
    """After each run, so that a sweep that is cut off can still be read."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "runs": [{"tcpfin_s": value_s, "run": path.name} for value_s, path in swept.runs],
        "runs_planned": planned,
        "timeouts_before": {name: in_words(before) for name, before in swept.before.items()},
    }
    write_derived(folder / FOLDER_FILE, json.dumps(content, indent=1))
