"""The files of an import: which there are, ``meta.json``, and the lines of a log.

Nobody knows who wrote them: how much a file may unpack to is bounded, half characters are replaced.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analyzer.recording.manifest import without_surrogates
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

META = "meta.json"

_CAPTURE_SUFFIXES = {".pcap", ".pcapng", ".cap"}
_JSON_LOG_SUFFIXES = {".jsonl", ".ndjson"}
_TEXT_LOG_SUFFIXES = {".log", ".txt"}

MAX_META_BYTES: Final = 16 << 20
MAX_POLL_BYTES: Final = 96 << 20
"""Of one line, and of one poll: a million entries in ``/proc/net/ip_vs_conn`` take 66 MB."""

MAX_RATIO, ANY_RATIO_BYTES = 200, 4 << 20
"""A log of polls is packed to a 70th; one that unpacks to more than this of its size is no log."""
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFiles:
    """The files to import, and what ``meta.json`` contains."""

    meta: Mapping[str, Any]
    log: Path | None
    capture: Path | None


def find_sources(paths: list[Path]) -> ImportFiles:
    """The log, the capture and the meta file among paths; a folder is searched.

    Raises:
        UsageProblem: nothing to import, two of a kind, or a meta file that is none.
    """
    files = [file for path in paths for file in _files(path)]
    log = _one(files, _is_log, "poll log")
    capture = _one(files, lambda file: file.suffix in _CAPTURE_SUFFIXES, "capture")
    meta = _one(files, lambda file: file.name == META, META)
    if log is None and capture is None:
        shown = ", ".join(map(str, paths))
        expected = "capture (.pcap, .pcapng), poll log (.jsonl) or ipvsadm log (.log, .txt)"
        raise UsageProblem(f"{shown}: no {expected} there")
    return ImportFiles(meta=_read_meta(meta), log=log, capture=capture)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UsageProblem(f"{path}: no such file or folder")
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def _is_log(file: Path) -> bool:
    name = file.name.removesuffix(".gz")
    return Path(name).suffix in _JSON_LOG_SUFFIXES | _TEXT_LOG_SUFFIXES


def is_json_log(path: Path) -> bool:
    """Whether a log is JSON lines, by its name."""
    return Path(path.name.removesuffix(".gz")).suffix in _JSON_LOG_SUFFIXES


def _one(files: list[Path], belongs: Any, what: str) -> Path | None:
    matching = [file for file in files if belongs(file)]
    if len(matching) > 1:
        raise UsageProblem(f"{matching[1]}: a second {what}; expected one")
    return matching[0] if matching else None


def _read_meta(path: Path | None) -> Mapping[str, Any]:
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


def refuse_bomb(path: Path) -> None:
    """Unpack a gzipped log once, without reading it.

    Raises:
        UsageProblem: it is not readable, or unpacks to more than a log would.
    """
    if path.suffix != ".gz":
        return
    most = max(ANY_RATIO_BYTES, path.stat().st_size * MAX_RATIO)
    for piece in _read(path, lambda file: file.read(_PIECE_BYTES)):
        most -= len(piece)
        if most < 0:
            raise UsageProblem(
                f"{path}: unpacks to more than {MAX_RATIO} times its size; "
                "expected a log of polls (if it is one, unpack it first)"
            )


def lines_of(path: Path) -> Iterator[bytes]:
    """A file's lines, unpacked; of one that was cut off while it was packed, those before.

    Raises:
        UsageProblem: it is not readable, or has a line that is longer than any poll.
    """
    for line in _read(path, lambda file: file.readline(MAX_POLL_BYTES + 1)):
        if len(line) > MAX_POLL_BYTES:
            raise UsageProblem(f"{path}: expected lines of at most {MAX_POLL_BYTES >> 20} MiB")
        yield line


def _read(path: Path, read: Callable[[gzip.GzipFile | BinaryIO], bytes]) -> Iterator[bytes]:
    """What ``read`` returns of a file, plain or gzipped, until it returns nothing."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while piece := read(file):
                yield piece
    except EOFError:
        return
    except (OSError, zlib.error) as error:
        raise UsageProblem(f"{path}: not readable: {error}") from error
