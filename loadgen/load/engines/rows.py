"""Rows on their way from an engine to the recording: whole numbers in, columns out.

An engine notes a request as one tuple of whole numbers (``Row``) when it is over. Texts such
as errors and addresses are numbered as they first occur. Blocks of rows leave the worker as they
stand in memory, and become columns of ``requests/`` without a loop per row.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from analyzer.client.failures import KINDS
from analyzer.forecast.closings import CLOSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from loadgen.load.plan import LoadPlan

    Block = npt.NDArray[np.int64]

NONE = -1
"""Whatever is not known or was not reached."""

CLOSERS = ("client", "server", "reset", "none")
"""Who closed first, in the order of their numbers; ``closer`` of ``requests/``."""

BLOCK_ROWS = 4096
_MAX_TEXTS = 4096
_MAX_CHARACTERS = 200


class Row(NamedTuple):
    """One request, or one datagram; instants are Unix ns, anything unknown is ``NONE``.

    Of a connection that carries several requests, how it ended (``closed``, ``close``, ``closer``,
    ``retransmits``, ``rtt_us``) stands with the last of them only.

    Attributes:
        number: of the request in the plan, from 0.
        scheduled: when it was due.
        closed: when we closed our side, or left it.
        source: number of the text that is our address.
        error: number of the text that says why it failed; ``NONE`` if it succeeded.
        close: how it was to end, as its place in ``CLOSES``.
        closer: who closed first, as its place in ``CLOSERS``.
        retransmits: segments that our kernel sent again (TCP_INFO).
        rtt_us: smoothed round trip (TCP_INFO).
        failure: the kind of its failure, as its place in ``failures.KINDS``.
        followed: 1 if the answer was a redirect and was followed: the next row of this number,
            and not this one, says what became of the request.
        reused: 1 if it went on on the connection of the request before it (``number - 1``).
    """

    number: int
    scheduled: int
    started: int = NONE
    connected: int = NONE
    first_byte: int = NONE
    ended: int = NONE
    closed: int = NONE
    source: int = NONE
    port: int = NONE
    status: int = NONE
    size: int = NONE
    error: int = NONE
    close: int = NONE
    closer: int = NONE
    retransmits: int = NONE
    rtt_us: int = NONE
    failure: int = NONE
    followed: int = NONE
    reused: int = NONE


WIDTH = len(Row._fields)
_INSTANTS = ("scheduled", "started", "connected", "first_byte", "ended", "closed")


class Outlet(Protocol):
    """Where an engine's rows and words go, and where it learns that it is to end."""

    @property
    def stopped(self) -> bool:
        """The run ends now: send nothing more, note what is under way, close what is open."""

    def text(self, text: str) -> int:
        """The number of a text, for ``source`` and ``error``."""

    def row(self, row: tuple[int, ...]) -> None:
        """Note one request; a ``Row``, or a plain tuple in its order."""

    def block(self, rows: Block) -> None:
        """Note many: shape (n, WIDTH), in the order of ``Row``."""

    def say(self, line: str) -> None:
        """A line for the operator."""

    def flush(self) -> None:
        """Let go of what has gathered; to be called twice a second or so, and when idle."""

    def sent(self) -> None:
        """Nothing more will be sent; what is open from here on stays open until ``stopped``."""


class Texts:
    """Texts by number; past ``_MAX_TEXTS`` different ones, all further are one."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._numbers: dict[str, int] = {}
        self._announce = announce

    def number(self, text: str) -> int:
        """The text's number; announced when it is new."""
        known = self._numbers.get(text)
        if known is not None:
            return known
        shown = "".join(filter(str.isprintable, text))[:_MAX_CHARACTERS]
        if len(self._numbers) >= _MAX_TEXTS:
            return self._numbers.setdefault(shown, _MAX_TEXTS - 1)
        self._announce(shown)
        return self._numbers.setdefault(text, len(self._numbers))


class RowBuffer:
    """Gathers rows and lets them go in blocks."""

    def __init__(self, leave: Callable[[bytes], None]) -> None:
        self._numbers = array("q")
        self._full = BLOCK_ROWS * WIDTH
        self._leave = leave

    def row(self, row: tuple[int, ...]) -> None:
        """Note one."""
        self._numbers.extend(row)
        if len(self._numbers) >= self._full:
            self.flush()

    def block(self, rows: Block) -> None:
        """Note many; what was noted before leaves before them."""
        self.flush()
        for begin in range(0, len(rows), BLOCK_ROWS):
            self._leave(np.ascontiguousarray(rows[begin : begin + BLOCK_ROWS], np.int64).tobytes())

    def flush(self) -> None:
        """Let go of what has gathered."""
        if self._numbers:
            self._leave(self._numbers.tobytes())
            self._numbers = array("q")


def rows_in(payload: bytes) -> Block:
    """A block as it came: shape (n, WIDTH)."""
    return np.frombuffer(payload, np.int64).reshape(-1, WIDTH)


def columns_of(rows: Block, texts: Sequence[str], plan: LoadPlan) -> Mapping[str, Any]:
    """The columns of ``requests/``: arrays of whole numbers with ``None`` where there is none."""
    values = dict(zip(Row._fields, rows.T, strict=True))
    target = plan.target
    same = {
        "kind": "datagram" if plan.datagram else plan.request.method,
        "host": plan.request.authority or target.vip,
        "protocol": target.protocol,
        "vip": target.vip,
        "port": target.port,
    }
    return {
        "id": values["number"],
        **same,
        **{name: _known(values[name]) for name in _INSTANTS},
        "source_ip": _named(values["source"], texts),
        "source_port": _known(values["port"]),
        "status": _known(values["status"]),
        "bytes": _known(values["size"]),
        "error": _named(values["error"], texts),
        "failure": _named(values["failure"], KINDS),
        "followed": _known(values["followed"]),
        "reused": _known(values["reused"]),
        "close": _named(values["close"], CLOSES),
        "closer": _named(values["closer"], CLOSERS),
        "retransmits": _known(values["retransmits"]),
        "rtt_us": _known(values["rtt_us"]),
    }


def _known(values: Block) -> np.ma.MaskedArray[Any, Any]:
    return np.ma.masked_equal(values, NONE, copy=False)


def _named(numbers: Block, names: Sequence[str]) -> pa.DictionaryArray:
    places = pa.array(numbers, mask=numbers == NONE)
    return pa.DictionaryArray.from_arrays(places, pa.array(names, pa.string()))
