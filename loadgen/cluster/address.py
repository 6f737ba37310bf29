"""What ``--cluster`` names: a scheduler of Dask, or so many processes of this host."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_LOCAL = 64
EXPECTED = f"tls://HOST:PORT, tcp://HOST:PORT, or local:N with N from 1 to {MOST_LOCAL}"
_REMOTE = re.compile(r"(tls|tcp)://([0-9A-Za-z._-]{1,253}|\[[0-9A-Fa-f:.%]{2,64}\]):([0-9]{1,5})")
_LOCAL = re.compile(r"local:([0-9]{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAddress:
    """Where the workers are.

    Attributes:
        scheduler: as Dask writes it; None for workers of our own, on this host.
        local: how many of those.
    """

    scheduler: str | None = None
    local: int = 0

    @property
    def text(self) -> str:
        """As the operator wrote it."""
        return self.scheduler or f"local:{self.local}"

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches it can run code on the workers: nothing asks for a key."""
        return self.scheduler is not None and self.scheduler.startswith("tcp:")


def parse_address(text: str) -> ClusterAddress:
    """Read it.

    Raises:
        ValueError: it is neither; the message says what was expected.
    """
    local = _LOCAL.fullmatch(text)
    if local and 1 <= int(local[1]) <= MOST_LOCAL:
        return ClusterAddress(local=int(local[1]))
    remote = _REMOTE.fullmatch(text)
    if remote and 1 <= int(remote[3]) <= 65535:
        return ClusterAddress(scheduler=text)
    raise ValueError(f"expected {EXPECTED}")
