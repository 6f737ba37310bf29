"""How a run ended, and how much of what was planned had been done by then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def ending_of(manifest: Mapping[str, Any], sent: int = 0, cut_short: int = 0) -> Ending:
    """Read it in ``run.json``.

    Args:
        manifest: of any run; what is missing or odd is taken for a recording that was cut off.
        sent: requests begun, as recorded.
        cut_short: of these, those that the run's own end cut off.
    """
    how, why = _how(manifest)
    plan = manifest.get("plan")
    arrivals = plan.get("arrivals") if isinstance(plan, dict) else None
    planned = _requests(plan, arrivals)
    return Ending(
        how=how,
        why=why,
        planned=planned,
        planned_s=None if planned is not None else _seconds(manifest, arrivals),
        sent=sent,
        cut_short=cut_short,
    )


def _how(manifest: Mapping[str, Any]) -> tuple[How, str | None]:
    said = manifest.get("ended")
    if said == "completed":
        return "completed", None
    if said == "interrupted":
        return ("completed" if _waits_for_ctrl_c(manifest) else "interrupted"), None
    if not isinstance(said, str):
        return "cut off", CUT_OFF
    for how in (_ABORTED, _FAILED):
        if said.startswith(how):
            why = said.removeprefix(how).removeprefix(" by").removeprefix(":").strip()
            return ("aborted" if how == _ABORTED else "failed"), why[:_LONGEST_WHY] or None
    return "cut off", said[:_LONGEST_WHY]


def _waits_for_ctrl_c(manifest: Mapping[str, Any]) -> bool:
    """A watch without a planned time has no other end."""
    return manifest.get("command") == "collect" and _number(manifest.get("planned_s")) is None


def _requests(plan: Any, arrivals: Any) -> int | None:
    """How many were to be sent: by number, or by what the stages of a schedule come to."""
    if not isinstance(plan, dict):
        return None
    own = arrivals if isinstance(arrivals, dict) else {}
    stages = [] if own.get("arrivals") == "poisson" else _stages(own)  # as many as chance has it
    scheduled = sum(time_s * rate for time_s, rate in stages) if stages else None
    known = [_number(plan.get("requests")), _number(own.get("requests")), scheduled]
    return min((round(one) for one in known if one is not None), default=None)


def _stages(arrivals: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Seconds and requests a second of each stage; none where one is not understood."""
    stages = arrivals.get("stages")
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        return []
    pairs = [
        (time_s, rate)
        for stage in stages
        if (time_s := _number(stage.get("duration_s"))) is not None
        and (rate := _number(stage.get("rate_per_s"))) is not None
    ]
    return pairs if len(pairs) == len(stages) else []


def _seconds(manifest: Mapping[str, Any], arrivals: Any) -> float | None:
    own = arrivals if isinstance(arrivals, dict) else {}
    of_load = _number(own.get("duration_s"))
    if of_load is None and (stages := _stages(own)):
        of_load = sum(time_s for time_s, _ in stages)
    return _number(manifest.get("planned_s")) if of_load is None else of_load


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
