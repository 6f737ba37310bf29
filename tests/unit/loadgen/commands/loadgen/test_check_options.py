"""``loadgen burst --expect``, ``--policy``, ``--junit``, ``--abort-on``, against a web server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from junitparser import JUnitXml

from tests.unit.loadgen.commands.in_process import run_in_process

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.unit.loadgen.commands.web import Site

pytestmark = pytest.mark.usefixtures("alone")


def burst(site: Site, *words: str) -> CompletedProcess[str]:
    where = ["--vip", "127.0.0.1", "--port", str(site.server_address[1]), "--no-capture"]
    return run_in_process("loadgen", "burst", *where, *words)


def expecting(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--expect", text)]


def test_expectations_that_hold_are_printed_before_the_run_s_directory(site: Site) -> None:
    shown = burst(site, "-n", "5", "-o", "here", *expecting("failed=0", "sent=5"))
    assert shown.returncode == 0, shown.stderr
    assert "ok  failed=0: 0" in shown.stdout
    assert "2 of 2 hold" in shown.stdout
    assert shown.stdout.rstrip().endswith("here")


@pytest.mark.parametrize(
    ("texts", "code"),
    [(("sent=4",), 99), (("tcpfin=30±1s",), 2), (("sent=4", "tcpfin=30±1s"), 2)],
)
def test_one_that_fails_is_99_and_one_that_nobody_measured_is_2(
    site: Site, texts: tuple[str, ...], code: int
) -> None:
    shown = burst(site, "-n", "5", *expecting(*texts))
    assert shown.returncode == code
    assert "sent=4" not in texts or "FAILED" in shown.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--expect", "speed=9"],
        ["--expect", "failed="],
        ["--policy", "/no/such/file"],
        ["--abort-on", "tcpfin>30s"],
        ["--abort-on", "inactive_peak>9"],
        ["--junit", "x.xml"],
    ],
)
def test_what_is_not_understood_is_one_line_before_anything_is_sent(
    site: Site, words: list[str]
) -> None:
    shown = burst(site, "-n", "5", *words)
    assert (shown.returncode, shown.stdout, site.asked) == (2, "", 0)
    assert shown.stderr.count("\n") == 1
    assert not Path("runs").exists()


def test_a_policy_and_junit_on_a_run_of_json(site: Site) -> None:
    Path("policy.toml").write_text('[[expect]]\nthat = "failed=0"\nname = "nothing fails"\n')
    words = ["--policy", "policy.toml", "--junit", "report.xml", "--json", *expecting("late>9")]
    shown = burst(site, "-n", "5", *words)
    assert shown.returncode == 99
    assert json.loads(shown.stdout)["requests"]["sent"] == 5
    assert "nothing fails: failed=0: 0" in shown.stderr
    suite = next(iter(JUnitXml.fromfile("report.xml")))
    assert (suite.tests, suite.failures) == (2, 1)


def test_a_run_that_itself_failed_stays_1(site: Site) -> None:
    site.good = 0
    assert burst(site, "-n", "3", *expecting("failed=0")).returncode == 1


def test_too_many_failures_end_the_run_and_it_is_still_reported(site: Site) -> None:
    site.good = 20
    shown = burst(site, "-q", "200", "-z", "30s", "--abort-on", "failed>10", "-o", "here")
    assert shown.returncode == 99, shown.stderr
    assert "aborted: failed>10: " in shown.stderr
    assert 31 <= site.asked < 3000
    manifest = json.loads(Path("here/run.json").read_text())
    assert manifest["ended"].startswith("aborted by failed>10: ")
    assert Path("here/report.html").exists()
