"""Access to the page of a run: for whoever has its address, not for other sites' scripts.

A browser on this machine also runs scripts of others. A name of theirs may come to mean this
machine (DNS rebinding): so a ``Host`` that is a name, other than localhost, is refused. Their
scripts may ask this port blindly: so a request that says it comes from another origin is refused
(``Origin``, RFC 6454; ``Sec-Fetch-Site``, W3C Fetch Metadata).
"""

from __future__ import annotations

import hmac
import secrets
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN_BYTES = 16
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every response; what a page may load or ask stands in the page's own policy."""


def new_token() -> str:
    """A secret that nobody guesses, as it may stand in a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_token(given: str, token: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def is_here(hosts: Sequence[str], names: Sequence[str] = ()) -> bool:
    """Whether the ``Host`` headers are one, an address or localhost; any port, for tunnels.

    Args:
        hosts: the values of the headers.
        names: other names that this machine may be called by.
    """
    if len(hosts) != 1:
        return False
    try:
        parts = urlsplit(f"//{hosts[0]}")
        name = parts.hostname or ""
        if parts.netloc != hosts[0] or parts.username is not None or (parts.port or 0) < 0:
            return False
        known = {"localhost", *(other.lower() for other in names)}
        return name in known or bool(ip_address(name))
    except ValueError:
        return False


def is_same_origin(host: str, origin: str | None, site: str | None) -> bool:
    """Whether nothing says that another site's script, or frame, is behind the request."""
    if origin is not None and origin != f"http://{host}":
        return False
    return site in (None, "same-origin", "none")
