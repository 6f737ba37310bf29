"""The section ``failover`` of ``run.json``, as it stands before the fault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.failover.sanity.rules import holders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadgen.director.boot_facts import BootFacts
    from loadgen.failover.options import FailoverOptions
    from loadgen.lab.topology.model import Topology
    from loadgen.load.plan import LoadPlan

_SYN_LINEAR = Path("/proc/sys/net/ipv4/tcp_syn_linear_timeouts")  # Linux 6.5


def manifest_of(
    plan: LoadPlan,
    options: FailoverOptions,
    known: Mapping[str, BootFacts],
    why: Sequence[str],
    topology: Topology | None = None,
) -> dict[str, Any]:
    """The section.

    Args:
        plan: of the load.
        options: of the fail-over.
        known: what each director gave when it was connected, by name.
        why: the set-up is not sane; () where it is.
        topology: the lab's, whose VRRP settings are known.
    """
    timing = options.timing
    return {
        "fault": options.fault.name if options.fault else None,
        "held_by": holders(known, plan.target.vip),
        "why_insane": list(why),
        "probed": not options.exercise,
        "before_s": timing.before_s,
        "after_s": timing.after_s,
        "tail_s": timing.tail_s,
        "runs_planned": options.runs,
        "syn_linear_timeouts": _number(_SYN_LINEAR),
        "nopreempt": topology.nopreempt if topology else None,
        "preempt_delay_s": topology.preempt_delay_s if topology else None,
    }


def _number(path: Path) -> int | None:
    """A sysctl of ours; None where this kernel has none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
