"""Understands a service's line and those of its real servers, once it is known who printed them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.ipvsadm.ends import (
    BUFFER_CUT,
    TABLE_CUT,
    certain_end,
    family,
    ipvsadm_end,
    kernel_end,
    notation,
)
from analyzer.ipvs.ipvsadm.model import Destination, End, Service
from analyzer.ipvs.ipvsadm.services import columns as cols
from analyzer.ipvs.ipvsadm.services.flags import NO_FLAGS, Scheduling
from analyzer.ipvs.ipvsadm.services.recognition import (
    EIGHT_DIGITS,
    MARK,
    OTHER_PROTOCOLS,
    PLAIN,
    PROTOCOLS,
    mark_notation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from analyzer.ipvs.ipvsadm.services.drafts import Draft, Row

    ParserWarnings = Callable[[int, str], None]

MAX_MARK = 0xFFFFFFFF


@dataclass(slots=True)
class Reading:
    """Understands one draft."""

    draft: Draft
    rows: Iterator[Row | Destination]  # its real servers, some understood already
    kernel: bool
    warnings: ParserWarnings
    hz: int | None

    def service(self) -> Service:
        """The service with its real servers."""
        if self.draft.broken:
            return Service(protocol=self.draft.words[0], destinations=self._destinations())
        return self._plain_service() or self._doubtful_service()

    def _plain_service(self) -> Service | None:
        """Read a line in which nothing is in doubt; None of another line."""
        found = PLAIN.fullmatch(self.draft.raw)
        if found is None:
            return None
        protocol, word, *_, scheduler, counters = found.groups()
        by_kernel = self.kernel or notation(word) == "kernel"
        end = kernel_end(word) if by_kernel else certain_end(word)
        if end is None:
            return None
        values: dict[str, Any] = {"scheduler": scheduler, **NO_FLAGS}
        if counters:
            columns = self.draft.columns
            if columns not in (cols.STATS, cols.RATE):
                return None
            values = cols.matched(columns, counters.split())
        return Service(
            protocol=protocol,
            address=end.address,
            port=end.port,
            port_name=end.port_name,
            family=family(end.address, bracketed=word.startswith("[")),
            destinations=self._destinations(),
            **values,
        )

    def _doubtful_service(self) -> Service:
        protocol, word, *rest = self.draft.words
        if protocol not in PROTOCOLS | OTHER_PROTOCOLS:
            self.warnings(self.draft.number, f"protocol {protocol!r} is not known")
        destinations = self._destinations()
        known = self._identity(protocol, word, rest, destinations)
        if protocol == "FWM" and rest[:1] == ["IPv6"]:
            rest = rest[1:]
        warn = _at(self.warnings, self.draft.number)
        scheduling = Scheduling(self.kernel, known["family"], warn, self.hz)
        known |= self._counters(rest) or scheduling.values(rest)
        return Service(protocol=protocol, destinations=destinations, **known)

    def _identity(
        self, protocol: str, word: str, rest: list[str], below: tuple[Destination, ...]
    ) -> dict[str, Any]:
        """Address or mark, and the family."""
        if protocol == "FWM":
            v6 = rest[:1] == ["IPv6"]
            # the kernel does not print a mark's family
            families = {family(one.address, bracketed=":" in one.address) for one in below}
            shown = families.pop() if len(families) == 1 else None
            return {
                "fwmark": self._mark(word),
                "family": shown if self.kernel else "ipv6" if v6 else "ipv4",
            }
        if protocol == "MATCH":
            dotted = re.search(r"\d\.\d", word)
            return {"match": word, "family": "ipv4" if dotted else "ipv6" if "::" in word else None}
        end = self._end(self.draft.number, word)
        if end is None:
            self.warnings(self.draft.number, f"{word!r} is not an address and a port")
            return {"family": None}
        return {
            "address": end.address,
            "port": end.port,
            "port_name": end.port_name,
            "family": family(end.address, bracketed=word.startswith("[")),
        }

    def _mark(self, word: str) -> int | None:
        """A mark; ipvsadm prints those from 2^31 up as negative."""
        by_kernel = self.kernel or mark_notation(word) == "kernel"
        fits = (EIGHT_DIGITS if by_kernel else MARK).fullmatch(word)
        mark = int(word, 16 if by_kernel else 10) if fits else None
        if mark is not None and -(2**31) <= mark <= MAX_MARK:
            return mark & MAX_MARK
        self.warnings(self.draft.number, f"{word} is not a firewall mark")
        return None

    def _end(self, number: int, word: str) -> End | None:
        if self.kernel or notation(word) == "kernel":
            return kernel_end(word)
        if end := certain_end(word):
            return end
        cut = BUFFER_CUT if word.startswith("[") else TABLE_CUT
        return ipvsadm_end(word, _at(self.warnings, number), cut=cut)

    def _counters(self, rest: list[str]) -> dict[str, Any] | None:
        """The numbers of ``--stats`` or ``--rate``; None where a scheduler follows."""
        if not rest or cols.number(rest[0]) is None:
            return None
        if odd := cols.impossible(self.draft.columns or (), rest):
            self.warnings(self.draft.number, f"{odd} is more, or less, than a kernel counts")
            return {"flags": None}
        if self.draft.columns in (cols.STATS, cols.RATE):
            read = cols.read(self.draft.columns, rest)
            if read is not None:
                return dict(read)
        self.warnings(self.draft.number, f"numbers without titles: {' '.join(rest)}")
        return {"flags": None}

    def _destinations(self) -> tuple[Destination, ...]:
        return tuple(filter(None, map(self._destination, self.rows)))

    def _destination(self, row: Row | Destination) -> Destination | None:
        if isinstance(row, Destination):
            return row
        columns = row.columns or cols.PLAIN
        pattern = cols.row_pattern(columns)
        found = pattern.fullmatch(row.raw) if pattern else None
        if found and (end := self._end(row.number, found[1])):
            return _server(end, cols.matched(columns, found.groups()[5:]))
        return self._doubtful_destination(row)

    def _doubtful_destination(self, row: Row) -> Destination | None:
        number, words, columns = row.number, row.words, row.columns
        end = self._end(number, words[1])
        values = words[2:]
        if odd := cols.impossible(columns or cols.guessed(values) or (), values):
            self.warnings(number, f"{odd} is more, or less, than a kernel counts")
            return None
        read = cols.read(columns, values) if columns else None
        if read is None and (guess := cols.guessed(values)):
            read = cols.read(guess, values)
            if columns or cols.UNKNOWN in guess:
                self.warnings(number, f"no title says what these are: {' '.join(values)}")
        if end is None or read is None:
            self.warnings(number, f"{' '.join(words)!r} is not a real server")
            return None
        if read.get("forward") not in cols.FORWARDS | {None}:
            self.warnings(number, f"forwarding {read['forward']!r} is not known")
        return _server(end, read)


def _server(end: End, values: dict[str, Any]) -> Destination:
    return Destination(address=end.address, port=end.port, port_name=end.port_name, **values)


def _at(warnings: ParserWarnings, number: int) -> Callable[[str], None]:
    def warn(what: str) -> None:
        warnings(number, what)

    return warn
