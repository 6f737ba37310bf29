"""Answers in pieces, cut short, and from strangers."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.sockets.exchange import MOST_HEAD_BYTES, Exchange, HeadTooLong
from tests.unit.loadgen.servers import HELLO, MOVED, NOT_FOUND, OK

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
ANSWERS = {
    OK: (200, 0),
    HELLO: (200, 5),
    NOT_FOUND: (404, 0),
    MOVED: (302, 0),
    CHUNKED: (200, 5),
    b"HTTP/1.1 204 No Content\r\n\r\n": (204, 0),
    b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO: (200, 5),
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + HELLO: (200, 5),
}


FILLER = b"X-Filler: " + b"x" * 1000 + b"\r\n"


def exchange(*, heads: bool = False) -> Exchange:
    return Exchange(0, 0, 0, "client", connection=0, heads=heads)


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(1, 40), max_size=30))
def test_an_answer_is_whole_at_its_last_byte_however_it_is_cut(
    answer: bytes, cuts: list[int]
) -> None:
    answered = exchange()
    rest = answer
    for cut in [*cuts, len(answer)]:
        piece, rest = rest[:cut], rest[cut:]
        if piece:
            assert not answered.complete
            answered.feed(memoryview(piece))
    assert answered.complete
    assert (answered.status, answered.size) == ANSWERS[answer]


def test_an_answer_to_head_ends_with_its_head_whatever_length_it_tells() -> None:
    answered = exchange(heads=True)
    answered.feed(memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
    assert answered.complete


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhello", True),  # no length: the FIN is its end
        (b"HTTP/1.0 200 OK\r\n\r\nhello", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent", False),
        (b"", False),
    ],
)
def test_the_end_of_the_stream_ends_an_answer_without_a_length_alone(
    answer: bytes, whole: bool
) -> None:
    answered = exchange()
    if answer:
        answered.feed(memoryview(answer))
    answered.end_of_stream()
    assert answered.complete is whole


def test_a_head_without_end_is_refused() -> None:
    answered = exchange()
    answered.feed(memoryview(b"HTTP/1.1 200 OK\r\n"))
    for _ in range(MOST_HEAD_BYTES // len(FILLER)):
        answered.feed(memoryview(FILLER))
    with pytest.raises(HeadTooLong):
        answered.feed(memoryview(FILLER))


@given(st.binary(max_size=300), st.integers(1, 300))
def test_no_bytes_from_a_server_do_more_than_fail(noise: bytes, cut: int) -> None:
    answered = exchange()
    try:
        for piece in (noise[:cut], noise[cut:]):
            answered.feed(memoryview(piece))
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return
    answered.end_of_stream()
