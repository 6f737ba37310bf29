"""What a director says of itself before anything is sent."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest

from analyzer.ipvs.proc.formats import parse_uptime
from analyzer.ipvs.states import Timeouts
from analyzer.recording.manifest import manifest_of as recorded_manifest
from loadgen.director import boot_facts as facts_module
from loadgen.director.boot_facts import BootFacts, learn_boot_facts, manifest_of
from loadgen.director.links import conntrack
from loadgen.director.polling.timekeeper import Timekeeper
from loadgen.errors import UsageProblem
from tests.unit.loadgen.director.fakes import SERVICES, FakeShell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loadgen.director.links.client import DirectorClient

    Answers = Mapping[str, str | list[str]]

WHO = f"""\
@kernel
6.1.176
@macs
02:00:00:00:00:0b
00:00:00:00:00:00
00:00:00:00
@ip_vs
{SERVICES}"""

SYSCTLS = "am_droprate:10\nconn_reuse_mode:1\nconntrack:0\nexpire_nodest_conn:0\n"


def director_settings(
    timeouts: str = "Timeout (tcp tcpfin udp): 900 20 300\n",
    *,
    daemon: str = "",
    sysctl: str = SYSCTLS,
    addresses: str = "",
    keepalived: str = "",
) -> str:
    """What a director answers when it is asked how it stands."""
    return (
        f"@timeouts\n{timeouts}@daemon\n{daemon}@sysctl\n{sysctl}"
        f"@addresses\n{addresses}@keepalived\n{keepalived}@end\n"
    )


TIMEOUTS = director_settings()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for ticks."""
    monkeypatch.setattr(facts_module, "_BETWEEN_BATCHES_S", 0)


def schedstat(began_s: float, hz: int = 250, phase_s: float = 0.216, rows: int = 40) -> str:
    """What 150 readings look like, of a director with this HZ and phase."""
    lines = []
    for step in range(rows):
        at_s = began_s + step * 0.0031
        count = int((at_s - phase_s) * hz) - 300 * hz + 2**32
        shown = int(at_s * 100) / 100
        lines.append(f"{shown:.2f} {count} {shown:.2f}")
    return "\n".join(lines) + "\n"


def timer_list(began_s: float, hz: int = 100) -> str:
    """Of a director whose jiffies are its uptime."""
    lines = []
    for step in range(6):
        at_s = began_s + step * 0.013
        lines.append(f"{round(at_s * 1e9)} nsecs\n{int(at_s * hz) - 300 * hz + 2**32}\n")
    return "".join(lines)


class Director:
    """Answers each question by its subject; the clock goes on between questions."""

    def __init__(self, answers: Mapping[str, str | list[str]]) -> None:
        self.answers = {
            subject: [text] if isinstance(text, str) else list(text)
            for subject, text in answers.items()
        }

    def __call__(self, script: str) -> str:
        subject = next(
            word for word in ("@kernel", "ipvsadm", "schedstat", "timer_list") if word in script
        )
        texts = self.answers.get(subject, [""])
        return texts.pop(0) if len(texts) > 1 else texts[0]


def learnt(answers: Answers, configured: Timeouts | None = None) -> BootFacts:
    fake = FakeShell(Director({"@kernel": WHO, **answers}))
    return asyncio.run(learn_boot_facts(fake.client, configured))


BY_SCHEDSTAT = {"schedstat": [schedstat(5000.0), schedstat(5001.0)]}
BY_TIMER_LIST = {"timer_list": [timer_list(5000.0), timer_list(5001.0)]}


def test_a_director_says_who_it_is() -> None:
    found = learnt({"ipvsadm": TIMEOUTS, **BY_SCHEDSTAT})
    assert found.kernel == "6.1.176"
    assert found.macs == ("02:00:00:00:00:0b",)
    assert found.director_settings.sysctl == {
        "am_droprate": "10",
        "conn_reuse_mode": "1",
        "conntrack": "0",
        "expire_nodest_conn": "0",
    }
    assert [service.port for service in found.services.services] == [80, 81]
    assert found.timeouts == Timeouts(tcp_s=900, tcpfin_s=20, udp_s=300)
    assert found.timeouts_source == "ipvsadm"


