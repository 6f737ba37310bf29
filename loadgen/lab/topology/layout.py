"""A topology from a few numbers: how many of each, and who shall hold which VIP."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loadgen.errors import UsageProblem
from loadgen.lab.kernels import images
from loadgen.lab.topology.contradictions import MOST, MOST_VIPS, check
from loadgen.lab.topology.model import INSIDE, IPVS, OUTSIDE, Host, Role, Topology, Vip

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_VIRTUAL_ROUTER_ID = 41
EXERCISE_PRIORITIES = (10, 9)
"""Of two directors for one VIP, as the exercise has them."""
PRIORITIES = (200, 150, 100, 50, 25)
"""Of more: so far apart that the backups' timers differ by 0.1 s or more, not within jitter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounts:
    """How many hosts of each kind, and VIPs."""

    directors: int = 2
    servers: int = 2
    clients: int = 1
    vips: int = 1


def lay_out(
    counts: HostCounts = HostCounts(),
    *,
    weights: Sequence[int] | None = None,
    plan: Sequence[Sequence[str]] | None = None,
    **settings: Any,
) -> Topology:
    """A topology with hosts at their usual addresses.

    Args:
        counts: how many of each.
        weights: of the real servers, in order; by default 1 each.
        plan: for each VIP its directors, first choice first; by default ``default_plan``.
        settings: other fields of ``Topology``.

    Raises:
        UsageProblem: it contradicts itself.
    """
    made = usual(counts, weights=weights, plan=plan, **settings)
    check(made)
    return made


def usual(
    counts: HostCounts,
    *,
    weights: Sequence[int] | None = None,
    plan: Sequence[Sequence[str]] | None = None,
    **settings: Any,
) -> Topology:
    """What ``lay_out`` makes, not yet checked beyond the numbers.

    Raises:
        UsageProblem: a number is out of bounds, or a list does not fit one.
    """
    check_counts(counts, weights, plan)
    if settings.get("director_kind", IPVS) != IPVS:
        settings.setdefault("forwarding", "nat")  # rules can do no other
    forwarding = settings.get("forwarding", "dr")
    hosts = (
        *usual_clients(counts.clients),
        *usual_directors(counts.directors),
        *usual_servers(counts.servers, weights, forwarding),
    )
    names = [host.name for host in hosts if host.role is Role.DIRECTOR]
    alike = forwarding == "nat"  # the servers have one way back, so all VIPs move together
    plan = plan or default_plan(names, counts.vips, alike=alike)
    return Topology(hosts=hosts, vips=usual_vips(plan), **settings)


def with_kernel_image(topology: Topology, text: str) -> Topology:
    """The same with the directors' kernel images as ``--kernel-image`` gives them.

    Raises:
        UsageProblem: it names a director that does not exist, or contradicts the topology.
    """
    names = [host.name for host in topology.directors]
    made = replace(topology, kernel_images=images.parse(text, names))
    check(made)
    return made


def check_counts(
    counts: HostCounts, weights: Sequence[int] | None, plan: Sequence[Sequence[str]] | None
) -> None:
    """Refuse numbers that are out of bounds, and lists that do not fit them.

    Raises:
        UsageProblem: one of them is, or does not.
    """
    bounds = {"vips": MOST_VIPS} | {f"{role}s": most for role, most in MOST.items()}
    for name, most in bounds.items():
        if not 1 <= getattr(counts, name) <= most:
            raise UsageProblem(f"a lab has 1 to {most} {name}, not {getattr(counts, name)}")
    if weights is not None and len(weights) != counts.servers:
        raise UsageProblem(f"{len(weights)} weights for {counts.servers} real servers")
    if plan and len(plan) != counts.vips:
        raise UsageProblem(f"a plan for {len(plan)} VIPs, but there are {counts.vips}")


def usual_clients(count: int) -> list[Host]:
    """``client`` at .250, ``client02`` at .249, and so on."""
    names = ["client", *(f"client{number:02}" for number in range(2, count + 1))][:count]
    return [
        Host(name=name, role=Role.CLIENT, address=f"{OUTSIDE}.{250 - index}")
        for index, name in enumerate(names)
    ]


def usual_directors(count: int) -> list[Host]:
    """``bal01`` at .11 and on."""
    return [
        Host(name=f"bal{number:02}", role=Role.DIRECTOR, address=f"{OUTSIDE}.{10 + number}")
        for number in range(1, count + 1)
    ]


def usual_servers(count: int, weights: Sequence[int] | None, forwarding: str) -> list[Host]:
    """``srv01`` at .21 and on; in nat in the network behind the directors."""
    network = INSIDE if forwarding == "nat" else OUTSIDE
    return [
        Host(
            name=f"srv{number:02}",
            role=Role.SERVER,
            address=f"{network}.{20 + number}",
            weight=weights[number - 1] if weights else 1,
        )
        for number in range(1, count + 1)
    ]


def usual_vips(plan: Sequence[Sequence[str]]) -> tuple[Vip, ...]:
    """The VIPs of a plan: .2, then .102, .103 and on; virtual router ids from 41."""
    few = len(plan) == 1 and len(plan[0]) <= len(EXERCISE_PRIORITIES)
    steps = EXERCISE_PRIORITIES if few else PRIORITIES
    return tuple(
        Vip(
            address=f"{OUTSIDE}.{2 if number == 1 else 100 + number}",
            virtual_router_id=FIRST_VIRTUAL_ROUTER_ID + number - 1,
            priorities=tuple(zip(directors, steps, strict=False)),
        )
        for number, directors in enumerate(plan, start=1)
    )


def default_plan(directors: Sequence[str], vips: int, *, alike: bool) -> list[list[str]]:
    """Who holds which VIP, first choice first: masters evenly, and each master's backups too.

    After n x (n-1) VIPs every ordered pair of master and first backup has occurred once, so that
    a lost director's load spreads evenly.
    """
    count = len(directors)
    if alike or count == 1:
        return [list(directors)] * vips
    return [_choices(list(directors), number) for number in range(vips)]


def _choices(directors: list[str], number: int) -> list[str]:
    count = len(directors)
    master = number % count
    others = directors[master + 1 :] + directors[:master]
    turn = (number // count) % (count - 1)
    return [directors[master], *others[turn:], *others[:turn]]


def with_weight(topology: Topology, server: str, weight: int) -> Topology:
    """The same with another weight of one real server."""
    hosts = tuple(
        replace(host, weight=weight) if host.name == server else host for host in topology.hosts
    )
    return replace(topology, hosts=hosts)
