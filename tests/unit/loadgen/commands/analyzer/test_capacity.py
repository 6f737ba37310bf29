"""``analyzer capacity`` as an operator runs it: what it takes, prints, writes and refuses."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from analyzer.capacity.wording import director_name
from loadgen.commands import exit_code_of
from loadgen.commands.analyzer import group
from loadgen.lab.topology import file as topology_file
from loadgen.lab.topology.emit import files, topology_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]

THREE = ("--hosts", "3", "--link", "1G", "--ingress", "1.5G")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run ``analyzer capacity`` with some words: exit code, standard output, standard error."""

    def capacity(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["analyzer", "capacity", *words])
        code = exit_code_of(group)
        return code, *capfd.readouterr()

    return capacity


def test_the_answer_is_printed(run: Run) -> None:
    code, out, err = run(*THREE)
    assert (code, err) == (0, "")
    assert out.startswith("Use 6 VIPs: the busiest director carries 500 Mbit/s")
    assert re.search(r"^balanced +loads alike at every time: recommended +6 VIPs", out, re.M)
    assert "VIP 6  bal03 bal02 bal01" in out


def test_json_is_one_document(run: Run) -> None:
    code, out, err = run(*THREE, "--utilisation", "80%", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["recommended"], document["utilisation"]) == ("balanced", 0.8)
    assert document["plans"]["all_active"]["vips"] == 4


def test_what_cannot_be_done_is_an_answer_not_an_error(run: Run) -> None:
    code, out, _ = run("--hosts", "3", "--link", "1000M", "--ingress", "3G", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["feasible"] is False
    assert "1.5 Gbit/s" in document["why"]
    assert document["plans"] == {"minimum": None, "all_active": None, "balanced": None}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--link", "fast"), "a bit rate above 0 such as 1G"),
        (("--link", "0G"), "a bit rate above 0 such as 1G"),
        (("--utilisation", "1.2"), "a share of 0.01 to 1"),
        (("--burst", "0.5"), "a factor of 1 to 100"),
        (("--share", "40,-1"), "weights above 0"),
        (("--hosts", "0"), "0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(run: Run, words: tuple[str, ...], expected: str) -> None:
    code, out, err = run(*THREE, *words)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err


def test_a_page_is_written(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(*THREE, "-o", str(tmp_path / "capacity.html"))
    assert code == 0
    assert out.endswith(f"page: {tmp_path / 'capacity.html'}\n")
    page = (tmp_path / "capacity.html").read_text()
    assert "Use 6 VIPs" in page
    assert "loads-chart" in page


def test_a_page_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    code, _, err = run(*THREE, "-o", str(tmp_path))
    assert code == 2
    assert "cannot be written" in err


def test_the_plan_is_written_for_keepalived_and_for_a_lab(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(*THREE, "--emit", str(tmp_path / "plan"), "--sync")
    assert code == 0
    assert out.count("wrote ") == 7
    conf = (tmp_path / "plan/bal02/keepalived.conf").read_text()
    assert conf.count("vrrp_instance") == 6
    assert "vrrp_garp_master_refresh 10" in conf
    daemons = tmp_path / "plan/bal02/sync-daemons.sh"
    assert daemons.read_text().count("\nipvsadm --start-daemon") == 2
    assert os.access(daemons, os.X_OK)
    topology = topology_file.read(tmp_path / "plan/topology.toml")
    assert len(topology.vips) == 6
    priorities = [priority for _, priority in topology.vips[0].priorities]
    assert priorities == [250, 200, 150]
    assert len({vip.virtual_router_id for vip in topology.vips}) == 6
    names = [director for director, _ in topology.vips[0].priorities]
    assert names == [director_name(index) for index in range(3)]
    assert f"VIP 1  {' '.join(names)}\n" in out


def test_a_folder_that_holds_something_is_not_written_into(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    code, _, err = run(*THREE, "--emit", str(tmp_path))
    assert code == 2
    assert "expected a new or empty folder" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_more_directors_than_a_lab_has_get_their_configuration_only() -> None:
    order = tuple(range(8))
    lists = tuple(order[n:] + order[:n] for n in order)
    names = [path for path, _ in files(topology_of(lists, 8), sync=False)]
    assert "topology.toml" not in names
    assert len(names) == 8
    priorities = [p for _, p in topology_of(lists, 8).vips[0].priorities]
    assert len(set(priorities)) == 8
    assert min(priorities) >= 1
