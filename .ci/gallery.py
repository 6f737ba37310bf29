"""`make gallery`: the pages of the recordings in tests/data, and a picture of each.

The pages go to docs/gallery/ and stay out of git (plotly.js is 1.5 MB of each); the pictures are
what the README shows.
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from loadgen.importing.folder import imported
from reports.run.page import render_page
from tests.browser.chromium import chromium, offline, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from analyzer.report import Analysis

ROOT = Path(__file__).parents[1]
DATA, GALLERY = Path("tests/data"), Path("docs/gallery")
WIDTH_PX, HEIGHT_PX, QUALITY = 1000, 1000, 75
FROM = {"dr-failover": "#failover"}  # where a picture begins that is not of the page's head
DARK = "nat-client-close-tcpfin10"  # shown to a reader who prefers dark, too


def analyses(scratch: Path) -> Iterator[tuple[str, Analysis]]:
    """Name and analysis of each; what was recorded elsewhere is imported first."""
    for name in ("dr-burst-50", "dr-failover"):
        yield name, analyse(Recording.open(DATA / name))
    for folder in sorted((DATA / "ground-truth").iterdir()):
        with imported([folder], scratch / folder.name) as made:
            found = analyse(Recording.open(scratch / folder.name), read=made.read)
        yield folder.name, replace(found, run=str(folder))


def picture(browser: Browser, name: str, scheme: str = "light") -> None:
    """The head of a page and its first charts."""
    context = offline(browser, WIDTH_PX, "dark" if scheme == "dark" else "light")
    page = opened(context, (GALLERY / f"{name}.html").resolve()).page
    page.set_viewport_size({"width": WIDTH_PX, "height": HEIGHT_PX})
    if name in FROM:
        page.locator(FROM[name]).evaluate("(section) => section.scrollIntoView()")
    asked = {"format": "webp", "quality": QUALITY}  # a third of a PNG; playwright knows it not
    shot = context.new_cdp_session(page).send("Page.captureScreenshot", asked)
    suffix = "-dark" if scheme == "dark" else ""
    (GALLERY / f"{name}{suffix}.webp").write_bytes(base64.b64decode(shot["data"]))
    context.close()


def main() -> int:
    """All pages first, then one browser for all pictures."""
    os.chdir(ROOT)  # so that no page names where the checkout is
    GALLERY.mkdir(exist_ok=True)
    names = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, analysis in analyses(Path(scratch)):
            (GALLERY / f"{name}.html").write_text(render_page(analysis), encoding="utf-8")
            names.append(name)
    with chromium() as browser:
        for name in names:
            picture(browser, name)
            sys.stdout.write(f"{GALLERY}/{name}.html\n")
        picture(browser, DARK, "dark")
    return 0


if __name__ == "__main__":
    sys.exit(main())
