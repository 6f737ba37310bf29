"""Why requests fail: a fixed list of kinds, and a kind for each text of an older recording.

Engines record the kind of each failure beside its text (``requests/``, columns ``failure`` and
``error``). Of recordings without that column the kind is derived from the text, which is then only
compared, never shown: what is printed are the words of ``TITLES``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

FailureKind = Literal[
    "refused",
    "reset",
    "timeout",
    "host-unreachable",
    "no-route",
    "no-port",
    "local",
    "name",
    "tls",
    "too-many-redirects",
    "bad-redirect",
    "http-4xx",
    "http-5xx",
    "http-other",
    "short-answer",
    "not-http",
    "unreadable",
    "interrupted",
    "unfinished",
    "other",
]
Stage = Literal["connect", "tls", "answer", "close"]

KINDS: tuple[FailureKind, ...] = get_args(FailureKind)

TITLES: Mapping[FailureKind, str] = {
    "refused": "connection refused",
    "reset": "connection reset",
    "timeout": "timed out",
    "host-unreachable": "host unreachable: its neighbour did not answer, or a router said so",
    "no-route": "no route to the network from the client",
    "no-port": "the client had no source port or address left",
    "local": "the client could not send: a limit or a right of its own",
    "name": "the name could not be resolved",
    "tls": "the TLS handshake failed",
    "too-many-redirects": "too many redirects",
    "bad-redirect": "a redirect to something that is no URL",
    "http-4xx": "HTTP status 4xx, the client's fault",
    "http-5xx": "HTTP status 5xx, the server's fault",
    "http-other": "another HTTP status",
    "short-answer": "closed before the answer was whole",
    "not-http": "the answer is no HTTP/1.1",
    "unreadable": "an answer whose end cannot be seen in its frames",
    "interrupted": "interrupted by the end of the run",
    "unfinished": "never finished, and nothing says why",
    "other": "another error (requests/, column error)",
}
"""What each kind means, as it is shown."""

_PATTERNS: tuple[tuple[str, FailureKind], ...] = (
    (r"interrupted", "interrupted"),
    (r"timeout|timed out|time-?out", "timeout"),
    (r"certificate|\bssl\b|\[ssl|tls\b", "tls"),
    (r"too many redirects|redirect loop", "too-many-redirects"),
    (r"redirect to something", "bad-redirect"),
    (r"http 4\d\d$", "http-4xx"),
    (r"http 5\d\d$", "http-5xx"),
    (r"http \d{3}$", "http-other"),
    (r"no http/1\.1|a head of more than|bad status line|invalid http", "not-http"),
    (r"an answer that only reading", "unreadable"),
    (r"closed by the server before|incomplete|short (?:body|read)|content ?length", "short-answer"),
    (r"refused", "refused"),
    (r"no route to host|host is (?:down|unreachable)|host unreachable", "host-unreachable"),
    (r"network is (?:unreachable|down)|network unreachable", "no-route"),
    (r"name or service|name resolution|nodename nor|no address associated|getaddrinfo", "name"),
    (r"cannot assign requested address|address (?:already|not available)", "no-port"),
    (r"no socket|too many open files|buffer|not permitted|permission denied|cannot alloc", "local"),
    (r"reset by peer|connection reset|broken pipe|connection abort|disconnected", "reset"),
)
"""Kinds by the texts of engines and kernels; the first that fits counts."""

_COMPILED = tuple((re.compile(pattern), kind) for pattern, kind in _PATTERNS)
_MOST_CHARACTERS = 400


def kind_of_text(text: str) -> FailureKind:
    """The kind of a failure by the text that a recording has for it; ``other`` if none fits."""
    known = text[:_MOST_CHARACTERS].strip().lower()
    return next((kind for pattern, kind in _COMPILED if pattern.search(known)), "other")


def kind_of_status(status: int) -> FailureKind:
    """The kind of a failure by its HTTP status."""
    by_hundred: Mapping[int, FailureKind] = {4: "http-4xx", 5: "http-5xx"}
    return by_hundred.get(status // 100, "http-other")
