"""One headless Chromium for all tests of the pages."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

from tests.browser import chromium

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


class Show(Protocol):
    """Opens a page from disk, without a network, in a window of some width."""

    def __call__(
        self, html: str, width: int = 1000, scheme: Literal["light", "dark"] = "light"
    ) -> Opened: ...


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Each page that it opened is closed after the test."""
    file = tmp_path / "page.html"
    with ExitStack() as contexts:

        def show_one(
            html: str, width: int = 1000, scheme: Literal["light", "dark"] = "light"
        ) -> Opened:
            file.write_text(html, encoding="utf-8")
            context = contexts.enter_context(closing(chromium.offline(browser, width, scheme)))
            return chromium.opened(context, file)

        yield show_one