def test_the_phase_comes_from_schedstat_which_anyone_may_read() -> None:
    found = learnt({**BY_SCHEDSTAT, **BY_TIMER_LIST})
    assert found.timer_phase is not None
    assert found.timer_phase.hz == 250
    assert abs(found.timer_phase.phase_s - 0.216) <= found.timer_phase.uncertainty_s
    assert found.timer_phase_source == "/proc/schedstat"


def test_the_addresses_of_its_interfaces_are_read_as_ip_prints_them_too() -> None:
    links = (
        "1: lo: <LOOPBACK,UP> mtu 65536 qdisc noqueue \\    link/loopback 00:00:00:00:00:00 "
        "brd 00:00:00:00:00:00\n"
        "2: eth0@if5: <UP> mtu 1500 \\    link/ether 02:00:00:00:00:0c brd ff:ff:ff:ff:ff:ff\n"
        "3: tunl0: <NOARP> mtu 1480 \\    link/ipip 0.0.0.0 brd 0.0.0.0\n"
    )
    found = learnt({"@kernel": f"@kernel\n6.1\n@macs\n{links}@ip_vs\n{SERVICES}"})
    assert found.macs == ("02:00:00:00:00:0c",)


@pytest.mark.parametrize("schedstat_says", ["", "12 34\n", "sh: not found\n"])
def test_else_from_timer_list(schedstat_says: str) -> None:
    found = learnt({"schedstat": schedstat_says, **BY_TIMER_LIST})
    assert found.timer_phase is not None
    assert found.timer_phase.hz == 100
    assert abs(found.timer_phase.phase_s) <= found.timer_phase.uncertainty_s + 1e-6
    assert found.timer_phase_source == "/proc/timer_list"


def test_a_schedstat_that_contradicts_itself_is_not_trusted() -> None:
    jumped = [schedstat(5000.0), schedstat(5001.0, phase_s=0.5)]
    found = learnt({"schedstat": jumped, **BY_TIMER_LIST})
    assert found.timer_phase_source == "/proc/timer_list"


def test_a_director_that_tells_neither_has_no_phase() -> None:
    found = learnt({})
    assert (found.timer_phase, found.timer_phase_source) == (None, None)


def test_timeouts_that_cannot_be_read_are_not_guessed() -> None:
    found = learnt({"ipvsadm": director_settings("Permission denied (you must be root)\n")})
    assert (found.timeouts, found.timeouts_source) == (None, None)


def test_the_operator_may_tell_the_timeouts() -> None:
    configured = Timeouts(tcp_s=1, tcpfin_s=2, udp_s=3)
    found = learnt({"ipvsadm": TIMEOUTS}, configured)
    assert (found.timeouts, found.timeouts_source) == (configured, "--timeouts")


@pytest.mark.parametrize("text", ["", "@kernel\n6.1\n@macs\n@ip_vs\n", "garbage"])
def test_a_kernel_without_ipvs_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageProblem, match="no IPVS in its kernel") as caught:
        learnt({"@kernel": text})
    assert "ssh://root@bal01" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_sysctl_is_left_out_and_long_values_are_cut() -> None:
    lines = "ok:1\nBad Name:2\nno colon\nlong:" + "x" * 1000
    found = learnt({"ipvsadm": director_settings(sysctl=f"{lines}\n")})
    assert set(found.director_settings.sysctl) == {"ok", "long"}
    assert len(found.director_settings.sysctl["long"]) == 100


def test_the_manifest_has_all_of_it() -> None:
    found = manifest_of(learnt({"ipvsadm": TIMEOUTS, **BY_SCHEDSTAT}), "ssh://root@bal01")
    assert found["link"] == "ssh://root@bal01"
    assert found["hz"] == 250
    assert found["timer_phase_s"] == pytest.approx(0.216, abs=0.01)
    assert found["timer_phase_uncertainty_s"] < 0.01
    assert found["timeouts"] == {"tcp": 900, "tcpfin": 20, "udp": 300}
    assert found["conn_tab_size"] == 4096
    assert found["macs"] == ["02:00:00:00:00:0b"]
    assert found["sysctl"]["conn_reuse_mode"] == "1"


