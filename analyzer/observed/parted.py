"""Long tables in parts: frames of whole flows, one after another, so that memory is bounded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.parts import IN_MEMORY
from analyzer.parts.columns import Numbering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from analyzer.arrays import Bools
    from analyzer.parts import Columns, Store

    Frames = Callable[[], Iterator[pd.DataFrame]]

ROWS = 1 << 17
"""Rows of a frame: some hundred bytes each, and as much again while they are worked on."""

SAMPLE_ROWS = 100_000
"""Rows of a sample that shows what all rows have in common: a clock's phase, a timeout."""

_MIX = 0x9E3779B1
_TEXTS: Any = pd.arrays.ArrowStringArray
_STRETCH, _MOST_KNOWN = 1 << 12, 256
"""Rows of texts that are compared, and how many such stretches are looked among."""

_ABSENT = "?"
"""After a column's name: that of the column which says where it has no value."""


@dataclass(frozen=True, slots=True)
class Parted:
    """A table in parts, at least one of them; each has the same columns.

    Attributes:
        frames: reads it anew, part by part.
        store: keeps what is made of it.
        is_one: it is in memory, in one part.
    """

    frames: Frames
    store: Store = IN_MEMORY
    is_one: bool = False

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Parted:
        """A table in one part."""
        return cls(lambda: iter((frame,)), is_one=True)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Its parts; what lies in files leaves memory after each."""
        for frame in self.frames():
            yield frame
            if not self.is_one:
                self.store.release()

    @property
    def empty(self) -> bool:
        """Whether it has no row."""
        return all(frame.empty for frame in self)

    def whole(self) -> pd.DataFrame:
        """The table in memory."""
        return _joined(list(self.frames()))

    @property
    def is_sampled(self) -> bool:
        """Whether ``some`` leaves rows out."""
        rows = itertools.accumulate(len(frame) for frame in self.frames())
        return any(count > SAMPLE_ROWS for count in rows)

    def some(self, most: int | None = None) -> pd.DataFrame:
        """Rows spread evenly over the table, no more than ``most`` (``SAMPLE_ROWS``), else all.

        Which they are does not depend on the parts.
        """
        most = SAMPLE_ROWS if most is None else most
        kept: list[tuple[pd.DataFrame, npt.NDArray[np.uint32]]] = []
        size, rows, below = 0, 0, 1 << 32
        for frame in self:
            place = _scattered(size, len(frame))
            size += len(frame)
            kept.append(_below(frame, place, below))
            rows += len(kept[-1][0])
            while rows > most:
                below //= 2
                kept = [_below(*each, below) for each in kept]
                rows = sum(len(each) for each, _ in kept)
        return _joined([frame for frame, _ in kept])

    def where(self, wanted: Callable[[pd.DataFrame], Bools | pd.Series]) -> pd.DataFrame:
        """The rows of all parts that are wanted, in memory."""
        return _joined([_rows(frame, wanted) for frame in self])

    def values(
        self, name: str, wanted: Callable[[pd.DataFrame], Bools | pd.Series]
    ) -> npt.NDArray[Any]:
        """A column of numbers of the same rows."""
        return np.concatenate([_rows(frame, wanted)[name].to_numpy() for frame in self])

    def only(self, wanted: Callable[[pd.DataFrame], Bools | pd.Series]) -> Parted:
        """The same rows, still in parts."""
        return self.each(partial(_rows, wanted=wanted))

    def column(self, values_of: Callable[[pd.DataFrame], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """A value of each row, as a function makes them of each part, kept."""
        writer = self.store.columns()
        for frame in self:
            writer.append({"values": values_of(frame)})
        return writer.finish()["values"]

    def map(self, function: Callable[[pd.DataFrame], pd.DataFrame]) -> Parted:
        """What a function makes of each part, kept."""
        return self.again(function(frame) for frame in self)

    def again(self, made: Iterable[pd.DataFrame]) -> Parted:
        """What was made of it, part by part, kept where it is kept; at least one part."""
        if self.is_one:
            return Parted.of(_joined(list(made)))
        kept = Kept(self.store)
        for frame in made:
            kept.append(frame)
        return kept.finish()

    def each(self, function: Callable[[pd.DataFrame], pd.DataFrame]) -> Parted:
        """What a function makes of each part, anew whenever it is read."""
        if self.is_one:
            return Parted.of(function(self.whole()))
        return Parted(partial(_each, self, function), self.store)


def _each(
    table: Parted, function: Callable[[pd.DataFrame], pd.DataFrame]
) -> Iterator[pd.DataFrame]:
    for frame in table.frames():
        yield function(frame)


def _rows(frame: pd.DataFrame, wanted: Callable[[pd.DataFrame], Bools | pd.Series]) -> pd.DataFrame:
    rows = np.asarray(wanted(frame), dtype=bool)
    return frame if rows.all() else frame[rows]


def _scattered(first: int, count: int) -> npt.NDArray[np.uint32]:
    """A number for each row from ``first`` on, no two alike and in no order."""
    return np.arange(first, first + count, dtype=np.uint64).astype(np.uint32) * np.uint32(_MIX)


def _below(
    frame: pd.DataFrame, place: npt.NDArray[np.uint32], below: int
) -> tuple[pd.DataFrame, npt.NDArray[np.uint32]]:
    chosen = place < below
    return (frame, place) if chosen.all() else (frame[chosen], place[chosen])


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    if len(frames) == 1:
        return frames[0]
    some = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(some, ignore_index=True)


@dataclass(slots=True)
class Coded:
    """Frames as arrays and back: each text as the number of the text.

    Attributes:
        texts: of each column of texts, the number of each, in the order of their coming.
        empty: a frame without rows, for the types.
    """

    texts: dict[str, Numbering] = field(default_factory=dict)
    empty: pd.DataFrame = field(default_factory=pd.DataFrame)

    def columns(self, frame: pd.DataFrame) -> Columns:
        """The arrays of a frame."""
        self.empty = frame.iloc[:0]
        made: Columns = {}
        for name in frame.columns:
            column = frame[name]
            if isinstance(column.dtype, pd.StringDtype):
                made[name] = self.texts.setdefault(name, Numbering()).numbers_of(column)
            elif isinstance(column.dtype, pd.Int64Dtype):
                made[name] = column.to_numpy(dtype=np.int64, na_value=0)
                made[name + _ABSENT] = column.isna().to_numpy(dtype=bool)
            elif isinstance(column.dtype, pd.DatetimeTZDtype):
                made[name] = column.to_numpy(dtype="datetime64[ns]").view(np.int64)
            else:
                made[name] = column.to_numpy()
        return made

    def known(self, frame: pd.DataFrame) -> Columns:
        """The arrays of some columns of another table; -1 for texts that were not seen before."""
        return {
            str(name): self.texts[str(name)].known_of(frame[name])
            if str(name) in self.texts
            else frame[name].to_numpy()
            for name in frame
        }

    def frame(self, columns: Columns, *, repeated: bool = False) -> pd.DataFrame:
        """The frame that arrays were made of; of long ones, stretches of texts alike are shared."""
        made = {name: self._values(name, columns, repeated=repeated) for name in self.empty.columns}
        return pd.DataFrame(made, copy=False)

    def _values(self, name: str, columns: Columns, *, repeated: bool) -> Any:
        kind, values = self.empty[name].dtype, columns[name]
        if isinstance(kind, pd.StringDtype) and repeated:
            shared = _shared([*self.texts.get(name, Numbering()).numbers], values)
            return _TEXTS(shared, dtype=kind)
        if isinstance(kind, pd.StringDtype):
            texts = pd.array([*self.texts.get(name, Numbering()).numbers], dtype=kind)
            return texts.take(values, allow_fill=True)
        if isinstance(kind, pd.Int64Dtype):
            return pd.arrays.IntegerArray(values, columns[name + _ABSENT])
        if isinstance(kind, pd.DatetimeTZDtype):
            return pd.DatetimeIndex(values.view("datetime64[ns]")).tz_localize("UTC").array
        return values


def _shared(texts: list[str], numbers: npt.NDArray[np.int32]) -> pa.ChunkedArray:
    """Texts by their numbers; stretches that are alike, as those of polls, are in memory once."""
    words = pa.array(texts, pa.large_string())
    known: dict[bytes, pa.Array] = {}
    chunks = []
    for first in range(0, len(numbers), _STRETCH):
        stretch = np.ascontiguousarray(numbers[first : first + _STRETCH])
        key = stretch.tobytes()
        if key not in known:
            if len(known) == _MOST_KNOWN:
                known.clear()
            known[key] = words.take(pa.array(stretch, mask=stretch < 0))
        chunks.append(known[key])
    return pa.chunked_array(chunks, pa.large_string())


@dataclass(slots=True)
class Kept:
    """A table that a store keeps, part after part."""

    store: Store
    coded: Coded = field(default_factory=Coded)
    edges: list[int] = field(default_factory=lambda: [0])
    writer: Any = None

    def append(self, frame: pd.DataFrame) -> None:
        """Add a part."""
        self.writer = self.writer or self.store.columns()
        self.writer.append(self.coded.columns(frame))
        self.edges.append(self.edges[-1] + len(frame))

    def in_one(self) -> pd.DataFrame:
        """The table in one frame; its texts are in memory, what repeats itself once."""
        return self.coded.frame(self.writer.finish(), repeated=True)

    def finish(self) -> Parted:
        """The table; at least one part was added."""
        columns = self.writer.finish()
        return Parted(partial(_slices, self.coded, columns, tuple(self.edges)), self.store)


def _slices(coded: Coded, columns: Columns, edges: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    for first, last in itertools.pairwise(edges):
        yield coded.frame({name: column[first:last] for name, column in columns.items()})
