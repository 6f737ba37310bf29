"""A service's scheduler and its flags.

The kernel prints persistence in jiffies. They become seconds only when the director's HZ is given;
until then ``persistent_s`` is None and a warning names what it would be at the usual HZ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.ipvs.ipvsadm.services.recognition import EIGHT_DIGITS, SCHEDULERS
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NO_FLAGS: Final[dict[str, Any]] = {"flags": "", "ops": False, "sched_flags": ()}
MAX_PREFIX = 128

_SECONDS = re.compile(r"[0-9]{1,10}")
_MASK = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9]{1,3}")
_SCHED_FLAGS = re.compile(r"\(([A-Za-z0-9_,-]+)\)")


@dataclass(slots=True)
class Scheduling:
    """Reads what follows the end of one service."""

    kernel: bool  # printed it
    family: str | None  # the service's
    warn: Callable[[str], None]
    hz: int | None

    def values(self, rest: list[str]) -> dict[str, Any]:
        """The fields of the scheduler and the flags."""
        if not rest:
            self.warn("no scheduler follows")
            return {}
        scheduler, *flags = rest
        if scheduler not in SCHEDULERS:
            self.warn(f"scheduler {scheduler!r} is not known")
        read: dict[str, Any] = {"scheduler": scheduler, **NO_FLAGS, "flags": " ".join(flags)}
        words = iter(flags)
        self.kernel |= "persistent" in flags and bool(EIGHT_DIGITS.fullmatch(flags[-1]))
        for word in words:
            read |= self._flag(word, words)
        return read

    def _flag(self, word: str, words: Iterator[str]) -> dict[str, Any]:
        if word == "ops":
            return {"ops": True}
        if word == "pe":
            return {"pe": next(words, None)}
        if found := _SCHED_FLAGS.fullmatch(word):
            return {"sched_flags": tuple(found[1].split(","))}
        if word == "mask":
            mask = next(words, "")
            if _MASK.fullmatch(mask):
                return {"netmask": mask}
        if word == "persistent":
            return self._persistence(next(words, ""), words)
        self.warn(f"flag {word!r} is not known")
        return {}

    def _persistence(self, timeout: str, words: Iterator[str]) -> dict[str, Any]:
        if not _SECONDS.fullmatch(timeout):
            self.warn(f"persistent {timeout!r} is not a time")
            return {}
        if not self.kernel:
            return {"persistent_s": int(timeout)}
        mask = next(words, "")
        netmask = kernel_mask(mask, self.family)
        if netmask is None:
            self.warn(f"{mask!r} is no netmask of the kernel's")
        return {"persistent_s": self._seconds(int(timeout)), "netmask": netmask}

    def _seconds(self, jiffies: int) -> int | None:
        if self.hz:
            return round(jiffies / self.hz)
        usual = ", ".join(f"{jiffies / hz:g} s at HZ={hz}" for hz in KNOWN_HZ)
        self.warn(f"persistent {jiffies} is in jiffies: {usual}")
        return None


def kernel_mask(word: str, of_family: str | None) -> str | None:
    """``FFFFFF00``, or for IPv6 the prefix length, its bytes in the machine's order."""
    if not EIGHT_DIGITS.fullmatch(word):
        return None
    value = int(word, 16)
    swapped = int.from_bytes(value.to_bytes(4, "little"), "big")
    length = min(value, swapped)
    if of_family == "ipv6" or (of_family is None and 1 <= length <= MAX_PREFIX):
        return str(length) if length <= MAX_PREFIX else None
    return ".".join(str(byte) for byte in value.to_bytes(4, "big"))