STATUS = "Conns:\t126\nConn buckets:\t2048 (11 bits, lfactor -4)\nConn buckets len-1:\t126 (100%)\n"


@pytest.mark.parametrize(
    ("said", "entries"),
    [
        (f"@table\n{STATUS}", 126),
        ("@table\n", None),  # before Linux 7.1, or not for us
        ("@table\ncat: Permission denied\n", None),
        ("", None),
    ],
)
def test_the_tables_status_is_learnt_where_it_is_given(said: str, entries: int | None) -> None:
    found = learnt({"@kernel": WHO.replace("@ip_vs\n", f"{said}@ip_vs\n")})
    assert (found.table_status.entries if found.table_status else None) == entries
    status = manifest_of(found, "local")["table_status"]
    assert (status and status["chains"]) == ({"1": 126} if entries else None)
    assert len(found.services.services) == 2  # what follows is read as ever


def test_the_bytes_of_an_entry_are_the_kernels_own_words() -> None:
    line = "[    1.25] IPVS: Each connection entry needs 288 bytes at least\n"
    found = learnt({"@kernel": WHO.replace("@ip_vs\n", f"@entry\n{line}@ip_vs\n")})
    assert found.entry_bytes == 288
    assert manifest_of(found, "local")["entry_bytes"] == 288
    assert learnt({}).entry_bytes is None


def test_what_was_not_learnt_is_null_in_the_manifest() -> None:
    found = manifest_of(learnt({}), "local")
    unknown = ("hz", "timer_phase_s", "timer_phase_uncertainty_s", "timeouts", "timeouts_source")
    assert [found[name] for name in unknown] == [None] * len(unknown)


@pytest.mark.parametrize("digit", ["0", "1", "9"])
def test_whatever_numbers_a_director_says_its_part_of_run_json_can_be_read(digit: str) -> None:
    """One that lies costs itself: it does not take the report of the others with it."""
    digits = {n: digit * n for n in (2, 6, 9, 12)}
    who = (
        f"@kernel\n6.1\n@macs\n@entry\nIPVS: Each connection entry needs {digits[6]} bytes\n"
        f"@table\nConns: {digits[12]}\n"
        f"Buckets: {digits[12]} ({digits[2]} bits, lfactor -{digits[9]})\n"
        f"@ip_vs\nIP Virtual Server version 1.2.1 (size={digits[12]})\n"
    )
    timeouts = f"Timeout (tcp tcpfin udp): {digits[9]} {digits[9]} {digits[9]}\n"
    sysctl = "".join(f"{name}:{digits[12]}\n" for name in ("conn_max", "conn_reuse_mode", "hz"))
    facts = learnt({"@kernel": who, "ipvsadm": director_settings(timeouts, sysctl=sysctl)})
    clock = Timekeeper()
    now_ns = 1_800_000_000_000_000_000
    for seconds in (9, 12):
        if answer := parse_uptime(f"{digits[seconds]}.99 1.00\n"):
            clock.note(now_ns, now_ns + 1_000_000, answer[0])
    written = manifest_of(facts, "local") | clock.manifest()
    document = json.loads(json.dumps({"directors": {"bal01": written}}))
    read = recorded_manifest(document).directors["bal01"]
    assert read.boot_at_ns == written["boot_at_ns"]
    assert read.conn_tab_size == written["conn_tab_size"]


CONNTRACK_SYSCTLS = "nf_conntrack_tcp_timeout_time_wait:7\nnf_conntrack_max:65536\n"


class NetfilterDirector:
    """Has no IPVS, and connection tracking that is read in some way."""

    def __init__(self, way: str, *, ipvs: str = "") -> None:
        self.who = WHO.partition("@ip_vs")[0] + f"@ip_vs\n{ipvs}@conntrack\n{way}"
        self.asked: list[str] = []

    def __call__(self, script: str) -> str:
        self.asked.append(script)
        if "@kernel" in script:
            return self.who
        if "@sysctl" in script:
            return director_settings("", sysctl=CONNTRACK_SYSCTLS, keepalived="/proc/9/comm\n")
        return ""


