"""``loadgen sweep`` and ``analyzer sweep`` at their edges; the lab's tests run them whole."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from loadgen.commands import analyzer, exit_code_of, loadgen
from loadgen.director.links.link import parse_link
from loadgen.errors import UsageProblem
from loadgen.load.plan import ClosedModel, Datagram, LoadPlan
from loadgen.sites import Site
from loadgen.sweep.sweep import check_allowed
from loadgen.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., tuple[int, str, str]]

DATA = Path(__file__).parents[4] / "data"
MODEL = ClosedModel(requests=1)
PLAN = LoadPlan(target=Target(vip="192.0.2.1", port=80), arrivals=MODEL)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a script with some words: exit code, standard output, standard error."""

    def script(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", list(words))
        group = loadgen.group if words[0] == "loadgen" else analyzer.group
        return exit_code_of(group), *capsys.readouterr()

    return script


def site(*specs: str, lab: str | None = None) -> Site:
    links = tuple(parse_link(spec) for spec in specs)
    return Site(directors=links, namespace=None, interface=None, lab=lab)


def test_a_director_is_not_changed_unless_somebody_said_that_it_may() -> None:
    directors = ["ssh://root@lb1"]
    with pytest.raises(UsageProblem, match=r"sets tcpfin on lb1 to 10, 30 s.*--allow-changes"):
        check_allowed(site(*directors), directors, (10, 30), PLAN, allowed=False)
    check_allowed(site(*directors), directors, (10, 30), PLAN, allowed=True)


def test_a_lab_of_ours_may_be_changed_but_not_a_director_beside_it() -> None:
    check_allowed(site("ssh://root@bal01", lab="lab"), [], (10,), PLAN, allowed=False)
    check_allowed(site("ssh://root@bal01", lab="lab"), ["bal01"], (10,), PLAN, allowed=False)
    for directors in (["local"], ["ssh://root@lb1"], ["exec:ip netns exec x"]):
        with pytest.raises(UsageProblem, match="--allow-changes"):
            check_allowed(site(*directors, lab="lab"), directors, (10,), PLAN, allowed=False)


def test_a_sweep_wants_a_director_and_connections_that_close() -> None:
    with pytest.raises(UsageProblem, match="no director to sweep"):
        check_allowed(site(), [], (10,), PLAN, allowed=True)
    udp = LoadPlan(
        target=Target(vip="192.0.2.1", port=80, protocol="UDP"), arrivals=MODEL, datagram=Datagram()
    )
    with pytest.raises(UsageProblem, match="a datagram has no FIN"):
        check_allowed(site("local"), [], (10,), udp, allowed=True)


@pytest.mark.parametrize("value", ["", "0", "10,10", "10,x", "1.5", "10,,20", "-5", "99999999"])
def test_values_that_are_none_are_one_line(run: Run, value: str) -> None:
    code, _, err = run("loadgen", "sweep", "--vip", "192.0.2.1", "--tcpfin", value)
    assert code == 2
    assert "different whole seconds such as 10,30,60,120" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--forwarding", "dr,bridge"], "expected some of dr, nat, tun, each once"),
        (["--forwarding", "dr,dr"], "expected some of dr, nat, tun, each once"),
        (["--forwarding", "nat", "--director", "local"], "cannot be combined with --director"),
        (["--forwarding", "nat", "--lab", "no such name"], "a lab's name is"),
        (["--forwarding", "nat", "--udp"], "a datagram has no FIN"),
        (["--forwarding", "nat", "--vip", "192.0.2.1"], "expected --vip 192.168.10.2"),
    ],
)
def test_ways_of_forwarding_are_swept_in_labs_made_for_it_only(
    run: Run, words: list[str], why: str
) -> None:
    code, _, err = run("loadgen", "sweep", "--vip", "192.168.10.2", "--tcpfin", "5", *words)
    assert code == 2
    assert why in err
    assert err.count("\n") == 1


