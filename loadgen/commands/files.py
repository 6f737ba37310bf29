"""Files that commands write where the operator says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from pathlib import Path


def write_page(path: Path, page: str) -> None:
    """Write a page.

    Raises:
        UsageProblem: it cannot be written there.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be written: {error.strerror}") from error
