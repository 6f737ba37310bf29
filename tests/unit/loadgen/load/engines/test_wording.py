"""Failures in words: whatever a server sent, no byte of it is among them."""

from __future__ import annotations

import ssl
from typing import Any

import httptools
import pytest
from aiohttp import http_exceptions as aiohttp_errors
from hypothesis import given
from hypothesis import strategies as st

from analyzer.client.failure_texts import OTHER, known_text
from analyzer.client.failures import kind_of_text
from loadgen.load.engines import wording
from loadgen.load.engines.http.connection import Attempt, reason_of
from loadgen.load.engines.wording import Failure, parser_failure, reason, status_failure, too_long

SECRET = "session=0123456789abcdef"  # what an answer had in it


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, SECRET)
    error.verify_code, error.verify_message = code, f"not valid for '{SECRET}'"
    return error


def tls_error(reason_words: str) -> ssl.SSLError:
    error = ssl.SSLError(1, SECRET)
    error.reason = reason_words
    return error


ERRORS: list[tuple[Any, str]] = [
    (
        aiohttp_errors.LineTooLong(SECRET.encode(), 8190),
        "no HTTP/1.1: a line of more than 8190 bytes",
    ),
    (aiohttp_errors.InvalidHeader(SECRET), "no HTTP/1.1: not readable"),
    (aiohttp_errors.BadStatusLine(SECRET), "no HTTP/1.1: not readable"),
    (
        aiohttp_errors.BadStatusLine(error=f"Bad status line:\n  Expected dot:\n\n  b'{SECRET}'"),
        "no HTTP/1.1: Expected dot",
    ),
    (aiohttp_errors.TransferEncodingError(SECRET), "no HTTP/1.1: its chunks cannot be read"),
    (aiohttp_errors.BadHttpMessage(SECRET), "no HTTP/1.1: not readable"),
    (OSError(104, SECRET), "connection reset by peer"),
    (OSError(SECRET), "an error without a number"),
    (OSError(99999, SECRET), "an error without a number"),
    (certificate_error(18), "certificate: self-signed certificate"),
    (certificate_error(62), "certificate: hostname mismatch"),
    (certificate_error(12345), "certificate: verify code 12345"),
    (tls_error("TLSV1_ALERT_UNKNOWN_CA"), "TLS: tlsv1 alert unknown ca"),
    (tls_error(SECRET), "TLS: failed"),
    (ValueError(SECRET), OTHER),
]


@pytest.mark.parametrize("securing", [False, True])
@pytest.mark.parametrize(("error", "text"), ERRORS)
def test_no_error_of_a_library_is_quoted(error: Any, text: str, securing: bool) -> None:
    attempt = Attempt(0, 0, 0, "client", "/", securing=securing)
    failure = reason_of(error, attempt)
    plain_os_error = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
    assert failure.text == (f"TLS: {text}" if securing and plain_os_error else text)
    assert known_text(failure.text) == failure.text


@given(st.text())
def test_what_a_parser_says_of_an_answer_is_of_the_list(message: str) -> None:
    failures = [
        parser_failure(httptools.HttpParserError(message)),
        parser_failure(httptools.HttpParserUpgrade(message)),
        parser_failure(httptools.HttpParserError(f"Invalid status code{message}")),
    ]
    assert [known_text(failure.text) for failure in failures] == [f.text for f in failures]
    assert known_text(message) in (message, OTHER)


@given(st.binary(min_size=1, max_size=80))
def test_no_answer_gets_into_the_words_of_its_failure(answer: bytes) -> None:
    parser = httptools.HttpResponseParser(object())
    try:
        parser.feed_data(b"HTTP/1.1 " + answer + b"\r\n" + answer)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        failure = parser_failure(error)
        assert known_text(failure.text) == failure.text


def test_every_failure_of_our_own_is_of_the_list_and_of_its_kind() -> None:
    constants = [value for value in vars(wording).values() if isinstance(value, Failure)]
    failures = [
        *constants,
        *wording.TIMED_OUT.values(),
        *(reason(OSError(number, "")) for number in wording.KINDS_BY_ERRNO),
        *(status_failure(status) for status in (404, 503, 999)),
        too_long("head", 262_144),
    ]
    assert len(constants) > 5
    for failure in failures:
        assert known_text(failure.text) == failure.text
        assert kind_of_text(failure.text) in (failure.kind, "other", "timeout", "reset")


@pytest.mark.parametrize("text", [SECRET, "HTTP 200\n", "no HTTP/1.1: b'x'", "HTTP ٤٠٤", ""])
def test_any_other_text_is_other(text: str) -> None:
    assert known_text(text) == OTHER
