"""A stored part of a table as it may be used: its columns, types and what values they can have.

Nobody knows who wrote a recording. What is decided here, once, holds for every reader:

- a column that is missing is null, one that the schema has not is left out;
- a value that cannot be (NaN, a negative count, a port of 70,000, an instant outside 1970 to 2116)
  is null, which is not known;
- a row that lacks what its table is about (when, who, what) is left out;
- a text is cut after ``MAX_TEXT`` characters;
- a part that is damaged, of other types or larger than any run's is not read.

All of it is counted, and said in the analysis as not measured.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.recording.manifest.bounds import MAX_TEXT
from analyzer.recording.tables import TABLES, in_full
from analyzer.units import LATEST_NS, MAX_COUNTER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    import pyarrow.parquet as pq

MAX_ROWS: Final = 50_000_000
MAX_BYTES: Final = 2 << 30
"""Of one part, unpacked; ours are written at 32 MB, or as one load of some million requests."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "requests": ("id",),
    "services": ("at", "director", "real_server"),
    "entries": ("at", "director", "change", "expires_s", *CONNECTION_KEY),
    "masquerades": ("at", "director", "source_ip", "source_port", *CONNECTION_KEY),
    "polls": ("at", "director", "what"),
    "sockets": ("at", "host", "state", "count"),
    "datagrams": ("due",),
    "links": ("at", "host"),
    "events": ("at", "kind"),
    "in_flight": ("at", "connection", "change"),
}
"""What a row of each table is nothing without."""

_COUNT = (0, 2**40)
_COUNTER = (0, MAX_COUNTER)
_PORT = (0, 65535)
_SECONDS = (0, 2**31)
_BOUNDS: Final[Mapping[str, tuple[float, float]]] = (
    dict.fromkeys(("port", "source_port", "client_port", "real_port"), _PORT)
    | dict.fromkeys(
        ("conns", "in_packets", "out_packets", "in_bytes", "out_bytes", "bytes"), _COUNTER
    )
    | {"fwmark": (0, 2**32 - 1), "status": (0, 999), "expires_s": _SECONDS, "weight": _SECONDS}
    | {"took_ms": (0, 1e9), "offset_ms": (-1e12, 1e12), "uncertainty_ms": (0, 1e12)}
    | {"director_uptime_s": (0, 1e9)}
)
"""Of numbers, by column; all others are counts."""


def read_part(path: Path, name: str) -> tuple[pa.Table, list[str]]:
    """A part of a table with the columns and types of ``TABLES``, and a line for each problem.

    Raises:
        ValueError: it is no part of this table, or larger than any.
        OSError, pyarrow.ArrowException: it is not readable.
    """
    with _opened(path, name) as (file, columns):
        stored = file.read(columns=columns)
    return possible(in_full(_with_short_texts(stored), TABLES[name]), name)


def read_pieces(path: Path, name: str, most_rows: int) -> Iterator[tuple[pa.Table, list[str]]]:
    """A part as ``read_part`` reads it, at most so many rows at a time; the problems at its end.

    Raises:
        ValueError, OSError, pyarrow.ArrowException: as ``read_part``, at a piece.
    """
    found, rows = Counter[str](), 0
    with _opened(path, name) as (file, columns):
        for batch in file.iter_batches(batch_size=most_rows, columns=columns):
            piece = in_full(_with_short_texts(pa.Table.from_batches([batch])), TABLES[name])
            rows += len(piece)
            kept, faults = _without_faults(piece, name)
            found.update(faults)
            yield kept, []
    yield TABLES[name].empty_table(), _lines(found, rows)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[tuple[pq.ParquetFile, list[str]]]:
    """A part to be read, and the columns of it that the table has."""
    from pyarrow import parquet as pq  # a recording without tables needs none of it

    metadata = pq.read_metadata(path)
    _check_size(metadata)
    known = TABLES[name].names
    held = [column for column in metadata.schema.to_arrow_schema() if column.name in known]
    texts = [column.name for column in held if _is_text(column.type)]
    # read ahead (pre_buffer), the whole part would stay in memory until its last piece
    with pq.ParquetFile(path, metadata=metadata, read_dictionary=texts, pre_buffer=False) as file:
        yield file, [column.name for column in held]


