"""What must hold before a director is made to fail."""

from __future__ import annotations

from analyzer.ipvs.proc.formats import parse_services
from loadgen.director.boot_facts import BootFacts
from loadgen.director.settings import DirectorSettings
from loadgen.failover.sanity.rules import insanities
from loadgen.target import Target

VIP = "192.168.10.2"
TARGET = Target(vip=VIP, port=80)
TABLE = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80A02:0050 rr
  -> C0A80A15:0050      Route   1      3          25
  -> C0A80A16:0050      Route   1      0          24
"""


def facts(*, holds: bool, keepalived: bool = True, table: str = TABLE) -> BootFacts:
    return BootFacts(
        kernel="6.1",
        macs=(),
        director_settings=DirectorSettings(
            timeouts=None,
            timeouts_source=None,
            sync_daemon=None,
            sysctl={},
            addresses=frozenset({"192.168.10.11", *([VIP] if holds else [])}),
            keepalived=keepalived,
        ),
        services=parse_services(table),
        timeouts=None,
        timeouts_source=None,
        timer_phase=None,
        timer_phase_source=None,
    )


MASTER, BACKUP = facts(holds=True), facts(holds=False)


def test_one_holder_and_a_backup_with_the_same_service_are_sane() -> None:
    busy = facts(holds=False, table=TABLE.replace("3          25", "700        9"))
    assert insanities({"bal01": MASTER, "bal02": busy}, TARGET) == []


def test_two_holders_and_none_are_not() -> None:
    assert insanities({"bal01": MASTER, "bal02": MASTER}, TARGET) == [
        f"{VIP} is held by bal01 and bal02, expected one director"
    ]
    assert insanities({"bal01": BACKUP, "bal02": BACKUP}, TARGET) == [
        f"{VIP} is held by nobody, expected one director"
    ]


def test_a_fault_of_a_director_that_does_not_hold_the_vip_would_move_nothing() -> None:
    known = {"bal01": MASTER, "bal02": BACKUP}
    assert insanities(known, TARGET, "bal01") == []
    assert insanities(known, TARGET, "srv01") == []
    assert insanities(known, TARGET, "bal02") == [
        f"bal02 is to fail, and {VIP} is held by bal01: nothing would move"
    ]


def test_a_standby_without_keepalived_is_no_backup() -> None:
    idle = facts(holds=False, keepalived=False)
    assert insanities({"bal01": MASTER, "bal02": idle}, TARGET) == [
        "bal02 is no BACKUP: keepalived does not run there"
    ]


def test_services_must_be_alike_on_all() -> None:
    other = facts(holds=False, table=TABLE.replace("Route   1      0", "Route   5      0"))
    none = facts(holds=False, table=TABLE.partition("TCP")[0])
    assert insanities({"bal01": MASTER, "bal02": other}, TARGET) == [
        f"bal02 has another service {VIP}:80 than bal01"
    ]
    assert insanities({"bal01": MASTER, "bal02": none}, TARGET) == [
        f"bal02 has no service TCP {VIP}:80"
    ]
