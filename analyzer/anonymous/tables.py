"""A recording's tables without names and addresses."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.anonymous.substitution import Substitution

WORDS = frozenset(
    {"protocol", "state", "change", "forwarding", "kind", "what", "origin", "scheduler"}
    | {"close", "closer", "failure"}
)
"""Columns of technical words, which identify nobody."""

HOSTS = frozenset({"director", "host"})


def names_in(tables: Iterable[pa.Table]) -> Iterator[str]:
    """The names of hosts in tables."""
    for table in tables:
        for column in HOSTS & set(table.column_names):
            for name in pc.unique(table[column]).to_pylist():
                if name and not is_address(name):
                    yield name


def is_address(text: str) -> bool:
    """Whether a text is an address and nothing else."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def anonymous_table(table: pa.Table, substitution: Substitution) -> pa.Table:
    """A table with its names and addresses replaced; each distinct text once."""
    columns = {
        name: _anonymous(table[name], substitution)
        if pa.types.is_string(table[name].type) and name not in WORDS
        else table[name]
        for name in table.column_names
    }
    return pa.table(columns, schema=table.schema)


def _anonymous(column: pa.ChunkedArray, substitution: Substitution) -> pa.Array:
    coded = column.combine_chunks().dictionary_encode()
    texts = [substitution.text(text) for text in coded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(coded.indices)
