"""The machine's Chrome or Chromium, run once on a page of ours: headless, without a network."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
LIMIT_S = 60.0
_VIRTUAL_MS = 30_000
_FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--proxy-server=127.0.0.1:9",  # nobody listens there: not one request leaves
    "--host-resolver-rules=MAP * ~NOTFOUND",
    f"--virtual-time-budget={_VIRTUAL_MS}",
)


def find_chrome() -> str | None:
    """The first of ``NAMES`` on the PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def dump(page: str, chrome: str, limit_s: float = LIMIT_S) -> str | None:
    """A page's document after its scripts have run; None if the browser failed or took too long.

    Args:
        page: HTML of ours; its policy lets no request leave.
        chrome: the program.
        limit_s: after this the browser and its children are ended.
    """
    with tempfile.TemporaryDirectory(prefix="loadgen-chrome-") as folder:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        # Chrome's sandbox refuses root, who has no other way.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        home = f"--user-data-dir={folder}/profile"
        words = [chrome, *_FLAGS, *root, home, "--dump-dom", file.as_uri()]
        return _output(words, limit_s)


def _output(words: list[str], limit_s: float) -> str | None:
    try:
        browser = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError:
        return None
    try:
        shown, _ = browser.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(browser)
    return shown.decode("utf-8", "replace") if browser.returncode == 0 else None


def _end(browser: subprocess.Popen[bytes]) -> None:
    """End the browser and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(browser.pid, signal.SIGKILL)
    browser.communicate()