def distinct_texts(path: Path, columns: Collection[str]) -> set[str]:
    """The different texts in some columns of a part, which need not have them; cut.

    Raises:
        ValueError: it is larger than any part.
        OSError, pyarrow.ArrowException: it is not readable.
    """
    from pyarrow import parquet as pq

    metadata = pq.read_metadata(path)
    _check_size(metadata)
    held = [
        column.name
        for column in metadata.schema.to_arrow_schema()
        if column.name in columns and _is_text(column.type)
    ]
    with pq.ParquetFile(path, metadata=metadata, read_dictionary=held) as file:
        table = _with_short_texts(file.read(columns=held))
    return {text for column in table.columns for text in pc.unique(column).to_pylist() if text}


def possible(table: pa.Table, name: str) -> tuple[pa.Table, list[str]]:
    """A table with impossible values as null, without rows that say nothing; what was wrong."""
    kept, faults = _without_faults(table, name)
    return kept, _lines(faults, len(table))


def _lines(faults: Mapping[str, int], rows: int) -> list[str]:
    return [fault.format(n=n, rows=rows) for fault, n in faults.items()]


def _without_faults(table: pa.Table, name: str) -> tuple[pa.Table, dict[str, int]]:
    """As ``possible``, with the number of each fault."""
    columns, faults = [], {}
    for column in table.schema:
        values = table[column.name]
        known, fault = _known(values, column)
        columns.append(known)
        odd = known.null_count - values.null_count
        if odd:
            faults[f"{name}: {column.name}: {fault} in {{n}} of {{rows}} rows"] = odd
    whole = pa.table(columns, schema=table.schema)
    if name == "services":
        whole, uncounted = _without_half_counts(whole)
        if uncounted:
            faults[f"{name}: {{n}} rows whose counts cannot be used"] = uncounted
    lacking = [column for column in NEEDED[name] if whole[column].null_count]
    if lacking:
        kept = _without_nulls(whole, lacking)
        left_out = len(whole) - len(kept)
        faults[f"{name}: {{n}} rows without {' or '.join(lacking)} left out"] = left_out
        whole = kept
    return whole, faults


def _without_half_counts(table: pa.Table) -> tuple[pa.Table, int]:
    """Services whose active entries are known only where all is that they are shown with."""
    has_service = pc.or_(pc.is_valid(table["port"]), pc.is_valid(table["fwmark"]))
    for column in ("protocol", "real_port", "weight", "inactive"):
        has_service = pc.and_(has_service, pc.is_valid(table[column]))
    active = pc.if_else(has_service, table["active"], pa.scalar(None, pa.int64()))
    number = table.schema.get_field_index("active")
    lost = active.null_count - table["active"].null_count
    return table.set_column(number, table.schema.field(number), active), lost


def _without_nulls(table: pa.Table, columns: list[str]) -> pa.Table:
    has_all = pc.is_valid(table[columns[0]])
    for column in columns[1:]:
        has_all = pc.and_(has_all, pc.is_valid(table[column]))
    return table.filter(has_all)


def _known(values: pa.ChunkedArray, column: pa.Field) -> tuple[pa.ChunkedArray, str]:
    """A column with what cannot be as null, and what that is in words."""
    if pa.types.is_string(column.type):
        return values, ""
    numbers, what = values, "no possible number"
    low, high = _BOUNDS.get(column.name, _COUNT)
    if pa.types.is_timestamp(column.type):
        numbers, (low, high), what = values.cast(pa.int64()), (0, LATEST_NS), "no instant"
    if pa.types.is_integer(numbers.type) and _are_within(numbers, low, high):
        return values, what  # as nearly all are
    can_be = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
    if pc.all(can_be).as_py() in (True, None):
        return values, what
    return pc.if_else(can_be, values, pa.scalar(None, column.type)), what


def _are_within(numbers: pa.ChunkedArray, low: float, high: float) -> bool:
    """Whether no number, but for nulls, lies outside; not for floats, of which NaN has no place."""
    lowest, highest = pc.min_max(numbers).as_py().values()
    return lowest is None or (low <= lowest and highest <= high)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _check_size(metadata: pq.FileMetaData) -> None:
    """Refuse what would not fit in memory: a few kilobytes can unpack to terabytes."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_ROWS or sum(group.total_byte_size for group in groups) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_ROWS:,} rows and {MAX_BYTES >> 20} MiB")


def _with_short_texts(table: pa.Table) -> pa.Table:
    """Texts as they were read, each different one once, cut; so that none is huge in every row."""
    columns = [_cut(column) if _is_many_texts(column.type) else column for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _is_many_texts(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) and _is_text(kind))


def _cut(values: pa.ChunkedArray) -> pa.ChunkedArray:
    short = [
        pc.utf8_slice_codeunits(chunk.dictionary, 0, MAX_TEXT).take(chunk.indices)
        for chunk in values.chunks
    ]
    return pa.chunked_array(short, pa.string())
