"""docs/findings.md names every finding that the code can make, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from analyzer.findings.ids import IDS

ROOT = Path(__file__).parents[3]


def test_every_finding_stands_on_the_page() -> None:
    listed = set(
        re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "findings.md").read_text(), re.M)
    )
    analyzer = ROOT / "analyzer"
    sources = [*(analyzer / "findings").rglob("*.py"), analyzer / "forecast" / "wording.py"]
    made = {name for path in sources for name in re.findall(r'\bid="([a-z-]+)"', path.read_text())}
    assert made
    assert listed == made
    assert made == IDS
