"""``meta.json``: what is known of a recording besides its files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from analyzer.recording.manifest import without_surrogates
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

META = "meta.json"
MAX_META_BYTES: Final = 16 << 20


def read_meta(path: Path | None) -> Mapping[str, Any]:
    """What the file contains; nothing without one.

    Raises:
        UsageProblem: it is not readable, or no JSON object.
    """
    if path is None:
        return {}
    try:
        if path.stat().st_size > MAX_META_BYTES:
            raise UsageProblem(f"{path}: expected at most {MAX_META_BYTES >> 20} MiB")
        meta = without_surrogates(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageProblem(f"{path}: {error}") from error
    if not isinstance(meta, dict):
        raise UsageProblem(f"{path}: expected a JSON object")
    return meta
