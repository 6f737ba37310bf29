"""``/proc/net/ip_vs_stats`` and ``ip_vs_stats_percpu``: hexadecimal, CPU numbers too."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.ipvsadm.model import Counters, Rates
from analyzer.units import MAX_COUNTER

if TYPE_CHECKING:
    from collections.abc import Callable

    Warn = Callable[[str], None]

_HEX = re.compile(r"[0-9A-Fa-f]{1,17}")
_CPU = re.compile(r"[0-9A-Fa-f]{1,4}")
_SUMS = frozenset({"~", "Total", "all"})
Row = Literal["above", "total", "cpu", "rate"]
"""What rows hold below a title; ``above`` is the first of the two lines of titles."""

_TITLES: dict[tuple[str, ...], Row] = {
    ("Total", "Incoming", "Outgoing", "Incoming", "Outgoing"): "above",
    ("Conns", "Packets", "Packets", "Bytes", "Bytes"): "total",
    ("CPU", "Conns", "Packets", "Packets", "Bytes", "Bytes"): "cpu",
    ("Conns/s", "Pkts/s", "Pkts/s", "Bytes/s", "Bytes/s"): "rate",
}


@dataclass(slots=True)
class Stats:
    """What the counters' texts said so far."""

    expected: Row | None = None
    total: Counters | None = None
    rate: Rates | None = None
    cpus: dict[str, Counters] = field(default_factory=dict)

    def title(self, words: list[str]) -> bool:
        """Take a title; it says what the rows below are."""
        found = _TITLES.get(tuple(words))
        self.expected = found or self.expected
        return found is not None

    def row(self, words: list[str], warn: Warn) -> bool:
        """Take a row of numbers."""
        if self.expected is None or len(words) not in (5, 6):
            return False
        *first, inpkts, outpkts, inbytes, outbytes = words
        numbers = [first[-1], inpkts, outpkts, inbytes, outbytes]
        if not all(map(_HEX.fullmatch, numbers)):
            return False
        values = [int(word, 16) for word in numbers]
        if max(values) > MAX_COUNTER:
            return False
        if len(words) == 6:
            return self._row_of_cpu(first[0], values, warn)
        return self._single_row(values, warn)

    def _row_of_cpu(self, first: str, values: list[int], warn: Warn) -> bool:
        if self.expected not in ("above", "cpu"):
            return False
        if first in _SUMS:
            return self._single_row(values, warn, expected="total")
        if not _CPU.fullmatch(first):
            return False
        self.cpus[str(int(first, 16))] = _counters(values)
        return True

    def _single_row(self, values: list[int], warn: Warn, expected: Row | None = None) -> bool:
        """A total or a rate; the next one needs its own titles."""
        expected = expected or self.expected
        if expected == "cpu":
            return False
        self.expected = None
        if expected == "rate":
            cps, inpps, outpps, inbps, outbps = values
            self.rate = Rates(cps=cps, inpps=inpps, outpps=outpps, inbps=inbps, outbps=outbps)
            return True
        total = _counters(values)
        if self.total not in (None, total):
            warn("the text has several totals; the last one is shown")
        self.total = total
        return True


def _counters(values: list[int]) -> Counters:
    conns, inpkts, outpkts, inbytes, outbytes = values
    return Counters(conns=conns, inpkts=inpkts, outpkts=outpkts, inbytes=inbytes, outbytes=outbytes)
