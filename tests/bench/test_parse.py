"""``analyzer parse`` of long texts: processor time and memory, by kind of text.

``PARSE_MB`` (20) makes the texts smaller.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Row = Callable[[random.Random, int], str]

SIZE_MB = int(os.environ.get("PARSE_MB", "20"))
BUSY_S, PEAK_MB = 5.0, 300.0
BIN = Path(sys.executable).parent

MEASURED = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""A small parent: what the test's own process holds would count as its child's."""

HEADER = "IP Virtual Server version 1.2.1 (size=4096)\n"
SERVER = "  -> RemoteAddress:Port"
SERVERS = 5


def _virtual(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:80"


def _real(number: int) -> str:
    return f"192.168.{number >> 8 & 255}.{number & 255}:8080"


def table(chance: random.Random, number: int) -> str:
    if number % (SERVERS + 1) == 0:
        return f"TCP  {_virtual(number)} wlc\n"
    held = f"{chance.randrange(10_000):<10} {chance.randrange(10_000):<10}"
    return f"  -> {_real(number):<28} Route   {chance.randrange(100):<6} {held}\n"


def counters(chance: random.Random, number: int) -> str:
    start, end = (
        ("TCP ", _virtual(number)) if number % (SERVERS + 1) == 0 else ("  ->", _real(number))
    )
    return f"{start} {end:<28}" + "".join(f" {chance.randrange(10**8):>8}" for _ in range(5)) + "\n"


def entry(chance: random.Random, number: int) -> str:
    client = f"203.0.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    service = f"{_virtual(number % 20):<18} {_real(number % 200)}"
    ends = f"{client}:{chance.randrange(1024, 65536):<5} {service}"
    return f"TCP {chance.randrange(15):02}:{chance.randrange(60):02}  ESTABLISHED {ends}\n"


def kernels_table(chance: random.Random, number: int) -> str:
    if number % (SERVERS + 1) == 0:
        return f"TCP  0A{number & 0xFFFFFF:06X}:0050 wlc \n"
    held = f"{chance.randrange(10_000):<10} {chance.randrange(10_000):<10}"
    return f"  -> C0A8{number & 0xFFFF:04X}:1F90      Route   {chance.randrange(100):<6} {held}\n"


def kernels_entry(chance: random.Random, number: int) -> str:
    ends = f"{chance.getrandbits(32):08X} {chance.getrandbits(16):04X} 0A0000{number % 20:02X} 0050"
    expires = chance.randrange(900)
    return f"TCP {ends} C0A800{number % 200:02X} 1F90 ESTABLISHED {expires:7}\n"


def service(_: random.Random, number: int) -> str:
    return f"TCP  {_virtual(number)} wlc\n"


def rule(chance: random.Random, number: int) -> str:
    at = number % (SERVERS + 1)
    virtual = _virtual(number - at)
    if at == 0:
        return f"-A -t {virtual} -s wlc\n"
    return f"-a -t {virtual} -r {_real(number)} -g -w {chance.randrange(100)}\n"


PROSE = "the load balancer keeps an entry of each connection until its time is up"


def prose(chance: random.Random, _: int) -> str:
    return " ".join(chance.choices(PROSE.split(), k=chance.randrange(2, 15))) + "\n"


KINDS: dict[str, tuple[str, Row]] = {
    "ipvsadm -Ln": (
        f"{HEADER}Prot LocalAddress:Port Scheduler Flags\n"
        f"{SERVER}           Forward Weight ActiveConn InActConn\n",
        table,
    ),
    "ipvsadm -Ln --stats": (
        f"{HEADER}Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n"
        f"{SERVER}\n",
        counters,
    ),
    "ipvsadm -Lnc": (
        "IPVS connection entries\n"
        "pro expire state       source             virtual            destination\n",
        entry,
    ),
    "/proc/net/ip_vs": (
        f"{HEADER}Prot LocalAddress:Port Scheduler Flags\n"
        f"{SERVER} Forward Weight ActiveConn InActConn\n",
        kernels_table,
    ),
    "/proc/net/ip_vs_conn": (
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n",
        kernels_entry,
    ),
    "ipvsadm -Ln, services alone": (
        f"{HEADER}Prot LocalAddress:Port Scheduler Flags\n"
        f"{SERVER}           Forward Weight ActiveConn InActConn\n",
        service,
    ),
    "ipvsadm -Sn": ("", rule),
    "prose": (HEADER, prose),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "tables"])
def test_a_long_text_is_parsed_soon_and_in_little_memory(
    kind: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, row = KINDS[kind]
    chance, file, written = random.Random(5), tmp_path / "printed.txt", 0
    with file.open("w") as text:
        text.write(head)
        for number in count():
            written += text.write(row(chance, number))
            if written > SIZE_MB * 1e6:
                break
    command = [str(BIN / "analyzer"), "parse", str(file), *options]
    printed = subprocess.check_output([sys.executable, "-S", "-c", MEASURED, *command])
    code, busy_s, peak_mb = json.loads(printed)
    with capsys.disabled():
        print(f"\n{SIZE_MB} MB of {kind} {' '.join(options)}: {busy_s:.1f} s of {BUSY_S:g} s on a")
        print(f"processor, at most {peak_mb:.0f} MB of {PEAK_MB:g} MB")
    assert code == (2 if kind == "prose" else 0)  # no row of it is a director's
    assert busy_s <= BUSY_S
    assert peak_mb <= PEAK_MB
