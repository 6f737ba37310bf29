"""Where an answer leads: redirects are followed at the same target only.

A redirect that leads elsewhere (another host, port or scheme) is the answer, as it is where
redirects are not followed at all: the load goes to one target. One without ``Location`` is an
answer too, as curl has it; one whose ``Location`` is no URL that HTTP could ask for is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urljoin, urlsplit

from loadgen.load.engines.wording import authority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.load.plan import LoadPlan

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_STAYS = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986, 2.2: what a server has written so is left so


def location_of(status: int, headers: Mapping[str, str]) -> str | None:
    """Where a redirect leads; None of an answer that is none, or that does not say."""
    return (headers.get("Location") or "").strip() or None if status in _REDIRECTS else None


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a redirect leads.

    Attributes:
        to: ``here`` is the plan's own target, ``away`` another host, port or scheme, ``nowhere``
            is no URL that HTTP could ask for.
        path: what to ask for next, as it may stand in a request; "" unless it leads ``here``.
    """

    to: Literal["here", "away", "nowhere"]
    path: str = ""


def lead_of(plan: LoadPlan, path: str, location: str) -> Lead:
    """Where a redirect leads.

    Args:
        plan: whose target it is.
        path: of the request that was answered so.
        location: as the server wrote it; relative to ``path``, or a whole URL.
    """
    requested = f"{'https' if plan.request.tls else 'http'}://{authority(plan)}{path}"
    try:
        target = urlsplit(urljoin(requested, location))
        host, port = target.hostname, target.port or _PORTS.get(target.scheme)
    except ValueError:
        return Lead("nowhere")
    if target.scheme not in _PORTS or not host:
        return Lead("nowhere")
    ours = urlsplit(requested)
    if (target.scheme, host, port) != (
        ours.scheme,
        ours.hostname,
        ours.port or _PORTS[ours.scheme],
    ):
        return Lead("away")
    query = f"?{target.query}" if target.query else ""
    return Lead(
        "here", quote(f"{target.path or '/'}{query}", safe=_STAYS, errors="surrogateescape")
    )
