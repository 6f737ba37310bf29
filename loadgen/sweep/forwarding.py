"""A sweep over ways of forwarding too: a lab of its own for each.

How packets are forwarded is not a director's setting alone. In dr the real servers hold the VIP and
keep silent about it, in tun they take packets out of ipip, in nat they send answers back through
the director: ``ipvsadm -e … -m`` on a director whose servers are set up for dr breaks the service.
So it is swept where the servers are ours as well, in labs that are alike but for that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab.state import lab_names
from loadgen.lab.system import interruption, netns, rootless
from loadgen.lab.temporary import TemporaryLab
from loadgen.lab.topology.layout import lay_out
from loadgen.load.preflight import check_means
from loadgen.sites import find_site
from loadgen.sweep.sweep import Swept, check_closes, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgen.burst.burst import BurstOptions
    from loadgen.load.plan import LoadPlan

LAB_NAME = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysOrder:
    """What is swept.

    Attributes:
        plan: sent under every value, in every way.
        values_s: of tcpfin.
        ways: of forwarding.
        options: of each burst; its ``directory`` is the sweep's folder.
        capture_on: the host that captures, by its name.
        color: of the progress bars.
        lab_name: that the labs' names begin with.
    """

    plan: LoadPlan
    values_s: Sequence[int]
    ways: Sequence[str]
    options: BurstOptions
    capture_on: str
    color: bool
    lab_name: str = LAB_NAME


def check_is_ours(plan: LoadPlan, directors: Sequence[str]) -> None:
    """Ways of forwarding are swept in labs made for it, and nowhere else.

    Raises:
        UsageProblem: a director was named, a VIP that these labs do not hold, or a load in which
            tcpfin has no part.
    """
    check_closes(plan)
    if directors:
        raise UsageProblem(
            "--forwarding makes a lab for each method, because the real servers' set-up depends on "
            "it too: it cannot be combined with --director"
        )
    vip = lay_out().vips[0].address
    if plan.vips != (vip,):
        raise UsageProblem(f"--forwarding: the labs that it makes hold {vip}: expected --vip {vip}")


def sweep_ways(order: WaysOrder, say: Callable[[str], None]) -> Swept:
    """Sweep in each lab in turn, until one does not go to its end; no lab is left.

    Raises:
        UsageProblem: this machine cannot.
        RunFailed: a lab did not come up, or another sweep is in it.
    """
    rootless.enter(start=True)
    interruption.install()
    swept = Swept(runs=[], before={})
    try:
        for way in order.ways:
            swept = _one(order, way, swept, say)
            if swept.ended != "completed" or swept.error or swept.not_restored:
                break
    finally:
        rootless.leave_if_empty(bool(lab_names()))
    return swept


def _one(order: WaysOrder, way: str, before: Swept, say: Callable[[str], None]) -> Swept:
    import uvloop

    plan, name = order.plan, f"{order.lab_name}-{way}"
    with TemporaryLab(lay_out(forwarding=way), name, say) as lab:
        site = find_site(plan.target.vip, (), lab.name, (), order.capture_on)
        with (
            netns.visiting(lab.client_namespace),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            check_means(plan)
            work = sweep(
                plan,
                site,
                order.values_s,
                order.options,
                color=order.color,
                say=say,
                way=way,
                earlier=before.runs,
                planned=len(order.ways) * len(order.values_s),
            )
            try:
                return runner.run(work)
            finally:
                interruption.install()  # the sweep had handlers of its own, and took them away
