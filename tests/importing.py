"""A run directory made of files, as ``analyzer import`` makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.importing.folder import imported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def import_folder(paths: Sequence[Path], directory: Path) -> list[str]:
    """Make one; the lines for the operator."""
    with imported(paths, directory) as made:
        return made.doubts
