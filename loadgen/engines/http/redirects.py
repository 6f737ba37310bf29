"""Where an answer leads: redirects are followed at the same target only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from loadgen.engines.wording import authority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.plan import LoadPlan

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STAYS = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986, 2.2: what a server has written so is left so


def location_of(status: int, headers: Mapping[str, str]) -> str | None:
    """Where a redirect leads; None of an answer that is none."""
    return headers.get("Location") if status in _REDIRECTS else None


def same_target(plan: LoadPlan, path: str, location: str) -> str | None:
    """The path that a redirect leads to, as it may stand in a request.

    Args:
        plan: whose target it is.
        path: of the request that was answered so.
        location: as the server wrote it.

    Returns:
        None where it leads away from the target, or nowhere.
    """
    here = f"{'https' if plan.request.tls else 'http'}://{authority(plan)}{path}"
    try:
        there = urlsplit(urljoin(here, location))
    except ValueError:
        return None
    if (there.scheme, there.netloc) != urlsplit(here)[:2]:
        return None
    query = f"?{there.query}" if there.query else ""
    return quote(f"{there.path or '/'}{query}", safe=_STAYS, errors="surrogateescape")
