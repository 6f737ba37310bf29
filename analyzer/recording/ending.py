"""How a run ended, and how much of what was planned had been done by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from analyzer.recording.manifest import Manifest
    from analyzer.recording.manifest.load import Plan

How = Literal["completed", "interrupted", "aborted", "failed", "cut off"]

CUT_OFF = "its program was killed, or could not go on writing"
_ABORTED, _FAILED = "aborted", "failed"
_LONGEST_WHY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended: by itself, by Ctrl-C, by a limit of its own, by an error, or not at all.

    ``planned`` is null where the plan is a time (``planned_s``) or there is none; ``cut_short`` are
    requests under way that the end itself cut off.
    """

    how: How
    why: str | None  # of an abort, an error or a recording that was cut off
    planned: int | None  # requests
    planned_s: float | None  # of load, or of a watch
    sent: int
    cut_short: int

    @property
    def is_whole(self) -> bool:
        """Whether the run came to its end."""
        return self.how == "completed"

    @property
    def load_is_whole(self) -> bool:
        """Whether at least all that was planned was sent and left to end."""
        all_sent = self.planned is not None and self.sent >= self.planned and not self.cut_short
        return self.is_whole or all_sent

    @property
    def text(self) -> str:
        """``interrupted after 31 of 50 requests``; empty of a run that came to its end."""
        return "" if self.is_whole else self._with(self._after())

    @property
    def cause(self) -> str:
        """``interrupted``, or ``aborted (failed>10: 12)``."""
        return self._with("")

    def _with(self, after: str) -> str:
        how = "ended by an error" if self.how == "failed" else self.how
        why = f" ({self.why})" if self.why else ""
        return f"{how}{after}{why}"

    def _after(self) -> str:
        at_least = "at least " if self.how == "cut off" else ""  # the last rows may be lost
        cut = f", {self.cut_short} of them under way" if self.cut_short else ""
        if self.planned is not None:
            if self.load_is_whole:
                return f" after all {self.planned:,} requests, while their entries were watched"
            return f" after {at_least}{self.sent:,} of {self.planned:,} requests{cut}"
        before = "" if self.planned_s is None else f" before its {self.planned_s:g} s were over"
        sent = f" after {at_least}{self.sent:,} requests{cut}" if self.sent else ""
        return f"{before},{sent}" if before and sent else before + sent


def ending_of(manifest: Manifest, sent: int = 0, cut_short: int = 0) -> Ending:
    """Read it in ``run.json``.

    Args:
        manifest: of any run; without a known ``ended`` it is taken for a recording that was cut
            off.
        sent: requests begun, as recorded.
        cut_short: of these, those that the run's own end cut off.
    """
    how, why = _how(manifest)
    planned = _requests(manifest.plan)
    return Ending(
        how=how,
        why=why,
        planned=planned,
        planned_s=None if planned is not None else _seconds(manifest),
        sent=sent,
        cut_short=cut_short,
    )


def _how(manifest: Manifest) -> tuple[How, str | None]:
    ended = manifest.ended
    if ended == "completed":
        return "completed", None
    if ended == "interrupted":
        return ("completed" if _waits_for_ctrl_c(manifest) else "interrupted"), None
    if ended is None:
        return "cut off", CUT_OFF
    for how in (_ABORTED, _FAILED):
        if ended.startswith(how):
            why = ended.removeprefix(how).removeprefix(" by").removeprefix(":").strip()
            return ("aborted" if how == _ABORTED else "failed"), why[:_LONGEST_WHY] or None
    return "cut off", ended[:_LONGEST_WHY]


def _waits_for_ctrl_c(manifest: Manifest) -> bool:
    """A watch without a planned time has no other end."""
    return manifest.command == "collect" and manifest.planned_s is None


def _requests(plan: Plan) -> int | None:
    """How many were to be sent: by number, or by what the stages of a schedule come to."""
    arrivals = plan.arrivals
    known = [number for number in (plan.requests, arrivals.requests) if number is not None]
    if arrivals.stages and arrivals.arrivals != "poisson":  # there it is as many as chance has it
        known.append(round(sum(each.duration_s * each.rate_per_s for each in arrivals.stages)))
    return min(known, default=None)


def _seconds(manifest: Manifest) -> float | None:
    arrivals = manifest.plan.arrivals
    if arrivals.duration_s is None and arrivals.stages:
        return sum(stage.duration_s for stage in arrivals.stages)
    return manifest.planned_s if arrivals.duration_s is None else arrivals.duration_s
