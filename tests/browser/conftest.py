"""One headless Chromium for all tests of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import pytest

from tests.browser import chromium
from tests.browser.chromium import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.browser.chromium import Opened


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium.chromium() as found:
        yield found


@pytest.fixture(scope="session")
def window(browser: Browser) -> Window:
    """One for all pages from disk; whoever shows a page in it ends the one before."""
    return Window(browser)


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each page stands while it is shown: what a browser compiled, it knows by its place."""
    return tmp_path_factory.mktemp("shown") / "page.html"


class Show(Protocol):
    """Opens a page from disk, without a network, in a window of some width."""

    def __call__(
        self, html: str, width: int = 1000, scheme: Literal["light", "dark"] = "light"
    ) -> Opened: ...


@pytest.fixture(scope="session")
def show(window: Window, file: Path) -> Show:
    """Each page that it opens takes the place of the one before."""

    def show_one(
        html: str, width: int = 1000, scheme: Literal["light", "dark"] = "light"
    ) -> Opened:
        file.write_text(html, encoding="utf-8")
        return window.show(file, width, scheme)

    return show_one
