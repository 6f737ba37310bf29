"""A copy of a capture that somebody else writes to: what was there is copied, the rest counted."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from analyzer.anonymous.capture import FrameAnonymiser
from analyzer.anonymous.capture_file import anonymous_capture
from analyzer.anonymous.substitution import Substitution
from analyzer.parts.inputs import opened
from analyzer.wire.capture.files import frame_chunks
from tests.unit.analyzer.builders_packets import ACK, NS, pcap, pcapng_of, request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANONYMISER = FrameAnonymiser(Substitution(bytes(range(32))))
LONG = [(NS + n * NS, request(ACK, port=1024 + n) + bytes(20_000)) for n in range(60)]
FRAME_BYTES = len(LONG[0][1])
FILES = {"pcap": pcap(LONG, snap=FRAME_BYTES), "pcapng": pcapng_of(LONG)}


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    in_chunks = partial(frame_chunks, chunk_bytes=FRAME_BYTES)
    monkeypatch.setattr("analyzer.anonymous.capture_file.frame_chunks", in_chunks)
    file = tmp_path / "capture"
    file.write_bytes(FILES[request.param])
    return file


def copied(path: Path, meanwhile: Callable[[int], object]) -> tuple[list[int], int]:
    """When each frame of the copy was seen, and the bytes that are not in it.

    Args:
        path: the original.
        meanwhile: is called with the pieces of the copy so far, before the next one is made.
    """
    unread: list[int] = []
    pieces: list[bytes] = []
    made = anonymous_capture(opened(path), ANONYMISER, unread=unread.append)
    while True:
        meanwhile(len(pieces))
        piece = next(made, None)
        if piece is None:
            break
        pieces.append(piece)
    found = frame_chunks(memoryview(b"".join(pieces)))
    return [int(at_ns) for frames in found for at_ns in frames.at_ns], sum(unread)


def at_step(step: int, path: Path, act: Callable[[Path], object]) -> Callable[[int], object]:
    return lambda pieces: act(path) if pieces == step else None


def whole(path: Path) -> tuple[list[int], int]:
    return copied(path, lambda _: None)


def test_a_capture_that_stays_as_it_was_is_copied_whole(path: Path) -> None:
    assert whole(path) == ([at_ns for at_ns, _ in LONG], 0)


@pytest.mark.parametrize("left", [0, 3, 700_000])
@pytest.mark.parametrize("step", [0, 1, 2, 30])
def test_of_a_capture_that_is_cut_off_the_copy_has_what_was_there(
    path: Path, step: int, left: int
) -> None:
    """Before it is looked at, between both looks, and while it is copied."""
    size = path.stat().st_size
    at_ns, unread = copied(path, at_step(step, path, lambda file: os.truncate(file, left)))
    assert at_ns == [NS + n * NS for n in range(len(at_ns))]
    expected = max(left // FRAME_BYTES, step - 1)
    assert expected - 2 <= len(at_ns) <= expected + 20  # some are read ahead
    assert abs(size - unread - len(at_ns) * FRAME_BYTES) < 40 * 60 + 100


@pytest.mark.parametrize("step", [1, 2])
def test_frames_of_another_capture_in_its_place_are_not_copied(path: Path, step: int) -> None:
    """Written anew since the first look: what that did not see has no place in the copy."""
    kind = "pcap" if path.read_bytes() == FILES["pcap"] else "pcapng"
    later = [(at_ns + 100 * NS, frame) for at_ns, frame in LONG]
    anew = {"pcap": pcap(later, snap=FRAME_BYTES, link=101), "pcapng": pcapng_of(later)}
    at_ns, unread = copied(path, at_step(step, path, lambda file: file.write_bytes(anew[kind])))
    assert at_ns == [NS + n * NS for n in range(len(at_ns))]
    assert len(at_ns) < 20
    assert unread >= (60 - len(at_ns)) * FRAME_BYTES


def test_an_instant_that_no_pcap_holds_does_not_come_into_one(tmp_path: Path) -> None:
    file = tmp_path / "capture"
    file.write_bytes(pcapng_of([(NS, b"x" * 60)]))
    later = pcapng_of([((1 << 33) * NS, b"x" * 60)])
    assert copied(file, at_step(1, file, lambda path: path.write_bytes(later))) == ([], 76)
