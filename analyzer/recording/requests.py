"""The rows of ``requests/``, however many: narrow columns, read and used part by part.

A part has all rows of its ids. Of a long run the columns lie in mapped files.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analyzer.parts import IN_MEMORY, Dealt, cuts, stretches
from analyzer.recording.tables import TABLES, in_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy.typing as npt

    from analyzer.arrays import Ints
    from analyzer.parts import Columns, Store

    Column = pd.api.extensions.ExtensionArray | npt.NDArray[Any]

INSTANTS = ("scheduled", "started", "connected", "first_byte", "ended", "closed")
_NUMBERS: Mapping[str, type[np.signedinteger[Any]]] = {
    "id": np.int64,
    "port": np.int32,
    "source_port": np.int32,
    "status": np.int16,
    "followed": np.int8,
    "reused": np.int8,
}
"""Numbers and their types here; ``UNKNOWN`` for null, and for what does not fit."""

TEXTS = ("vip", "source_ip", "error", "failure")
COLUMNS = (*_NUMBERS, *INSTANTS, *TEXTS)

UNKNOWN = -1
NEVER = np.iinfo(np.int64).min
"""An instant that was not reached, as numpy has it."""

PIECE_ROWS = 1 << 17
"""Rows of a part at most, and of a piece that is read: some 50 MB with all that is made of them."""

MOST_TEXTS = 1 << 20
"""Different texts of a column; the rest are ``OTHER``. Addresses and errors of a run are few."""

OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRows:
    """Rows of ``requests/`` in the order of their ids; those of one id in the order recorded.

    Attributes:
        columns: by name, ``COLUMNS``, each of shape (n,): Unix nanoseconds or ``NEVER``, numbers
            or ``UNKNOWN``, of texts their place in ``texts`` or ``UNKNOWN``.
        texts: of each column of ``TEXTS``, the different ones.
        following: of a part, the row after its last, if there is one: shape (0,) or (1,).
        store: what keeps the columns, and those of what is made of them.
    """

    columns: Columns
    texts: Mapping[str, tuple[str, ...]]
    following: Columns | None = None
    store: Store = IN_MEMORY

    @classmethod
    def of(cls, frame: pd.DataFrame) -> RequestRows:
        """The rows of a table, which may have more columns, or lack some."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        return request_rows([in_full(table, TABLES["requests"])], IN_MEMORY)

    def __len__(self) -> int:
        return len(self.columns["id"])

    def cuts(self) -> list[slice]:
        """The rows of each part; at least one."""
        return cuts(self.columns["id"], _part_rows(self.store)) or [slice(0, 0)]

    def part(self, rows: slice) -> RequestRows:
        """Some rows, to be used by themselves."""
        after = slice(rows.stop, rows.stop + 1)
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            following={name: column[after] for name, column in self.columns.items()},
            store=IN_MEMORY,
        )

    def parts(self) -> Iterator[RequestRows]:
        """The rows part by part; at least one part."""
        for rows in self.cuts():
            yield self.part(rows)
            self.store.release()

    def only(self, chosen: npt.NDArray[Any]) -> RequestRows:
        """The chosen rows (which, or their numbers), to be used by themselves."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return replace(self, columns=columns, following=None, store=IN_MEMORY)

    def where(self, test: Callable[[Columns], npt.NDArray[np.bool_]]) -> RequestRows:
        """The rows that pass a test of each row alone, part by part; few are expected."""
        chosen = [part.only(test(part.columns)).columns for part in self.parts()]
        columns = {name: np.concatenate([part[name] for part in chosen]) for name in COLUMNS}
        return replace(self, columns=columns, following=None, store=IN_MEMORY)

    def frame(self, *, with_following: bool = False) -> pd.DataFrame:
        """The rows as a table with the types of the recording's, of ``COLUMNS`` only.

        Args:
            with_following: also the row after a part's last.
        """
        columns = self.columns
        if with_following and self.following is not None:
            pair = (columns, self.following)
            columns = {name: np.concatenate([each[name] for each in pair]) for name in COLUMNS}
        return pd.DataFrame(
            {name: _described(name, columns[name], self.texts) for name in COLUMNS}, copy=False
        )

    def number_of(self, column: str, text: str) -> int:
        """What stands for a text in a column; -2, which nothing is, where no row has it."""
        texts = self.texts[column]
        return texts.index(text) if text in texts else -2


def _described(name: str, values: npt.NDArray[Any], texts: Mapping[str, tuple[str, ...]]) -> Any:
    if name in INSTANTS:
        return pd.Series(values.view("datetime64[ns]")).dt.tz_localize("UTC")
    if name in TEXTS:
        known = pd.array(list(texts[name]), dtype="str")
        return known.take(values, allow_fill=True) if len(known) else _nulls(len(values))
    return pd.arrays.IntegerArray(values.astype(np.int64), values == UNKNOWN)


def _nulls(rows: int) -> Any:
    return pd.array([None] * rows, dtype="str")


def request_rows(pieces: Iterable[pa.Table], store: Store, expected: int = 0) -> RequestRows:
    """The rows of a recording's ``requests/``.

    Args:
        pieces: of the table, every row with an id; each small enough for memory.
        store: keeps the columns, and takes note of how far the reading is.
        expected: how many rows there are, about.

    Raises:
        RecordingError: there is no room for them.
    """
    vocabulary = _Vocabulary()
    writer, in_order, last, rows = store.columns(), True, NEVER, 0
    for piece in itertools.chain([TABLES["requests"].empty_table()], pieces):
        columns = {name: _narrow(name, piece[name], vocabulary) for name in COLUMNS}
        ids = columns["id"]
        if len(ids):
            in_order = in_order and int(ids[0]) >= last and bool((ids[1:] >= ids[:-1]).all())
            last = int(ids[-1])
        writer.append(columns)
        rows += len(ids)
        store.reading_requests(rows, rows / max(expected, rows, 1))
    columns = writer.finish()
    store.release()
    return RequestRows(
        columns=columns if in_order else _by_id(columns, store),
        texts=vocabulary.texts(),
        store=store,
    )


class _Vocabulary:
    """Numbers for the texts of each column, in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {name: {} for name in TEXTS}

    def numbers(self, column: str, texts: Iterable[str]) -> npt.NDArray[np.int32]:
        """What stands for each of some texts."""
        known = self._numbers[column]
        kept = (text if text in known or len(known) < MOST_TEXTS else OTHER for text in texts)
        found = [known.setdefault(text, len(known)) for text in kept]
        return np.array([*found, UNKNOWN], dtype=np.int32)

    def texts(self) -> dict[str, tuple[str, ...]]:
        return {column: tuple(numbers) for column, numbers in self._numbers.items()}


