"""The files of an import: which there are of the paths that were named, and what each is."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analyzer.errors import ParseError, RecordingError
from analyzer.parts.inputs import opened
from analyzer.recording.spill import spill_folder
from analyzer.wire.capture.files import frame_chunks
from loadgen.errors import UsageProblem
from loadgen.importing.sources.kinds import Kind, kind_of
from loadgen.importing.sources.meta import META, almost_known, read_meta
from loadgen.importing.sources.packed import SUFFIXES, bounded_pieces, packing_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_FILES: Final = 10_000

_FIRST_CHUNK_BYTES: Final = 1 << 16  # a first packet is in it, mostly

_LOG_SUFFIXES = (".jsonl", ".ndjson")
"""In a folder, a file of such a name is an error if it is no log; any other is passed by."""


_NOTHING_KNOWN = "neither a capture (pcap, pcapng) nor, in its first lines, a text of IPVS"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollLog:
    """A log of polls.

    Attributes:
        files: the parts of it, the earliest first.
        is_json: whether they are JSON lines; else texts.
        times_after: of a text, whether each time stands after what was printed.
    """

    files: tuple[Path, ...]
    is_json: bool
    times_after: bool = False

    def __str__(self) -> str:
        return ", ".join(map(str, self.files))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFiles:
    """The files to import.

    Attributes:
        meta: what ``meta.json`` contains.
        log: None without one.
        captures: of any order; none may be there.
        passed_by: each file of a folder that is none of these, and why.
    """

    meta: Mapping[str, Any]
    log: PollLog | None
    captures: tuple[Path, ...]
    passed_by: tuple[tuple[Path, str], ...] = ()


def expanded(paths: Iterable[Path]) -> list[Path]:
    """Paths, with the patterns among them that a shell left as they are expanded.

    Raises:
        UsageProblem: nothing there, or nothing matches.
    """
    return [file for path in paths for file in _matching(path)]


def find_sources(paths: Sequence[Path]) -> ImportFiles:
    """The logs, the captures and the meta file among paths; a folder is searched.

    Raises:
        UsageProblem: nothing to import, or a file that is nothing of the kind.
    """
    found: dict[Kind | str, list[Path]] = {}
    passed_by: list[tuple[Path, str]] = []
    for path in expanded(paths):
        for file in _files(path):
            kind = META if file.name == META else _kind(file, path.is_dir(), passed_by)
            if kind is not None:
                found.setdefault(kind, []).append(file)
    metas = _once(found.get(META, ()))
    if len(metas) > 1:
        raise UsageProblem(f"{metas[1]}: a second {META}; expected one")
    meta = read_meta(metas[0] if metas else None)
    passed_by += [
        (metas[0], f"a key that is not known, much like {key!r}") for key in almost_known(meta)
    ]
    return _import_files(paths, found, meta, passed_by)


def _import_files(
    paths: Sequence[Path],
    found: Mapping[Kind | str, list[Path]],
    meta: Mapping[str, Any],
    passed_by: Sequence[tuple[Path, str]],
) -> ImportFiles:
    captures = _once(found.get(Kind.CAPTURE, ()))
    as_json = _once([*found.get(Kind.JSON_LOG, ()), *found.get(Kind.UNKNOWN_JSON, ())])
    texts = _once([*found.get(Kind.TEXT_LOG, ()), *found.get(Kind.UNKNOWN_TEXT, ())])
    if as_json and texts:
        raise UsageProblem(
            f"{texts[0]}: a log of another kind than {as_json[0]}; expected one director's log"
        )
    if not (captures or as_json or texts):
        shown = ", ".join(map(str, paths))
        why = f" ({passed_by[0][0].name}: {passed_by[0][1]})" if passed_by else ""
        expected = "capture (pcap, pcapng), poll log (JSON lines) or log of ipvsadm"
        raise UsageProblem(f"{shown}: no {expected} there{why}")
    log = PollLog(files=tuple(as_json or texts), is_json=bool(as_json))
    return ImportFiles(
        meta=meta,
        log=log if log.files else None,
        captures=tuple(captures),
        passed_by=tuple(passed_by),
    )


def _matching(path: Path) -> list[Path]:
    if path.exists():
        return [path]
    if str(path) == "-":
        raise UsageProblem("standard input: expected a file, as it is read several times")
    if not has_magic(str(path)):
        raise UsageProblem(f"{path}: no such file or folder")
    pattern = str(path.relative_to(path.anchor))
    matches = sorted(islice(Path(path.anchor).glob(pattern), MAX_FILES + 1))
    if not matches:
        raise UsageProblem(f"{path}: no file matches")
    if len(matches) > MAX_FILES:
        raise UsageProblem(f"{path}: expected at most {MAX_FILES} files")
    return matches


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        visible = (file for file in path.iterdir() if not file.name.startswith("."))
        return sorted(file for file in visible if file.is_file())
    if not path.is_file():
        raise UsageProblem(f"{path}: not a regular file; expected one, as it is read several times")
    return [path]


def _kind(file: Path, from_folder: bool, passed_by: list[tuple[Path, str]]) -> Kind | None:
    """What a file is; None where a folder holds it and it is nothing to import."""
    must_be_log = from_folder and plain_suffix(file) in _LOG_SUFFIXES
    try:
        kind = kind_of(file)
    except UsageProblem as problem:
        if must_be_log or not from_folder:
            raise
        passed_by.append((file, str(problem).removeprefix(f"{file}: ")))
        return None
    if from_folder and kind in (Kind.UNKNOWN_TEXT, Kind.UNKNOWN_JSON) and not must_be_log:
        passed_by.append((file, _NOTHING_KNOWN))
        return None
    return kind


def plain_suffix(path: Path) -> str:
    """A name's suffix in small letters, without that of packing."""
    name = path.name.lower()
    packing = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    return Path(name.removesuffix(packing)).suffix


