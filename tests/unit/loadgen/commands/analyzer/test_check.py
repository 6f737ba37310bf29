"""``analyzer check`` as a pipeline runs it: exit codes, forms, refusals."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer import analysis
from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from loadgen.commands import exit_code_of
from loadgen.commands.analyzer import group

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.report import Analysis

    Run = Callable[..., tuple[int, str, str]]

RUN = str(Path(__file__).parents[4] / "data" / "dr-burst-50")


@cache
def analysed(path: Path) -> Analysis:
    """What the command only reads, so that each recording is analysed once for all tests."""
    return analyse(Recording.open(path))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``analyzer check`` with some words: exit code, standard output, standard error."""
    monkeypatch.setattr(analysis, "analyse", lambda recording: analysed(recording.path))

    def check(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["analyzer", "check", *words])
        code = exit_code_of(group)
        return code, *capsys.readouterr()

    return check


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        (("tcpfin=20±1s", "failed=0"), 0),
        (("tcpfin=20±1s", "failed>0"), 99),
        (("udp=300", "failed=0"), 2),
        (("udp=300", "failed>0"), 2),  # unknown weighs more than failed
    ],
)
def test_the_exit_code_tells_failed_from_not_measured(
    run: Run, expected: tuple[str, ...], code: int
) -> None:
    words = [word for text in expected for word in ("--expect", text)]
    assert run(RUN, *words)[0] == code


def test_plus_minus_may_be_typed(run: Run) -> None:
    assert run(RUN, "--expect", "tcpfin=20+-1s")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((RUN,), "nothing to check: expected --expect EXPECTATION, --policy FILE or"),
        ((), "Missing argument 'RUN'"),
        ((RUN, "--expect", "speed=9"), "no quantity 'speed'"),
        ((RUN, "--expect", "failed=="), "at character 7"),
        (("/no/such/run", "--expect", "failed=0"), "/no/such/run"),
        ((RUN, "--policy", "/no/such/file"), "/no/such/file: cannot be read"),
        ((RUN, "--expect", "failed=0", "--junit", "/no/such/x.xml"), "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_a_policy_and_flags_are_checked_together(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[expect]]\nthat = "tcpfin=20±1s"\nname = "forgets"\n')
    junit = tmp_path / "junit.xml"
    words = (RUN, "--policy", str(policy), "--expect", "failed>0", "--junit", str(junit))
    code, out, _ = run(*words)
    assert code == 99
    assert out.splitlines()[0].startswith("ok      forgets: tcpfin=20±1s: 20.0")
    assert 'failures="1"' in junit.read_text()


def test_json_is_one_document(run: Run) -> None:
    code, out, err = run(RUN, "--expect", "failed=0", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["summary"] == "1 of 1 hold"


def test_github_gets_annotations_and_a_summary(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, out, _ = run(RUN, "--expect", "tcpfin=30", "--format", "github")
    assert code == 99
    assert "::error title=tcpfin=30::expected tcpfin=30, measured 20.0" in out
    assert "| FAILED | tcpfin=30 |" in summary.read_text()


def test_tap_is_tap(run: Run) -> None:
    code, out, _ = run(RUN, "--expect", "failed=0", "--format", "tap")
    assert code == 0
    assert out.startswith("TAP version 13\n1..1\nok 1 - failed=0\n")


def test_all_quantities_are_listed(run: Run) -> None:
    code, out, _ = run("--quantities")
    assert code == 0
    assert "inactive_peak([director])" in out


def test_a_run_is_as_itself(run: Run) -> None:
    code, out, _ = run(RUN, "--baseline", RUN)
    assert code == 0
    assert "timeout(FIN_WAIT) as before: 20.02 s, was 20.02 s" in out
    assert out.splitlines()[-1].startswith("26 of 26 hold")


def test_what_only_the_earlier_run_measured_is_never_a_pass(run: Run) -> None:
    killed = str(Path(RUN).with_name("dr-burst-killed"))
    code, out, _ = run(killed, "--baseline", RUN)
    assert code == 2
    assert "NOT MEASURED  timeout(FIN_WAIT) as before" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tolerance", "5%", "--expect", "failed=0"), "expected --baseline RUN with it"),
        (("--baseline", RUN, "--tolerance", "5"), "tolerance '5': expected a share such as 10%"),
        (("--baseline", "/no/such/run"), "/no/such/run"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_one_line(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    code, _, err = run(RUN, *words)
    assert code == 2
    assert said in err


def test_the_tolerance_of_a_policy_holds_for_the_comparison(run: Run, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('tolerance = "ten"\n')
    code, _, err = run(RUN, "--baseline", RUN, "--policy", str(policy))
    assert code == 2
    assert "tolerance 'ten'" in err
