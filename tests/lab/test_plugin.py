"""The pytest plugin in a project of its own: what docs/checks.md shows, run for real."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"
BLOCK = re.compile(r"^## In pytest$.*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUICK = """
import pytest
from analyzer.ipvs.states import Timeouts
from loadgen.lab.topology.layout import lay_out

@pytest.fixture(scope="session")
def lg_topology():
    return lay_out(vip_by="static", timeouts=Timeouts(tcpfin_s=5))
"""
ANOTHER = """

def test_it_is_not_so(lg_lab):
    assert lg_lab.burst(n=20).lifetime("FIN_WAIT").timeout_s == 30
"""
LIMIT_S = 120


def test_the_page_s_test_passes_and_another_says_predicted_against_observed(
    tmp_path: Path,
) -> None:
    found = BLOCK.search(PAGE.read_text())
    assert found is not None
    shown = found[1]
    assert "timeout_s == 30" in shown  # the lab's own tcpfin; here it is 5, to be quick
    (tmp_path / "conftest.py").write_text(QUICK)
    (tmp_path / "test_tcpfin.py").write_text(shown.replace("== 30", "== 5") + ANOTHER)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert re.search(r"E +assert \d\.\d\d s ± \d\.\d\d s == 30 s", done.stdout), done.stdout
    assert re.search(r"observed +\d\.\d\d s ± \d\.\d\d s", done.stdout)
    assert re.search(r"predicted +tcpfin 5 s, as configured", done.stdout)
