"""What the reads of an imported log prove, where the table of entries resizes itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.ipvs.proc.formats import Destination, Entry, EntryTable, Service
from analyzer.ipvs.table_diff.reads import AbsenceProof
from analyzer.recording.directory import Recording
from loadgen.importing.proofs import Proofs, table_resizes
from tests.importing import import_folder

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = Entry(
    protocol="TCP",
    client_ip="192.168.10.250",
    client_port=1,
    vip="192.168.10.2",
    port=80,
    real_server="192.168.10.21",
    real_port=80,
    state="FIN_WAIT",
    expires_s=100,
)
SERVER = Destination(
    address="192.168.10.21", port=80, forwarding="dr", weight=1, active=0, inactive=2
)
SERVICE = Service(
    protocol="TCP",
    address="192.168.10.2",
    port=80,
    fwmark=None,
    scheduler="rr",
    destinations=(SERVER,),
)


def table_of(*ports: int) -> EntryTable:
    entries = tuple(replace(ENTRY, client_port=port) for port in ports)
    return EntryTable(entries=entries, lines=len(entries), warnings=())


@pytest.mark.parametrize(
    ("kernel", "sizes", "resizes"),
    [
        ("7.2.7-um", [256, 256], True),
        ("6.12.113", [256, 512], False),  # somebody loaded the module anew
        (None, [256, 512], True),
        (None, [4096, 4096], False),
        (None, [None, 4096], False),
        ("", [], False),
    ],
)
def test_a_table_resizes_by_its_kernel_else_by_the_log(
    kernel: str | None, sizes: list[int | None], resizes: bool
) -> None:
    assert table_resizes(kernel, sizes) is resizes


@pytest.mark.parametrize(
    ("sizes", "ports", "proof"),
    [
        ([256, 256, 256], (1, 2), AbsenceProof.WHOLE),
        ([256, 256, 256], (1,), AbsenceProof.PARTIAL),
        ([256, 512, 512], (1, 2), AbsenceProof.NOTHING),
        ([256, 256, 512], (1, 2), AbsenceProof.NOTHING),
        (
            [256, None, 256],
            (1, 2),
            AbsenceProof.WHOLE,
        ),  # entries alone, between two polls with a size
        ([256, None, 512], (1, 2), AbsenceProof.NOTHING),
        ([None, None, None], (1, 2), AbsenceProof.PARTIAL),  # no poll has a size
    ],
)
def test_a_read_proves_what_the_sizes_around_it_say(
    sizes: list[int | None], ports: tuple[int, ...], proof: AbsenceProof
) -> None:
    assert Proofs(sizes).of(1, table_of(*ports), [SERVICE]) is proof


def test_the_first_read_proves_nobody_gone_and_the_last_one_those_whose_time_was_up() -> None:
    proofs = Proofs([256, 256])
    assert [proofs.of(number, table_of(1, 2), [SERVICE]) for number in (0, 1)] == [
        AbsenceProof.NOTHING,
        AbsenceProof.PARTIAL,
    ]
    assert Proofs([256, 512]).of(1, table_of(1, 2), [SERVICE]) is AbsenceProof.NOTHING


def poll(t: int, size: int, ports: tuple[int, ...], counted: int) -> str:
    """One line of a poll log: the kernel's two texts."""
    services = (
        f"IP Virtual Server version 1.2.1 (size={size})\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        "TCP  C0A80A02:0050 rr\n"
        f"  -> C0A80A15:0050      Route   1      0          {counted}\n"
    )
    rows = "".join(
        f"TCP C0A80AFA {port:04X} C0A80A02 0050 C0A80A15 0050 FIN_WAIT         {200 - t}\n"
        for port in ports
    )
    title = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
    return json.dumps({"t": 1_700_000_000 + t, "services": services, "connections": title + rows})


def test_entries_that_a_read_lacks_while_the_table_grows_are_not_gone(tmp_path: Path) -> None:
    """Of a short read, which a table of a fixed size would give whole."""
    log = tmp_path / "polls.jsonl"
    lines = [
        poll(0, 256, (1, 2), 2),
        poll(1, 256, (1, 2), 2),
        poll(2, 512, (1,), 3),
        poll(3, 512, (1, 2, 3), 3),
        poll(4, 512, (1, 2), 2),
        poll(5, 512, (1, 2), 2),
    ]
    log.write_text("\n".join(lines) + "\n")
    import_folder([log], tmp_path / "run")
    recording = Recording.open(tmp_path / "run")
    entries = recording.table("entries")
    gone = entries[entries["change"] == "gone"]
    assert gone["client_port"].tolist() == [3]
    assert (gone["at"].astype("int64") // 10**9).tolist() == [1_700_000_004]
    polls = recording.table("polls")
    assert polls["what"].tolist() == [
        "resizing",
        "resizing",
        "resizing",
        "entries",
        "entries",
        "entries",
    ]
    assert polls["buckets"].tolist() == [256, 256, 512, 512, 512, 512]
