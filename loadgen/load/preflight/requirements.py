"""What a burst requires before it begins: consent, source addresses, privileges."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.load.engines.closing import check_repair
from loadgen.load.source_addresses import check_pool

if TYPE_CHECKING:
    from loadgen.load.plan import LoadPlan

CONSENT_ABOVE = 1000


def check_consent(plan: LoadPlan, *, in_lab: bool, agreed: bool) -> None:
    """Many connections to somebody's public address need a yes.

    Raises:
        UsageProblem: it was not given.
    """
    public = [] if in_lab else [vip for vip in plan.vips if _is_public(vip)]
    expected = plan.expected_requests
    if not public or agreed or (expected is not None and expected <= CONSENT_ABOVE):
        return
    how_many = "an unknown number of" if expected is None else f"{expected:,}"
    what = "connections" if plan.requests_per_connection == 1 else "requests"
    raise UsageProblem(
        f"{how_many} {what} to {public[0]}, which is neither private nor loopback nor in the "
        "lab: --yes is needed"
    )


def _is_public(vip: str) -> bool:
    address = ip_address(vip)
    return not (address.is_private or address.is_loopback or address.is_link_local)


def check_means(plan: LoadPlan) -> None:
    """See that the namespace we stand in lets us do what is asked.

    Raises:
        UsageProblem: it does not.
    """
    if plan.engine == "packets":
        from loadgen.load.engines.packets.wire.egress import check_egress

        check_egress(plan)
    else:
        check_pool(plan.sources)
    check_repair(plan)