def _once(files: Iterable[Path]) -> list[Path]:
    """Each file once, by whatever names it was found."""
    by_identity: dict[tuple[int, int], Path] = {}
    for file in files:
        status = file.stat()
        by_identity.setdefault((status.st_dev, status.st_ino), file)
    return list(by_identity.values())


@contextmanager
def unpacked(captures: Sequence[Path], near: Path) -> Iterator[dict[Path, Path]]:
    """Where each capture lies unpacked, in the order of their first packets.

    Args:
        captures: as found.
        near: a directory that is made later: unpacked files are kept on its file system meanwhile.

    Raises:
        UsageProblem: a capture is not readable, or unpacks to more than one would.
        RecordingError: nothing can be unpacked there, nor to where temporary files go.
    """
    packed = [path for path in captures if packing_of(path)]
    existing = next(path for path in (near, *near.absolute().parents) if path.is_dir())
    with spill_folder(existing) if packed else nullcontext(near) as folder:
        plain = {path: path for path in captures}
        for number, path in enumerate(packed):
            plain[path] = _unpacked(path, folder / str(number))
        began_ns = {path: _first_ns(file, path) for path, file in plain.items()}
        yield {path: plain[path] for path in sorted(plain, key=began_ns.__getitem__)}


def _unpacked(path: Path, to: Path) -> Path:
    try:
        with to.open("wb") as file:
            file.writelines(bounded_pieces(path, "a capture"))
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be unpacked: {error.strerror}") from error
    return to


def _first_ns(path: Path, name: Path) -> int:
    """When a capture's first packet was seen; captures without packets come first.

    Raises:
        UsageProblem: it is damaged at its very beginning.
    """
    try:
        chunks = frame_chunks(opened(path), _FIRST_CHUNK_BYTES)
        return next((int(frames.at_ns[0]) for frames in chunks if len(frames.at_ns)), 0)
    except (RecordingError, ParseError) as error:
        raise UsageProblem(f"{name}: {error}") from error
