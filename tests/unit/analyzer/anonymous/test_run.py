"""A copy that may be shown to anybody: the same figures, and nobody's name or address."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vrrp import VRRP

from analyzer.analysis import analyse
from analyzer.anonymous.manifest import anonymous_manifest, names_in
from analyzer.anonymous.run import anonymise
from analyzer.anonymous.substitution import ROLES, Substitution
from analyzer.recording.directory import (
    CAPTURE,
    MANIFEST,
    Recording,
    RecordingWriter,
    vrrp_capture_name,
)
from analyzer.recording.manifest import manifest_of
from analyzer.recording.spill.folder import PREFIX
from analyzer.recording.tables import TABLES
from analyzer.report import to_json
from analyzer.wire.capture.files import frame_chunks
from analyzer.wire.packets import read_packets
from analyzer.wire.vrrp import read_announcements
from tests.importing import import_folder
from tests.unit.analyzer.builders_conntrack import Node, closed
from tests.unit.analyzer.builders_packets import NS, pcap

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path("tests/data")
KEY = bytes(range(32))
NAMES = ("bal01", "bal02", "web01", "web02", "client01")
NOT_FIGURES = frozenset({"run", "timings_s"})


RUNS = ("dr-burst-50", "nat-client-close-tcpfin10", "tun-client-close-tcpfin30")


@pytest.fixture(scope="module", params=RUNS)
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A recording and its anonymous copy: one of loadgen's own, the others imported."""
    folder = tmp_path_factory.mktemp("runs")
    original = DATA / request.param
    if not original.exists():
        original = folder / "original"
        import_folder([DATA / "ground-truth" / request.param], original)
    anonymise(Recording.open(original), folder / "copy", KEY)
    return Recording.open(original), Recording.open(folder / "copy")


def figures(value: Any) -> Any:
    """A document's numbers in their places, and its words in no order but as they are."""
    if isinstance(value, dict):
        return {key: figures(each) for key, each in value.items() if key not in NOT_FIGURES}
    if isinstance(value, list):
        return sorted((figures(each) for each in value), key=repr)
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return None if isinstance(value, str) else value


def test_the_analysis_of_the_copy_has_the_same_figures(runs: tuple[Recording, Recording]) -> None:
    original, copy = (to_json(analyse(run)) for run in runs)
    assert figures(copy) == figures(original)
    ids = [sorted(row["id"] for row in each["findings"]) for each in (original, copy)]
    assert ids[0] == ids[1]
    assert len(copy["lifetimes"]) > 0


def words(run: Recording) -> Iterator[str]:
    """Everything in a run directory that is text, Parquet unpacked."""
    for name in TABLES:
        for part in run.parts(name):
            for column in part.columns:
                yield from map(str, column.unique().to_pylist())
    for path in run.path.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            yield path.read_bytes().decode("latin-1")


def addresses(run: Recording) -> set[str]:
    """The hosts' own addresses, of tables, manifest and packets."""
    found = re.findall(r"\d+\.\d+\.\d+\.\d+", "\n".join(map(str, words(run))))
    content = run.captures()[CAPTURE]
    found += read_packets(content).addresses
    own = {text for text in found if not re.match(r"0\.|127\.|2[2-5]\d\.|ff|::", text)}
    return {text for text in own if re.fullmatch(r"[\d.]+|.*:.*", text)}


