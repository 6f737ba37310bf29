"""Persistent services drained by weight 0, as a log shows them: templates that clients renew."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from tests.importing import import_folder
from tests.unit.loadgen.importing.builders_log import (
    SERVER,
    VIP,
    ZERO_T,
    Logged,
    Packet,
    analysed,
    every,
    log_text,
)

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from analyzer.results import Drain

FIELD = Path(__file__).resolve().parents[3] / "data" / "field"
ZERO_FROM_S = 20


def services(at_s: float, head: str = f"TCP  {VIP}:53 wlc persistent 300") -> str:
    weight = 0 if at_s >= ZERO_FROM_S else 1
    return (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        f"{head}\n"
        f"  -> {SERVER}:53               Masq    {weight}      0          0\n"
        "  -> 10.244.2.8:53               Masq    1      0          0\n"
    )


def template(
    renewed_s: list[float],
    persistence_s: float = 300,
    *,
    more: list[Packet] | None = None,
    **how: str,
) -> Logged:
    """A template by when connections were made under it, and when it was put off besides."""
    packets = [Packet(at_s, "ASSURED", persistence_s) for at_s in renewed_s] + (more or [])
    ordered = tuple(sorted(packets, key=lambda one: one.at_s))
    return Logged(0, ordered, **how)  # type: ignore[arg-type]


def connection(port: int, at_s: float, *, life_s: float = 1.0, **how: str) -> Logged:
    opened, closed = Packet(at_s, "ESTABLISHED", 900), Packet(at_s + life_s, "FIN_WAIT", 10)
    return Logged(port, (opened, closed), **how)  # type: ignore[arg-type]


def seconds(instant: str | None) -> float:
    assert instant is not None
    return datetime.fromisoformat(instant).timestamp() - ZERO_T


def drained(path: Path, entries: list[Logged], until_s: float = 120, poll_s: float = 5) -> Drain:
    found = analysed(path, log_text(entries, every(poll_s, until_s), services=services))
    (drain,) = found.drains
    return drain


def evidence(found: Analysis) -> str:
    (finding,) = (one for one in found.findings if one.id == "draining")
    return f"{finding.evidence} {finding.advice}"


def test_a_template_that_new_connections_renew_does_not_empty(tmp_path: Path) -> None:
    """The log from the field: nine new connections in the time that it shows."""
    import_folder([FIELD / "k117.log.gz"], tmp_path / "run")
    found = analyse(Recording.open(tmp_path / "run"))
    (drain,) = found.drains
    assert (drain.renewals, drain.gone_by, drain.uncertainty_s) == (9, None, None)
    assert drain.why == "clients that come back renew their templates"
    assert seconds(drain.last_renewal) == 270
    assert {one.state: (one.n, one.renewed) for one in drain.states} == {
        "SYN_RECV": (2, 0),
        "TEMPLATE": (1, 1),
    }
    assert drain.uncertainty_if_quiet_s is not None
    assert abs(seconds(drain.gone_by_if_quiet) - 2070) <= drain.uncertainty_if_quiet_s
    assert "it does not empty while they return" in evidence(found)
    assert "renewed entries 9 times, last at 04:04:10.0" in evidence(found)
    assert "expire_quiescent_template=1" in evidence(found)


def test_a_template_that_nobody_renews_is_gone_in_time(tmp_path: Path) -> None:
    drain = drained(tmp_path, [template([3.3]), connection(40000, 3.3)])
    assert (drain.renewals, drain.last_renewal, drain.gone_by_if_quiet) == (0, None, None)
    assert drain.uncertainty_s is not None
    assert abs(seconds(drain.gone_by) - 303.3) <= drain.uncertainty_s + 0.1


def test_renewals_before_the_weight_was_0_do_not_count(tmp_path: Path) -> None:
    made = [connection(40000 + n, at_s) for n, at_s in enumerate((3.3, 9.1, 14.2))]
    drain = drained(tmp_path, [template([3.3, 9.1, 14.2]), *made])
    assert (drain.renewals, drain.gone_by is not None) == (0, True)


def test_a_template_that_is_put_off_for_its_connection_is_not_renewed(tmp_path: Path) -> None:
    """-p 30 and an open connection: the template's timer ends, and is put off by 60 s each time."""
    put_off = [Packet(33.5, "ASSURED", 60), Packet(93.7, "ASSURED", 60)]
    idle = Logged(40000, (Packet(3.3, "ESTABLISHED", 900),))
    drain = drained(tmp_path, [template([3.3], 30, more=put_off), idle], until_s=140)
    assert (drain.renewals, drain.why) == (0, None)
    assert {one.state: one.renewed for one in drain.states} == {"TEMPLATE": 0, "ESTABLISHED": 0}
    assert seconds(drain.gone_by) >= 903