def facts_of_netfilter(
    director: NetfilterDirector, kind: Literal["ipvs", "netfilter"] | None = None
) -> tuple[BootFacts, DirectorClient]:
    client = FakeShell(director).client
    client.link = replace(client.link, director_kind=kind)
    return asyncio.run(learn_boot_facts(client, Timeouts())), client


@pytest.mark.parametrize("way", ["file", "conntrack", "sudo-file", "sudo-conntrack"])
def test_a_director_without_ipvs_that_tracks_connections_is_a_netfilter_director(way: str) -> None:
    director = NetfilterDirector(f"{way}\n")
    found, client = facts_of_netfilter(director)
    assert found.kind == client.source.kind == "netfilter"
    assert (client.source.command is None) == (way == "file")
    assert (found.timeouts, found.services.services) == (None, ())
    assert not any("ipvsadm" in script for script in director.asked)


def test_run_json_has_what_tracking_goes_by_as_numbers() -> None:
    found, _ = facts_of_netfilter(NetfilterDirector("file\n"))
    written = manifest_of(found, "ssh://root@bal01")
    assert written["kind"] == "netfilter"
    assert written["sysctl"] == {
        "nf_conntrack_tcp_timeout_time_wait": 7,
        "nf_conntrack_max": 65536,
    }
    assert (written["timeouts"], written["vips_held"], written["vrrp_state"]) == (None, None, None)


def test_a_director_with_both_is_read_as_it_was_said() -> None:
    both = NetfilterDirector("file\n", ipvs=SERVICES)
    assert facts_of_netfilter(both)[0].kind == "ipvs"
    assert facts_of_netfilter(both, "ipvs")[0].kind == "ipvs"
    assert facts_of_netfilter(both, "netfilter")[0].kind == "netfilter"


@pytest.mark.parametrize(
    ("kind", "has_ipvs", "is_asked"),
    [
        (None, True, False),
        (None, False, True),
        ("ipvs", False, False),
        ("netfilter", True, True),
        ("netfilter", False, True),
    ],
)
def test_a_director_with_ipvs_is_asked_for_its_tracking_only_if_told_to(
    kind: Literal["ipvs", "netfilter"] | None, tmp_path: Path, *, has_ipvs: bool, is_asked: bool
) -> None:
    director = NetfilterDirector("file\n", ipvs=SERVICES)
    facts_of_netfilter(director, kind)
    ip_vs = tmp_path / "ip_vs"
    if has_ipvs:
        ip_vs.touch()
    script = director.asked[0].replace(conntrack.ASK_WAY, "echo asked")
    script = script.partition("echo @conntrack; ")[2].replace("/proc/net/ip_vs ", f"{ip_vs} ")
    asked = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20)
    assert asked.stdout == ("asked\n" if is_asked else "")


@pytest.mark.parametrize(
    ("way", "kind", "why"),
    [
        ("", None, "no IPVS in its kernel (/proc/net/ip_vs is not there)"),
        ("none\n", None, "no IPVS in its kernel (/proc/net/ip_vs is not there), and /proc/net/nf"),
        ("none\n", "netfilter", "/proc/net/nf_conntrack cannot be read there"),
        ("", "netfilter", "no connection tracking in its kernel"),
        ("file\n", "ipvs", "no IPVS in its kernel"),
        ("whatever\n", None, "no IPVS in its kernel"),
    ],
)
def test_a_director_whose_connections_cannot_be_read_is_refused_in_one_line(
    way: str, kind: Literal["ipvs", "netfilter"] | None, why: str
) -> None:
    with pytest.raises(UsageProblem) as caught:
        facts_of_netfilter(NetfilterDirector(way), kind)
    assert str(caught.value).startswith(f"ssh://root@bal01: {why}")
    assert "\n" not in str(caught.value)
