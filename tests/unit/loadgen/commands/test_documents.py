"""What ``--json`` prints is a contract: each command's document is the one that is kept.

Sentences are left out (they may be bettered); ids, keys, their order, values and units are not.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from analyzer.capacity.proof.manifest import KEY, to_manifest
from analyzer.health import checks
from analyzer.health.document import to_json as health_to_json
from analyzer.recording.directory import RecordingWriter
from loadgen.commands.analyzer import group
from tests.importing import import_folder
from tests.unit.analyzer.capacity.builders_experiment import DIRECTORS, datagrams, experiment, links
from tests.unit.analyzer.test_health import OTHER, WELL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DATA = Path("tests/data")
KEPT = DATA / "documents"
MOST_ITEMS = 4
"""Of a list of numbers or rows that are kept; its length is kept too."""


def normal(value: Any, folder: str = "no folder") -> Any:
    """A document without its sentences, its paths, and the many items of its curves."""
    if isinstance(value, dict):
        if "timings_s" in value:
            value = {**value, "timings_s": sorted(value["timings_s"])}  # of this machine, today
        return {key.replace(folder, "."): normal(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        more = [f"{len(value)} in all"] if len(value) > MOST_ITEMS else []
        return [normal(each, folder) for each in value[:MOST_ITEMS]] + more
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, str):
        plain = value.replace(folder, ".")
        return "(words)" if " " in plain else plain
    return value


def printed(folder: Path, *words: str) -> Any:
    result = CliRunner().invoke(group, [*words, "--json"])
    assert result.exit_code in (0, 99), result.output
    return normal(json.loads(result.stdout), str(folder))


def copied(folder: Path, name: str) -> str:
    shutil.copytree(DATA / name, folder / name)
    return str(folder / name)


def imported(folder: Path, name: str) -> str:
    import_folder([DATA / name], folder / "run")
    return str(folder / "run")


def report_of(name: str) -> Callable[[Path], Any]:
    return lambda folder: printed(folder, "report", copied(folder, name))


def report_of_imported(name: str) -> Callable[[Path], Any]:
    return lambda folder: printed(folder, "report", imported(folder, name))


def what_if(folder: Path) -> Any:
    run = imported(folder, "ground-truth/dr-client-close-tcpfin10")
    return printed(folder, "report", run, "--what-if", "tcpfin=30")["what_if"]


TEXTS = (
    *("ip_vs", "ip_vs_stats_percpu", "ipvsadm-L--daemon", "ipvsadm-L--timeout", "ipvsadm-Lnc"),
    *("ipvsadm-Ln--stats", "ipvsadm-Ln--persistent-conn", "ipvsadm-Lnc-ipv6"),
)


def texts(_: Path) -> Any:
    return {
        name: printed(Path("/"), "parse", str(DATA / "texts" / f"{name}.txt")) for name in TEXTS
    }


def of_options(*words: str) -> Callable[[Path], Any]:
    return lambda folder: printed(folder, *words)


def recorded_proof(folder: Path) -> Any:
    writer = RecordingWriter(folder / "run", {KEY: to_manifest(experiment())})
    rates = dict.fromkeys(DIRECTORS, 5.0), {"bal02": 7.5, "bal03": 7.5}
    for name, rows in (("links", links(*rates)), ("datagrams", datagrams())):
        known = rows.astype(object).where(rows.notna(), None).to_dict("records")
        rows_of_table = ({str(column): each for column, each in row.items()} for row in known)
        writer.extend(name, rows_of_table)
    writer.close("completed")
    return printed(folder, "report", str(folder / "run"))


def sweep(folder: Path) -> Any:
    """Two runs; how connections were closed is known of the second alone."""
    for name, closing in (("run-0", {}), ("run-1", {"close": {"client": 1.0}})):
        manifest = Path(copied(folder, "dr-burst-50")).rename(folder / name) / "run.json"
        document = json.loads(manifest.read_text())
        document["plan"] |= closing
        manifest.write_text(json.dumps(document))
    runs = [{"tcpfin_s": 20, "run": "run-0"}, {"tcpfin_s": 30, "run": "run-1"}]
    (folder / "sweep.json").write_text(json.dumps({"schema_version": 1, "runs": runs}))
    return printed(folder, "sweep", str(folder))


def verify(_: Path) -> Any:
    return normal(
        json.loads(json.dumps(health_to_json(checks([WELL, OTHER], None), [WELL, OTHER])))
    )


def pair(folder: Path) -> Sequence[str]:
    return [copied(folder, "dr-burst-50"), copied(folder, "dr-burst-killed")]


def history(folder: Path) -> Any:
    pair(folder)
    (folder / "no-run").mkdir()
    (folder / "no-run" / "run.json").write_text("{}")
    return printed(folder, "history", str(folder))


EXPECTED = ["--expect", "tcpfin=20±1s", "--expect", "inactive_peak<=1", "--expect", "failed=0"]

DOCUMENTS: dict[str, Callable[[Path], Any]] = {
    "report-burst": report_of("dr-burst-50"),
    "report-killed": report_of("dr-burst-killed"),
    "report-failover": report_of("dr-failover"),
    "report-nat": report_of_imported("ground-truth/nat-client-close-tcpfin10"),
    "report-log": report_of_imported("field/counters/f2-load45.log.gz"),
    "report-template": report_of_imported("field/k117.log.gz"),
    "report-what-if": what_if,
    "parse": texts,
    "predict": of_options("predict", "--rate", "2000"),
    "predict-udp": of_options("predict", "--rate", "5", "--protocol", "udp", "-z", "60"),
    "predict-close": of_options(
        *("predict", "--rate", "5", "--arrivals", "poisson", "--close", "client=70,half=30")
    ),
    "capacity": of_options(
        *("capacity", "--hosts", "3", "--link", "1G", "--ingress", "1.5G", "--failures", "1")
    ),
    "capacity-shares": of_options(
        *("capacity", "--hosts", "4", "--link", "2G", "--ingress", "1.2G", "--share", "40,30,20,10")
    ),
    "capacity-none": of_options(
        *("capacity", "--hosts", "2", "--link", "1G", "--ingress", "9G", "--failures", "2")
    ),
    "capacity-proof": recorded_proof,
    "sweep": sweep,
    "verify": verify,
    "history": history,
    "compare": lambda folder: printed(folder, "compare", *pair(folder)),
    "check": lambda folder: printed(folder, "check", pair(folder)[0], *EXPECTED),
    "check-baseline": lambda folder: printed(
        folder, "check", pair(folder)[0], "--baseline", str(folder / "dr-burst-killed")
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_as_it_was(tmp_path: Path, name: str) -> None:
    document = DOCUMENTS[name](tmp_path)
    kept = json.loads((KEPT / f"{name}.json").read_text())
    assert document == kept
    assert json.dumps(document) == json.dumps(kept)  # the keys' order, too