def test_a_connection_after_the_template_was_put_off_renews_it(tmp_path: Path) -> None:
    """After a put-off a new connection restarts the timer with 60 s, not with the persistence."""
    put_off = [Packet(33.5, "ASSURED", 60), Packet(71.2, "ASSURED", 60)]
    idle = Logged(40000, (Packet(3.3, "ESTABLISHED", 900),))
    again = connection(40001, 71.2)
    drain = drained(tmp_path, [template([3.3], 30, more=put_off), idle, again], until_s=110)
    assert (drain.renewals, seconds(drain.last_renewal)) == (1, 75)


def test_some_clients_come_back_and_some_do_not(tmp_path: Path) -> None:
    clients = {f"10.244.0.{n}": [3.3, *([41.7, 80.2] if n % 2 else [])] for n in range(1, 6)}
    entries = []
    for number, (client, made_s) in enumerate(clients.items()):
        entries.append(template(made_s, client=client))
        entries += [
            connection(40000 + 10 * number + n, at_s, client=client)
            for n, at_s in enumerate(made_s)
        ]
    drain = drained(tmp_path, entries)
    by_state = {one.state: (one.n, one.renewed) for one in drain.states}
    assert by_state["TEMPLATE"] == (5, 3)
    assert drain.renewals == 6
    assert abs(seconds(drain.gone_by_if_quiet) - 380.2) <= (drain.uncertainty_if_quiet_s or 0)


def test_a_template_of_a_netmask_is_renewed_by_whoever_is_under_it(tmp_path: Path) -> None:
    entries = [template([3.3, 51.2, 90.1], 60, client="10.244.0.0")]
    entries += [
        connection(40000 + n, at_s, client=f"10.244.0.{n + 5}")
        for n, at_s in enumerate((3.3, 51.2, 90.1))
    ]
    drain = drained(tmp_path, entries)
    assert (drain.renewals, seconds(drain.last_renewal)) == (2, 95)


def test_datagrams_of_a_known_client_renew_its_template_too(tmp_path: Path) -> None:
    entries = [template([3.3, 61.4], protocol="UDP")]
    entries += [
        Logged(5000 + n, (Packet(at_s, "UDP", 30),), "UDP") for n, at_s in enumerate((3.3, 61.4))
    ]
    text = log_text(
        entries,
        every(5, 120),
        services=lambda at_s: services(at_s, f"UDP  {VIP}:53 wlc persistent 300"),
    )
    (drain,) = analysed(tmp_path, text).drains
    assert (drain.renewals, drain.service) == (1, f"UDP {VIP}:53")
    assert drain.gone_by is None


def test_a_marks_template_belongs_to_the_marks_server(tmp_path: Path) -> None:
    """It shows the mark as its virtual address, and protocol IP."""
    under = template([3.3, 61.4], protocol="IP", virtual_port=0)  # type: ignore[arg-type]
    made = [connection(40000 + n, at_s) for n, at_s in enumerate((3.3, 61.4))]
    text = log_text(
        [under, *made],
        every(5, 120),
        services=lambda at_s: services(at_s, "FWM  7 wlc persistent 300"),
    )
    (drain,) = analysed(tmp_path, text).drains
    assert (drain.service, drain.renewals) == ("FWM 7", 1)


def test_tcp_and_udp_of_one_port_are_two_services(tmp_path: Path) -> None:
    """An entry of the other protocol is none of a service's."""
    entries = [Logged(5000, (Packet(3.3, "UDP", 300),), "UDP"), connection(40000, 100.0)]
    found = drained(tmp_path, entries, until_s=104, poll_s=2)
    assert [one.state for one in found.states] == ["FIN_WAIT"]


@pytest.mark.parametrize("state", ["NONE", "ASSURED"])
def test_a_template_that_becomes_assured_is_not_renewed_by_that(tmp_path: Path, state: str) -> None:
    """The first handshake that is completed under it sets a flag, and not the timer."""
    entry = Logged(0, (Packet(19.0, "NONE", 300), Packet(26.0, state, 293)))
    drain = drained(tmp_path, [entry, connection(40000, 19.0)])
    assert drain.renewals == 0


def test_the_condition_names_clients_only_where_there_are_templates(tmp_path: Path) -> None:
    text = log_text([connection(40000, 60.0)], every(5, 65), services=services)
    (tmp_path / "without").mkdir()
    found = evidence(analysed(tmp_path / "without", text))
    assert "if no packet arrives" in found
    assert "expire_quiescent_template" not in found
    text = log_text([template([3.3]), connection(40000, 60.0)], every(5, 65), services=services)
    assert "if no packet arrives and no client returns" in evidence(analysed(tmp_path, text))