@pytest.fixture
def two_ways(folder: Path) -> Path:
    """A sweep over two ways; of one, the recording says that servers were masqueraded."""
    shutil.copytree(folder / "tcpfin-20", folder / "nat-tcpfin-20")
    parts = list((folder / "nat-tcpfin-20" / "services").glob("*.parquet"))
    for part in parts:
        table = pd.read_parquet(part)
        table.assign(forwarding="nat").to_parquet(part)
    runs = [{"tcpfin_s": 20, "run": name} for name in ("tcpfin-20", "nat-tcpfin-20")]
    (folder / "sweep.json").write_text(json.dumps({"schema_version": 1, "runs": runs}))
    return folder


def test_each_way_of_forwarding_has_its_own_rows_and_curves(run: Run, two_ways: Path) -> None:
    code, out, err = run("analyzer", "sweep", str(two_ways))
    assert code == 0, err
    rows = [line.split() for line in out.splitlines()]
    assert [row[:2] for row in rows if row[:1] in (["dr"], ["nat"])] == [
        ["dr", "20"],
        ["nat", "20"],
    ]
    page = (two_ways / "sweep.html").read_text()
    for words in ("dr, mean lifetime", "nat, mean lifetime", "nat, tcpfin 20 s"):
        assert words in page


def test_a_director_that_cannot_be_reached_is_one_line_and_nothing_was_changed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    words = ["--vip", "127.0.0.1", "--tcpfin", "10", "--director", "exec:false", "--allow-changes"]
    code, out, err = run("loadgen", "sweep", *words, "-o", str(tmp_path / "sweep"))
    assert code == 2
    assert "nothing was changed" in err
    assert "Traceback" not in err
    assert out == ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep of one value, as it is left behind."""
    shutil.copytree(DATA / "dr-burst-50", tmp_path / "sweep" / "tcpfin-20")
    said = {"schema_version": 1, "runs": [{"tcpfin_s": 20, "run": "tcpfin-20"}]}
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(said))
    return tmp_path / "sweep"


def test_a_sweep_is_reported_again_from_its_folder(run: Run, folder: Path) -> None:
    code, out, _ = run("analyzer", "sweep", str(folder))
    assert code == 0
    assert out.startswith(
        "20 s is enough for these clients: of tcpfin 20 s, entry lifetimes match each."
    )
    assert "The knee: 20 s is the smallest of those tried" in out
    page = (folder / "sweep.html").read_text()
    assert "How small may tcpfin be?" in page
    assert 'id="sweep-chart-figure"' in page


def test_a_sweep_cut_off_before_its_first_value_says_that_none_was_measured(
    run: Run, folder: Path
) -> None:
    document = {"schema_version": 1, "runs": [], "runs_planned": 2}
    had = {"timeouts_before": {"bal01": "900 120 300"}}
    (folder / "sweep.json").write_text(json.dumps(document | had))
    code, out, err = run("analyzer", "sweep", str(folder))
    assert (code, err) == (0, "")
    assert out.startswith("No value was measured: 0 of 2 runs came to their end.\n")
    assert "put back" in " ".join(out.split())
    page = (folder / "sweep.html").read_text()
    assert "bal01 had 900 120 300 before" in page
    code, out, _ = run("analyzer", "sweep", str(folder), "--json")
    assert (code, json.loads(out)["points"]) == (0, [])


def test_json_is_one_document_and_prose_goes_elsewhere(run: Run, folder: Path) -> None:
    code, out, err = run("analyzer", "sweep", str(folder), "--json")
    assert code == 0
    assert json.loads(out)["knee"]["tcpfin_s"] == 20
    assert "The knee" in err


@pytest.mark.parametrize("spoil", ["gone", "spoilt", "run gone"])
def test_a_folder_that_is_no_sweep_is_one_line(run: Run, folder: Path, spoil: str) -> None:
    if spoil == "run gone":
        shutil.rmtree(folder / "tcpfin-20")
    elif spoil == "gone":
        (folder / "sweep.json").unlink()
    else:
        (folder / "sweep.json").write_text("{")
    code, _, err = run("analyzer", "sweep", str(folder))
    assert code == 2
    assert err.count("\n") == 1
    assert str(folder) in err