def test_no_original_address_name_or_mac_is_in_the_copy(
    runs: tuple[Recording, Recording],
) -> None:
    original, copy = runs
    everything = "\n".join(words(copy))
    content = (copy.path / CAPTURE).read_bytes()
    secrets = addresses(original)
    assert len(secrets) >= 4
    for address in secrets:
        assert not re.search(rf"(?<![\d.]){re.escape(address)}(?![\d])", everything), address
        assert ip_address(address).packed not in content
    manifest_text = (original.path / MANIFEST).read_text()
    macs = re.findall(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", manifest_text)
    assert macs
    for mac in macs:
        assert mac not in everything
        assert bytes.fromhex(mac.replace(":", "")) not in content
    manifest_names = (
        set(names_in(original.manifest)) - ROLES - {"lab"}
    )  # also a key of the manifest
    for name in {*NAMES, *manifest_names}:
        if len(name) < 4:  # by chance among the packets' bytes
            everything = (copy.path / MANIFEST).read_text()
        assert not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", everything), name


def test_a_copy_of_a_netfilter_directors_run_has_its_changed_sysctl(tmp_path: Path) -> None:
    """Without it the replay of the copy would keep entries for the old timeout."""
    before = [closed(40000 + each, 1000.0, waits_s=30) for each in range(3)]
    after = [closed(42000 + each, 1030.0, waits_s=9) for each in range(3)]
    event = (1020.0, "sysctl-changed", "nf_conntrack_tcp_timeout_time_wait: 30 -> 9")
    original = Node(flows=[*before, *after], events=[event]).recorded(tmp_path / "original")
    anonymise(original, tmp_path / "copy", KEY)
    copy = Recording.open(tmp_path / "copy")
    assert [part["detail"].to_pylist() for part in copy.parts("events")] == [[event[2]]]
    first, second = (to_json(analyse(run)) for run in (original, copy))
    assert figures(second) == figures(first)
    assert second["agreement"][0]["state_matches"] == second["agreement"][0]["state_samples"]


def test_a_copy_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted(items: int, share: float) -> None:
        assert items
        assert list((tmp_path / "new").iterdir())
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        anonymise(Recording.open(DATA / RUNS[0]), tmp_path / "new" / "copy", KEY, interrupted)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_copy_left_is_removed_by_the_next_one_beside_it(tmp_path: Path) -> None:
    left = tmp_path / f"{PREFIX}killed"
    (left / "whole" / "requests").mkdir(parents=True)
    (left / "whole" / "requests" / "part-00000.parquet").write_bytes(b"half")
    (left / "lock").touch()
    anonymise(Recording.open(DATA / RUNS[0]), tmp_path / "copy", KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_progress_counts_every_row_and_packet_up_to_the_whole(tmp_path: Path) -> None:
    run = Recording.open(DATA / RUNS[0])
    told: list[tuple[int, float]] = []
    anonymise(run, tmp_path / "copy", KEY, lambda *how_far: told.append(how_far))
    packets = len(next(frame_chunks(run.captures()[CAPTURE])).at_ns)
    assert told[-1][0] == packets + sum(len(run.table(name)) for name in TABLES)
    assert told == sorted(told)
    assert told[-1][1] == pytest.approx(1, abs=1e-3)


def test_what_was_derived_from_the_original_is_not_copied(
    runs: tuple[Recording, Recording],
) -> None:
    _, copy = runs
    assert {path.name for path in copy.path.iterdir()} <= {MANIFEST, CAPTURE, *TABLES}


def test_a_manifest_hides_what_people_wrote_and_keeps_what_figures_need() -> None:
    manifest = {
        "command": "burst",
        "command_line": [
            "burst",
            "--vip",
            "10.1.2.3",
            "--director=ssh://root@bal01:22",
            "-H",
            "Host: shop.example.com",
            "-q",
            "500/s",
            "-z",
            "60s",
        ],
        "host": {"name": "laptop"},
        "directors": {"bal01": {"link": "ssh://root@bal01:22", "hz": 100}},
        "plan": {
            "rate_per_s": 500,
            "request": {
                "path": "/customers/7",
                "headers": [["Cookie", "a"]],
                "authority": "shop.example.com:8443",
                "server_name": "www.example.com",
                "body": "c2VjcmV0",
            },
            "datagram": {"payload": "cHJpdmF0ZQ=="},
        },
        "notes": ["seen by laptop at 10.1.2.3"],
        "servers": {"10.1.2.4": {"weight": 1}},
    }
    known = manifest_of(manifest)
    copied = anonymous_manifest(known, Substitution(KEY, names_in(known)))
    text = json.dumps(copied)
    people = ("bal01", "laptop", "10.1.2", "example", "customers", "Cookie", "root")
    for secret in (*people, "c2VjcmV0", "cHJpdmF0ZQ"):
        assert secret not in text
    line = copied["command_line"]
    assert [line[at] for at in (0, 1, 4, 5, 6, 7, 8, 9)] == [
        "burst",
        "--vip",
        "-H",
        "hidden",
        "-q",
        "500/s",
        "-z",
        "60s",
    ]
    assert line[3].startswith("--director=ssh://host-")
    (director,) = copied["directors"].values()
    assert director["hz"] == 100
    assert copied["plan"]["rate_per_s"] == 500


def test_a_run_that_was_cut_off_stays_one(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run", {"command": "burst"})
    recorded = {"host": "bal01", "kind": "fault", "detail": "bal01 is 10.0.0.1"}
    writer.append("events", {"at": 1} | recorded)
    writer.flush()
    anonymise(Recording.open(tmp_path / "run"), tmp_path / "copy", KEY)
    copy = Recording.open(tmp_path / "copy")
    assert "ended" not in copy.manifest.raw
    (event,) = copy.table("events").to_dict("records")
    assert event["detail"].startswith(f"{event['host']} is ")
    assert "10.0.0.1" not in event["detail"]
    assert event["kind"] == "fault"


VIP, MASTERS = "10.77.3.2", ("10.77.3.11", "10.77.3.12")
MASTER_MACS = ("52:54:00:a7:b1:c5", "52:54:00:a7:b1:c6")


def vrrp_frames(number: int) -> list[bytes]:
    """What one director captures: its advertisement, its gratuitous ARP, and BFD to the other."""
    ether = Ether(src=MASTER_MACS[number], dst=MASTER_MACS[1 - number])
    network = IP(src=MASTERS[number], dst=MASTERS[1 - number], ttl=255)
    claim = ARP(op=1, hwsrc=MASTER_MACS[number], psrc=VIP, pdst=VIP)
    control = bytes.fromhex("20c00318 00000001 00000002 000186a0 000186a0 00000000")
    packets = (network / VRRP(vrid=41, addrlist=[VIP]), claim, network / UDP(dport=3784) / control)
    return [bytes(ether / packet) for packet in packets]


def test_what_directors_captured_is_in_the_copy_without_their_addresses(tmp_path: Path) -> None:
    clock = {"host": "bal02", "clock_offset_ns": -9, "clock_uncertainty_ns": 5}
    facts: dict[str, Any] = {"fault": "bal01: crash", "vrrp_captured_on": ["bal01", "bal02"]}
    facts |= {"vrrp_captures": [clock]}
    writer = RecordingWriter(tmp_path / "run", {"command": "failover", "failover": facts})
    for number in range(2):
        sent = [(at * NS, frame) for at, frame in enumerate(vrrp_frames(number), 1)]
        writer.write_capture(vrrp_capture_name(number), [pcap(sent)])
    writer.close("completed")
    original = Recording.open(tmp_path / "run")
    anonymise(original, tmp_path / "copy", KEY)
    copy = Recording.open(tmp_path / "copy")
    contents = {path.name: path.read_bytes() for path in copy.path.iterdir()}
    assert set(contents) == {MANIFEST, "vrrp-01.pcap", "vrrp-02.pcap"}
    everything = b"".join(contents.values())
    macs = [bytes.fromhex(mac.replace(":", "")) for mac in MASTER_MACS]
    texts = [text.encode() for text in ("bal01", "bal02", VIP, *MASTERS)]
    for secret in (*texts, *macs, *(ip_address(each).packed for each in (VIP, *MASTERS))):
        assert secret not in everything, secret
    known = copy.manifest.failover
    assert known is not None
    assert known.clock_uncertainty_s(known.vrrp_captured_on[1]) == 5e-9
    seen, copied = original.vrrp_captures(), copy.vrrp_captures()
    assert len(copied) == len(seen) == 2
    for before, after in zip(seen.values(), copied.values(), strict=True):
        there, here = read_announcements(before), read_announcements(after)
        assert len(here.advertisements) == len(there.advertisements) == 1
        assert len(here.claims) == len(there.claims) == 1
