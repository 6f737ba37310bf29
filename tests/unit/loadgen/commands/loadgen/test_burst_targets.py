"""``loadgen burst`` at two servers: what is recorded, reported and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import loadgen.lab.lab
from analyzer.recording.directory import Recording
from tests.unit.loadgen.commands.in_process import run_in_process
from tests.unit.loadgen.commands.web import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(autouse=True)
def no_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadgen.lab.lab, "running_labs", list)


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    first, second = Site("127.0.0.2"), Site("127.0.0.3")
    yield first, second
    for site in (first, second):
        site.shutdown()
        site.server_close()


@pytest.mark.parametrize("way", ["urls", "vips", "file", "configured"])
def test_a_burst_is_recorded_and_reported_by_target(way: str, sites: tuple[Site, Site]) -> None:
    first, second = (f"127.0.0.{n}:{site.port}" for n, site in enumerate(sites, 2))
    Path("targets").write_text(f"{first}  # one\nhttp://{second}/\n")
    Path("loadgen.toml").write_text(
        f'[burst]\nvip = ["{first}", "{second}"]\n' if way == "configured" else ""
    )
    words = {
        "urls": [f"http://{first}/", f"http://{second}/"],
        "vips": ["--vip", first, "--vip", second],
        "file": ["--targets", "targets"],
        "configured": [],
    }[way]
    shown = run_in_process(
        "loadgen", "burst", *words, "-n", "5", "--no-capture", "--json", "-o", "run"
    )
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert [(row["vip"], row["port"], row["succeeded"]) for row in document["targets"]] == [
        ("127.0.0.2", sites[0].port, 3),
        ("127.0.0.3", sites[1].port, 2),
    ]
    assert (sites[0].asked, sites[1].asked) == (3, 2)
    manifest = json.loads(Path("run/run.json").read_text())
    ends = [
        {"protocol": "TCP", "vip": f"127.0.0.{n}", "port": site.port}
        for n, site in enumerate(sites, 2)
    ]
    assert (manifest["service"], manifest["services"]) == (None, ends)
    rows = Recording.open(Path("run")).table("requests").sort_values("id")
    assert rows["vip"].tolist() == ["127.0.0.2", "127.0.0.3"] * 2 + ["127.0.0.2"]
    assert 'id="targets"' in Path("run/report.html").read_text()


def test_one_target_is_recorded_as_it_always_was(sites: tuple[Site, Site]) -> None:
    port = sites[0].port
    shown = run_in_process(
        *("loadgen", "burst", f"http://127.0.0.2:{port}/", "-n", "2", "--no-capture", "-o", "run")
    )
    assert shown.returncode == 0, shown.stderr
    manifest = json.loads(Path("run/run.json").read_text())
    assert manifest["service"] == {"protocol": "TCP", "vip": "127.0.0.2", "port": port}
    assert "services" not in manifest
    assert "targets" not in manifest["plan"]


def test_a_bad_line_of_a_file_is_one_line_with_file_and_number() -> None:
    Path("targets").write_text("10.0.0.1\nsecret@10.0.0.2\n")
    shown = run_in_process("loadgen", "burst", "--targets", "targets")
    assert shown.returncode == 2
    (line,) = shown.stderr.splitlines()
    assert line.endswith("targets:2: expected HOST[:PORT], [ADDRESS]:PORT or a URL")
    assert "secret" not in line
