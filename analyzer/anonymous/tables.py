"""A recording's tables without names, addresses and free text.

Every column of text has a rule of its own; numbers and instants stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from analyzer.anonymous import texts
from analyzer.anonymous.vocabulary import EVENTS, words
from analyzer.client.failure_texts import known_text
from analyzer.client.failures import KINDS, kind_of_text
from analyzer.conntrack.proc import STATE_NAMES
from analyzer.conntrack.services import SCHEDULER as NETFILTER
from analyzer.forecast.closings import CLOSES
from analyzer.ipvs.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.anonymous.substitution import Substitution

HOSTS = frozenset({"director", "host"})
METHODS = frozenset(words("GET HEAD POST PUT DELETE OPTIONS PATCH TRACE datagram"))
PROTOCOLS = texts.one_of(words("TCP UDP SCTP FWM"))

FREE = frozenset({"command", "link-lost", "sockets-lost", "sockets-unreadable", "capture-stopped"})
"""Kinds of events whose detail others wrote: a link, tcpdump, whoever typed a command."""

_ANYWHERE: Mapping[str, texts.Rule] = {
    "director": texts.name,
    "host": texts.name,
    "vip": texts.address,
    "real_server": texts.address,
    "client_ip": texts.address,
    "source_ip": texts.address,
    "protocol": PROTOCOLS,
}
RULES: Mapping[str, Mapping[str, texts.Rule]] = {
    "requests": {
        "kind": texts.one_of(METHODS),
        "error": lambda text, _: known_text(text),
        "failure": texts.one_of(KINDS),
        "closer": texts.one_of(words("client server reset none")),
        "close": texts.one_of(CLOSES),
    },
    "services": {
        "scheduler": texts.one_of(
            words(f"rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos {NETFILTER}")
        ),
        "forwarding": texts.one_of(words("dr nat tun local bypass")),
    },
    "entries": {
        "change": texts.one_of(["appeared", "state", "gone"]),
        "state": texts.one_of({state.name for state in State} | STATE_NAMES),
        "origin": texts.one_of(("LOCAL", "SYNC")),
    },
    "masquerades": {},
    "polls": {"what": texts.one_of(["services", "entries", "resizing"])},
    "sockets": {
        "state": texts.one_of(
            words(
                "ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE "
                "CLOSE_WAIT LAST_ACK LISTEN CLOSING NEW_SYN_RECV FIN_WAIT_1 FIN_WAIT_2 "
                "CLOSED"
            )
        )
    },
    "datagrams": {},
    "links": {},
    "events": {"kind": texts.one_of(EVENTS), "detail": texts.sentence},
    "in_flight": {
        "kind": texts.one_of(["download", "dialogue", "idle"]),
        "change": texts.one_of(words("opened progress reset closed")),
    },
}
"""Rules for each table's columns of text; ``rule_of`` has those that several share."""


def rule_of(table: str, column: str) -> texts.Rule:
    """How a column of text is rewritten; KeyError without a rule."""
    return RULES[table].get(column) or _ANYWHERE[column]


def anonymous_table(name: str, table: pa.Table, substitution: Substitution) -> pa.Table:
    """A table with its texts rewritten; each distinct one once."""
    columns: dict[str, Any] = {
        column: _anonymous(table[column], texts_rule, substitution)
        if (texts_rule := _text_rule(name, table, column)) is not None
        else table[column]
        for column in table.column_names
    }
    if name == "requests":
        columns["failure"] = _failures(table, columns["failure"])
    if name == "events":
        columns["detail"] = _details(table["kind"], columns["detail"])
    return pa.table(columns, schema=table.schema)


def _text_rule(name: str, table: pa.Table, column: str) -> texts.Rule | None:
    return rule_of(name, column) if pa.types.is_string(table[column].type) else None


def _anonymous(column: pa.ChunkedArray, rule: texts.Rule, substitution: Substitution) -> pa.Array:
    coded = column.combine_chunks().dictionary_encode()
    made = [rule(text, substitution) for text in coded.dictionary.to_pylist()]
    return pa.array(made, pa.string()).take(coded.indices)


def _failures(table: pa.Table, failures: pa.Array) -> pa.Array:
    """Kinds of failures derived from the texts, for recordings without them."""
    coded = table["error"].combine_chunks().dictionary_encode()
    kinds = [kind_of_text(text) for text in coded.dictionary.to_pylist()]
    return pc.coalesce(failures, pa.array(kinds, pa.string()).take(coded.indices))


def _details(kinds: pa.ChunkedArray, details: pa.Array) -> pa.Array:
    known = pa.array(sorted(EVENTS - FREE), pa.string())
    ours = pc.fill_null(pc.is_in(kinds, known), fill_value=False).combine_chunks()
    hidden = pc.if_else(pc.is_null(details), pa.scalar(None, pa.string()), texts.HIDDEN)
    return pc.if_else(ours, details, hidden)