def _narrow(name: str, column: pa.ChunkedArray, vocabulary: _Vocabulary) -> npt.NDArray[Any]:
    if name in TEXTS:
        chunks = column.dictionary_encode().chunks
        return _joined([_numbered(name, chunk, vocabulary) for chunk in chunks], np.int32)
    if name in INSTANTS:
        instants = column.cast(pa.int64()).fill_null(NEVER)
        return np.asarray(instants.to_numpy(), dtype=np.int64)
    kind = _NUMBERS[name]
    numbers = column.fill_null(UNKNOWN).to_numpy()
    if numbers.dtype == kind:
        return np.asarray(numbers)
    fits = np.where(numbers <= np.iinfo(kind).max, numbers, UNKNOWN)
    return fits.astype(kind)


def _numbered(
    name: str, chunk: pa.DictionaryArray, vocabulary: _Vocabulary
) -> npt.NDArray[np.int32]:
    numbers = vocabulary.numbers(name, chunk.dictionary.to_pylist())
    places: npt.NDArray[np.int32] = chunk.indices.fill_null(UNKNOWN).to_numpy()
    return numbers[places]


def _joined(parts: list[npt.NDArray[Any]], kind: type[np.signedinteger[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)


def _by_id(columns: Columns, store: Store) -> Columns:
    """The rows in the order of their ids; equal ids keep theirs."""
    edges = _edges(columns["id"], store.part_rows)
    tasks = (
        ({name: column[rows] for name, column in columns.items()}, edges)
        for rows in stretches(len(columns["id"]), store.part_rows)
    )
    buckets, writer = store.deal(len(edges) + 1, _dealt, tasks), store.columns()
    for number in range(len(edges) + 1):
        part = buckets.bucket(number).read()
        if part:
            order = np.argsort(part["id"], kind="stable")
            writer.append({name: column[order] for name, column in part.items()})
    store.release()
    return writer.finish()


def _dealt(columns: Columns, edges: Ints) -> Dealt:
    return Dealt(np.searchsorted(edges, columns["id"], side="right"), columns)


_SAMPLED = 1 << 16


def _edges(ids: Ints, part_rows: int) -> Ints:
    """Ids that divide the rows into parts of about one size."""
    sample = np.sort(ids[:: max(len(ids) // _SAMPLED, 1)])
    parts = -(-len(ids) // max(part_rows, 1))
    return np.unique(sample[len(sample) * np.arange(1, parts) // parts])


def _part_rows(store: Store) -> int:
    return min(store.part_rows, PIECE_ROWS)
