"""Early end of a failing run: as by Ctrl-C, so that what was recorded is still reported."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from analyzer.checks.live import LiveCounts, crossed
from loadgen.errors import UsageProblem
from loadgen.session.background import Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.checks.live import Limit
    from loadgen.director.polling.poller import Poller
    from loadgen.load.engines.activity import Burst
    from loadgen.sites import Site

CHECK_EVERY_S = 0.1


class AbortWatch(Waiting):
    """An activity that ends the run once a limit is crossed while load is sent.

    Attributes:
        why: which limit, and what crossed it; None as long as none was.
    """

    def __init__(self, limits: Sequence[Limit], burst: Burst, pollers: Sequence[Poller]) -> None:
        self.why: str | None = None
        self._limits = limits
        self._burst = burst
        self._pollers = pollers
        self._peaks: tuple[int, int] | None = None

    async def done(self) -> None:
        """Return when the last request has ended within all limits."""
        while self._limits and not self._burst.ended.is_set():
            self._check()
            if self.why is not None:
                signal.raise_signal(signal.SIGINT)
                return
            await asyncio.sleep(CHECK_EVERY_S)

    def _check(self) -> None:
        figures = self._counts()
        for limit in self._limits:
            value = crossed(limit, figures)
            if value is not None:
                self.why = f"{limit.text}: {value:.3g}" if value < 1 else f"{limit.text}: {value:g}"
                return

    def _counts(self) -> LiveCounts:
        counts = [poller.counts for poller in self._pollers if poller.counts]
        if counts:
            now = sum(active for active, _ in counts), sum(inactive for _, inactive in counts)
            before = self._peaks or (0, 0)
            self._peaks = max(now[0], before[0]), max(now[1], before[1])
        active, inactive = self._peaks or (None, None)
        tally = self._burst.tally
        return LiveCounts(
            ended=tally.ended, failed=tally.failed, active_peak=active, inactive_peak=inactive
        )


def check_limits(limits: Sequence[Limit], site: Site) -> None:
    """Refuse a limit that nobody would ever see crossed.

    Raises:
        UsageProblem: it is of what directors hold, and there are none.
    """
    for limit in limits:
        if limit.needs_directors and not site.directors:
            raise UsageProblem(
                f"--abort-on {limit.text!r}: no director is polled; expected --director with it"
            )
