"""What each engine can do, as a table; what it cannot is refused by name, before anything is sent.

A need is something that a plan asks for. Each engine has the set of needs it can meet, and why it
cannot meet the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

from analyzer.forecast.closings import CLOSES
from loadgen.errors import UsageProblem
from loadgen.load.plan import ClosedModel, EngineName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.forecast.closings import Close
    from loadgen.load.plan import LoadPlan

Choice = Literal["http", "sockets", "packets", "auto"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

POLITE_REQUESTS = 1000
"""Up to here ``auto`` prefers the engine that knows most of HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """One engine.

    Attributes:
        closes: the ways of closing that it has.
        cannot: needs that it does not meet, and why, in words that follow "because".
    """

    closes: frozenset[Close]
    cannot: Mapping[str, str]


_NO_REUSE = "the kernel chooses the ports"
_SOCKET_CLOSES: frozenset[Close] = frozenset({"client", "server", "reset", "half", "never"})
_BY_THE_RULES = {
    f"--close {kind}": "its kernel plays TCP by the rules"
    for kind in CLOSES
    if kind not in _SOCKET_CLOSES | {"abandon"}
}

ABILITIES: Mapping[EngineName, Abilities] = {
    "http": Abilities(
        closes=_SOCKET_CLOSES,
        cannot={
            "--close abandon": "its kernel sends a FIN or a reset when a socket goes",
            "--udp": "it speaks HTTP alone",
            "--port-reuse": _NO_REUSE,
            **_BY_THE_RULES,
        },
    ),
    "sockets": Abilities(
        closes=_SOCKET_CLOSES | {"abandon"},
        cannot={
            "TLS": "it speaks plain HTTP",
            "--location": "it follows no redirects",
            "--port-reuse": _NO_REUSE,
            **_BY_THE_RULES,
        },
    ),
    "packets": Abilities(
        closes=frozenset(CLOSES),
        cannot={
            "TLS": "it speaks plain HTTP",
            "--location": "it follows no redirects",
            "--udp": "it plays TCP alone",
            "--processes": "one process is all it takes",
            "--requests-per-connection": "it sends one request on each connection",
            "several targets": "its frames go to one VIP and port",
        },
    ),
}


def needs(plan: LoadPlan) -> list[str]:
    """What a plan asks for beyond plain requests, in the words of the command line."""
    needed = {
        "--udp": plan.datagram is not None,
        "TLS": plan.uses_tls,
        "--location": plan.request.redirects > 0,
        "--tcp-info": plan.tcp_info,
        "--port-reuse": plan.port_reuse_s is not None,
        "--processes": plan.processes > 1,
        "--requests-per-connection": plan.requests_per_connection > 1,
        "several targets": bool(plan.others),
    }
    closes = [f"--close {kind}" for kind in plan.closing.kinds]
    return [need for need, is_asked in needed.items() if is_asked] + closes


def refusal(engine: EngineName, plan: LoadPlan) -> str | None:
    """Why an engine cannot carry a plan out, one line; None if it can."""
    can = ABILITIES[engine]
    for need in needs(plan):
        if need in can.cannot:
            return f"--engine {engine} cannot do {need}: {can.cannot[need]}"
    return None


def choose(choice: Choice, plan: LoadPlan) -> tuple[EngineName, str]:
    """The engine that carries a plan out, and why it is this one.

    Raises:
        UsageProblem: the engine that was named cannot do what is asked, or none can.
    """
    if choice != "auto":
        why_not = refusal(choice, plan)
        if why_not:
            raise UsageProblem(why_not)
        if find_spec(f"loadgen.load.engines.{choice}") is None:
            raise UsageProblem(f"--engine {choice}: not part of this installation")
        return choice, "as given"
    polite = _is_polite(plan)
    order: tuple[EngineName, ...] = ("http", "sockets") if polite else ("sockets", "http")
    first_no = refusal(order[0], plan)
    if first_no is None:
        return order[0], _why(polite)
    if refusal(order[1], plan) is None:
        return order[1], first_no.removeprefix("--engine ")
    if refusal("packets", plan) is None:
        raise UsageProblem(f"{first_no}; name --engine packets, which can, and its --local-ips")
    raise UsageProblem(f"no engine for this plan: {first_no}; {refusal(order[1], plan)}")


def _is_polite(plan: LoadPlan) -> bool:
    expected = plan.expected_requests
    return (
        isinstance(plan.arrivals, ClosedModel)
        and expected is not None
        and expected <= POLITE_REQUESTS
    )


def _why(polite: bool) -> str:
    if polite:
        return f"up to {POLITE_REQUESTS:,} requests, as curl would send them"
    return f"a schedule, or more than {POLITE_REQUESTS:,} requests"
