"""Templates as jinja compiled them, kept where Python keeps the bytecode of a module beside them.

Compiling a page's templates takes longer than drawing a short recording. Python's own rules hold:
``__pycache__``, or the folder that ``PYTHONPYCACHEPREFIX`` names, and nothing is written where
``PYTHONDONTWRITEBYTECODE`` is set or the folder takes nothing. What is kept counts for the text,
the syntax and the jinja that it was made of.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from analyzer.recording.directory.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2.bccache import Bucket


class CompiledTemplates(jinja2.BytecodeCache):
    """The cache of an ``Environment``.

    Args:
        syntax: the environment's options that decide what a template is compiled to.
    """

    def __init__(self, syntax: Mapping[str, object]) -> None:
        self._made_with = f"{jinja2.__version__} {sorted(syntax.items())}"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The path of what is kept of a template's file."""
        return cache_from_source(f"{filename or name}.py") + ".jinja"

    def get_source_checksum(self, source: str) -> str:
        """What must be the same, for a template to be compiled to the same."""
        return super().get_source_checksum(f"{self._made_with}\n{source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is kept; what cannot be read counts as nothing."""
        try:
            bucket.bytecode_from_string(Path(bucket.key).read_bytes())
        except Exception:
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what has been compiled, for other processes whole or not at all."""
        if sys.dont_write_bytecode:
            return
        path = Path(bucket.key)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, bucket.bytecode_to_string())
