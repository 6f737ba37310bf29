"""Columns and rows of services hold the same."""

from __future__ import annotations

import pyarrow as pa

from analyzer.ipvs.proc.formats import parse_services
from analyzer.recording.tables import TABLES
from loadgen.director.counters import Counters, server_key
from loadgen.director.polling.rows import service_columns, service_rows
from tests.unit.loadgen.director.fakes import SERVICES


def test_columns_of_services_hold_what_their_rows_hold() -> None:
    services = parse_services(SERVICES).services
    counters = {server_key(services[0], services[0].destinations[0]): Counters(1, 2, 3, 4, 5)}
    columns = service_columns(services, counters)
    schema = pa.schema([TABLES["services"].field(name) for name in columns])
    rows = [row for service in services for row in service_rows(service, counters)]
    assert (
        pa.table(columns, schema=schema).to_pylist()
        == pa.Table.from_pylist(rows, schema=schema).to_pylist()
    )
